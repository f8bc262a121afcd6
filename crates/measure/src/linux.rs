//! A whole Linux guest beside the others, all on one machine.
//!
//! Where this host has no hardware virtualization, all of this part is measured in a nest: so its
//! numbers can be compared with each other, and with those of no other part.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::MetadataExt as _,
};

use microvm::{LinuxVm, kernels, linux::SavedVm};
use report::{Unit, metric};
use sandbox::{Milestone, Sandbox as _};

use crate::{
    Error, Part, Session, Subject, Value,
    disk::{disk_bytes, stored_bytes},
    message::Message,
    outcome::{ensure_success, hello},
    subjects::{AGAIN, LINUX},
};

const CAVEAT: &str = "in a nest: an emulated computer, whose clock counts instructions, one a \
                      nanosecond; compare it with this question's other columns only";
const GIB: f64 = 1_073_741_824.0;

/// Runs `hello` in every sandbox and in a Linux guest; in a nest if `in_nest` says so.
pub fn measure<W: Write>(session: &mut Session<W>, in_nest: bool) -> io::Result<()> {
    let labels = session.subjects.iter().map(|subject| subject.label);
    let labels: Vec<&str> = labels.filter(|label| *label != AGAIN).collect();
    let (machine, disk) = match machine() {
        Ok(machine) => machine,
        Err(error) => {
            let (error, metrics) = (error.into(), Part::Linux.metrics());
            let mut all = labels.into_iter().chain([LINUX]);
            return all.try_for_each(|label| session.writer.gaps(metrics, label, &error));
        }
    };
    let saved = machine.clone();
    session.subjects.push(Subject { label: LINUX, sandbox: Box::new(machine), caveat: None });
    if in_nest {
        // The first boot of all reads the kernel from the nest's disk.
        if session.is_first_process() {
            let _ = saved.run(&hello());
        }
        session.subjects.iter_mut().for_each(|it| it.caveat = Some(CAVEAT.to_owned()));
        session.writer.write(&Message::Fact("linux.machine".into(), CAVEAT.into()))?;
    }
    for label in ["process", "container"] {
        let no_exits = Error::new("it has no VM exits: it makes system calls");
        session.writer.gaps(&[metric::LINUX_EXITS], label, &no_exits)?;
        let no_memory = Error::new("it has no RAM of its own: see the footprint");
        session.writer.gaps(&[metric::LINUX_MEMORY, metric::LINUX_DENSITY], label, &no_memory)?;
    }
    for label in labels {
        let not_saved = Error::new("nothing of it is saved: it starts anew each time");
        session.writer.gaps(&[metric::LINUX_RESTORE], label, &not_saved)?;
    }
    let disk = match disk {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            session.writer.gaps(&[metric::LINUX_DISK], LINUX, &error.into())?;
            None
        }
    };
    session.rounds(|subject| one(subject, disk))?;
    match restored(&saved, session.rounds_that_count().len()) {
        Ok(times) => (0..).zip(times).try_for_each(|(round, time)| {
            session.write(LINUX, (metric::LINUX_RESTORE, Unit::Nanoseconds, time), round)
        }),
        Err(error) => session.writer.gaps(&[metric::LINUX_RESTORE], LINUX, &error),
    }
}

/// How long a guest that was saved takes to its first byte, once its memory has been checked.
fn restored(machine: &LinuxVm, rounds: usize) -> Result<Vec<f64>, Error> {
    let folder = tempfile::tempdir()?;
    let hello = hello();
    let snapshot = folder.path().join("hello");
    machine.save(&hello, &snapshot)?;
    let saved = SavedVm::new(snapshot);
    let once = |_| {
        let outcome = ensure_success(saved.run(&hello)?)?;
        let time = outcome.timeline.since_start(Milestone::FirstByte);
        let time = time.ok_or_else(|| Error::new("a milestone was not seen"))?;
        Ok(time.as_nanos() as f64)
    };
    // It is checked as long as its files are so young that they could still be changing.
    (0..rounds + 2).map(once).skip(2).collect()
}

/// A guest of the chosen kernel, and the bytes that the kernel takes.
fn machine() -> sandbox::Result<(LinuxVm, io::Result<u64>)> {
    microvm::linux::available()?;
    let kernel = kernels::chosen().map_err(sandbox::Error::from)?;
    let bytes = fs::metadata(&kernel.image).map(|about| about.blocks() * 512);
    Ok((LinuxVm::of(&kernel), bytes))
}

fn one(subject: &Subject, kernel: Option<u64>) -> Result<Vec<Value>, Error> {
    let outcome = ensure_success(subject.sandbox.run(&hello())?)?;
    let mut values = Vec::new();
    for (metric, milestone) in [
        (metric::LINUX_ENTERED, Milestone::Entered),
        (metric::LINUX_FIRST_BYTE, Milestone::FirstByte),
    ] {
        let time = outcome.timeline.since_start(milestone);
        let time = time.ok_or_else(|| Error::new("a milestone was not seen"))?;
        values.push((metric, Unit::Nanoseconds, time.as_nanos() as f64));
    }
    if !outcome.usage.vm_exits.is_empty() {
        let exits: u64 = outcome.usage.vm_exits.iter().map(|each| each.count).sum();
        values.push((metric::LINUX_EXITS, Unit::Count, exits as f64));
        if let Some(bytes) = outcome.usage.peak_memory_bytes.filter(|bytes| *bytes > 0) {
            values.push((metric::LINUX_MEMORY, Unit::Bytes, bytes as f64));
            values.push((metric::LINUX_DENSITY, Unit::Count, (GIB / bytes as f64).floor()));
        }
    }
    let init = if subject.label == LINUX { stored_bytes(guest::INIT)? } else { 0 };
    let program = disk_bytes(subject.label)? + init as f64;
    let own = if subject.label == LINUX { kernel } else { Some(0) };
    values.extend(own.map(|own| {
        let disk = own as f64 + program;
        (metric::LINUX_DISK, Unit::Bytes, disk)
    }));
    Ok(values)
}
