//! `isolab clean`: what killed launchers left behind.

use clap::Args;
use sandbox::Ledger;

use crate::{failure::Failure, output};

/// Remove what killed launchers left behind: processes, cgroups, links, directories, names.
#[derive(Debug, Args)]
pub struct Arguments {}

/// Removes it and says what it was.
pub fn clean(_: &Arguments) -> Result<u8, Failure> {
    let removed = container::clean(&Ledger::open()?)?;
    if removed.is_empty() {
        output::print("nothing was left behind\n")?;
    }
    let lines: String = removed.iter().map(|line| format!("removed {line}\n")).collect();
    output::print(&lines)?;
    Ok(0)
}
