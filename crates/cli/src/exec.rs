//! `isolab exec`: a second command in a running container or Linux guest.

use std::{ffi::OsString, io::IsTerminal as _, path::PathBuf};

use clap::Args;
use container::{Command, users::Found};
use microvm::guest_session::GuestCommand;
use sandbox::{Ledger, LedgerEntry, Stdio};

use crate::{environment, failure::Failure, guest_session, kinds::Kind, memory, relay::Relay};

/// Run a command in a running container or Linux guest.
///
/// It has the container's walls, environment and working directory. The exit code is the command's,
/// as that of `isolab run` is the program's.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The name, as `isolab ps` shows it
    name: String,
    /// Give the command a terminal of its own, connected to this one
    #[arg(short = 't', long = "tty", conflicts_with = "detach")]
    terminal: bool,
    /// Accepted: standard input is always passed on
    #[arg(short = 'i', long)]
    interactive: bool,
    /// Leave it running in the background, with no input and no output
    #[arg(short = 'd', long)]
    detach: bool,
    /// Set a variable, or pass on the caller's one of that name; may be repeated
    #[arg(short = 'e', long = "env", value_name = "NAME[=VALUE]")]
    environment: Vec<OsString>,
    /// Read variables from a file with a line for each; may be repeated
    #[arg(long = "env-file", value_name = "FILE")]
    env_files: Vec<PathBuf>,
    /// Its working directory [default: the container's]
    #[arg(short = 'w', long, value_name = "DIRECTORY")]
    workdir: Option<PathBuf>,
    /// Its user, and group, by name or number [default: the container's]
    #[arg(short = 'u', long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    #[arg(long, hide = true)]
    privileged: bool,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// Runs it and gives its exit code.
pub fn exec(arguments: &Arguments) -> Result<u8, Failure> {
    if arguments.terminal && !std::io::stdin().is_terminal() {
        return Err(Failure::usage("--tty needs a terminal, but standard input is not one")
            .help("leave -t out when input comes from a file or a pipe"));
    }
    if arguments.privileged {
        return Err(Failure::usage(
            "--privileged: a command cannot have more power than its container",
        )
        .help("start the container with the capabilities that its commands need"));
    }
    let mut environment = environment::variables(&arguments.environment, &arguments.env_files)?;
    let guest = Ledger::open()?.find(&arguments.name)?.filter(|entry| entry.sandbox == "linux");
    if let Some(guest) = guest {
        return exec_in_guest(&guest, arguments, environment);
    }
    let entry = find(&arguments.name)?;
    let found = arguments.user.as_deref().map(|words| container::user_in(&entry, words));
    let user = match found.transpose()? {
        Some(Found { user, home }) => {
            // As docker exec does: root's home is of no use to another user.
            if let Some(home) = home.filter(|_| !environment.iter().any(|(name, _)| name == "HOME"))
            {
                environment.push(("HOME".into(), home.into()));
            }
            Some(user)
        }
        None => None,
    };
    let command = Command {
        environment,
        directory: arguments.workdir.clone(),
        user,
        stdio: if arguments.terminal { Stdio::Terminal } else { Stdio::Inherit },
        ..Command::new(arguments.command.iter().cloned())
    };
    if arguments.detach {
        command.detach(&entry)?;
        return Ok(0);
    }
    // From here on a signal is the command's, even if there is none yet.
    let relay = Relay::listen(Kind::Container).map_err(Failure::at("hold signals back"))?;
    let instance = command.start(&entry)?;
    let relay = relay.with_terminal(arguments.terminal);
    let passed = relay.pass_to(&*instance, Kind::Container);
    passed.map_err(Failure::at("start the thread for signals"))?;
    let outcome = instance.wait()?;
    memory::remark(&outcome);
    Ok(outcome.status.code())
}

/// The same in a Linux guest, where it is root, as the guest's own command is.
fn exec_in_guest(
    guest: &LedgerEntry,
    arguments: &Arguments,
    environment: Vec<(OsString, OsString)>,
) -> Result<u8, Failure> {
    let refused = |option: &str, help: &str| {
        let message = format!("{} is a Linux guest, which has no {option} here", guest.name);
        Err(Failure::usage(message).help(help))
    };
    if arguments.detach {
        return refused("--detach", "put it into the background inside: `sh -c 'COMMAND &'`");
    }
    if arguments.user.is_some() {
        return refused("--user", "change the user inside: `su -s /bin/sh USER -c COMMAND`");
    }
    let command = GuestCommand {
        words: arguments.command.clone(),
        environment,
        directory: arguments.workdir.clone(),
        terminal: arguments.terminal,
    };
    guest_session::run(guest, &command)
}

/// The container of that name, which runs.
fn find(name: &str) -> Result<LedgerEntry, Failure> {
    if let Some(entry) = Ledger::open()?.find(name)?
        && entry.sandbox != "container"
    {
        let kind = &*entry.sandbox;
        let message = format!("{} is a {kind}: it cannot be entered", entry.name);
        let help = match entry.sandbox.as_str() {
            "microvm" => "a microVM runs its one program and no other: start a second one",
            _ => "a process has no walls: run the command as it is",
        };
        return Err(Failure::refused(message).help(help));
    }
    let entry = container::find(name)?;
    if container::is_frozen(&entry) {
        return Err(Failure::refused(format!("{name} is paused: nothing can start in it"))
            .help(format!("`isolab unpause {name}` lets it go on")));
    }
    Ok(entry)
}
