//! Student code is hostile: whatever it does ends in time, in a message that names it, and the host
//! is as it was.

use std::{
    env, fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use lab::verdict::{Report, Verdict};
use sandbox::Ledger;

fn example(name: &str) -> PathBuf {
    let own = env::current_exe().unwrap();
    own.parent().unwrap().parent().unwrap().join("examples").join(name)
}

/// What the check says of a program that does this; `None` where this host lacks namespaces.
fn check(does: &str) -> Option<Report> {
    let file = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    // As hostile as it gets: everybody may write to it.
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    fs::set_permissions(file.path(), everybody).unwrap();
    fs::write(file.path(), "kept").unwrap();
    let before = host();
    let check = Command::new(example("plain_check"))
        .arg("--program")
        .arg(example("hostile"))
        .env("DOES", does)
        .env("FILE", file.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("`cargo test -p lab` builds the examples too");
    let pid = check.id();
    let output = check.wait_with_output().unwrap();
    assert_eq!(host(), before, "after a program that {does}");
    assert_eq!(cgroups_of(pid), [] as [PathBuf; 0], "after a program that {does}");
    assert_eq!(fs::read_to_string(file.path()).unwrap(), "kept");
    let report: Report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    if report.id.as_deref() == Some("no-namespaces") {
        let required = env::var("ISOLAB_REQUIRE").unwrap_or_default();
        assert!(!required.contains("container"), "{report:?}");
        eprintln!("skipped: {}", report.facts["error"]);
        return None;
    }
    Some(report)
}

/// Mounts, host name and links of this host.
fn host() -> (String, String, Vec<String>) {
    let read = |path: &str| fs::read_to_string(path).unwrap();
    let mut links: Vec<String> = fs::read_dir("/sys/class/net")
        .map(|listing| listing.map(|link| format!("{:?}", link.unwrap().file_name())).collect())
        .unwrap_or_default();
    links.sort();
    (read("/proc/self/mountinfo"), read("/proc/sys/kernel/hostname"), links)
}

/// The cgroups that the check with this number has left.
fn cgroups_of(check: u32) -> Vec<PathBuf> {
    let grounds = container::cgroup::grounds().unwrap_or_default().into_iter();
    let made = grounds.map(|ground| ground.parent.join(format!("isolab-lab-{check}")));
    made.filter(|path| path.exists()).collect()
}

fn caught(does: &str, id: &str) {
    if let Some(report) = check(does) {
        assert_eq!(report.verdict, Verdict::Fail, "{report:?}");
        assert_eq!(report.id.as_deref(), Some(id), "{report:?}");
    }
}

fn passes(does: &str) {
    if let Some(report) = check(does) {
        assert_eq!(report.verdict, Verdict::Pass, "{report:?}");
    }
}

#[test]
fn a_harmless_program_passes() {
    passes("nothing");
}

#[test]
fn one_that_panics_is_told_so() {
    caught("panics", "panicked");
}

#[test]
fn one_that_never_ends_is_ended() {
    caught("loops", "too-slow");
}

#[test]
fn one_that_forks_without_end_is_ended() {
    caught("forks without end", "too-many-processes");
}

#[test]
fn one_that_eats_all_memory_is_ended() {
    caught("eats memory", "too-much-memory");
}

#[test]
fn one_that_kills_all_it_can_kills_nobody() {
    passes("kills its parent and everybody");
}

#[test]
fn one_that_writes_to_the_host_cannot() {
    passes("writes to the host");
}

#[test]
fn one_that_looks_into_the_check_sees_nothing() {
    passes("looks into the check");
}

#[test]
fn what_is_left_is_named() {
    caught("leaves a mount", "left-mount");
    caught("leaves a process", "left-process");
    caught("renames the host", "changed-host-name");
}

#[test]
fn a_faked_verdict_is_none() {
    caught("fakes a verdict", "wrong-words");
    caught("ends before it is looked at", "ended-early");
}

/// As many rounds as `ISOLAB_ROUNDS` says; a few are enough to see that it works.
#[test]
fn what_killed_checks_leave_can_be_removed() {
    let rounds =
        env::var("ISOLAB_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(12);
    let before = host();
    let mut killed = Vec::new();
    for round in 0..rounds {
        let mut check = Command::new(example("plain_check"))
            .arg("--program")
            .arg(example("hostile"))
            .env("DOES", if round % 2 == 0 { "loops" } else { "nothing" })
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Spread over all that a check does: it takes some twenty milliseconds.
        let moment = Duration::from_micros(u64::from(check.id()).wrapping_mul(7919) % 30_000);
        std::thread::sleep(moment);
        check.kill().unwrap();
        check.wait().unwrap();
        killed.push(check.id());
    }
    // The kernel takes the last ones away a moment after their checks.
    for _ in 0..500 {
        if processes().is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    container::clean(&Ledger::open().unwrap()).unwrap();
    let left: Vec<PathBuf> = killed.into_iter().flat_map(cgroups_of).collect();
    assert_eq!(left, [] as [PathBuf; 0]);
    assert_eq!(host(), before);
    assert_eq!(processes(), [] as [String; 0]);
}

/// Processes of checks that were killed: those that run the program without being anybody's.
fn processes() -> Vec<String> {
    let all = fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let ours = all.filter_map(|path| {
        let line = fs::read_to_string(path.join("cmdline")).ok()?;
        line.contains("does=loops\0file=\0").then_some(line)
    });
    ours.collect()
}

#[test]
fn another_program_does_not_do_it() {
    caught("lets unshare do it", "delegated");
}
