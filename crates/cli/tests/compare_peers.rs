//! Peers of a comparison that hang, write rubbish, fail, change or leave something behind: each is a
//! gap with a reason, and the others are measured all the same. The peers are scripts.

mod common;

use std::{
    fs::{self, Permissions},
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use common::{descendants, isolab};
use measure::Message;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use report::metric;

/// A folder of scripts that stands first on the `PATH`.
struct Scripts {
    folder: tempfile::TempDir,
}

impl Scripts {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A runtime that behaves as runc does at `list` and `delete`, with a file for each container in
    /// its state directory, and does `run` when it is to run `$id`.
    fn runc(self, version: &str, run: &str) -> Self {
        let log = self.folder.path().join("removed");
        let script = format!(
            r#"#!/bin/sh
if [ "$1" = --version ]; then {version}; exit; fi
state=$2; shift 2; mkdir -p "$state"
for id; do :; done
case $1 in
    list) ls "$state" ;;
    delete) rm "$state/$id"; echo "$id" >> {} ;;
    run) {run} ;;
esac
"#,
            log.display()
        );
        self.script("runc", &script)
    }

    fn script(self, name: &str, text: &str) -> Self {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        self
    }

    fn path(&self) -> String {
        format!("{}:{}", self.folder.path().display(), std::env::var("PATH").unwrap())
    }

    /// What one measuring process says of its peers.
    fn measured(&self, peers: &str) -> Vec<Message> {
        self.measured_part("cold", peers)
    }

    /// The same of that part of the comparison.
    fn measured_part(&self, part: &str, peers: &str) -> Vec<Message> {
        let mut command = isolab(&["measure", part, "--quick", "--rounds", "3"]);
        let output = command.arg(format!("--peers={peers}")).env("PATH", self.path()).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn removed(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("removed")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

/// Why there are no numbers of `peer`; none if there are some.
fn reason(messages: &[Message], peer: &str) -> Option<String> {
    messages.iter().find_map(|message| match message {
        Message::Gap(gap)
            if gap.sandbox == peer && gap.metric == metric::STARTUP_COLD_FIRST_BYTE =>
        {
            Some(gap.reason.clone())
        }
        _ => None,
    })
}

fn count(messages: &[Message], sandbox: &str) -> usize {
    let is_its = |message: &&Message| match message {
        Message::Measured(it) => {
            it.sandbox == sandbox && it.metric == metric::STARTUP_COLD_FIRST_BYTE
        }
        _ => false,
    };
    messages.iter().filter(is_its).count()
}

#[test]
fn a_peer_takes_part_in_every_round() {
    let scripts = Scripts::new().runc("echo 'runc version 9'", "echo hello");
    let messages = scripts.measured("runc");
    assert_eq!(reason(&messages, "runc"), None);
    assert_eq!((count(&messages, "runc"), count(&messages, "process")), (3, 3));
    let version = messages.iter().find_map(|message| match message {
        Message::Subject(name, subject) if name == "runc" => Some(subject.clone()),
        _ => None,
    });
    let subject = version.unwrap();
    assert_eq!(subject.version, "runc version 9");
    assert!(subject.command.contains(&"DIR/bundle".to_owned()), "{subject:?}");
}

/// What a runtime does that runs the program of its bundle without any wall.
const RUN_OF_BUNDLE: &str = r#"bundle=$3
        words=$(sed 's/.*"args":\[\([^]]*\)\].*/\1/' "$bundle/config.json" | tr -d '"' | tr , ' ')
        exec "$bundle/rootfs"$words"#;

/// The metrics of `peer` for which there are numbers.
fn metrics<'a>(messages: &'a [Message], peer: &str) -> Vec<&'a str> {
    let of = |message: &'a Message| match message {
        Message::Measured(it) if it.sandbox == peer => Some(it.metric.as_str()),
        _ => None,
    };
    messages.iter().filter_map(of).collect()
}

#[test]
fn a_peer_runs_the_programs_that_take_their_own_times_once_in_a_process() {
    let scripts = Scripts::new().runc("echo 9", RUN_OF_BUNDLE);
    let messages = scripts.measured_part("programs", "runc");
    let all = [
        metric::COMPUTE_SPIN,
        metric::MEMORY_BANDWIDTH,
        metric::MEMORY_LATENCY,
        metric::MEMORY_TOUCH,
        metric::CROSSING,
    ];
    assert_eq!(metrics(&messages, "runc"), all, "{messages:?}");
}

#[test]
fn a_peer_whose_programs_do_not_say_how_long_they_took_is_a_gap() {
    let scripts = Scripts::new().runc("echo 9", "echo spin took long");
    let messages = scripts.measured_part("programs", "runc");
    assert!(metrics(&messages, "runc").is_empty(), "{messages:?}");
    let why = messages.iter().filter_map(|message| match message {
        Message::Gap(gap) if gap.sandbox == "runc" => Some(gap.reason.as_str()),
        _ => None,
    });
    let why: Vec<_> = why.collect();
    assert!(why.len() == 5 && why[0].contains("did not say how long it took"), "{why:?}");
}

