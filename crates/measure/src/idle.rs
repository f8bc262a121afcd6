//! One idle instance, of isolab or of a peer, and the memory of all its processes.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, BufRead, BufReader},
    os::fd::AsRawFd,
    path::Path,
    process::{self, Child, Command, Stdio},
};

use host::{Mapping, mappings, process_tree, sealed_memfd};
use nix::{
    sys::{
        prctl,
        signal::{Signal, kill},
    },
    unistd::Pid,
};
use report::metric;

use crate::{
    Error, Part, Subject, command_time::RunningCommand, disk::disk_bytes, participant::Participant,
    peers::Peer,
};

/// What can have an idle instance.
pub type Idler<'a> = Participant<'a, Peer>;

impl Idler<'_> {
    /// What is measured of it.
    pub fn metrics(&self) -> &'static [&'static str] {
        match self {
            Self::Isolab(_) => Part::Footprint.metrics(),
            Self::Peer(_) => &[metric::FOOTPRINT_MEMORY],
        }
    }

    /// What has to be stored for its program; `None` of a peer.
    pub fn disk_bytes(&self) -> io::Result<Option<f64>> {
        match self {
            Self::Isolab(subject) => disk_bytes(subject.label).map(Some),
            Self::Peer(_) => Ok(None),
        }
    }
}

/// An idle instance that runs.
pub enum Idle<'a> {
    Isolab(Launcher),
    Peer(PeerProcesses<'a>),
}

impl<'a> Idle<'a> {
    /// Starts it, by the executable `isolab` if it is isolab's, and waits for the program's line.
    pub fn start(idler: &'a Idler, isolab: &Path) -> Result<Self, Error> {
        match idler {
            Idler::Isolab(subject) => Launcher::start(isolab, subject).map(Self::Isolab),
            Idler::Peer(peer) => PeerProcesses::start(peer).map(Self::Peer),
        }
    }

    /// The memory of all its processes, without the RAM of a guest.
    pub fn bytes(&self) -> Result<u64, Error> {
        match self {
            Self::Isolab(launcher) => pss(&[launcher.process.id()], is_guest_memory),
            Self::Peer(processes) => pss(&processes.roots, is_memory_of_a_peers_guest),
        }
    }

    /// Ends it.
    pub fn stop(self) -> Result<(), Error> {
        match self {
            Self::Isolab(launcher) => launcher.stop(),
            Self::Peer(processes) => {
                processes.stop();
                Ok(())
            }
        }
    }

    /// What it wrote to standard error, if anything, instead of `error`.
    pub fn why(self, error: Error) -> Error {
        match self {
            Self::Isolab(launcher) => launcher.why(error),
            Self::Peer(processes) => {
                processes.stop();
                error
            }
        }
    }
}

/// The processes of a peer: its command, and those that have left it.
pub struct PeerProcesses<'a> {
    peer: &'a Peer,
    command: RunningCommand,
    roots: Vec<u32>,
}

impl<'a> PeerProcesses<'a> {
    fn start(peer: &'a Peer) -> Result<Self, Error> {
        // A process whose parent ends, as a monitor of podman's does, becomes a child of this one.
        prctl::set_child_subreaper(true).map_err(io::Error::from)?;
        let before = children()?;
        let command = peer.idle()?;
        let others = children()?.difference(&before).copied().collect::<BTreeSet<_>>();
        let own = command.pid();
        let roots = [own].into_iter().chain(others.into_iter().filter(|pid| *pid != own)).collect();
        Ok(Self { peer, command, roots })
    }

    fn stop(self) {
        let Self { peer, command, roots } = self;
        drop(command);
        for pid in roots.iter().flat_map(|root| process_tree(*root)) {
            // Its container was killed with it, or is removed next.
            let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
        }
        peer.left_behind();
    }
}

/// The children of this process.
fn children() -> Result<BTreeSet<u32>, Error> {
    let own = process::id();
    let is_child = |pid: &u32| host::ProcessStat::of(*pid).is_ok_and(|it| it.parent() == Some(own));
    Ok(process_tree(own).into_iter().filter(is_child).collect())
}

/// The proportional set size of these processes and all their descendants.
fn pss(roots: &[u32], is_guest: impl Fn(&Mapping<'_>) -> bool) -> Result<u64, Error> {
    let mut bytes = 0;
    for pid in roots.iter().flat_map(|root| process_tree(*root)) {
        let path = format!("/proc/{pid}/smaps");
        let text = fs::read_to_string(&path)
            .map_err(|error| Error::new(format!("read {path}: {error}")))?;
        let own = mappings(&text).filter(|mapping| !is_guest(mapping));
        bytes += own.map(|mapping| mapping.pss).sum::<u64>();
    }
    if bytes == 0 {
        // The mappings of a process that has just ended are an empty file.
        return Err(Error::new("none of its processes had any memory"));
    }
    Ok(bytes)
}

/// An `isolab run` that idles.
pub struct Launcher {
    process: Child,
}

impl Launcher {
    /// Starts it, and waits for the program's line.
    fn start(isolab: &Path, subject: &Subject) -> Result<Self, Error> {
        // A copy of its own: pages that others map as well would count in parts.
        let program = sealed_memfd(File::open(isolab)?)?;
        let process = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()))
            .args(["run", "--in", subject.sandbox.name(), "idle"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut launcher = Self { process };
        let output = launcher.process.stdout.as_mut().expect("it was asked for");
        match BufReader::new(output).read_line(&mut String::new())? {
            0 => Err(launcher.why(Error::new("it ended before it was idle"))),
            _ => Ok(launcher),
        }
    }

    /// Ends it as `isolab stop` does: a microVM has no standard input whose end it could wait for.
    fn stop(self) -> Result<(), Error> {
        let pid = Pid::from_raw(self.process.id().cast_signed());
        kill(pid, Signal::SIGTERM).map_err(io::Error::from)?;
        Ok(self.process.wait_with_output().map(drop)?)
    }

    /// What it wrote to standard error, if anything, instead of `error`.
    fn why(self, error: Error) -> Error {
        let pid = Pid::from_raw(self.process.id().cast_signed());
        // It may have ended already.
        let _ = kill(pid, Signal::SIGTERM);
        match self.process.wait_with_output() {
            Ok(ended) if !ended.stderr.is_empty() => {
                Error::of_command("isolab run", ended.status, &ended.stderr)
            }
            _ => error,
        }
    }
}

/// A launcher maps nothing else of that size.
fn is_guest_memory(mapping: &Mapping<'_>) -> bool {
    mapping.name.contains("guest") || mapping.size >= 32 << 20
}

/// The guests of peers have 256 MiB; a monitor may map a little more around them.
fn is_memory_of_a_peers_guest(mapping: &Mapping<'_>) -> bool {
    (128 << 20..320 << 20).contains(&mapping.size)
}
