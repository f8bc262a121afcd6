//! `isolab ps`: what is running.

use clap::Args;
use report::columns::shortened;
use sandbox::{Entry, Ledger, Process};
use serde_json::json;

use crate::{
    failure::Failure,
    output::{self, Ink},
};

/// List what is running.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// Prints the list.
pub fn ps(arguments: &Arguments) -> Result<u8, Failure> {
    let entries = Ledger::open()?.entries()?;
    if arguments.json {
        output::print_json(&entries.iter().map(as_json).collect())?;
    } else {
        output::print(&table(&entries, Ink::of_output()))?;
    }
    Ok(0)
}

fn as_json(entry: &Entry) -> serde_json::Value {
    json!({
        "name": entry.name,
        "sandbox": entry.sandbox,
        "state": state(entry),
        "command": entry.command,
        "launcher": entry.launcher.pid,
        "first": entry.first.map(|first| first.pid),
    })
}

/// A dead launcher's entry says what `isolab clean` has to remove.
fn state(entry: &Entry) -> &'static str {
    match entry.launcher.is_alive() {
        false => "dead",
        true if entry.sandbox == "microvm"
            || entry.first.as_ref().is_some_and(Process::is_alive) =>
        {
            "running"
        }
        true => "starting",
    }
}

fn table(entries: &[Entry], ink: Ink) -> String {
    let width = entries.iter().map(|entry| entry.name.len()).max().unwrap_or(0).clamp(4, 28);
    let head =
        format!("{:<width$}  {:<9}  {:<8}  {:>8}  COMMAND", "NAME", "SANDBOX", "STATE", "LAUNCHER");
    let mut text = format!("{}\n", ink.bold(&head));
    let mut dead = false;
    for entry in entries {
        let state = state(entry);
        dead |= state == "dead";
        let command = shortened(&entry.command.join(" "), 79 - width - 33);
        text += &format!(
            "{:<width$}  {:<9}  {state:<8}  {:>8}  {command}\n",
            shortened(&entry.name, width),
            shortened(&entry.sandbox, 9),
            entry.launcher.pid
        );
    }
    if dead {
        text += "The launchers of dead ones were killed: `isolab clean` removes what is left.\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_fits_80_columns_and_tells_dead_from_alive() {
        let mut dead = Entry::new("x".repeat(64), "container", vec!["y".repeat(200)]);
        dead.launcher.start_time += 1;
        let alive = Entry::new("box".into(), "microvm", vec!["idle".into()]);
        let text = table(&[alive, dead], Ink::PLAIN);
        assert!(text.lines().all(|line| line.chars().count() < 80), "{text}");
        assert!(text.contains("running") && text.contains("isolab clean"), "{text}");
    }
}
