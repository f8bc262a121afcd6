//! `isolab engine`: the daemon that the docker command talks to.

use std::{fs, path::PathBuf};

use clap::{Args, Subcommand};
use engine::{Options, launch::LaunchFailure};
use nix::unistd::Uid;
use sandbox::Ledger;

use crate::{failure::Failure, guest_session, stderr};

/// Whose members may use root's socket.
const GROUP: &str = "isolab";

/// Serve Docker's API on a socket, until a signal ends it; containers run on.
///
/// The docker command and every other client of Docker's API can use it:
/// `export DOCKER_HOST=unix:///run/isolab/engine.sock`. Whoever may use the socket may do on this host
/// whatever its user may do.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// Socket to listen at [default: /run/isolab/engine.sock for root, otherwise
    /// $XDG_RUNTIME_DIR/isolab/engine.sock]
    #[arg(short = 'H', long = "host", value_name = "SOCKET", value_parser = socket)]
    host: Option<PathBuf>,
    /// Directory for containers, volumes and networks [default: /var/lib/isolab/engine for root,
    /// otherwise ~/.local/share/isolab/engine]
    #[arg(long, value_name = "DIRECTORY")]
    data: Option<PathBuf>,
    /// Speak to this registry without TLS, as to those on this host. May be repeated
    #[arg(long = "insecure-registry", value_name = "HOST:PORT")]
    insecure: Vec<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start what the working directory describes. For the daemon, never by hand
    #[command(hide = true)]
    Launch,
    /// Be the Linux microVM that the working directory describes. For the launcher, never by hand
    #[command(hide = true)]
    Monitor {
        /// The directory of the ledger
        ledger: PathBuf,
    },
    /// Run the command that the working directory describes in a Linux microVM. For the launcher,
    /// never by hand
    #[command(hide = true)]
    Join,
}

/// `unix:///run/x.sock`, as docker takes it, or the path alone.
fn socket(text: &str) -> Result<PathBuf, String> {
    let path = text.strip_prefix("unix://").unwrap_or(text);
    if text.starts_with("tcp://") {
        return Err("it listens at unix sockets only: use ssh -L to reach it from elsewhere".into());
    }
    match path.starts_with('/') {
        true => Ok(path.into()),
        false => Err("use unix:///ABSOLUTE/PATH".into()),
    }
}

/// Serves it, or does what it asks a process of its own for.
pub fn engine(arguments: &Arguments) -> Result<u8, Failure> {
    match &arguments.command {
        Some(Command::Launch) => Ok(engine::launch::launch()),
        Some(Command::Monitor { ledger }) => Ok(engine::monitor::monitor(ledger)?),
        Some(Command::Join) => join(),
        None => serve(arguments),
    }
}

/// A second command in a guest, whose streams are this process's.
fn join() -> Result<u8, Failure> {
    let refused = |failure: LaunchFailure| Failure::refused(failure.message);
    let record = engine::launch::exec_request().map_err(refused)?;
    if record.tty {
        engine::launch::own_terminal().map_err(Failure::at("take the terminal"))?;
    }
    let guest = Ledger::open()?.find(&record.ledger_name)?;
    let guest = guest.ok_or_else(|| Failure::refused("the container has ended"))?;
    let command = guest_session::Command {
        words: record.words.into_iter().map(Into::into).collect(),
        environment: record.environment,
        directory: record.directory,
        terminal: record.tty,
    };
    guest_session::run(&guest, &command)
}

fn serve(arguments: &Arguments) -> Result<u8, Failure> {
    let options = options(arguments)?;
    let at = format!("DOCKER_HOST=unix://{}", options.socket.display());
    let ready = |remarks: &[String]| {
        for remark in remarks {
            stderr::remark(&format!("isolab: left alone: {remark}\n"));
        }
        stderr::remark(&format!("serving Docker's API: export {at}\n"));
    };
    engine::serve(options, ready, registry::server::terminated())
        .map_err(Failure::at("serve Docker's API"))?;
    Ok(0)
}

fn options(arguments: &Arguments) -> Result<Options, Failure> {
    let missing = |what: &str, option: &str| {
        Failure::refused(format!("no directory for the {what}: HOME is not set"))
            .help(format!("name one with {option}"))
    };
    let data = arguments.data.clone().or_else(|| host::data_directory("engine"));
    let is_root = Uid::effective().is_root();
    let usual = || match is_root {
        true => Some("/run/isolab/engine.sock".into()),
        false => {
            Some(host::user_directory("XDG_RUNTIME_DIR", ".local/run")?.join("isolab/engine.sock"))
        }
    };
    Ok(Options {
        socket: arguments.host.clone().or_else(usual).ok_or_else(|| missing("socket", "-H"))?,
        group: is_root.then(group).flatten(),
        data: data.ok_or_else(|| missing("containers", "--data"))?,
        insecure: arguments.insecure.clone(),
        max_connections: 4096,
    })
}

/// The number of the group whose members may use root's socket, if the host has it (group(5)).
fn group() -> Option<u32> {
    let text = fs::read_to_string("/etc/group").ok()?;
    let mut lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let found = lines.find(|fields| fields.first() == Some(&GROUP))?;
    found.get(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_a_path_with_or_without_a_scheme() {
        assert_eq!(socket("unix:///run/x").unwrap(), PathBuf::from("/run/x"));
        assert_eq!(socket("/run/x").unwrap(), PathBuf::from("/run/x"));
        assert!(socket("tcp://127.0.0.1:2375").is_err() && socket("x").is_err());
    }
}
