//! `isolab compare`: the same programs in every sandbox, and a report of what was measured.
//!
//! The measuring is in `crates/measure`; here are the arguments, the progress, and what is printed.

mod folder;
mod measure;
mod nest;
mod progress;

use std::{
    env,
    error::Error,
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

pub use self::measure::{ClientArgs, MeasureArgs, measure_client, measure_io, run as measure};

use ::measure::{
    Cancellation, CompareOptions, ProvenanceRecorder, conduct,
    peers::{PeerChoice, PeerSet},
};
use report::{Records, history::history};
use sandbox::Ledger;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use self::{
    folder::{Reservation, rescue},
    progress::Progress,
};
use crate::{failure::Failure, output};

/// Measure every sandbox on this host and write a report.
#[derive(Debug, Clone, clap::Args)]
pub struct CompareArgs {
    /// Fewer rounds and smaller workloads: takes a minute
    #[arg(long)]
    pub quick: bool,
    /// Output directory [default: reports/compare-TIME if there is a directory reports, else
    /// isolab-report]
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Seed of every random choice, such as the order of the sandboxes
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// Rounds in each fresh process [default: depends on the part]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rounds: Option<u32>,
    /// Programs of others that take part: auto for those that are installed, none, or a list such
    /// as runc,podman,qemu-kvm [default: auto, and none with --quick]
    #[arg(long, value_name = "PEERS")]
    pub peers: Option<PeerChoice>,
    /// Start this many instances at once, or as many as fit, and plot memory and start-up over their
    /// number
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub density: Option<u32>,
    /// Measure in a nest, an emulated computer with hardware virtualization whose clock counts
    /// instructions: numbers compare with each other, and with nothing outside
    #[arg(long, conflicts_with_all = ["peers", "density"])]
    pub nest: bool,
    /// Measure nothing: draw the runs whose directories are in this one, as `isolab report history`
    #[arg(long, value_name = "FOLDER", exclusive = true)]
    pub history: Option<PathBuf>,
    /// Print the records as JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

impl CompareArgs {
    fn options(&self) -> CompareOptions {
        let &Self { quick, seed, rounds, peers, density, .. } = self;
        let usual = if quick { PeerChoice::Listed(PeerSet::default()) } else { PeerChoice::Auto };
        let peers = peers.unwrap_or(usual).resolve();
        CompareOptions { quick, seed: seed.unwrap_or(1), rounds, peers, density }
    }
}

/// The exit code of a program that was interrupted, as a shell gives it: 128 and `SIGINT`.
const INTERRUPTED: u8 = 130;

/// Measures, writes the report and prints the table; returns the exit code.
///
/// # Errors
///
/// When the report cannot be written or shown. What cannot be measured is part of the report.
pub fn compare(args: &CompareArgs) -> Result<u8, Failure> {
    if let Some(folder) = &args.history {
        return draw_history(folder);
    }
    let recorder = ProvenanceRecorder::start(command_line());
    let out = args.out.clone().unwrap_or_else(|| default_folder(recorder.unix_seconds()));
    let _reserved = Reservation::of(&out)?;
    let cancellation = cancelled_by_signals().map_err(Failure::at("listen for signals"))?;
    if args.nest {
        return match nest::records(args, command_line(), &cancellation)? {
            Some(records) => finish(&records, &out, args.json),
            None => {
                eprintln!("isolab: interrupted; nothing was written");
                Ok(INTERRUPTED)
            }
        };
    }
    let options = args.options();
    let Ok(collection) = conduct(&options, &cancellation, &mut Progress::default()) else {
        clean_up()?;
        eprintln!("isolab: interrupted; nothing was written");
        return Ok(INTERRUPTED);
    };
    let records = collection.into_records(recorder.finish(options.seed));
    finish(&records, &out, args.json)
}

fn finish(records: &Records, out: &Path, json: bool) -> Result<u8, Failure> {
    let written = report::write_report(records, out);
    let written = written.map_err(|error| rescue(records, error))?;
    print(records, &written.page, json)?;
    Ok(0)
}

/// The command without the path of the program, which belongs to this machine alone.
fn command_line() -> String {
    let words = env::args().skip(1);
    std::iter::once("isolab".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

/// A cancellation that Ctrl-C, a hang-up and a request to terminate make.
fn cancelled_by_signals() -> io::Result<Cancellation> {
    let cancellation = Cancellation::default();
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let listening = cancellation.clone();
    thread::spawn(move || signals.forever().for_each(|_| listening.cancel()));
    Ok(cancellation)
}

/// Removes what the killed measuring process left behind: its processes end with it, but cgroups do
/// not.
fn clean_up() -> Result<(), Box<dyn Error>> {
    const TIMEOUT: Duration = Duration::from_secs(3);
    let (began, ledger) = (Instant::now(), Ledger::open()?);
    loop {
        let cleaned = container::clean(&ledger);
        let left = ledger.entries()?.iter().any(|entry| !entry.launcher.is_alive());
        match cleaned {
            Err(error) if began.elapsed() > TIMEOUT => return Err(error.into()),
            _ if !left || began.elapsed() > TIMEOUT => return Ok(()),
            _ => thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Writes the report into `folder` and prints the table, the page's path last.
///
/// # Errors
///
/// When it cannot be written or printed.
pub fn show(records: &Records, folder: &Path, json: bool) -> Result<(), Failure> {
    let written = report::write_report(records, folder)?;
    print(records, &written.page, json)
}

/// Draws the runs of a directory and prints how each figure went, the page's path last.
///
/// # Errors
///
/// When the directory cannot be read or written.
pub fn draw_history(folder: &Path) -> Result<u8, Failure> {
    let history = history(folder)?;
    let page = history.write(folder)?;
    output::print(&format!("{}\n{}\n", history.text(), page.display()))?;
    Ok(0)
}

fn print(records: &Records, page: &Path, json: bool) -> Result<(), Failure> {
    if json {
        let text = serde_json::to_string_pretty(records);
        return output::print(&(text.expect("records hold strings and numbers") + "\n"));
    }
    let table = report::table(records, columns(), io::stdout().is_terminal());
    output::print(&format!("{table}\n{}\n", page.display()))
}

/// The width of the terminal; `COLUMNS`, if it is set; 80 where there is neither.
pub fn columns() -> usize {
    let said = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let of_terminal = || host::size_of(io::stdout()).map(|(_, columns)| usize::from(columns));
    said.or_else(of_terminal).unwrap_or(80)
}

/// `reports/compare-YYYYMMDD-HHMMSS` in UTC, or `isolab-report` where there is no `reports`.
fn default_folder(unix_seconds: u64) -> PathBuf {
    match Path::new("reports").is_dir() {
        true => Path::new("reports").join(format!("compare-{}", utc(unix_seconds))),
        false => PathBuf::from("isolab-report"),
    }
}

/// A time since 1970 as `YYYYMMDD-HHMMSS`.
fn utc(unix_seconds: u64) -> String {
    let (days, second) = (unix_seconds / 86_400, unix_seconds % 86_400);
    // Days since 0000-03-01, in cycles of 400 years (Hinnant, "chrono-compatible low-level date
    // algorithms", civil_from_days).
    let days = days + 719_468;
    let (cycle, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + cycle * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_a_date() {
        assert_eq!(utc(0), "19700101-000000");
        assert_eq!(utc(951_827_696), "20000229-123456");
        assert_eq!(utc(1_796_000_000), "20261130-005320");
    }
    #[test]
    fn the_machines_paths_stay_out_of_the_command_line() {
        assert!(command_line().starts_with("isolab"));
        assert!(!command_line().contains(&env::args().next().unwrap()));
    }
}
