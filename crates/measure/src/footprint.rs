//! The footprint of one instance: memory of its launcher once that stands still, and disk.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Write},
    os::{fd::AsRawFd, unix::fs::MetadataExt as _},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use host::{Mapping, mappings, process_tree, sealed_memfd};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use report::{Unit, metric};
use sandbox::Builtin;

use crate::{
    Error, Part, Session, Subject,
    message::Message,
    settling::{Settling, Verdict},
};

/// How often memory is read while it is not yet known to stand still.
const PAUSE: Duration = Duration::from_millis(100);

/// Measures memory and disk of one idle instance, in every sandbox.
///
/// In each round one instance of every sandbox is started, and all of them are read until each
/// stands still: so they wait for their launchers together. No two of them share a page.
pub fn measure<W: Write>(session: &mut Session<W>, isolab: &Path) -> io::Result<()> {
    let counted = [
        (
            metric::FOOTPRINT_MEMORY,
            "PSS of `isolab run --in X idle` and all its descendants, the guest's RAM left out; \
             started from a copy, so that no page of the program is shared with others",
        ),
        (
            metric::FOOTPRINT_DISK,
            "blocks (st_blocks) of what has to be stored for `hello` besides isolab itself, which \
             all share: the program, in a file of its own; its root directory is made in memory",
        ),
    ];
    for (name, value) in counted {
        session.writer.write(&Message::Fact(name.into(), value.into()))?;
    }
    let mut failed = vec![false; session.subjects.len()];
    let mut settled = Vec::new();
    for round in session.rounds_that_count() {
        let order = session.turns(round, session.subjects.len());
        let order: Vec<_> = order.into_iter().filter(|index| !failed[*index]).collect();
        for (index, memory) in memory_of(&session.subjects, &order, isolab) {
            let label = session.subjects[index].label;
            match memory.and_then(|memory| Ok((memory, disk_bytes(label)?))) {
                Ok((Settled { bytes, after }, disk)) => {
                    settled.push(after);
                    for (metric, value) in
                        [(metric::FOOTPRINT_MEMORY, bytes as f64), (metric::FOOTPRINT_DISK, disk)]
                    {
                        session.write(label, (metric, Unit::Bytes, value), round)?;
                    }
                }
                Err(error) => {
                    failed[index] = true;
                    session.writer.gaps(Part::Footprint.metrics(), label, &error)?;
                }
            }
        }
        session.writer.write(&Message::Round)?;
    }
    session.writer.write(&Message::Fact("footprint.memory.moment".into(), moments(&settled)))
}

/// When memory was read, in words.
fn moments(settled: &[Option<Duration>]) -> String {
    let seconds = || settled.iter().flatten().map(Duration::as_secs_f64);
    let (first, last) = (seconds().fold(f64::MAX, f64::min), seconds().fold(0.0, f64::max));
    let restless = settled.iter().filter(|after| after.is_none()).count();
    let mut text = format!(
        "once it had moved by no more than 1 % for {} s: {first:.1} to {last:.1} s after the \
         program spoke",
        Settling::STILL.as_secs_f64()
    );
    if restless > 0 {
        text += &format!(
            "; {restless} of {} never stood still and were read after {} s",
            settled.len(),
            Settling::MOST.as_secs_f64()
        );
    }
    text
}

/// The memory of an idle instance.
struct Settled {
    bytes: u64,
    /// How long after its first line; `None` if it never stood still.
    after: Option<Duration>,
}

/// Starts an instance in each of these subjects, in this order, and reads the memory of each once
/// that stands still.
fn memory_of(
    subjects: &[Subject],
    order: &[usize],
    isolab: &Path,
) -> Vec<(usize, Result<Settled, Error>)> {
    let mut waiting = Vec::new();
    let mut found = Vec::new();
    for &index in order {
        match Launcher::start(isolab, &subjects[index]) {
            Ok(launcher) => waiting.push((index, launcher, Settling::begin())),
            Err(error) => found.push((index, Err(error))),
        }
    }
    while !waiting.is_empty() {
        thread::sleep(PAUSE);
        let mut left = Vec::new();
        for (index, launcher, mut settling) in waiting {
            let read = launcher.bytes().map(|bytes| (settling.take(bytes), bytes));
            match read {
                Ok((Verdict::Moves, _)) => left.push((index, launcher, settling)),
                Ok((Verdict::Stands(after), bytes)) => {
                    let settled = Settled { bytes, after: Some(after) };
                    found.push((index, launcher.stop().map(|()| settled)));
                }
                Ok((Verdict::NeverStands, bytes)) => {
                    let settled = Settled { bytes, after: None };
                    found.push((index, launcher.stop().map(|()| settled)));
                }
                Err(error) => found.push((index, Err(launcher.why(error)))),
            }
        }
        waiting = left;
    }
    found
}

/// An `isolab run` that idles.
struct Launcher {
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

    /// The memory of it and of all its descendants.
    fn bytes(&self) -> Result<u64, Error> {
        let mut bytes = 0;
        for pid in process_tree(self.process.id()) {
            let path = format!("/proc/{pid}/smaps");
            let text = fs::read_to_string(&path)
                .map_err(|error| Error::new(format!("read {path}: {error}")))?;
            let own = mappings(&text).filter(|mapping| !is_guest_memory(mapping));
            bytes += own.map(|mapping| mapping.pss).sum::<u64>();
        }
        if bytes == 0 {
            // The mappings of a process that has just ended are an empty file.
            return Err(Error::new("none of its processes had any memory"));
        }
        Ok(bytes)
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

/// The blocks that the file system allocates for the `hello` of the sandbox with that label, in
/// bytes.
///
/// # Errors
///
/// When it cannot be stored in the folder for temporary files.
pub fn disk_bytes(label: &str) -> io::Result<f64> {
    let program = match label {
        "microvm" => Builtin::Hello.bare_elf(),
        _ => Builtin::Hello.linux_elf(),
    };
    Ok(stored_bytes(program)? as f64)
}

/// The blocks that the file system allocates for a file with this content, in bytes.
pub fn stored_bytes(content: &[u8]) -> io::Result<u64> {
    let mut file = tempfile::tempfile()?;
    file.write_all(content)?;
    // Until then a file system may not have decided where it will be.
    file.sync_all()?;
    Ok(file.metadata()?.blocks() * 512)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_counted_in_blocks() {
        let bytes = stored_bytes(&[1; 5000]).unwrap();
        assert!(bytes >= 5000 && bytes.is_multiple_of(512), "{bytes}");
        assert_eq!(stored_bytes(&[]).unwrap(), 0);
    }

    #[test]
    fn what_never_stood_still_is_said() {
        let text = moments(&[Some(Duration::from_millis(2300)), None]);
        assert!(text.contains("2.3 to 2.3 s") && text.contains("1 of 2 never"), "{text}");
        assert!(!moments(&[Some(Duration::from_secs(3))]).contains("never"));
    }
}
