//! `isolab engine`: the daemon that the docker command talks to.

mod explain;
mod listen;
mod timeline;
mod watch;

use std::{fs, net::SocketAddr, path::PathBuf};

use clap::{Args, Subcommand};
use engine::{Options, Tcp, launch::LaunchFailure};
use microvm::guest_session::GuestCommand;
use nix::unistd::Uid;
use sandbox::Ledger;

use self::listen::Listen;
use crate::{failure::Failure, guest_session, stderr};

/// Whose members may use root's socket.
const GROUP: &str = "isolab";
/// How many clients are served at once; those who come later wait.
const MOST_CONNECTIONS: usize = 16 << 10;

/// Serve Docker's API on a socket, until a signal ends it; containers run on.
///
/// The docker command and every other client of Docker's API can use it:
/// `export DOCKER_HOST=unix:///run/isolab/engine.sock`. Whoever may use the socket may do on this host
/// whatever its user may do.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// Where to listen: unix:///PATH, or tcp://ADDRESS:2376 with the four --tls options. Each once
    /// [default: unix:///run/isolab/engine.sock for root, otherwise
    /// $XDG_RUNTIME_DIR/isolab/engine.sock]
    #[arg(short = 'H', long = "host", value_name = "SOCKET")]
    hosts: Vec<Listen>,
    /// Serve only clients that show a certificate. Always so in the network
    #[arg(long)]
    tlsverify: bool,
    /// Certificates of the authorities that the clients' certificates must be signed by (PEM)
    #[arg(long, value_name = "FILE", requires = "tlsverify")]
    tlscacert: Option<PathBuf>,
    /// The daemon's certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tlsverify")]
    tlscert: Option<PathBuf>,
    /// Its key (PEM)
    #[arg(long, value_name = "FILE", requires = "tlsverify")]
    tlskey: Option<PathBuf>,
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
    /// Show what clients ask for, and what is done for them, as it happens
    ///
    /// Each request and each answer in words, the system calls that make a container by the five
    /// questions, and the bytes of its streams, on one time line. Passwords and tokens are not shown,
    /// nor what is typed at a terminal. Nothing is recorded while nobody watches.
    #[command(after_long_help = watch::EXAMPLES)]
    Watch(watch::Arguments),
    /// Show what a client would ask for, without doing it
    ///
    /// Runs the real client against a stand-in, which answers plausibly and does nothing, and prints
    /// its requests in words, with the parts that were set. The client itself runs here: what it
    /// writes to files (`docker cp`, `docker save -o`, `--cidfile`) is written.
    #[command(after_long_help = explain::EXAMPLES)]
    Explain(explain::Arguments),
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

/// Serves it, or does what it asks a process of its own for.
pub fn engine(arguments: &Arguments) -> Result<u8, Failure> {
    match &arguments.command {
        Some(Command::Launch) => Ok(engine::launch::launch()),
        Some(Command::Monitor { ledger }) => Ok(engine::monitor::monitor(ledger)?),
        Some(Command::Join) => join(),
        Some(Command::Watch(arguments)) => watch::watch(arguments),
        Some(Command::Explain(arguments)) => explain::explain(arguments),
        None => serve(arguments),
    }
}

/// A second command in a guest, whose streams are this process's.
fn join() -> Result<u8, Failure> {
    let refused = |failure: LaunchFailure| Failure::refused(failure.message);
    let record = engine::launch::exec_request().map_err(refused)?;
    if record.tty {
        host::own_terminal().map_err(Failure::at("take the terminal"))?;
    }
    let guest = Ledger::open()?.find(&record.ledger_name)?;
    let guest = guest.ok_or_else(|| Failure::refused("the container has ended"))?;
    let command = GuestCommand {
        words: record.words.into_iter().map(Into::into).collect(),
        environment: record.environment,
        directory: record.directory,
        terminal: record.tty,
    };
    guest_session::run(&guest, &command)
}

fn serve(arguments: &Arguments) -> Result<u8, Failure> {
    let options = options(arguments)?;
    let (socket, tcp) = (options.socket.clone(), options.tcp.clone());
    let ready = move |remarks: &[String]| {
        for remark in remarks {
            stderr::remark(&format!("isolab: left alone: {remark}\n"));
        }
        if let Some(path) = socket {
            let at = path.display();
            stderr::remark(&format!("serving Docker's API: export DOCKER_HOST=unix://{at}\n"));
        }
        if let Some(tcp) = tcp {
            let at = tcp.address;
            stderr::remark(&format!("serving Docker's API: docker --tlsverify -H tcp://{at}\n"));
        }
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
    let (mut socket, mut tcp) = (None, None);
    for host in &arguments.hosts {
        let before = match host {
            Listen::Unix(path) => socket.replace(path.clone()).is_some(),
            Listen::Tcp(address) => tcp.replace(with_tls(arguments, *address)?).is_some(),
        };
        if before {
            return Err(Failure::refused("-H names two sockets of a kind")
                .help("it listens at one unix socket and at one address of the network"));
        }
    }
    if arguments.hosts.is_empty() {
        socket = Some(usual_socket().ok_or_else(|| missing("socket", "-H"))?);
    }
    Ok(Options {
        socket,
        tcp,
        group: is_root.then(group).flatten(),
        data: data.ok_or_else(|| missing("containers", "--data"))?,
        insecure: arguments.insecure.clone(),
        max_connections: MOST_CONNECTIONS,
    })
}

/// The address, with what its clients must show: whoever reaches the daemon is this host's root.
fn with_tls(arguments: &Arguments, address: SocketAddr) -> Result<Tcp, Failure> {
    let (Some(clients), Some(certificate), Some(key)) =
        (&arguments.tlscacert, &arguments.tlscert, &arguments.tlskey)
    else {
        return Err(Failure::refused(format!(
            "tcp://{address} without certificates: whoever reaches it could do all that this user may"
        ))
        .help(
            "add --tlsverify --tlscacert FILE --tlscert FILE --tlskey FILE, or use -H unix:///PATH \
             and reach it by ssh -L",
        ));
    };
    let (certificate, key, clients) = (certificate.clone(), key.clone(), clients.clone());
    Ok(Tcp { address, certificate, key, clients })
}

/// Where a daemon of this user listens unless it is told otherwise.
fn usual_socket() -> Option<PathBuf> {
    if Uid::effective().is_root() {
        return Some("/run/isolab/engine.sock".into());
    }
    Some(host::user_directory("XDG_RUNTIME_DIR", ".local/run")?.join("isolab/engine.sock"))
}

/// The number of the group whose members may use root's socket, if the host has it (group(5)).
fn group() -> Option<u32> {
    let text = fs::read_to_string("/etc/group").ok()?;
    let mut lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let found = lines.find(|fields| fields.first() == Some(&GROUP))?;
    found.get(2)?.parse().ok()
}
