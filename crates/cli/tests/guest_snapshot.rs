//! `isolab snapshot save --from`: a guest is saved while its command runs, and goes on.

mod common;

use std::{
    io::{Read as _, Write as _},
    process::Stdio,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use common::{
    guest::Guest,
    inside::{all_hold_in_a_nest, here},
    isolab, output_of,
    snapshots::Snapshots,
};

#[test]
fn all_of_these_hold_in_a_nest() {
    all_hold_in_a_nest();
}

/// Reads from a guest until the end of a line.
fn line(guest: &mut Guest) -> String {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while byte != *b"\n" && guest.output.read(&mut byte).unwrap() == 1 {
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

fn say(guest: &mut Guest, line: &str) {
    guest.launcher.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
}

/// Counts the lines that it is told, and runs them.
const COUNTS: &str = "n=0; while read words; do n=$((n + 1)); echo $n $(eval $words); done; exit 7";

#[test]
fn a_saved_guest_goes_on_where_it_was_and_so_does_each_clone() {
    if !here() {
        return;
    }
    for (vcpus, beside) in [("1", ""), ("2", "while :; do :; done & ")] {
        let snapshots = Snapshots::new();
        let options = ["--vcpus", vcpus, "--memory", "128M"];
        let script = format!("{beside}{COUNTS}");
        let mut guest = Guest::with_input("saved", &options, &script, Stdio::piped());
        say(&mut guest, "echo a\n");
        assert_eq!(line(&mut guest), "1 a\n");
        let (code, output, errors) = output_of(&mut snapshots.save(&guest, "warm"));
        assert_eq!(code, 0, "{errors}");
        assert!(output.starts_with("saved warm in "), "{output}");
        say(&mut guest, "echo b\n");
        assert_eq!(line(&mut guest), "2 b\n");
        assert_eq!(guest.machine()["state"], "running");
        assert_eq!(snapshots.listed(), [("warm".to_owned(), serde_json::Value::Null)]);
        assert_eq!(snapshots.files(), 1);
        // What day it is, each clone is told.
        thread::sleep(Duration::from_secs(3));
        let random = "head -c 8 /dev/urandom | od -An -tx1 | tr -d ' '";
        let lines = format!("echo c\nsleep 0.3; date +%s\n{random}\n");
        let mut seen = Vec::new();
        for _ in 0..2 {
            let (code, output, errors) = snapshots.restore("warm", &lines);
            assert_eq!(code, 7, "{output} {errors}");
            let said: Vec<&str> = output.lines().collect();
            assert_eq!((said[0], said.len()), ("2 c", 3), "{output}");
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            let date = said[1].strip_prefix("3 ").unwrap().parse::<u64>().unwrap();
            assert!(now.abs_diff(date) <= 2, "{now} {date}");
            seen.push(said[2].to_owned());
        }
        assert_ne!(seen[0], seen[1], "random numbers");
        say(&mut guest, random);
        say(&mut guest, "\n");
        let own = line(&mut guest);
        assert!(seen.iter().all(|clone| clone[2..] != own.trim_end()[2..]), "{own} {seen:?}");
        drop(guest.launcher.stdin.take());
        assert_eq!(guest.end().0, 7);
    }
}

#[test]
fn a_clone_can_be_saved_and_looked_into_as_the_guest_could() {
    if !here() {
        return;
    }
    let snapshots = Snapshots::new();
    let guest =
        Guest::of("first", &["--memory", "128M"], "echo word > /file; while :; do sleep 1; done");
    thread::sleep(Duration::from_millis(500));
    assert_eq!(output_of(&mut snapshots.save(&guest, "first")).0, 0);
    drop(guest);
    let name = format!("clone-{}", std::process::id());
    let words = ["snapshot", "restore", "first", "--name", &name, "--deadline", "60s"];
    let mut clone = snapshots.isolab(&words).spawn().unwrap();
    common::wait_for("the clone", || output_of(&mut isolab(&["exec", &name, "--", "true"])).0 == 0);
    let read = |name: &str| output_of(&mut isolab(&["exec", name, "--", "cat", "/file"]));
    assert_eq!(read(&name), (0, "word\n".into(), String::new()));
    let save =
        |as_name| output_of(&mut snapshots.isolab(&["snapshot", "save", "--from", &name, as_name]));
    let (code, _, errors) = save("second");
    assert_eq!(code, 0, "{errors}");
    let (code, _, errors) = save("second");
    assert_eq!(code, 125, "{errors}");
    assert!(errors.contains("already exists") && errors.contains("help: "), "{errors}");
    assert_eq!(read(&name).0, 0);
    assert_eq!(output_of(&mut isolab(&["stop", "--grace", "100ms", &name])).0, 0);
    clone.wait().unwrap();
    let words = ["snapshot", "restore", "second", "--name", &name, "--deadline", "60s"];
    let mut clone = snapshots.isolab(&words).spawn().unwrap();
    common::wait_for("its clone", || read(&name).0 == 0);
    assert_eq!(read(&name).1, "word\n");
    assert_eq!(output_of(&mut isolab(&["stop", "--grace", "100ms", &name])).0, 0);
    clone.wait().unwrap();
}

#[test]
fn what_cannot_be_saved_is_refused_with_the_cause_and_the_way_out() {
    if !here() {
        return;
    }
    let snapshots = Snapshots::new();
    let refused = |guest: &Guest, cause: &str, way_out: &str| {
        let (code, _, errors) = output_of(&mut snapshots.save(guest, "none"));
        assert_eq!(code, 125, "{cause}: {errors}");
        assert!(errors.contains(cause) && errors.contains(&format!("help: {way_out}")), "{errors}");
        assert_eq!(snapshots.files(), 0, "{cause}");
        assert_eq!(output_of(&mut guest.exec(&["true"])).0, 0, "{cause}: it runs on");
    };
    let image = tempfile::NamedTempFile::new().unwrap();
    image.as_file().set_len(1 << 20).unwrap();
    let disk = image.path().to_str().unwrap();
    let idle = "while :; do sleep 1; done";
    for (options, cause, way_out) in [
        (&["--disk", disk][..], "a disk to write", "let it only read the disk"),
        (&["--output", "page"], "shared page", "leave `--output page` out"),
    ] {
        refused(&Guest::of("unsaveable", options, idle), cause, way_out);
    }
    let guest = Guest::idle("busy");
    let mut second = guest.exec(&["sh", "-c", "echo up; cat"]);
    let mut second = second.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    second.stdout.as_mut().unwrap().read_exact(&mut [0; 3]).unwrap();
    refused(&guest, "a second command runs in it", "end that `isolab exec`");
    drop(second.stdin.take());
    assert!(second.wait().unwrap().success());
    assert_eq!(guest.ask("pause").0, 0);
    let (code, _, errors) = output_of(&mut snapshots.save(&guest, "none"));
    assert_eq!(code, 125, "{errors}");
    assert!(errors.contains(&format!("isolab unpause {}", guest.name)), "{errors}");
    assert_eq!(guest.machine()["state"], "paused", "as it was");
    assert_eq!(guest.ask("resume").0, 0);
    let (code, _, errors) = output_of(&mut snapshots.save(&guest, "../none"));
    assert_eq!(code, 125, "{errors}");
    for name in ["no-such-guest", ""] {
        let (code, ..) =
            output_of(&mut snapshots.isolab(&["snapshot", "save", "--from", name, "x"]));
        assert_eq!(code, 125, "{name:?}");
    }
    for more in [&["--memory", "64M"][..], &["--rng"], &["--", "true"]] {
        let (code, _, errors) = output_of(snapshots.save(&guest, "none").args(more));
        assert_eq!(code, 2, "{more:?}: {errors}");
    }
    assert_eq!(output_of(&mut snapshots.save(&guest, "some")).0, 0, "now it can be");
}

/// A disk that it only reads is named when it goes on: its guest does not choose files of the host.
#[test]
fn a_snapshot_of_a_running_guest_names_no_files_of_the_host() {
    if !here() {
        return;
    }
    let snapshots = Snapshots::new();
    let mut image = tempfile::NamedTempFile::new().unwrap();
    image.write_all(b"on the disk\n").unwrap();
    image.as_file().set_len(1 << 20).unwrap();
    let disk = image.path().to_str().unwrap();
    let script = "while read words; do head -c 12 /dev/vda; done";
    let options = ["--disk", &format!("{disk}:ro,raw"), "--memory", "128M"];
    let guest = Guest::with_input("disk", &options, script, Stdio::piped());
    assert_eq!(output_of(&mut snapshots.save(&guest, "disk")).0, 0);
    let (code, _, errors) = snapshots.restore("disk", "");
    assert_eq!(code, 125, "{errors}");
    assert!(errors.contains("--disk FILE"), "{errors}");
    let mut command = snapshots.isolab(&["snapshot", "restore", "disk", "--disk", disk]);
    let mut clone = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    clone.stdin.take().unwrap().write_all(b"read\n").unwrap();
    assert_eq!(clone.wait_with_output().unwrap().stdout, b"on the disk\n");
}
