//! `isolab clean`: what killed launchers left behind.

use clap::Args;
use microvm::snapshot::SnapshotStore;
use sandbox::Ledger;

use crate::{failure::Failure, output};

/// Remove what killed launchers left behind: processes, cgroups, links, directories, names and
/// unfinished snapshots.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Also remove the logs and exit codes of background runs that have ended
    #[arg(long)]
    ended: bool,
}

/// Removes it and says what it was.
pub fn clean(arguments: &Arguments) -> Result<u8, Failure> {
    let ledger = Ledger::open()?;
    let removed = match arguments.ended {
        true => container::clean_those(&ledger, |_| true)?,
        false => container::clean(&ledger)?,
    };
    // Who has no home has no snapshots.
    let unfinished = SnapshotStore::of_user().map(|store| store.clean()).unwrap_or_default();
    let unfinished = unfinished.iter().map(|folder| format!("snapshot {}", folder.display()));
    let removed: Vec<String> = removed.iter().map(ToString::to_string).chain(unfinished).collect();
    if removed.is_empty() {
        output::print("nothing was left behind\n")?;
    }
    let lines: String = removed.iter().map(|line| format!("removed {line}\n")).collect();
    output::print(&lines)?;
    Ok(0)
}
