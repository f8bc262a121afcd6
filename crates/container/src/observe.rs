//! Question 2, from outside: the processes of a run and what they consume now.
//!
//! The figures come from the cgroup, if there is one with the controller; otherwise from `/proc`,
//! process by process, which takes longer and misses processes that have ended.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use host::{ProcessStat, memory_field, process_tree, pss};
use nix::unistd::{SysconfVar, sysconf};
use sandbox::{LedgerEntry, Process, Resource};

use crate::cgroup::MemoryWatch;

/// What a run consumes. A limit is `None` if there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Consumption {
    /// CPU time, user and system together, since its start.
    pub cpu_time: Duration,
    /// Memory in use, without inactive pages of files, as Docker counts it.
    pub memory_bytes: u64,
    /// Its memory limit.
    pub memory_limit: Option<u64>,
    /// Processes and threads.
    pub pids: u64,
    /// Their limit.
    pub pids_limit: Option<u64>,
}

/// Its cgroup's directories.
pub fn cgroups(entry: &LedgerEntry) -> impl Iterator<Item = &Path> {
    entry.resources.iter().filter_map(Resource::cgroup)
}

/// How many processes of a container the kernel has killed because its cgroup was at its memory limit.
pub fn out_of_memory_kills(entry: &LedgerEntry) -> u64 {
    let mut all = cgroups(entry).filter_map(MemoryWatch::of_new);
    all.find_map(|mut watch| watch.killed()).map_or(0, |killed| killed.kills)
}

/// The processes of a run: those in its cgroup, or in its pid namespace, or all descendants of its
/// first process. For a virtual machine, its launcher.
pub fn processes(entry: &LedgerEntry) -> Vec<u32> {
    let mut found: Vec<u32> = cgroups(entry).next().map(members).unwrap_or_default();
    if found.is_empty() {
        found = match &entry.first {
            Some(first) if first.is_alive() => of_namespace_or_family(first.pid),
            Some(_) => Vec::new(),
            None => vec![entry.launcher.pid],
        };
    }
    found.sort_unstable();
    found
}

/// The processes in a cgroup and those below it.
pub(crate) fn members(cgroup: &Path) -> Vec<u32> {
    let text = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    let own = text.lines().filter_map(|line| line.parse().ok());
    let below = fs::read_dir(cgroup).into_iter().flatten().flatten();
    let below = below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    own.chain(below.flat_map(|below| members(&below.path()))).collect()
}

/// The processes in the pid namespace of `first`, if it differs from the caller's; otherwise the
/// descendants of `first`.
fn of_namespace_or_family(first: u32) -> Vec<u32> {
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let theirs = namespace(&first.to_string());
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let all = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    if theirs.is_some() && theirs != namespace("self") {
        return all.filter(|pid| namespace(&pid.to_string()) == theirs).collect();
    }
    process_tree(first)
}

/// What a run consumes now.
pub fn consumption(entry: &LedgerEntry) -> Consumption {
    let cgroups: Vec<&Path> = cgroups(entry).collect();
    let number = |names: [&str; 2]| {
        let mut paths = cgroups.iter().flat_map(|path| names.map(|name| path.join(name)));
        paths.find_map(|path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok())
    };
    let field = |file: &str, name: &str| {
        let mut texts = cgroups.iter().filter_map(|path| fs::read_to_string(path.join(file)).ok());
        texts.find_map(|text| field_of(&text, name))
    };
    let processes = processes(entry);
    let idle =
        || field("memory.stat", "total_inactive_file").or(field("memory.stat", "inactive_file"));
    let memory = number(["memory.current", "memory.usage_in_bytes"])
        .map(|bytes| bytes.saturating_sub(idle().unwrap_or(0)));
    let cpu = field("cpu.stat", "usage_usec")
        .map(Duration::from_micros)
        .or_else(|| number(["cpuacct.usage", ""]).map(Duration::from_nanos));
    Consumption {
        cpu_time: cpu.unwrap_or_else(|| processes.iter().map(|pid| cpu_time(*pid)).sum()),
        memory_bytes: memory.unwrap_or_else(|| processes.iter().map(|pid| memory_of(*pid)).sum()),
        // Version 1 uses a number close to the maximum for no limit.
        memory_limit: number(["memory.max", "memory.limit_in_bytes"])
            .filter(|bytes| *bytes < i64::MAX as u64 / 2),
        pids: number(["pids.current", ""])
            .unwrap_or_else(|| processes.iter().map(|pid| threads(*pid)).sum()),
        pids_limit: number(["pids.max", ""]),
    }
}

