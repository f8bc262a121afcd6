//! A launcher that is killed at any moment leaves nothing that `clean` does not remove.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read as _, Write as _},
    path::Path,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use container::{Container, Network};
use sandbox::{Builtin, Ledger, Limits, Sandbox as _, Workload};

/// In the child of the test: starts containers until it is killed, and says on standard error, by
/// a byte, when each of them is up.
fn launch_for_ever(name: &str) -> ! {
    let limits = Limits { memory_bytes: Some(32 << 20), pids: Some(8), ..Limits::default() };
    let network = Network::Veth;
    let container = Container { name: Some(name.into()), limits, network, ..Container::default() };
    loop {
        let idle = Workload::builtin(Builtin::Idle, &[]);
        let instance = container.spawn(&idle).expect("the parent has looked whether it can");
        io::stderr().write_all(b".").expect("the parent reads until it kills");
        sleep(Duration::from_millis(2));
        drop(instance);
    }
}

fn left(name: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for hierarchy in fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
        walk(&hierarchy.path(), name, &mut found);
    }
    for link in fs::read_dir("/sys/class/net").unwrap().flatten() {
        let link = link.file_name().to_string_lossy().into_owned();
        found.extend(link.starts_with("iso").then_some(link));
    }
    found
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
    const VARIABLE: &str = "ISOLAB_TEST_LAUNCHER";
    if let Ok(name) = std::env::var(VARIABLE) {
        launch_for_ever(&name);
    }
    if container::available().is_err() || !container::host().root {
        let required = std::env::var("ISOLAB_REQUIRE").unwrap_or_default();
        assert!(!required.contains("container"), "container required");
        println!("skipped: this test needs root");
        return;
    }
    let name = format!("killed-{}", std::process::id());
    let own = std::env::current_exe().unwrap();
    const ROUNDS: u32 = 12;
    let mut something_was_left = false;
    for round in 0..ROUNDS {
        let mut launcher = Command::new(&own)
            .args(["--exact", "a_launcher_killed_at_any_moment_leaves_nothing_after_clean"])
            .env(VARIABLE, &name)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // One container's life, from up to up, on this machine at this moment; each round kills
        // in another twelfth of it.
        let mut up = launcher.stderr.take().unwrap();
        let mut wait = || up.read_exact(&mut [0]).expect("the launcher starts containers");
        wait();
        let first = Instant::now();
        wait();
        sleep(first.elapsed() * round / ROUNDS);
        launcher.kill().unwrap();
        launcher.wait().unwrap();
        something_was_left |= !left(&name).is_empty();
        container::clean(&Ledger::open().unwrap()).unwrap();
        // The kernel frees a network namespace a little after its last process.
        for _ in 0..200 {
            if left(&name).is_empty() {
                break;
            }
            sleep(Duration::from_millis(10));
        }
        assert_eq!(left(&name), BTreeSet::new(), "round {round}");
        assert!(Ledger::open().unwrap().find(&name).unwrap().is_none());
    }
    assert!(
        something_was_left,
        "no launcher was killed while a container ran: the test tests nothing"
    );
}
