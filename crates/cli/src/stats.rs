//! `isolab stats`: what is running consumes so much.

use std::{
    collections::BTreeMap,
    io::IsTerminal as _,
    thread::sleep,
    time::{Duration, Instant},
};

use clap::Args;
use container::observe::{self, Consumption};
use report::columns::shortened;
use sandbox::{Ledger, LedgerEntry};
use serde_json::json;

use crate::{ansi::Ansi, background, failure::Failure, output};

/// CPU use is a difference over this time.
const WINDOW: Duration = Duration::from_secs(1);

/// Show the CPU, memory and process usage of what is running. On a terminal it is updated every
/// second until Ctrl-C; otherwise it is printed once.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Names, as `isolab ps` shows them [default: all]
    names: Vec<String>,
    /// Print once and exit
    #[arg(long)]
    no_stream: bool,
    /// Print once, as a JSON array
    #[arg(long)]
    json: bool,
}

/// Prints it.
pub fn stats(arguments: &Arguments) -> Result<u8, Failure> {
    let once = arguments.no_stream || arguments.json || !std::io::stdout().is_terminal();
    let mut before = measure(&chosen(arguments)?);
    loop {
        sleep(WINDOW);
        let entries = chosen(arguments);
        let entries = if once { entries? } else { entries.unwrap_or_default() };
        let now = measure(&entries);
        let rows: Vec<Row> =
            entries.iter().filter_map(|entry| Row::of(entry, &before, &now)).collect();
        if arguments.json {
            output::print_json(&rows.iter().map(Row::as_json).collect())?;
        } else {
            // The list before is written over.
            let clear = if once { "" } else { "\x1b[H\x1b[J" };
            output::print(&format!("{clear}{}", table(&rows, Ansi::of_output())))?;
        }
        if once || (rows.is_empty() && !arguments.names.is_empty()) {
            return Ok(0);
        }
        before = now;
    }
}

fn chosen(arguments: &Arguments) -> Result<Vec<LedgerEntry>, Failure> {
    if arguments.names.is_empty() {
        let mut entries = Ledger::open()?.entries()?;
        entries.retain(|entry| entry.launcher.is_alive());
        return Ok(entries);
    }
    arguments.names.iter().map(|name| background::find_running(name)).collect()
}

type Measured = BTreeMap<String, (Instant, Consumption)>;

fn measure(entries: &[LedgerEntry]) -> Measured {
    let one =
        |entry: &LedgerEntry| (entry.name.clone(), (Instant::now(), observe::consumption(entry)));
    entries.iter().map(one).collect()
}

struct Row {
    name: String,
    cpu_percent: f64,
    consumed: Consumption,
}

impl Row {
    /// `None` for one that was not there at the start of the window.
    fn of(entry: &LedgerEntry, before: &Measured, now: &Measured) -> Option<Self> {
        let (began, earlier) = before.get(&entry.name)?;
        let (ended, consumed) = now.get(&entry.name)?;
        // Where no cgroup counts, what has ended is counted no more.
        let used = consumed.cpu_time.saturating_sub(earlier.cpu_time).as_secs_f64();
        let window = ended.duration_since(*began).as_secs_f64();
        let cpu_percent = if window > 0.0 { 100.0 * used / window } else { 0.0 };
        Some(Self { name: entry.name.clone(), cpu_percent, consumed: *consumed })
    }

    fn as_json(&self) -> serde_json::Value {
        json!({
            "name": self.name,
            "cpu_percent": self.cpu_percent,
            "cpu_us": self.consumed.cpu_time.as_micros() as u64,
            "memory_bytes": self.consumed.memory_bytes,
            "memory_limit_bytes": self.consumed.memory_limit,
            "pids": self.consumed.pids,
            "pids_limit": self.consumed.pids_limit,
        })
    }
}

fn table(rows: &[Row], ansi: Ansi) -> String {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0).clamp(4, 28);
    let head = format!(
        "{:<width$}  {:>7}  {:>21}  {:>13}",
        "NAME", "CPU %", "MEMORY / LIMIT", "PIDS / LIMIT"
    );
    let mut text = format!("{}\n", ansi.bold(&head));
    let limit = |limit: Option<String>| limit.unwrap_or_else(|| "-".into());
    for Row { name, cpu_percent, consumed } in rows {
        let memory =
            format!("{} / {}", mib(consumed.memory_bytes), limit(consumed.memory_limit.map(mib)));
        let pids = format!(
            "{} / {}",
            consumed.pids,
            limit(consumed.pids_limit.map(|pids| pids.to_string()))
        );
        let name = shortened(name, width);
        text += &format!("{name:<width$}  {cpu_percent:>7.1}  {memory:>21}  {pids:>13}\n");
    }
    text
}

fn mib(bytes: u64) -> String {
    format!("{:.1}M", bytes as f64 / f64::from(1 << 20))
}
