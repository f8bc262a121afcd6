//! The footprint of one instance: memory of its launcher, and disk.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Write},
    os::fd::AsRawFd,
    path::Path,
    process::{Child, Command, Stdio},
};

use host::{Mapping, mappings, process_tree, sealed_memfd};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use report::{Unit, metric};
use sandbox::Builtin;

use crate::{Error, Session, Subject, message::Message};

/// Measures memory and disk of one idle instance, in every sandbox.
pub fn measure<W: Write>(session: &mut Session<W>, isolab: &Path) -> io::Result<()> {
    let counted = [
        (
            metric::FOOTPRINT_MEMORY,
            "PSS of `isolab run --in X idle` and all its descendants, the guest's RAM left out; \
             started from a copy, so that no page of the program is shared with others",
        ),
        (
            metric::FOOTPRINT_DISK,
            "blocks of what has to be stored for `hello` besides isolab itself, which all share: \
             the program; its root directory is made in memory",
        ),
    ];
    for (name, value) in counted {
        session.writer.write(&Message::Fact(name.into(), value.into()))?;
    }
    // A copy: pages that this process maps as well would count half.
    let program = sealed_memfd(File::open(isolab)?)?;
    session.rounds(|subject| {
        let memory = launcher_bytes(&program, subject)?;
        Ok(vec![
            (metric::FOOTPRINT_MEMORY, Unit::Bytes, memory as f64),
            (metric::FOOTPRINT_DISK, Unit::Bytes, disk_bytes(subject.label)),
        ])
    })
}

/// Starts an `isolab run` that idles, and adds up the memory of it and of all its descendants.
fn launcher_bytes(program: &File, subject: &Subject) -> Result<u64, Error> {
    let mut launcher = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()))
        .args(["run", "--in", subject.sandbox.name(), "idle"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let bytes = idle_bytes(&mut launcher);
    // As `isolab stop` does: a microVM has no standard input whose end it could wait for.
    let pid = Pid::from_raw(launcher.id().cast_signed());
    kill(pid, Signal::SIGTERM).map_err(io::Error::from)?;
    let ended = launcher.wait_with_output()?;
    bytes.map_err(|error| match ended.stderr.is_empty() {
        true => error,
        false => Error::of_command("isolab run", ended.status, &ended.stderr),
    })
}

fn idle_bytes(launcher: &mut Child) -> Result<u64, Error> {
    let output = launcher.stdout.as_mut().expect("it was asked for");
    if BufReader::new(output).read_line(&mut String::new())? == 0 {
        return Err(Error::new("it ended before it was idle"));
    }
    let mut bytes = 0;
    for pid in process_tree(launcher.id()) {
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

/// A launcher maps nothing else of that size.
fn is_guest_memory(mapping: &Mapping<'_>) -> bool {
    mapping.name.contains("guest") || mapping.size >= 32 << 20
}

/// What a file system of 4 KiB blocks needs for the `hello` of the sandbox with that label.
pub fn disk_bytes(label: &str) -> f64 {
    const BLOCK: usize = 4096;
    let program = match label {
        "microvm" => Builtin::Hello.bare_elf(),
        _ => Builtin::Hello.linux_elf(),
    };
    program.len().next_multiple_of(BLOCK) as f64
}
