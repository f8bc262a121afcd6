//! `isolab stop`: an end from outside, first by asking.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use clap::Args;
use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sandbox::{Entry, Ledger, Process};

use crate::{failure::Failure, pause, units};

/// How long a launcher may take to clean up behind what it has killed.
const CLEANING: Duration = Duration::from_secs(5);

/// How long until it is told again.
const REPEAT: Duration = Duration::from_millis(50);

/// Stop what is running, first by asking.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The name, as `isolab ps` shows it
    name: String,
    /// Kill it if it has not ended after so long
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = units::time, allow_hyphen_values = true)]
    grace: Duration,
}

/// Asks the launcher, which passes it on and cleans up; it takes a second request for an order.
pub fn stop(arguments: &Arguments) -> Result<u8, Failure> {
    let name = &arguments.name;
    let not_running = || {
        Failure::refused(format!("nothing of the name {name:?} is running"))
            .help("`isolab ps` lists what is")
    };
    let entry = Ledger::open()?.find(name)?.ok_or_else(not_running)?;
    if !entry.launcher.is_alive() {
        return Err(match entry.detached.is_some_and(|detached| detached.exit.is_some()) {
            true => not_running().help("it has ended: `isolab ps -a` says how"),
            false => not_running().help("its launcher was killed: `isolab clean` removes the rest"),
        });
    }
    end(&entry, arguments.grace)?;
    until_recorded(&entry);
    Ok(0)
}

/// Ends what runs: asks its launcher, and tells it after `grace`.
pub fn end(entry: &Entry, grace: Duration) -> Result<(), Failure> {
    pause::thaw(entry);
    let asked = Instant::now();
    let mut patience = grace;
    while asked.elapsed() < grace + CLEANING {
        // Again and again once it is an order: two that come at once are one (signal(7)).
        signal(&entry.launcher, Signal::SIGTERM)?;
        if has_ended_within(&entry.launcher, patience) {
            return Ok(());
        }
        patience = REPEAT;
    }
    let (name, launcher) = (&entry.name, entry.launcher.pid);
    let failure = Failure::usage(format!("{name} does not end: its launcher {launcher} hangs"));
    Err(failure.help(format!("kill -9 {launcher}, then `isolab clean`")))
}

/// Waits a moment for the supervisor of what has ended, which writes that down.
pub fn until_recorded(entry: &Entry) {
    if let Some(detached) = &entry.detached {
        has_ended_within(&detached.supervisor, CLEANING);
    }
}

/// Sends a signal; one that has ended gets none.
pub fn signal(process: &Process, signal: Signal) -> Result<(), Failure> {
    let pid = Pid::from_raw(i32::try_from(process.pid).unwrap_or(i32::MAX));
    match kill(pid, signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(Failure::at(format!("send {signal} to process {pid}"))(errno.into())),
    }
}

fn has_ended_within(process: &Process, patience: Duration) -> bool {
    let asked = Instant::now();
    while process.is_alive() {
        if asked.elapsed() >= patience {
            return false;
        }
        sleep(Duration::from_millis(2));
    }
    true
}
