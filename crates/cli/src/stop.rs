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
use sandbox::{Ledger, LedgerEntry, Process};

use crate::{failure::Failure, pause, units};

/// How long a launcher may take to clean up behind what it has killed.
const CLEANING: Duration = Duration::from_secs(5);

/// How long until the signal is sent again.
const REPEAT: Duration = Duration::from_millis(50);

/// How long a program may take to end that came without a time of its own, as docker-stop(1) has it.
const USUAL: Duration = Duration::from_secs(10);

/// Stop what is running: send its stop signal, and kill it if it has not ended in time.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Names, as `isolab ps` shows them
    #[arg(required = true)]
    names: Vec<String>,
    /// Kill it if it has not ended after this time; -1 waits for ever
    /// [default: its --stop-timeout, or 10s]
    #[arg(short = 't', long, visible_aliases = ["time", "timeout"], value_name = "TIME",
        value_parser = units::stop_timeout, allow_hyphen_values = true)]
    grace: Option<Duration>,
    /// Signal to send first [default: its --stop-signal, or TERM]
    #[arg(short, long, value_name = "SIGNAL", value_parser = units::stop_signal)]
    signal: Option<Signal>,
}

/// Asks each launcher, which passes it on and cleans up; it takes a second SIGTERM for an order.
pub fn stop(arguments: &Arguments) -> Result<u8, Failure> {
    for name in &arguments.names {
        let entry = running(name)?;
        let grace = arguments.grace.unwrap_or_else(|| timeout_of(&entry));
        end_by(&entry, arguments.signal.unwrap_or_else(|| signal_of(&entry)), grace)?;
        until_recorded(&entry);
    }
    Ok(0)
}

fn running(name: &str) -> Result<LedgerEntry, Failure> {
    let not_running = || {
        Failure::refused(format!("nothing named {name:?} is running"))
            .help("`isolab ps` lists what is")
    };
    let entry = Ledger::open()?.find(name)?.ok_or_else(not_running)?;
    match entry.launcher.is_alive() {
        true => Ok(entry),
        false if entry.detached.is_some_and(|detached| detached.exit.is_some()) => {
            Err(not_running().help("it has ended: `isolab ps -a` shows how"))
        }
        false => {
            Err(not_running().help("its launcher was killed: `isolab clean` removes the rest"))
        }
    }
}

/// The signal that asks it to end.
pub fn signal_of(entry: &LedgerEntry) -> Signal {
    let given = entry.metadata.stop_signal.and_then(|number| Signal::try_from(number).ok());
    given.unwrap_or(Signal::SIGTERM)
}

/// How long it may take to end, once asked.
pub fn timeout_of(entry: &LedgerEntry) -> Duration {
    match entry.metadata.stop_timeout_ms {
        None => USUAL,
        Some(u64::MAX) => Duration::MAX,
        Some(milliseconds) => Duration::from_millis(milliseconds),
    }
}

/// Ends what runs: asks its launcher, and orders it after `grace`.
pub fn end(entry: &LedgerEntry, grace: Duration) -> Result<(), Failure> {
    end_by(entry, Signal::SIGTERM, grace)
}

fn end_by(entry: &LedgerEntry, first_signal: Signal, grace: Duration) -> Result<(), Failure> {
    pause::thaw(entry);
    let asked = match (first_signal, &entry.first) {
        (Signal::SIGKILL, Some(first)) => {
            signal(first, Signal::SIGKILL)?;
            pause::thaw(entry);
            true
        }
        // A virtual machine is its launcher, which cleans up when it is signaled twice.
        (Signal::SIGKILL, None) => false,
        // Of a launcher in the foreground, these could be its terminal's, which has sent them to the
        // program as well.
        (Signal::SIGINT | Signal::SIGQUIT, Some(first)) if entry.sandbox == "process" => {
            signal(first, first_signal)?;
            true
        }
        _ => {
            signal(&entry.launcher, first_signal)?;
            true
        }
    };
    match asked && has_ended_within(&entry.launcher, grace) {
        true => Ok(()),
        false => order(entry),
    }
}

/// Tells the launcher to kill it, again and again: two signals that come at once are one (signal(7)).
fn order(entry: &LedgerEntry) -> Result<(), Failure> {
    let began = Instant::now();
    while began.elapsed() < CLEANING {
        signal(&entry.launcher, Signal::SIGTERM)?;
        if has_ended_within(&entry.launcher, REPEAT) {
            return Ok(());
        }
    }
    let (name, launcher) = (&entry.name, entry.launcher.pid);
    let failure = Failure::refused(format!("{name} does not end: its launcher {launcher} hangs"));
    Err(failure.help(format!("kill -9 {launcher}, then `isolab clean`")))
}

/// Waits a moment for the supervisor of what has ended, which writes that down.
pub fn until_recorded(entry: &LedgerEntry) {
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

fn has_ended_within(process: &Process, timeout: Duration) -> bool {
    let asked = Instant::now();
    while process.is_alive() {
        if asked.elapsed() >= timeout {
            return false;
        }
        sleep(Duration::from_millis(2));
    }
    true
}
