//! `isolab top`: the processes of what is running.

use std::time::Duration;

use clap::Args;
use container::observe::{self, ProcessFacts};
use report::columns::shortened;
use serde_json::json;

use crate::{ansi::Ansi, background, failure::Failure, output};

/// List the processes of a run, with their process ids on the host and inside.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Name, as `isolab ps` shows it
    name: String,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// Prints the list.
pub fn top(arguments: &Arguments) -> Result<u8, Failure> {
    let entry = background::find_running(&arguments.name)?;
    if matches!(entry.sandbox.as_str(), "linux" | "microvm") {
        let message = format!(
            "{} is a virtual machine: only its guest knows the processes in it",
            entry.name
        );
        return Err(Failure::refused(message)
            .help(format!("`isolab stats {}` shows what the machine consumes", entry.name)));
    }
    let processes = observe::processes(&entry).into_iter().filter_map(observe::process_facts);
    let processes: Vec<ProcessFacts> = processes.collect();
    if arguments.json {
        output::print_json(&processes.iter().map(as_json).collect())?;
    } else {
        output::print(&table(&processes, Ansi::of_output()))?;
    }
    Ok(0)
}

fn as_json(process: &ProcessFacts) -> serde_json::Value {
    json!({
        "pid": process.pid,
        "pid_inside": process.pid_inside,
        "parent": process.parent,
        "user": process.user,
        "state": process.state,
        "resident_bytes": process.resident,
        "cpu_us": process.cpu_time.as_micros() as u64,
        "command": String::from_utf8_lossy(&process.command),
    })
}

fn table(processes: &[ProcessFacts], ansi: Ansi) -> String {
    let head = format!(
        "{:>8}  {:>7}  {:>8}  {:>6}  S  {:>8}  {:>8}  COMMAND",
        "PID", "INSIDE", "PARENT", "USER", "MEMORY", "TIME"
    );
    let mut text = format!("{}\n", ansi.bold(&head));
    for process in processes {
        text += &format!(
            "{:>8}  {:>7}  {:>8}  {:>6}  {}  {:>8}  {:>8}  {}\n",
            process.pid,
            process.pid_inside,
            process.parent,
            process.user,
            process.state,
            format!("{}K", process.resident >> 10),
            clock(process.cpu_time),
            shortened(&printable(&process.command), 60),
        );
    }
    text
}

fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}.{:02}", seconds / 60, seconds % 60, time.subsec_millis() / 10)
}

/// What a process says of itself could be orders to the reader's terminal.
fn printable(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_gives_no_orders_to_the_terminal() {
        assert_eq!(printable(b"a\x1b[2J\nb\xff"), "a?[2J?b\u{fffd}");
    }
}
