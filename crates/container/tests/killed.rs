//! A launcher that is killed at any moment leaves nothing that `clean` does not remove.

mod common;

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read as _, Write as _},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use common::{Need, ready_with};
use container::{Container, Network};
use sandbox::{Ledger, LedgerEntry, Limits, Resource, Sandbox as _, Workload};

/// Variables of the child: its name, and whether its containers have links.
const NAME: &str = "ISOLAB_TEST_LAUNCHER";
const LINKED: &str = "ISOLAB_TEST_LINKED";

/// In the child of the test: starts containers until it is killed, and says on standard error, by
/// a byte, when each of them is up.
fn launch_for_ever(name: &str) -> ! {
    let limits = Limits { memory_bytes: Some(32 << 20), pids: Some(8), ..Limits::default() };
    // To remove links takes most of a container's life; without them other steps are met, too.
    let linked = std::env::var(LINKED).is_ok_and(|linked| linked == "true");
    let network = if linked { Network::Veth } else { Network::None };
    let container = Container::default().named(name).limits(limits).network(network);
    loop {
        let environment = vec![(NAME.into(), name.into())];
        // It does not end by itself when the launcher's end of its input is gone.
        let sleep = Workload { environment, ..Workload::command(["/bin/sleep", "600"]) };
        let instance = container.spawn(&sleep).expect("the parent has looked whether it can");
        io::stderr().write_all(b".").expect("the parent reads until it kills");
        thread::sleep(Duration::from_millis(2));
        drop(instance);
    }
}

/// What there is of the launcher `name`: cgroups and processes by its name, and these links.
fn left(name: &str, links: &[String]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    walk(Path::new("/sys/fs/cgroup"), name, &mut found);
    let there = |link: &&String| Path::new("/sys/class/net").join(link).exists();
    found.extend(links.iter().filter(there).cloned());
    for process in fs::read_dir("/proc").unwrap().flatten() {
        // The launcher has its name in its environment, and gives it to the container. What has
        // ended has no environment any more.
        let environment = fs::read(process.path().join("environ")).unwrap_or_default();
        if environment.windows(name.len()).any(|part| part == name.as_bytes()) {
            found.insert(process.path().display().to_string());
        }
    }
    found
}

/// The links that the ledger knows of: other launchers may have made others.
fn links_of(entry: Option<LedgerEntry>) -> Vec<String> {
    let link = |resource| match resource {
        Resource::Link(name) => Some(name),
        _ => None,
    };
    entry.into_iter().flat_map(|entry| entry.resources).filter_map(link).collect()
}

fn walk(directory: &Path, name: &str, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if entry.file_name().to_string_lossy().contains(name) {
                found.insert(entry.path().display().to_string());
            }
            walk(&entry.path(), name, found);
        }
    }
}

#[test]
fn a_launcher_killed_at_any_moment_leaves_nothing_after_clean() {
    if let Ok(name) = std::env::var(NAME) {
        launch_for_ever(&name);
    }
    if !ready_with(&[Need::Limits, Need::Veth]) {
        return;
    }
    let name = format!("killed-{}", std::process::id());
    let own = std::env::current_exe().unwrap();
    const ROUNDS: u32 = 24;
    let mut something_was_left = false;
    for round in 0..ROUNDS {
        let mut launcher = Command::new(&own)
            .args(["--exact", "a_launcher_killed_at_any_moment_leaves_nothing_after_clean"])
            .env(NAME, &name)
            .env(LINKED, (round % 2 == 0).to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // One container's life, from up to up, on this machine at this moment; each round kills
        // in another part of it.
        let mut up = launcher.stderr.take().unwrap();
        let mut wait = || up.read_exact(&mut [0]).expect("the launcher starts containers");
        wait();
        let first = Instant::now();
        wait();
        thread::sleep(first.elapsed() * round / ROUNDS);
        launcher.kill().unwrap();
        launcher.wait().unwrap();
        let ledger = Ledger::open().unwrap();
        let links = links_of(ledger.find(&name).unwrap());
        something_was_left |= !left(&name, &links).is_empty();
        container::clean(&ledger).unwrap();
        // The kernel frees a network namespace a little after its last process.
        for _ in 0..200 {
            if left(&name, &links).is_empty() {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(left(&name, &links), BTreeSet::new(), "round {round}");
        assert!(ledger.find(&name).unwrap().is_none());
    }
    assert!(
        something_was_left,
        "no launcher was killed while a container ran: the test tests nothing"
    );
}
