//! `isolab rm`: the log and the exit record of a run in the background that has ended.

use clap::Args;
use sandbox::Ledger;

use crate::{background, failure::Failure, stop};

/// Remove background runs that have ended: their logs, exit codes and names.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Names, as `isolab ps -a` shows them
    #[arg(required = true)]
    names: Vec<String>,
    /// Kill those that are still running
    #[arg(short, long)]
    force: bool,
}

/// Removes it.
pub fn rm(arguments: &Arguments) -> Result<u8, Failure> {
    let ledger = Ledger::open()?;
    for name in &arguments.names {
        let entry = background::find(name)?;
        if entry.launcher.is_alive() {
            if !arguments.force {
                return Err(Failure::refused(format!("{name} is running")).help(format!(
                    "`isolab stop {name}` ends it; `isolab rm -f {name}` kills it"
                )));
            }
            stop::end(&entry, std::time::Duration::ZERO)?;
        }
        stop::until_recorded(&entry);
        container::clean_those(&ledger, |other| other.name == entry.name)?;
    }
    Ok(0)
}
