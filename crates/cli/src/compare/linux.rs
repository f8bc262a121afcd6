//! A whole Linux guest beside the others, all on one machine.
//!
//! Where this host has no hardware virtualization, all of this part is measured in a nest: so its
//! numbers can be compared with each other, and with those of no other part.

use std::{
    env, fs,
    io::{self, Write},
    os::unix::fs::MetadataExt as _,
};

use microvm::{LinuxVm, kernels, linux::SavedVm};
use report::Unit;
use sandbox::{Builtin, Milestone, Sandbox as _, Workload};

use super::{
    measure::{Failure, Session, Value},
    message::{Message, why},
    startup::{PATIENCE, well},
    subjects::{AGAIN, LINUX, Subject},
};

/// Says that this process runs in a nest.
pub const IN_NEST: &str = "ISOLAB_IN_NEST";
const CAVEAT: &str = "in a nest: an emulated computer, whose clock counts instructions, one a \
                      nanosecond; compare it with this question's other columns only";
const GIB: f64 = 1_073_741_824.0;

/// Runs `hello` in every sandbox and in a Linux guest.
pub fn measure<W: Write>(session: &mut Session<W>, metrics: &[&'static str]) -> io::Result<()> {
    session.subjects.retain(|subject| subject.label != AGAIN);
    let labels: Vec<&str> = session.subjects.iter().map(|subject| subject.label).collect();
    let (machine, disk) = match machine() {
        Ok(machine) => machine,
        Err(error) => {
            let (reason, fix) = why(&error);
            let all = labels.into_iter().chain([LINUX]);
            return all.into_iter().try_for_each(|label| {
                session.sink.gaps(metrics, label, (reason.clone(), fix.clone()))
            });
        }
    };
    let saved = machine.clone();
    session.subjects.push(Subject { label: LINUX, sandbox: Box::new(machine), caveat: None });
    if env::var_os(IN_NEST).is_some() {
        session.subjects.iter_mut().for_each(|it| it.caveat = Some(CAVEAT.to_owned()));
        session.sink.send(&Message::Fact("linux.machine".into(), CAVEAT.into()))?;
    }
    for label in ["process", "container"] {
        let reason = "it has no VM exits: it makes system calls".to_owned();
        session.sink.gaps(&["linux.exits"], label, (reason, String::new()))?;
        let reason = "it has no RAM of its own: see the footprint".to_owned();
        let metrics = ["linux.memory", "linux.density"];
        session.sink.gaps(&metrics, label, (reason, String::new()))?;
    }
    for label in labels {
        let reason = "nothing of it is saved: it starts anew each time".to_owned();
        session.sink.gaps(&["linux.restore"], label, (reason, String::new()))?;
    }
    let disk = match disk {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            let Failure { reason, fix } = error.into();
            session.sink.gaps(&["linux.disk"], LINUX, (reason, fix))?;
            None
        }
    };
    session.rounds(|subject| one(subject, disk))?;
    match restored(&saved) {
        Ok(times) => (0..).zip(times).try_for_each(|(round, time)| {
            session.send(LINUX, ("linux.restore", Unit::Nanoseconds, time), round)
        }),
        Err(Failure { reason, fix }) => session.sink.gaps(&["linux.restore"], LINUX, (reason, fix)),
    }
}

/// How long a guest that was saved takes to its first byte, once its memory has been checked.
fn restored(machine: &LinuxVm) -> Result<Vec<f64>, Failure> {
    const ROUNDS: usize = 3;
    let folder = tempfile::tempdir()?;
    let hello = Workload::builtin(Builtin::Hello, &[]).deadline(PATIENCE);
    let snapshot = folder.path().join("hello");
    machine.save(&hello, &snapshot)?;
    let saved = SavedVm::new(snapshot);
    let once = |_| {
        let outcome = well(saved.run(&hello)?)?;
        let time = outcome.timeline.since_start(Milestone::FirstByte);
        let time = time.ok_or_else(|| Failure::new("a milestone was not seen"))?;
        Ok(time.as_nanos() as f64)
    };
    // It is checked as long as its files are so young that they could still be changing.
    (0..ROUNDS + 2).map(once).skip(2).collect()
}

/// A guest of the chosen kernel, and the bytes that the kernel takes.
fn machine() -> sandbox::Result<(LinuxVm, io::Result<u64>)> {
    microvm::linux::available()?;
    let kernel = kernels::chosen().map_err(sandbox::Error::from)?;
    let bytes = fs::metadata(&kernel.image).map(|about| about.blocks() * 512);
    Ok((LinuxVm::of(&kernel), bytes))
}

fn one(subject: &Subject, kernel: Option<u64>) -> Result<Vec<Value>, Failure> {
    let hello = Workload::builtin(Builtin::Hello, &[]).deadline(PATIENCE);
    let outcome = well(subject.sandbox.run(&hello)?)?;
    let mut values = Vec::new();
    for (metric, milestone) in
        [("linux.entered", Milestone::Entered), ("linux.first_byte", Milestone::FirstByte)]
    {
        let time = outcome.timeline.since_start(milestone);
        let time = time.ok_or_else(|| Failure::new("a milestone was not seen"))?;
        values.push((metric, Unit::Nanoseconds, time.as_nanos() as f64));
    }
    if !outcome.usage.vm_exits.is_empty() {
        let exits: u64 = outcome.usage.vm_exits.iter().map(|each| each.count).sum();
        values.push(("linux.exits", Unit::Count, exits as f64));
        if let Some(bytes) = outcome.usage.peak_memory_bytes.filter(|bytes| *bytes > 0) {
            values.push(("linux.memory", Unit::Bytes, bytes as f64));
            values.push(("linux.density", Unit::Count, (GIB / bytes as f64).floor()));
        }
    }
    let program = match subject.label {
        "microvm" => Builtin::Hello.bare_elf().len(),
        LINUX => Builtin::Hello.linux_elf().len() + guest::INIT.len(),
        _ => Builtin::Hello.linux_elf().len(),
    };
    let own = if subject.label == LINUX { kernel } else { Some(0) };
    values.extend(own.map(|own| {
        let disk = own + (program as u64).next_multiple_of(4096);
        ("linux.disk", Unit::Bytes, disk as f64)
    }));
    Ok(values)
}
