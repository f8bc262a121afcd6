//! Finding a run by its name, and what the commands for runs in the background share.

use sandbox::{Detached, Ledger, LedgerEntry};
use supervisor::{Client, ClientError};

use crate::{failure::Failure, nearest};

/// Any run of that name, also one that has ended.
pub fn find(name: &str) -> Result<LedgerEntry, Failure> {
    let ledger = Ledger::open()?;
    ledger.find(name)?.ok_or_else(|| {
        let failure = Failure::refused(format!("no run named {name:?}"));
        let entries = ledger.entries().unwrap_or_default();
        match nearest::to(name, entries.into_iter().map(|entry| entry.name)) {
            Some(nearest) => {
                failure.help(format!("the nearest is {nearest}; `isolab ps -a` lists all"))
            }
            None => failure.help("`isolab ps -a` lists all"),
        }
    })
}

/// The run of that name, which still runs.
pub fn find_running(name: &str) -> Result<LedgerEntry, Failure> {
    let entry = find(name)?;
    match (&entry.detached, entry.launcher.is_alive()) {
        (_, true) => Ok(entry),
        (Some(Detached { exit: Some(exit), .. }), false) => {
            Err(Failure::refused(format!("{name} has ended, with exit code {}", exit.code))
                .help(format!("`isolab logs {name}` shows what it wrote")))
        }
        (_, false) => Err(killed(name)),
    }
}

/// The run of that name in the background, also one that has ended.
pub fn find_detached(name: &str, what: &str) -> Result<(LedgerEntry, Detached), Failure> {
    let entry = find(name)?;
    match entry.detached.clone() {
        Some(detached) => Ok((entry, detached)),
        None => Err(Failure::refused(format!("{name} was not started with -d: {what}"))
            .help("`isolab run -d` starts one in the background")),
    }
}

/// What keeps a run is gone, and nobody has written down its end.
pub fn killed(name: &str) -> Failure {
    let message = format!("{name} is dead: its supervisor or launcher was killed");
    Failure::refused(message).help("`isolab clean` removes what is left of it")
}

/// Connects to the supervisor of a run; `None` if it has just ended.
pub fn connect(name: &str) -> Result<Option<Client>, Failure> {
    let directory = Ledger::open()?.directory_of(name);
    match Client::connect(&directory) {
        Ok(client) => Ok(Some(client)),
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(Failure::at(format!("connect to the supervisor of {name}"))(error)),
    }
}

/// The exit code of one whose supervisor no longer answers.
pub fn recorded_exit(name: &str) -> Result<u8, Failure> {
    let entry = Ledger::open()?.find(name)?;
    let exit = entry.and_then(|entry| entry.detached?.exit);
    exit.map(|exit| exit.code).ok_or_else(|| killed(name))
}

/// What became of the connection to the supervisor of `name`.
pub fn lost(name: &str, error: ClientError) -> Failure {
    match error {
        ClientError::Gone => killed(name),
        error => Failure::at(format!("talk to the supervisor of {name}"))(match error {
            ClientError::Io(error) => error,
            error => std::io::Error::other(error),
        }),
    }
}
