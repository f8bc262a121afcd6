//! Bytes a second to and from a disk, and through a network: a file that is written and read again,
//! and bytes that the host receives.
//!
//! One program does it in every sandbox that has files or a link, and stays there for all rounds: what
//! is measured is the way of the bytes, not the start of the sandbox around it.

use std::{
    env, fs,
    io::{self, Write},
    mem,
    path::Path,
};

use report::{Unit, metric};
use sandbox::chain;

use crate::{
    Error, MeasureOptions, Part, Session, Subject, Value,
    io_sandbox::IoSandbox,
    message::Message,
    session::Task,
    subjects::{LINUX, linux_guest},
};

/// One of the two rates.
enum Rate {
    /// Of a file with so many bytes.
    Disk(u64),
    /// Of so many bytes to the host.
    Network(u64),
}

impl Task for Rate {
    fn metrics(&self) -> Vec<&'static str> {
        vec![self.metric()]
    }
}

impl Rate {
    fn metric(&self) -> &'static str {
        match self {
            Self::Disk(_) => metric::IO_DISK,
            Self::Network(_) => metric::IO_NETWORK,
        }
    }

    fn measure(&self, sandbox: &IoSandbox) -> Result<Vec<Value>, Error> {
        let rate = match self {
            Self::Disk(bytes) => sandbox.disk_rate(*bytes)?,
            Self::Network(bytes) => sandbox.network_rate(*bytes)?,
        };
        Ok(vec![(self.metric(), Unit::BytesPerSecond, rate)])
    }
}

/// Measures both rates in every sandbox that has a disk or a network.
pub fn measure<W: Write>(
    session: &mut Session<W>,
    isolab: &Path,
    options: &MeasureOptions,
) -> io::Result<()> {
    let (file, sent) = if options.quick { (16 << 20, 8 << 20) } else { (64 << 20, 32 << 20) };
    let folder = tempfile::tempdir()?;
    for (name, text) in facts(file, sent, folder.path()) {
        session.writer.write(&Message::Fact(name.into(), text))?;
    }
    for definition in options.peers.iter() {
        for (name, error) in gaps_of_peer(definition.name) {
            session.writer.gaps(&[name], definition.name, &error)?;
        }
    }
    let mut subjects = mem::take(&mut session.subjects);
    if subjects.iter().any(|subject| subject.label == "microvm") {
        let no_files = Error::new("it has no file system: its memory holds one program");
        session.writer.gaps(&[metric::IO_DISK], "microvm", &no_files)?;
        let no_card = Error::new("it has no network device: its program has one port to the host");
        session.writer.gaps(&[metric::IO_NETWORK], "microvm", &no_card)?;
        subjects.retain(|subject| subject.label != "microvm");
    }
    match guest() {
        Ok(guest) => subjects.push(guest),
        Err(error) => session.writer.gaps(Part::Io.metrics(), LINUX, &error)?,
    }
    let start = |subject| IoSandbox::start(isolab, subject, folder.path(), file);
    let sandboxes: Vec<_> = subjects.into_iter().map(start).collect();
    let rates = [Rate::Disk(file), Rate::Network(sent)];
    session.rounds_among(&sandboxes, &rates, |sandbox, rate, _| rate.measure(sandbox))
}

/// A Linux guest whose devices this host has, and no emulated computer.
fn guest() -> Result<Subject, Error> {
    if env::var_os(nest::ICOUNT).is_some() {
        return Err(Error::new(
            "the clock of this nest counts instructions, and its devices are emulated: that says \
             nothing of a machine's disk and network",
        ));
    }
    microvm::linux::available().map_err(|error| Error {
        reason: format!(
            "{}; a nest has a clock that counts instructions, which says nothing of a machine's disk \
             and network",
            chain(&error)
        ),
        fix: "measure on a host whose own KVM boots Linux guests".into(),
    })?;
    linux_guest()
}

/// Why a program of others takes no part.
fn gaps_of_peer(name: &str) -> [(&'static str, Error); 2] {
    let why = match name {
        "docker" | "podman" => {
            "to give it a network it changes settings of the host that stay: forwarding, a bridge, \
             rules"
        }
        _ => "it is started without a network, which others would have to make for it",
    };
    let disk =
        "this row is isolab's: the program that writes and reads is started in its sandboxes";
    [(metric::IO_DISK, Error::new(disk)), (metric::IO_NETWORK, Error::new(why))]
}

/// What is measured, from which event to which, and by which way the bytes go.
fn facts(file: u64, sent: u64, folder: &Path) -> [(&'static str, String); 2] {
    let mebibytes = |bytes: u64| bytes >> 20;
    let disk = format!(
        "{} MiB of zeros written to a new file until the disk has them (fsync), then read again, mostly \
         from the page cache: twice that by the sum of both times, which the program inside takes by \
         its own clock. On {}; a container has that directory as a volume, and a Linux guest of 1 GiB \
         an ext4 file system on a virtio-blk disk, which is a file there",
        mebibytes(file),
        filesystem(folder)
    );
    let network = format!(
        "{} MiB of zeros over one TCP connection, in one direction, from inside to the host; the host \
         connects, and takes the time by its monotonic clock from the first bytes that it reads to the \
         last. A process: over the loop-back link. A container: by its veth pair. A Linux guest: by its \
         virtio-net card, the monitor and a tap. Each by its own address, through no proxy and no \
         translation of addresses; the host's packet filter looks at all of them",
        mebibytes(sent)
    );
    [(metric::IO_DISK, disk), (metric::IO_NETWORK, network)]
}

/// The kind of file system that a folder is on, by the longest mount point above it.
fn filesystem(folder: &Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let of_line = |line: &str| -> Option<(usize, String)> {
        let mut words = line.split(' ').skip(1);
        let (point, kind) = (words.next()?, words.next()?);
        folder.starts_with(point).then(|| (point.len(), kind.to_owned()))
    };
    let longest = mounts.lines().filter_map(of_line).max_by_key(|(length, _)| *length);
    longest.map_or_else(|| "an unknown file system".into(), |(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_system_of_proc_is_proc() {
        assert_eq!(filesystem(Path::new("/proc/self")), "proc");
    }

    #[test]
    fn the_facts_say_direction_amount_and_events() {
        let [(_, disk), (_, network)] = facts(16 << 20, 8 << 20, Path::new("/proc/self"));
        assert!(disk.starts_with("16 MiB") && disk.contains("On proc;"), "{disk}");
        for words in ["8 MiB", "from inside to the host", "first bytes", "no proxy"] {
            assert!(network.contains(words), "{words}: {network}");
        }
    }

    #[test]
    fn an_engine_that_would_change_the_host_is_not_given_a_network() {
        for (name, word) in [("docker", "stay"), ("podman", "stay"), ("runc", "without a network")]
        {
            let gaps = gaps_of_peer(name);
            assert!(gaps[1].1.reason.contains(word), "{name}");
        }
    }
}
