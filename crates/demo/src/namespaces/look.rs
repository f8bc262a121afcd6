//! What the host sees of a process in `/proc`, without asking it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    Kind,
    answers::{cgroup_in, number},
};

/// The inode numbers of the process's namespaces: what `ls -l /proc/PID/ns` shows.
pub(super) fn tables(process: &str) -> [Option<u64>; 8] {
    Kind::ALL.map(|kind| table(process, kind.link))
}

fn table(process: &str, link: &str) -> Option<u64> {
    let target = fs::read_link(format!("/proc/{process}/ns/{link}")).ok()?;
    // uts:[4026531838]
    target.to_str()?.strip_suffix(']')?.rsplit_once('[')?.1.parse().ok()
}

/// Who else is in the pid namespace with that inode number: the number inside, the one outside.
pub(super) fn others(table_of_pids: u64, first: u32) -> Vec<(u32, u32)> {
    let inside = |pid: u32| {
        let same = table(&pid.to_string(), Kind::ALL[Kind::PID].link) == Some(table_of_pids);
        Some((same.then(|| inside(pid))??, pid))
    };
    let others = numbers(Path::new("/proc")).filter(|pid| *pid != first);
    let mut others: Vec<(u32, u32)> = others.filter_map(inside).collect();
    others.sort_unstable();
    others
}

/// The number by which a process knows itself (`NSpid` of proc_pid_status(5)).
pub(super) fn inside(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let chain = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    chain.split_whitespace().last()?.parse().ok()
}

/// How many processes that `/proc` shows.
pub(super) fn processes(proc: &Path) -> usize {
    numbers(proc).count()
}

/// The `/proc` that a process sees.
pub(super) fn proc_of(pid: u32) -> PathBuf {
    format!("/proc/{pid}/root/proc").into()
}

fn numbers(proc: &Path) -> impl Iterator<Item = u32> {
    let listing = fs::read_dir(proc).into_iter().flatten().flatten();
    listing.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The effective user of a process, as the host calls it.
pub(super) fn user(pid: u32) -> Option<u32> {
    number(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, "Uid:")
}

/// The hierarchy in which isolab made a cgroup for a process, else the first or the only one, and
/// what that cgroup is called on the host.
pub(super) fn cgroup(process: &str) -> Option<(String, String)> {
    let text = fs::read_to_string(format!("/proc/{process}/cgroup")).ok()?;
    let own = text.lines().find(|line| line.contains("/isolab-"));
    let id = own.map_or("0", |line| line.split(':').next().unwrap_or("0")).to_owned();
    let path = cgroup_in(&text, &id)?.to_owned();
    Some((id, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_every_table_of_its_kernel_and_is_not_alone() {
        let own = tables("self");
        assert!(own[..7].iter().all(Option::is_some), "{own:?}");
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let found = others(own[Kind::PID].unwrap(), std::process::id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found.iter().any(|(_, outside)| *outside == child.id()), "{found:?}");
        assert!(processes(Path::new("/proc")) > 1);
    }
}
