//! `isolab ps`: what is running.

mod filter;

use clap::Args;
use report::columns::shortened;
use sandbox::{ExitRecord, Ledger, LedgerEntry, Process, unix_ms};
use serde_json::json;

use crate::{ansi::Ansi, failure::Failure, output, pause};
use filter::Filter;

/// List what is running.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Also list runs started with -d that have ended, with their exit codes
    #[arg(short, long)]
    all: bool,
    /// List only those with label=KEY or label=KEY=VALUE, name=PART or status=STATE; may be repeated
    #[arg(short, long = "filter", value_name = "FILTER", value_parser = filter::parse)]
    filters: Vec<Filter>,
    /// Print only the names
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,
    /// Print as a JSON array
    #[arg(long)]
    json: bool,
}

/// Prints the list.
pub fn ps(arguments: &Arguments) -> Result<u8, Failure> {
    let mut entries = Ledger::open()?.entries()?;
    // Who asks for a state asks for those that have ended, too.
    let by_state = |filter: &Filter| matches!(filter, Filter::Status(_));
    let all = arguments.all || arguments.filters.iter().any(by_state);
    entries.retain(|entry| all || exit(entry).is_none());
    entries.retain(|entry| filter::matches(&arguments.filters, entry));
    if arguments.quiet {
        output::print(
            &entries.iter().map(|entry| format!("{}\n", entry.name)).collect::<String>(),
        )?;
    } else if arguments.json {
        output::print_json(&entries.iter().map(as_json).collect())?;
    } else {
        output::print(&table(&entries, Ansi::of_output()))?;
    }
    Ok(0)
}

/// One of them.
pub fn as_json(entry: &LedgerEntry) -> serde_json::Value {
    json!({
        "name": entry.name,
        "sandbox": entry.sandbox,
        "state": state(entry),
        "command": entry.command,
        "launcher": entry.launcher.pid,
        "first": entry.first.map(|first| first.pid),
        "detached": entry.detached.is_some(),
        "exit_code": exit(entry).map(|exit| exit.code),
        "created_ms": entry.detached.as_ref().map(|detached| detached.created_ms),
        "ended_ms": exit(entry).map(|exit| exit.at_ms),
        "labels": entry.metadata.labels,
    })
}

/// How it ended, of one in the background that has.
fn exit(entry: &LedgerEntry) -> Option<ExitRecord> {
    entry.detached.as_ref().and_then(|detached| detached.exit)
}

/// `exited 3, 5m ago`.
fn exited(exit: ExitRecord) -> String {
    let seconds = unix_ms().saturating_sub(exit.at_ms) / 1000;
    let age = match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    };
    format!("exited {}, {age} ago", exit.code)
}

/// A dead launcher's entry says what `isolab clean` has to remove.
fn state(entry: &LedgerEntry) -> &'static str {
    match entry.launcher.is_alive() {
        false if exit(entry).is_some() => "exited",
        // Its supervisor is about to write down how.
        false if entry.detached.as_ref().is_some_and(|it| it.supervisor.is_alive()) => "exited",
        false => "dead",
        true if pause::is_paused(entry) => "paused",
        true if entry.sandbox == "microvm"
            || entry.first.as_ref().is_some_and(Process::is_alive) =>
        {
            "running"
        }
        true => "starting",
    }
}

fn table(entries: &[LedgerEntry], ansi: Ansi) -> String {
    let width = entries.iter().map(|entry| entry.name.len()).max().unwrap_or(0).clamp(4, 28);
    let states: Vec<String> = entries
        .iter()
        .map(|entry| exit(entry).map_or_else(|| state(entry).to_owned(), exited))
        .collect();
    let wide = states.iter().map(String::len).max().unwrap_or(0).max(8);
    let head = format!(
        "{:<width$}  {:<9}  {:<wide$}  {:>8}  COMMAND",
        "NAME", "SANDBOX", "STATE", "LAUNCHER"
    );
    let mut text = format!("{}\n", ansi.bold(&head));
    let mut dead = false;
    for (entry, state) in entries.iter().zip(states) {
        dead |= state == "dead";
        let room = 79_usize.saturating_sub(width + wide + 25).max(8);
        let command = shortened(&entry.command.join(" "), room);
        let launcher = match exit(entry) {
            Some(_) => "-".to_owned(),
            None => entry.launcher.pid.to_string(),
        };
        text += &format!(
            "{:<width$}  {:<9}  {state:<wide$}  {launcher:>8}  {command}\n",
            shortened(&entry.name, width),
            shortened(&entry.sandbox, 9),
        );
    }
    if dead {
        text += "The launchers of dead runs were killed: `isolab clean` removes what is left.\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_fits_80_columns_and_tells_dead_from_alive() {
        let mut dead = LedgerEntry::new("x".repeat(64), "container", vec!["y".repeat(200)]);
        dead.launcher.start_time += 1;
        let alive = LedgerEntry::new("box".into(), "microvm", vec!["idle".into()]);
        let text = table(&[alive, dead], Ansi::PLAIN);
        assert!(text.lines().all(|line| line.chars().count() < 80), "{text}");
        assert!(text.contains("running") && text.contains("isolab clean"), "{text}");
    }
}
