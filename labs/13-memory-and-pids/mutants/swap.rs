//! Memory is limited, swap is not: the group goes on there.

use std::{fs, io, path::Path, process::ExitCode};

use memory_and_pids::{Answer, Events, Group, Work};
use nix::unistd::{ForkResult, Pid, fork};

fn set_memory(group: &Group, bytes: u64) -> io::Result<()> {
    let file = if group.version == 1 { "memory.limit_in_bytes" } else { "memory.max" };
    fs::write(group.memory.join(file), bytes.to_string())
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

fn join(group: &Group) -> io::Result<()> {
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

fn read_events(group: &Group) -> io::Result<Events> {
    let file = if group.version == 1 { "memory.oom_control" } else { "memory.events" };
    let kills = count(&group.memory.join(file), "oom_kill ")?;
    Ok(Events { kills, refusals: count(&group.pids.join("pids.events"), "max ")? })
}

fn count(file: &Path, field: &str) -> io::Result<u64> {
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

fn main() -> ExitCode {
    memory_and_pids::program(&Answer {
        set_memory,
        set_pids,
        spawn_in,
        fill,
        read_events,
        events_during,
    })
}
