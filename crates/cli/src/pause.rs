//! `isolab pause` and `unpause`: a container or a Linux guest that stands still.

use clap::Args;
use sandbox::{Ledger, LedgerEntry};

use crate::{background, failure::Failure, guest_control};

/// Pause or resume containers and Linux guests.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Names, as `isolab ps` shows them
    #[arg(required = true)]
    names: Vec<String>,
}

/// Freezes them.
pub fn pause(arguments: &Arguments) -> Result<u8, Failure> {
    each(arguments, guest_control::pause, |ledger, entry| {
        if container::is_frozen(entry) {
            return Err(Failure::refused(format!("{} is already paused", entry.name)));
        }
        Ok(container::freeze(ledger, entry)?)
    })
}

/// Lets them go on.
pub fn unpause(arguments: &Arguments) -> Result<u8, Failure> {
    each(arguments, guest_control::resume, |ledger, entry| {
        if !container::is_frozen(entry) {
            return Err(Failure::refused(format!("{} is not paused", entry.name)));
        }
        Ok(container::thaw(ledger, entry)?)
    })
}

fn each(
    arguments: &Arguments,
    act_on_guest: impl Fn(&LedgerEntry) -> Result<(), Failure>,
    act: impl Fn(&Ledger, &LedgerEntry) -> Result<(), Failure>,
) -> Result<u8, Failure> {
    let ledger = Ledger::open()?;
    for name in &arguments.names {
        let entry = background::find_running(name)?;
        match entry.sandbox.as_str() {
            "container" if entry.first.is_none() => {
                return Err(Failure::refused(format!("{name} is still starting")));
            }
            "container" => act(&ledger, &entry)?,
            "linux" => act_on_guest(&entry)?,
            "process" => {
                return Err(Failure::refused(format!(
                    "{name} is a process without a cgroup, so it cannot be paused"
                ))
                .help(format!("`isolab kill -s STOP {name}` stops its main process only")));
            }
            kind => {
                return Err(Failure::refused(format!(
                    "{name} is a {kind}: only containers and Linux guests can be paused"
                )));
            }
        }
    }
    Ok(0)
}

/// Whether it stands still.
pub fn is_paused(entry: &LedgerEntry) -> bool {
    container::is_frozen(entry)
}

/// Lets one that is to end go on: it can do neither what it is asked for nor, with version 1 of
/// cgroups, be killed.
pub fn thaw(entry: &LedgerEntry) {
    if is_paused(entry)
        && let Ok(ledger) = Ledger::open()
    {
        let _ = container::thaw(&ledger, entry); // its end is asked for all the same
    }
}