fn field_of(text: &str, name: &str) -> Option<u64> {
    let mut fields = text.lines().filter_map(|line| line.split_once(' '));
    fields.find(|(key, _)| *key == name)?.1.trim().parse().ok()
}

/// User and system time of a process and of its children that have ended.
fn cpu_time(pid: u32) -> Duration {
    let ticks = ProcessStat::of(pid).map_or(0, |stat| stat.cpu_ticks());
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    Duration::from_secs(ticks) / u32::try_from(per_second).unwrap_or(100)
}

/// Its proportional share of memory, or its resident memory if that share is unknown.
fn memory_of(pid: u32) -> u64 {
    let resident = || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        memory_field(&status, "VmRSS").unwrap_or(0)
    };
    pss(pid).unwrap_or_else(|_| resident())
}

fn threads(pid: u32) -> u64 {
    ProcessStat::of(pid).ok().and_then(|stat| stat.threads()).unwrap_or(1)
}

/// One process, as `isolab top` shows it. Its command line is untrusted and may contain anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessFacts {
    /// Its number on the host, and inside.
    pub pid: u32,
    /// The number in its own pid namespace.
    pub pid_inside: u32,
    /// Its parent's number on the host.
    pub parent: u32,
    /// Its user's number on the host.
    pub user: u32,
    /// R, S, D, T, Z.
    pub state: char,
    /// In bytes.
    pub resident: u64,
    /// User and system.
    pub cpu_time: Duration,
    /// Its command line, or its name if it has none.
    pub command: Vec<u8>,
}

/// The facts about a process in `/proc`; `None` if it has ended.
pub fn process_facts(pid: u32) -> Option<ProcessFacts> {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let before = Process::of(pid)?;
    let status = fs::read(folder.join("status")).ok()?;
    let status = String::from_utf8_lossy(&status).into_owned();
    let field = |name: &str| {
        let mut fields = status.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(key, _)| *key == name).map(|(_, value)| value.trim().to_owned())
    };
    let first = |name: &str| field(name)?.split_whitespace().next()?.parse().ok();
    let mut command = fs::read(folder.join("cmdline")).ok()?;
    while command.last() == Some(&0) {
        command.pop();
    }
    command.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = b' ');
    if command.is_empty() {
        command = format!("[{}]", field("Name")?).into_bytes();
    }
    let facts = ProcessFacts {
        pid,
        pid_inside: field("NSpid")
            .and_then(|pids| pids.split_whitespace().last()?.parse().ok())
            .unwrap_or(pid),
        parent: first("PPid")?,
        user: first("Uid")?,
        state: field("State")?.chars().next()?,
        resident: memory_field(&status, "VmRSS").unwrap_or(0),
        cpu_time: cpu_time(pid),
        command,
    };
    // Only if all of this was read of the same process.
    (Process::of(pid) == Some(before)).then_some(facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_itself_and_its_children() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let mut entry = LedgerEntry::new("x".into(), "process", vec![]);
        entry.first = Process::of(std::process::id());
        let found = processes(&entry);
        let facts = process_facts(child.id()).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found.contains(&std::process::id()) && found.contains(&child.id()), "{found:?}");
        assert_eq!((facts.parent, facts.pid_inside), (std::process::id(), child.id()));
        assert!(process_facts(child.id()).is_none());
        let consumed = consumption(&entry);
        assert!(consumed.memory_bytes > 100_000 && consumed.pids >= 1, "{consumed:?}");
    }

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "inactive_file 1\ntotal_inactive_file 22\n";
        assert_eq!(field_of(text, "total_inactive_file"), Some(22));
        assert_eq!(field_of(text, "active_file"), None);
    }
}
