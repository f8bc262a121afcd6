//! What the check and the program's host say to each other: a line of JSON each.

use std::{
    io::{self, Write},
    net::SocketAddr,
    os::{fd::AsFd, unix::net::UnixStream},
    sync::{Arc, Mutex},
};

use serde::{Deserialize, Serialize};

/// The line to the check: the warden's standard input, a socket.
#[derive(Clone)]
pub(super) struct Line(Arc<Mutex<UnixStream>>);

impl Line {
    pub(super) fn output() -> Self {
        let own = io::stdin().as_fd().try_clone_to_owned();
        let own = own.expect("a check starts a warden with a socket as its standard input");
        Self(Arc::new(Mutex::new(UnixStream::from(own))))
    }
}

/// What init says to the check.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::check) enum InitMessage {
    /// The warden waits for its ids to be mapped, to what the check writes in its place.
    NeedsIdMaps,
    /// The host is there.
    Ready,
    /// It could not be made.
    SetupFailed(String),
    /// The program has this number inside.
    ProgramStarted(u32),
    /// A line of the program's.
    ProgramLine(String),
    /// How the program ended: an exit code, or 128 and a signal.
    ProgramEnded(String),
    /// An answer to a question.
    Answer(Result<String, String>),
}

/// What the check asks of init.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::check) enum InitRequest {
    /// Go on; the ids are mapped.
    Mapped,
    /// Start the program.
    Start,
    /// Pass a line on to it.
    Tell(String),
    /// The host name in the namespace of the process with that number inside.
    HostName(u32),
    /// The content of a file, as seen in the network namespace of that process.
    NetworkFile(u32, String),
    /// Index, flags and other end of a link of that process's network namespace; nothing when there
    /// is no such link.
    Link(u32, String),
    /// The IPv4 addresses of that process's network namespace.
    Addresses(u32),
    /// Whether this kernel has veth.
    Veth,
    /// Send a datagram to an address from the network namespace of that process.
    Datagram(u32, SocketAddr, String),
    /// The number of System V segments in the IPC namespace of that process.
    Segments(u32),
    /// End a process inside, and all that it has started.
    Kill(u32),
}

pub(super) fn say(line: &Line, said: &InitMessage) -> io::Result<()> {
    let mut text = serde_json::to_vec(said)?;
    text.push(b'\n');
    line.0.lock().map_err(|_| io::ErrorKind::BrokenPipe)?.write_all(&text)
}
