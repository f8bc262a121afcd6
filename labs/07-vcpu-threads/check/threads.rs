//! The threads of the virtual CPUs, as the kernel lists them.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use lab::check::{Bench, Checked, Finding, Process, Student, ensure, fail};

use super::TICK;

/// The program's threads, but for the first, which speaks with the check, and those that KVM itself
/// starts in every process with a machine.
pub fn threads(program: Process) -> Checked<Vec<Process>> {
    let is_kvms =
        |thread: &Process| thread.read("comm").is_ok_and(|name| name.starts_with("kvm-nx-lpage"));
    let mut threads = program.threads()?;
    threads.retain(|thread| thread.pid != program.pid && !is_kvms(thread));
    Ok(threads)
}

/// A thread for each of `all` virtual CPUs, of which all but one compute: on `cpu`, equals, with
/// names.
pub fn are_right(
    bench: &mut Bench,
    student: &Student,
    all: usize,
    cpu: u64,
) -> Checked<Vec<Process>> {
    let program = student.main();
    let (open, found) = (program.descriptors()?, threads(program)?);
    let vcpus = open.iter().filter(|(_, file)| file.starts_with("anon_inode:kvm-vcpu:")).count();
    bench.saw(program.path("fd").display(), format!("{vcpus} x anon_inode:kvm-vcpu"));
    bench.saw(program.path("task").display(), format!("{} besides the first", found.len()));
    // The one that halts may have lost its own already, which is judged later.
    let handles = student.number("handles")?;
    let are_few = found.len() < all && handles < all as u64;
    ensure(found.len() >= all - 1 && !are_few, || one_thread(found.len(), all))?;
    ensure(handles == all as u64, || {
        fail("L07-handles").fact("handles", handles).fact("threads", found.len()).fact("vcpus", all)
    })?;
    for thread in &found {
        is_settled(bench, *thread, cpu, all)?;
    }
    are_equal(bench, program, &found)?;
    Ok(found)
}

/// What a program gave up for before its threads were looked at.
pub fn failed(found: Finding) -> Finding {
    let is_pins = ["start", "run a virtual CPU"]
        .iter()
        .any(|step| found.is_refusal(step, "EINVAL") || found.is_refusal(step, "os error 22"));
    match is_pins {
        true => fail("L07-empty-set").fact("error", found.get("error")),
        false => found,
    }
}

/// Too few threads for so many virtual CPUs.
pub fn one_thread(threads: usize, vcpus: usize) -> Finding {
    fail("L07-one-thread").fact("threads", threads).fact("vcpus", vcpus)
}

/// It may run on `cpu` and nowhere else, does, and has a name. A new one is given the time for it.
fn is_settled(bench: &mut Bench, thread: Process, cpu: u64, all: usize) -> Checked<()> {
    let deadline = Instant::now() + Duration::from_secs(1);
    let names: Vec<String> = (0..all).map(|number| format!("vcpu{number}")).collect();
    while let (Ok(allowed), Ok(at), Ok(name)) =
        (thread.status("Cpus_allowed_list"), thread.stat(39), thread.read("comm"))
    {
        let name = name.trim_end();
        let is_pinned = allowed == cpu.to_string() && at == cpu;
        let is_named = names.iter().any(|right| right == name);
        let is_new = thread.schedstat()?.0 < TICK && Instant::now() < deadline;
        if (is_pinned && is_named) || !is_new {
            bench.saw(thread.path("status").display(), format!("Cpus_allowed_list {allowed}"));
            let finding = |id| fail(id).fact("thread", thread.pid).fact("cpu", cpu);
            ensure(is_pinned, || finding("L07-not-pinned").fact("allowed", allowed))?;
            bench.saw(thread.path("comm").display(), name);
            return ensure(is_named, || finding("L07-unnamed").fact("name", name));
        }
        sleep(Duration::from_millis(1));
    }
    // It has ended meanwhile.
    Ok(())
}

/// Nice value and policy are those of the program's first thread (proc_pid_stat(5)).
fn are_equal(bench: &mut Bench, program: Process, threads: &[Process]) -> Checked<()> {
    let standing = |thread: Process| Ok::<_, Finding>((nice(thread)?, thread.stat(41)?));
    let (usual_nice, usual_policy) = standing(program)?;
    for thread in threads {
        let Ok((nice, policy)) = standing(*thread) else { continue };
        bench.saw(thread.path("stat").display(), format!("nice {nice}, policy {policy}"));
        ensure((nice, policy) == (usual_nice, usual_policy), || {
            let finding = fail("L07-unfair").fact("thread", thread.pid).fact("nice", nice);
            finding.fact("policy", policy).fact("usual_nice", usual_nice)
        })?;
    }
    Ok(())
}

/// Field 19 of stat, the only one here that may be negative.
fn nice(thread: Process) -> Checked<i64> {
    let stat = thread.read("stat")?;
    // The name, in parentheses, may have spaces.
    let behind = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let field = behind.split_whitespace().nth(19 - 3).and_then(|word| word.parse().ok());
    Ok(field.ok_or_else(|| std::io::Error::other("stat has no nice value"))?)
}

/// All of them end when the guests have turned their virtual CPUs off.
pub fn end(bench: &mut Bench, student: &mut Student, point: &str) -> Checked<()> {
    student.meet(point)?;
    let program = student.main();
    let deadline = Instant::now() + bench.timeout() / 4;
    let mut left = threads(program)?;
    while !left.is_empty() && Instant::now() < deadline {
        sleep(Duration::from_millis(1));
        left = threads(program)?;
    }
    bench.saw(program.path("task").display(), format!("{} left when turned off", left.len()));
    ensure(left.is_empty(), || fail("L07-not-off").fact("threads", left.len()))?;
    student.go()
}
