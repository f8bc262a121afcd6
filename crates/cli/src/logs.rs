//! `isolab logs`: what a run in the background has written.

use std::{
    io::{self, ErrorKind, Write},
    thread::sleep,
    time::{Duration, SystemTime},
};

use clap::Args;
use sandbox::{Ledger, LedgerEntry};
use supervisor::{LogReader, Record, Stream, last_lines, time};

use crate::{background, failure::Failure, units};

/// How often a log that is followed is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Show the output of a background run: its standard output on standard output, its standard error
/// on standard error. The newest 4 to 8 MiB are kept.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Name, as `isolab ps -a` shows it
    name: String,
    /// Follow the output until it ends
    #[arg(short, long)]
    follow: bool,
    /// Show only the last NUMBER lines
    #[arg(short = 'n', long, value_name = "NUMBER", value_parser = tail, default_value = "all")]
    tail: usize,
    /// Show timestamps
    #[arg(short, long)]
    timestamps: bool,
    /// Show output since this time: 10m (ago), 2026-11-28, 2026-11-28T13:14:15Z
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<String>,
}

fn tail(text: &str) -> Result<usize, String> {
    match text {
        "all" => Ok(usize::MAX),
        number => number
            .parse()
            .map_err(|_| format!("invalid number of lines: {text:?}; use a number or all")),
    }
}

/// The instant as a log has it.
fn since(text: &str) -> Result<String, String> {
    if let Ok(ago) = units::time(text) {
        let instant = SystemTime::now().checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH);
        return Ok(time::rfc3339(instant));
    }
    let is_date = text.len() >= 10
        && text.char_indices().all(|(at, letter)| match at {
            4 | 7 => letter == '-',
            10 => letter == 'T',
            13 | 16 => letter == ':',
            19 => ".Z".contains(letter),
            _ => letter.is_ascii_digit() || (letter == 'Z' && at == text.len() - 1),
        });
    match is_date {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "invalid time: {text:?}; use a duration such as 10m or a date in UTC such as \
             2026-11-28T13:14:15Z"
        )),
    }
}

/// Prints it.
pub fn logs(arguments: &Arguments) -> Result<u8, Failure> {
    let name = &arguments.name;
    let what = "its output goes to the streams of its `isolab run`, and is not logged";
    let (entry, _) = background::find_detached(name, what)?;
    let failed = || Failure::at(format!("read the log of {name}"));
    let log = LogReader::open(&Ledger::open()?.directory_of(name));
    let mut log = log.map_err(failed())?;
    let mut printer = Printer::new(arguments.timestamps);
    let since = |record: &Record| {
        arguments.since.as_ref().is_none_or(|since| time::is_since(&record.time, since))
    };
    let mut tail = arguments.tail;
    loop {
        // Asked before the log is read: nothing is added to it after that.
        let more = arguments.follow && is_written(&entry)?;
        let records: Vec<Record> =
            log.read().map_err(failed())?.into_iter().filter(since).collect();
        match printer.print(last_lines(records, tail)) {
            // A reader who has seen enough (`| head`) is no failure.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(0),
            printed => printed.map_err(Failure::at("write to standard output"))?,
        }
        tail = usize::MAX;
        if !more {
            return Ok(0);
        }
        sleep(LOOK);
    }
}

/// Whether somebody may still add to the log.
fn is_written(entry: &LedgerEntry) -> Result<bool, Failure> {
    Ok(entry.detached.as_ref().is_some_and(|detached| detached.supervisor.is_alive()))
}

struct Printer {
    timestamps: bool,
    /// Of each stream, whether a line begins next.
    at_start: [bool; 2],
}

impl Printer {
    fn new(timestamps: bool) -> Self {
        Self { timestamps, at_start: [true; 2] }
    }

    fn print(&mut self, records: Vec<Record>) -> io::Result<()> {
        let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
        for record in records {
            let (stream, at_start): (&mut dyn Write, _) = match record.stream {
                Stream::Stdout => (&mut out, &mut self.at_start[0]),
                Stream::Stderr => (&mut err, &mut self.at_start[1]),
            };
            if self.timestamps && *at_start {
                write!(stream, "{} ", record.time)?;
            }
            stream.write_all(&record.bytes)?;
            *at_start = record.bytes.last() == Some(&b'\n');
        }
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_one_ago_or_a_date() {
        for good in ["10m", "2s", "2026-11-28", "2026-11-28T13:14:15Z", "2026-11-28T13:14:15.5"] {
            assert!(since(good).is_ok(), "{good}");
        }
        for bad in ["", "yesterday", "2026-11", "2026-11-28 13:14", "13:14:15", "2026-1a-28"] {
            assert!(since(bad).is_err(), "{bad}");
        }
    }
}
