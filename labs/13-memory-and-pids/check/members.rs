//! The processes of the group, and the memory that they have.

use std::{fs, io, os::unix::fs::FileExt};

use lab::check::{Bench, Checked, Process, Student, cannot_tell, ensure, fail};

use super::group::Group;

/// What the work of `spawn_in` returns.
const CODE: u64 = 7;
/// A page, and the bits of proc_pid_pagemap(5) that say that there is one.
const PAGE: u64 = 4096;
const PRESENT_OR_SWAPPED: u64 = 0b11 << 62;

/// A process that has gone through a gate into the group.
pub fn judge_passage(bench: &mut Bench, student: &Student) -> Checked<()> {
    let (worker, own) = (student.number("worker")?, student.main());
    let joined = student.said("joined")?;
    let begins = student.said("begins")?;
    bench.saw("written into the two `cgroup.procs`", joined);
    let is_itself = worker == u64::from(student.inside(own)?);
    ensure(!is_itself, || fail("L13-no-fork").fact("pid", own.pid))?;
    ensure(worker != 0, || {
        fail("L13-no-work").fact("returned", student.said("returned").unwrap_or("-"))
    })?;
    ensure(joined != "- -", || fail("L13-not-joined").fact("written", joined))?;
    ensure(begins == "then", || fail("L13-too-late").fact("pid", worker))?;
    let is = |text: &str| text == "0" || text == worker.to_string();
    let wrong: Vec<&str> = ["memory", "pids"]
        .into_iter()
        .zip(joined.split(' '))
        .filter(|(_, text)| !is(text))
        .map(|(directory, _)| directory)
        .collect();
    ensure(wrong.is_empty(), || {
        let id = if wrong.len() == 2 { "L13-not-joined" } else { "L13-half-joined" };
        fail(id).fact("directory", wrong.join(", ")).fact("written", joined)
    })?;
    let returned = student.number("returned")?;
    ensure(returned == worker, || {
        fail("L13-other-pid").fact("seen", returned).fact("wanted", worker)
    })?;
    let code = student.said("code")?;
    bench.saw("the exit code of the new process", code);
    ensure(code == CODE.to_string(), || {
        fail("L13-exit-code").fact("seen", code).fact("wanted", CODE)
    })
}

/// Waits until the program has filled memory; each page of it must be there.
pub fn judge_filled(bench: &mut Bench, student: &mut Student) -> Checked<()> {
    student.meet("before it is filled")?;
    let main = student.main();
    let before = resident(main)?;
    student.go()?;
    student.meet("filled")?;
    let (length, wanted) = (student.number("length")?, student.number("wanted")?);
    bench.saw("the length of what `fill` returns", format!("{length} of {wanted}"));
    ensure(length == wanted, || fail("L13-length").fact("seen", length).fact("wanted", wanted))?;
    let address = student.number("address")?;
    // What is of the last page may be part of it only.
    let (first, end) = (address / PAGE, (address + wanted - 1) / PAGE);
    let mut entries = vec![0; ((end - first) * 8) as usize];
    fs::File::open(main.path("pagemap"))?.read_exact_at(&mut entries, first * 8)?;
    let is_there = |entry: &[u8]| {
        let bits = u64::from_ne_bytes(entry.try_into().unwrap_or_default());
        bits & PRESENT_OR_SWAPPED != 0
    };
    let there = entries.chunks_exact(8).filter(|entry| is_there(entry)).count() as u64;
    let grown = resident(main)?.saturating_sub(before);
    bench.saw(main.path("pagemap").display(), format!("{there} of {} pages", end - first));
    bench.saw(main.path("status").display(), format!("VmRSS grew by {grown} KiB"));
    // Of a page that was only read there is none yet: all such share one with zeros in it.
    let few = grown * 1024 < wanted / 10 * 9 && !has_swap();
    ensure(there == end - first && !few, || {
        let grown = (grown * 1024 / PAGE).min(there);
        fail("L13-untouched").fact("there", grown).fact("pages", end - first)
    })?;
    student.go()
}

fn resident(process: Process) -> io::Result<u64> {
    let text = process.status("VmRSS")?;
    Ok(text.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0))
}

/// The first victim: inside before it has anything, and killed by the kernel.
pub fn judge_victim(bench: &mut Bench, student: &mut Student, group: &Group) -> Checked<()> {
    student.meet("inside")?;
    let victim = student.outside(student.number("victim")? as u32)?;
    let cgroup = victim.cgroup("memory")?;
    bench.saw(victim.path("cgroup").display(), &cgroup);
    ensure(group.holds(victim)?, || fail("L13-not-joined").fact("written", &cgroup))?;
    let [before, _] = group.events()?;
    student.go()?;
    student.meet("first victim")?;
    let kills = group.events()?[0] - before;
    bench.saw("oom_kill since then", kills);
    if victim.is_alive() {
        let (lacks, file) = (!group.counts_swap() && has_swap(), group.swap_file(0).0);
        ensure(!lacks, || {
            let lacking = format!("there is swap, and no {file} to keep the group out of it");
            cannot_tell("lacking").fact("error", lacking)
        })?;
    }
    ensure(kills == 1, || fail("L13-not-killed").fact("pid", victim.pid).fact("kills", kills))?;
    student.go()
}

/// Whether this host has somewhere to put pages that do not fit into memory.
fn has_swap() -> bool {
    fs::read_to_string("/proc/swaps").is_ok_and(|swaps| swaps.lines().count() > 1)
}
