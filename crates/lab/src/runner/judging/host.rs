//! The host's state as far as a lab could change it, to see that it is as before.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use sandbox::{Ledger, Resource};

/// How long the kernel may take to clear up behind a process that has ended.
const SETTLING: Duration = Duration::from_secs(10);

/// What was seen at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostState {
    name: String,
    mounts: BTreeSet<String>,
    links: BTreeSet<String>,
    cgroups: BTreeSet<String>,
    entries: BTreeSet<String>,
    processes: BTreeSet<String>,
}

impl HostState {
    /// Looks; `programs` are those of which no process may be left.
    pub(crate) fn now(programs: &BTreeSet<PathBuf>) -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let entries = Ledger::open().and_then(|ledger| ledger.entries()).unwrap_or_default();
        // What others are running meanwhile is theirs.
        let (living, dead): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| entry.launcher.is_alive());
        let held: Vec<&Resource> = living.iter().flat_map(|entry| &entry.resources).collect();
        let is_held = |path: &Path| {
            held.iter().any(|it| matches!(it, Resource::Cgroup(held) if path.starts_with(held)))
        };
        let is_link_held = |name: &String| {
            held.iter().any(|it| matches!(it, Resource::Link(held) if held == name))
        };
        let cgroups = cgroups();
        Self {
            name: text("/proc/sys/kernel/hostname").trim().to_owned(),
            mounts: text("/proc/self/mountinfo").lines().map(str::to_owned).collect(),
            links: names("/sys/class/net").into_iter().filter(|name| !is_link_held(name)).collect(),
            cgroups: cgroups
                .into_iter()
                .filter(|path| !is_held(path))
                .map(|path| path.display().to_string())
                .collect(),
            entries: dead.into_iter().map(|entry| entry.name).collect(),
            processes: processes_of(programs),
        }
    }

    /// What is different since then, once what only takes its time is over.
    pub(crate) fn changes(&self, programs: &BTreeSet<PathBuf>) -> Vec<String> {
        let until = Instant::now() + SETTLING;
        loop {
            let changes = self.compared(&Self::now(programs));
            if changes.is_empty() || Instant::now() > until {
                return changes;
            }
            sleep(Duration::from_millis(20));
        }
    }

    fn compared(&self, now: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        if self.name != now.name {
            changes.push(format!("the host name changed from {} to {}", self.name, now.name));
        }
        for (what, before, now) in
            [("mount", &self.mounts, &now.mounts), ("link", &self.links, &now.links)]
        {
            changes.extend(now.difference(before).map(|it| format!("{what} is new: {it}")));
            changes.extend(before.difference(now).map(|it| format!("{what} is gone: {it}")));
        }
        let only_new = [
            ("cgroup", &self.cgroups, &now.cgroups),
            ("ledger entry", &self.entries, &now.entries),
            ("process", &self.processes, &now.processes),
        ];
        for (what, before, now) in only_new {
            changes.extend(now.difference(before).map(|it| format!("{what} is left: {it}")));
        }
        changes
    }
}

fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// The groups that isolab has made, in all hierarchies.
fn cgroups() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mounts = container::mounts::all().unwrap_or_default().into_iter();
    let mut waiting: Vec<PathBuf> = mounts
        .filter(|mount| ["cgroup", "cgroup2"].contains(&&*mount.kind))
        .map(|mount| mount.point)
        .collect();
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            match entry.file_name().as_encoded_bytes().starts_with(b"isolab-") {
                true => found.push(entry.path()),
                false => waiting.push(entry.path()),
            }
        }
    }
    found
}

fn processes_of(programs: &BTreeSet<PathBuf>) -> BTreeSet<String> {
    let runs = |pid: &String| {
        pid.parse::<u32>().ok()?;
        let program = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
        let program = program.to_string_lossy().trim_end_matches(" (deleted)").to_owned();
        programs.contains(Path::new(&program)).then(|| format!("{pid} {program}"))
    };
    names("/proc").iter().filter_map(runs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_left_is_seen_and_nothing_else() {
        let this = std::env::current_exe().unwrap();
        let programs = BTreeSet::from([this]);
        let mut before = HostState::now(&programs);
        assert_eq!(before.compared(&HostState::now(&programs)), [""; 0]);
        assert_eq!(before.processes.len(), 1, "{before:?}");
        before.processes.clear();
        before.name = "other".into();
        let changes = before.compared(&HostState::now(&programs));
        assert_eq!(changes.len(), 2, "{changes:?}");
        assert!(changes[1].starts_with("process is left: "), "{changes:?}");
    }
}
