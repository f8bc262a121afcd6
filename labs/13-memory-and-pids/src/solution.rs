//! Lab 13, solved.

use std::{fs, io, path::Path, process::ExitCode};

use container::cgroup;
use memory_and_pids::{Answer, Events, Group, Work};
use nix::unistd::{ForkResult, Pid, fork};
use sandbox::Limits;

fn set_memory(group: &Group, bytes: u64) -> io::Result<()> {
    let limits = Limits { memory_bytes: Some(bytes), ..Limits::default() };
    for (file, value) in cgroup::files(&limits, group.version) {
        let path = group.memory.join(file);
        // A kernel that does not count swap has one file only.
        if path.exists() {
            fs::write(path, value)?;
        }
    }
    Ok(())
}

fn set_pids(group: &Group, most: u64) -> io::Result<()> {
    fs::write(group.pids.join("pids.max"), most.to_string())
}

fn spawn_in(group: &Group, mut work: Work) -> io::Result<Pid> {
    // SAFETY: this process has a single thread, so the child may do whatever it could do.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => std::process::exit(match join(group) {
            Ok(()) => work(),
            Err(_) => 1,
        }),
    }
}

pub(crate) fn join(group: &Group) -> io::Result<()> {
    fs::write(group.memory.join("cgroup.procs"), "0")?;
    fs::write(group.pids.join("cgroup.procs"), "0")
}

fn fill(bytes: usize) -> Vec<u8> {
    let mut memory = vec![0; bytes];
    for page in memory.chunks_mut(4096) {
        page[0] = 1;
    }
    memory
}

pub(crate) fn read_events(group: &Group) -> io::Result<Events> {
    let file = if group.version == 1 { "memory.oom_control" } else { "memory.events" };
    let kills = count(&group.memory.join(file), "oom_kill ")?;
    Ok(Events { kills, refusals: count(&group.pids.join("pids.events"), "max ")? })
}

pub(crate) fn count(file: &Path, field: &str) -> io::Result<u64> {
    let text = fs::read_to_string(file)?;
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.trim().parse().ok());
    value.ok_or_else(|| io::Error::other(format!("no line {field}")))
}

fn events_during(group: &Group, work: &mut dyn FnMut()) -> io::Result<Events> {
    let before = read_events(group)?;
    work();
    let after = read_events(group)?;
    Ok(Events { kills: after.kills - before.kills, refusals: after.refusals - before.refusals })
}

/// The right answers; a wrong one is these but for what is wrong.
pub(crate) const ANSWER: Answer =
    Answer { set_memory, set_pids, spawn_in, fill, read_events, events_during };

fn main() -> ExitCode {
    memory_and_pids::program(&ANSWER)
}
