//! `isolab kill`: a signal for what is running.

use std::str::FromStr as _;

use clap::Args;
use nix::sys::signal::Signal;
use sandbox::Entry;

use crate::{background, failure::Failure, pause, stop};

/// Send a signal to the first process of what is running, SIGKILL if none is named.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Their names, as `isolab ps` shows them
    #[arg(required = true)]
    names: Vec<String>,
    /// Which signal, by its name or its number
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL", value_parser = signal)]
    signal: Signal,
}

fn signal(text: &str) -> Result<Signal, String> {
    let number = text.parse().ok().and_then(|number: i32| Signal::try_from(number).ok());
    let name = text.to_ascii_uppercase();
    let name = if name.starts_with("SIG") { name } else { format!("SIG{name}") };
    number.or_else(|| Signal::from_str(&name).ok()).ok_or_else(|| {
        format!("{text:?} is not a signal: `kill -l` lists them, such as TERM, USR1, 9")
    })
}

/// Sends it.
pub fn kill(arguments: &Arguments) -> Result<u8, Failure> {
    for name in &arguments.names {
        send(&background::find_running(name)?, arguments.signal)?;
    }
    Ok(0)
}

fn send(entry: &Entry, signal: Signal) -> Result<(), Failure> {
    match (&entry.first, signal) {
        (Some(first), signal) => {
            stop::signal(first, signal)?;
            if signal == Signal::SIGKILL {
                pause::thaw(entry);
            }
            Ok(())
        }
        // A virtual machine is its launcher, which cleans up behind it when it is told twice.
        (None, Signal::SIGKILL) => stop::end(entry, std::time::Duration::ZERO),
        (None, signal) => stop::signal(&entry.launcher, signal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_has_a_name_or_a_number() {
        for text in ["15", "TERM", "sigterm", "SIGTERM"] {
            assert_eq!(signal(text), Ok(Signal::SIGTERM), "{text}");
        }
        for text in ["", "0", "99", "-9", "NONE"] {
            assert!(signal(text).is_err(), "{text}");
        }
    }
}