#[test]
fn a_peer_that_fails_or_writes_rubbish_is_a_gap_in_its_own_words() {
    let scripts = Scripts::new()
        .runc("echo 9", "echo 'no such cgroup' >&2; exit 3")
        .script("crun", "#!/bin/sh\necho Helo wrold\n")
        .script("bwrap", "#!/bin/sh\n[ $1 = --version ] && echo 'bubblewrap 1' || kill -9 $$\n");
    let messages = scripts.measured("runc,crun,bubblewrap");
    let of = |peer| reason(&messages, peer).unwrap();
    assert!(of("runc").contains("exit status: 3: no such cgroup"), "{}", of("runc"));
    assert!(of("crun").contains("Helo wrold"), "{}", of("crun"));
    assert!(of("bubblewrap").contains("signal: 9"), "{}", of("bubblewrap"));
    assert_eq!(count(&messages, "process"), 3);
}

#[test]
fn what_a_peer_leaves_behind_is_removed_and_said() {
    let scripts = Scripts::new().runc("echo 9", r#"touch "$state/$id"; echo hello"#);
    let messages = scripts.measured("runc");
    assert_eq!(count(&messages, "runc"), 3);
    assert!(scripts.removed().len() >= 3, "{:?}", scripts.removed());
    let said = messages.iter().any(|message| match message {
        Message::Fact(name, text) => name == "left by runc" && text.contains("containers"),
        _ => false,
    });
    assert!(said, "{messages:?}");
}

#[test]
fn a_peer_that_hangs_is_killed_at_its_deadline() {
    let seconds = seconds(1);
    let scripts = Scripts::new().runc("echo 9", &hangs(&seconds));
    let began = Instant::now();
    let messages = scripts.measured("runc");
    let reason = reason(&messages, "runc").unwrap();
    assert!(reason.contains("had not ended after 10s"), "{reason}");
    assert!(reason.contains("left 1 behind, removed"), "{reason}");
    assert!(began.elapsed() < Duration::from_secs(60));
    assert_eq!(count(&messages, "process"), 3);
    wait_for("what it started has ended", || !runs(&seconds));
}

#[test]
fn a_peer_of_another_version_at_the_end_has_no_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let asked = folder.path().join("asked");
    let version = format!("echo x >> {0}; echo version $(wc -l < {0})", asked.display());
    let messages = Scripts::new().runc(&version, "echo hello").measured("runc");
    let mut collection = measure::Collection::default();
    messages.into_iter().for_each(|message| collection.take(message, 0));
    let records = collection.into_records(report::Provenance::default());
    assert!(records.series.iter().all(|series| series.sandbox != "runc"));
    let reason = records.gaps.iter().find(|gap| gap.sandbox == "runc").unwrap();
    let is_its = |gap: &&report::Gap| gap.reason.contains("another version");
    assert!(records.gaps.iter().any(|gap| is_its(&gap)), "{reason:?}");
}

#[test]
fn an_unknown_peer_is_refused_with_the_names() {
    let output = isolab(&["compare", "--peers", "dokcer"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("dokcer") && errors.contains("cloud-hypervisor"), "{errors}");
}

#[test]
fn an_interruption_removes_what_a_hanging_peer_left() {
    let seconds = seconds(2);
    let scripts = Scripts::new().runc("echo 9", &hangs(&seconds));
    let scratch = tempfile::tempdir().unwrap();
    let temporary = scratch.path().join("temporary");
    fs::create_dir(&temporary).unwrap();
    let mut command = isolab(&["compare", "--quick", "--rounds", "1", "--peers", "runc", "--out"]);
    command.arg(scratch.path().join("report")).env("PATH", scripts.path());
    command.env("TMPDIR", &temporary).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    wait_for("the peer hangs", || runs(&seconds));
    let below = descendants(child.id());
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
    let mut said = String::new();
    while errors.read_line(&mut said).unwrap() > 0 {}
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
    wait_for("all are gone", || below.iter().all(|process| !process.is_alive()));
    assert_eq!(scripts.removed().len(), 1);
    let left: Vec<PathBuf> =
        fs::read_dir(&temporary).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn two_comparisons_do_not_write_into_one_folder() {
    let scratch = tempfile::tempdir().unwrap();
    let compare = || -> Command {
        let mut command = isolab(&["compare", "--quick", "--rounds", "1", "--out"]);
        command.arg(scratch.path().join("report")).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    };
    let mut first = compare().spawn().unwrap();
    let mut errors = BufReader::new(first.stderr.take().unwrap());
    errors.read_line(&mut String::new()).unwrap();
    let second = compare().output().unwrap();
    let text = String::from_utf8_lossy(&second.stderr).into_owned();
    kill(Pid::from_raw(first.id().cast_signed()), Signal::SIGTERM).unwrap();
    first.wait().unwrap();
    assert_eq!(second.status.code(), Some(125), "{text}");
    assert!(text.contains("another comparison is running"), "{text}");
}

/// So long hangs the peer of a test; no other process sleeps for exactly so long.
fn seconds(test: u32) -> String {
    format!("{}.{test}", 100_000 + std::process::id())
}

/// A container that is left behind by a start that hangs.
fn hangs(seconds: &str) -> String {
    format!(r#"touch "$state/$id"; sleep {seconds}; echo hello"#)
}

/// Whether a `sleep` for so many seconds is running.
fn runs(seconds: &str) -> bool {
    let line = format!("sleep\0{seconds}\0");
    let of = |path: &Path| fs::read(path.join("cmdline")).unwrap_or_default();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes.into_iter().any(|process| of(&process.path()) == line.as_bytes())
}

fn wait_for(what: &str, done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}: not within a minute");
        thread::sleep(Duration::from_millis(20));
    }
}
