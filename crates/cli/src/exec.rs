//! `isolab exec`: a second command in a running container.

use std::{ffi::OsString, io::IsTerminal as _};

use clap::Args;
use sandbox::{Ledger, Stdio};

use crate::failure::Failure;

/// Run a command in a running container.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The container's name, as `isolab ps` shows it
    name: String,
    /// Give the command a terminal of its own, connected to this one
    #[arg(short = 't', long = "tty")]
    terminal: bool,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// Runs it and gives its exit code.
pub fn exec(arguments: &Arguments) -> Result<u8, Failure> {
    if arguments.terminal && !std::io::stdin().is_terminal() {
        return Err(Failure::usage("--tty needs a terminal, and standard input is none")
            .help("leave -t out when input comes from a file or a pipe"));
    }
    if let Some(entry) = Ledger::open()?.find(&arguments.name)?
        && entry.sandbox != "container"
    {
        let kind = if entry.sandbox == "linux" { "Linux guest" } else { &*entry.sandbox };
        let message = format!("{} is a {kind}: only containers can be entered", entry.name);
        let help = match entry.sandbox.as_str() {
            "microvm" => "a microVM runs its one program and no other: start a second one".into(),
            "linux" => format!(
                "nobody inside waits for a second command: start a guest with both \
                 (`isolab run --in linux -- sh -c '...'`), with a terminal (`-t -- sh`), or with a \
                 network and a server (`--net veth`); `isolab stop {}` ends this one",
                entry.name
            ),
            _ => "a process has no walls: run the command as it is".into(),
        };
        return Err(Failure::refused(message).help(help));
    }
    let entry = container::find(&arguments.name)?;
    let stdio = if arguments.terminal { Stdio::Terminal } else { Stdio::Inherit };
    let outcome = container::exec(&entry, arguments.command.iter().cloned(), stdio)?;
    Ok(outcome.status.code())
}
