//! `isolab kill`: a signal for what is running.

use clap::Args;
use nix::sys::signal::Signal;
use sandbox::LedgerEntry;

use crate::{background, failure::Failure, pause, stop, units};

/// Send a signal to the main process of what is running, SIGKILL by default.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Names, as `isolab ps` shows them
    #[arg(required = true)]
    names: Vec<String>,
    /// Signal name or number
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL", value_parser = units::signal)]
    signal: Signal,
}

/// Sends it.
pub fn kill(arguments: &Arguments) -> Result<u8, Failure> {
    for name in &arguments.names {
        send(&background::find_running(name)?, arguments.signal)?;
    }
    Ok(0)
}

fn send(entry: &LedgerEntry, signal: Signal) -> Result<(), Failure> {
    match (&entry.first, signal) {
        (Some(first), signal) => {
            stop::signal(first, signal)?;
            if signal == Signal::SIGKILL {
                pause::thaw(entry);
            }
            Ok(())
        }
        // A virtual machine is its launcher, which cleans up when it is signaled twice.
        (None, Signal::SIGKILL) => stop::end(entry, std::time::Duration::ZERO),
        (None, signal) => stop::signal(&entry.launcher, signal),
    }
}
