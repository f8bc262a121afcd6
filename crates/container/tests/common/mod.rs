//! What the tests of containers share.
#![allow(dead_code, reason = "each test binary uses its part of it")]

pub mod elf;

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use container::{Container, Network};
use nix::sched::{CloneFlags, unshare};
use sandbox::{Builtin, CpuQuota, Limits, Outcome, Sandbox as _, Workload};

/// What only some hosts let root do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A cgroup for each limit.
    Limits,
    /// Another user namespace.
    UserNamespace,
    /// A pair of virtual links.
    Veth,
}

/// Whether the test may run; says why not. `ISOLAB_REQUIRE=container` makes that a failure.
pub fn ready() -> bool {
    ready_with(&[])
}

/// The same for a test that needs more than a container without limits.
pub fn ready_with(needs: &[Need]) -> bool {
    let available = match container::available() {
        Err(error) => Err(sandbox::chain(&error)),
        Ok(()) if !container::host().root => Err("this test needs root".into()),
        Ok(()) if !has_all_ids() => Err("this test needs root of the first user namespace".into()),
        Ok(()) => needs.iter().try_for_each(|need| need.is_met()),
    };
    available.map_err(|reason| skip(&reason)).is_ok()
}

/// Whether this is the first user namespace, which maps every id to itself (user_namespaces(7)).
fn has_all_ids() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap();
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// Says that the test is skipped, and why, which `ISOLAB_REQUIRE=container` forbids.
pub fn skip(reason: &str) {
    let required = std::env::var("ISOLAB_REQUIRE").unwrap_or_default();
    assert!(!required.contains("container"), "container required: {reason}");
    println!("skipped: {reason}");
}

impl Need {
    /// Why this host does not meet it.
    fn is_met(self) -> Result<(), String> {
        match self {
            Self::Limits => {
                let problem = container::host().controllers.into_iter().find_map(|it| it.problem);
                problem.map_or(Ok(()), Err)
            }
            Self::UserNamespace => user_namespaces(),
            Self::Veth => {
                let network = Network::Veth;
                let container = Container::default().network(network);
                let hello = container.run(&Workload::builtin(Builtin::Hello, &[]));
                let message =
                    hello.map_err(|error| sandbox::chain(&error)).err().unwrap_or_default();
                // The kernel's word for a kind of link that it has no module for, and for a power
                // that this root lacks. Any other failure is the test's to find.
                let refused = ["EOPNOTSUPP", "EPERM"].iter().any(|errno| message.contains(errno));
                if refused { Err(message) } else { Ok(()) }
            }
        }
    }
}

/// Whether root may make a user namespace in which root is somebody else.
fn user_namespaces() -> Result<(), String> {
    let mut tries = Command::new("true");
    // SAFETY: the closure makes one system call, and touches nothing of its parent's.
    unsafe { tries.pre_exec(|| Ok(unshare(CloneFlags::CLONE_NEWUSER)?)) };
    let tried = tries.status();
    tried.map(drop).map_err(|error| format!("unshare(CLONE_NEWUSER): {error}"))
}

pub fn shell(script: &str) -> Workload {
    Workload::command(["/bin/sh", "-c", script]).deadline(Duration::from_secs(20))
}

pub fn text(outcome: &Outcome) -> String {
    String::from_utf8_lossy(&outcome.output).trim().to_owned()
}

pub fn run(container: &Container, script: &str) -> Outcome {
    container.run(&shell(script)).unwrap_or_else(|error| {
        use std::error::Error as _;
        panic!("{error}: {:?}", error.source().map(ToString::to_string))
    })
}

pub fn inside(script: &str) -> String {
    text(&run(&Container::default(), script))
}

/// Waits until the container has a file `/tmp/mark`.
pub fn wait_for_mark(entry: &sandbox::LedgerEntry) {
    let began = Instant::now();
    let is_there = || {
        let looks = container::exec(entry, ["test", "-e", "/tmp/mark"], sandbox::Stdio::Capture);
        looks.unwrap().status.is_success()
    };
    while !is_there() {
        assert!(began.elapsed() < Duration::from_secs(20), "no /tmp/mark in {}", entry.name);
    }
}

pub fn limited() -> Limits {
    Limits {
        memory_bytes: Some(32 << 20),
        cpu_quota: Some(CpuQuota::cpus(0.5).unwrap()),
        cpu_weight: Some(50),
        pids: Some(8),
        vcpus: None,
    }
}

/// A name for a cgroup of this process's own, after the cgroups of the same kind are removed that
/// test programs left which were killed: `isolab-KIND-PID` of a process that is no more. The ledger
/// does not know them, for it is the launcher's, and these tests are their own.
pub fn cgroup_name(kind: &str) -> String {
    let prefix = format!("isolab-{kind}-");
    for path in cgroups_left(&prefix) {
        let owner = path.rsplit_once('-').and_then(|(_, pid)| pid.parse().ok());
        if owner.is_some_and(|pid| sandbox::Process::of(pid).is_none()) {
            // Two test programs may find the same one; whoever is later finds nothing.
            container::cgroup::remove(Path::new(&path)).unwrap();
        }
    }
    format!("{prefix}{}", std::process::id())
}

/// Names of cgroups that this process has made and not removed.
pub fn cgroups_left(marker: &str) -> Vec<String> {
    fn walk(directory: &Path, marker: &str, found: &mut Vec<String>) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy().starts_with(marker) {
                    found.push(entry.path().display().to_string());
                }
                walk(&entry.path(), marker, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(Path::new("/sys/fs/cgroup"), marker, &mut found);
    found
}
