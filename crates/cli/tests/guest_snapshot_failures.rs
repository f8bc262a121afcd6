//! `isolab snapshot save --from` that fails: no half snapshot is left, and the guest runs on.

mod common;

use std::{
    fs,
    io::{IoSlice, Read as _},
    os::{fd::AsRawFd as _, unix::net::UnixStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Instant,
};

use common::{
    guest::Guest,
    inside::{all_hold_in_a_nest, here},
    output_of, signal, skip,
    snapshots::Snapshots,
};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

#[test]
fn all_of_these_hold_in_a_nest() {
    all_hold_in_a_nest();
}

#[test]
fn a_full_disk_leaves_no_half_snapshot_and_the_guest_runs_on() {
    if !here() {
        return;
    }
    let snapshots = Snapshots::new();
    let guest = Guest::of("full", &["--memory", "128M"], "while :; do sleep 1; done");
    for size in ["16k", "12m"] {
        let place = snapshots.0.path();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "none"]).arg(place);
        if !mount.status().is_ok_and(|status| status.success()) {
            return skip("mount", "only root can mount a small file system").unwrap_or(());
        }
        let (code, _, errors) = output_of(&mut snapshots.save(&guest, "large"));
        let files = snapshots.files();
        assert!(Command::new("umount").arg(place).status().unwrap().success());
        assert_eq!(code, 125, "{size}: {errors}");
        assert!(errors.contains("No space left"), "{size}: {errors}");
        assert_eq!(files, 0, "{size}");
        assert_eq!(output_of(&mut guest.exec(&["true"])).0, 0, "{size}");
    }
    assert_eq!(output_of(&mut snapshots.save(&guest, "large")).0, 0);
}

#[test]
fn a_client_that_is_killed_at_any_time_leaves_no_half_snapshot_and_holds_nobody() {
    if !here() {
        return;
    }
    let snapshots = Snapshots::new();
    let guest = Guest::of("killed", &["--memory", "128M"], "while :; do sleep 1; done");
    let began = Instant::now();
    assert_eq!(output_of(&mut snapshots.save(&guest, "whole")).0, 0);
    let whole = began.elapsed();
    for part in 0..5 {
        let name = format!("part{part}");
        let mut client = snapshots.save(&guest, &name).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(whole * part / 5);
        client.kill().unwrap();
        client.wait().unwrap();
        let (code, _, errors) = output_of(&mut guest.exec(&["true"]));
        assert_eq!(code, 0, "{part}: {errors}");
        assert_eq!(guest.machine()["state"], "running", "{part}");
    }
    let listed = snapshots.listed();
    assert!(listed.iter().all(|(_, damage)| damage.is_null()), "{listed:?}");
    assert!(listed.len() < 4, "most were killed before they were done: {listed:?}");
    assert_eq!(output_of(&mut snapshots.isolab(&["clean"])).0, 0);
    assert_eq!(snapshots.files(), listed.len(), "what was left is cleared up");
    assert_eq!(output_of(&mut snapshots.save(&guest, "last")).0, 0);
}

#[test]
fn a_guest_that_ends_meanwhile_leaves_no_half_snapshot() {
    if !here() {
        return;
    }
    let snapshots = Snapshots::new();
    let mut whole = None;
    for part in 0..4 {
        let guest = Guest::of("ends", &["--memory", "128M"], "while :; do sleep 1; done");
        let began = Instant::now();
        let whole = *whole.get_or_insert_with(|| {
            assert_eq!(output_of(&mut snapshots.save(&guest, "whole")).0, 0);
            began.elapsed()
        });
        let name = format!("part{part}");
        let client = snapshots.save(&guest, &name).stderr(Stdio::piped()).spawn().unwrap();
        thread::sleep(whole * part / 4);
        // Twice is an order.
        signal(guest.launcher.id(), "TERM");
        drop(guest);
        let ended = client.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&ended.stderr);
        let listed = snapshots.listed();
        let found = listed.iter().find(|(listed, _)| *listed == name);
        match ended.status.code() {
            Some(0) => assert!(found.is_some_and(|(_, damage)| damage.is_null()), "{listed:?}"),
            Some(125) => {
                assert!(found.is_none() && errors.contains("isolab: "), "{part}: {errors}");
            }
            code => panic!("{code:?}: {errors}"),
        }
        assert_eq!(snapshots.files(), listed.len(), "nothing else is left");
    }
}

/// Its first process is frozen from inside: it never comes to where it could be saved.
#[test]
fn a_guest_that_does_not_come_to_its_freeze_point_is_given_up() {
    if !here() {
        return;
    }
    let snapshots = Snapshots::new();
    let script = "mkdir /mnt && mount -t cgroup2 none /mnt && mkdir /mnt/ice && \
        echo 1 > /mnt/ice/cgroup.procs && echo 1 > /mnt/ice/cgroup.freeze && echo mute; sleep 60";
    let mut guest = Guest::of("mute", &[], script);
    guest.output.read_exact(&mut [0; 5]).unwrap();
    let (code, _, errors) = output_of(&mut snapshots.save(&guest, "mute"));
    assert_eq!(code, 125);
    assert!(errors.contains("it has not come to a point") && errors.contains("help: "), "{errors}");
    assert_eq!(snapshots.files(), 0);
    assert_eq!(guest.machine()["state"], "running");
    // Asked by two at once, it answers each.
    let start = |name| snapshots.save(&guest, name).stderr(Stdio::piped()).spawn().unwrap();
    let both: Vec<Child> = ["one", "other"].into_iter().map(start).collect();
    let ended = both.into_iter().map(|client| client.wait_with_output().unwrap());
    let errors: Vec<_> =
        ended.map(|ended| String::from_utf8_lossy(&ended.stderr).into_owned()).collect();
    assert!(errors.iter().any(|it| it.contains("it is being saved already")), "{errors:?}");
    assert!(errors.iter().any(|it| it.contains("it has not come to a point")), "{errors:?}");
    guest.signal("INT");
    assert_eq!(guest.end().0, 130);
}

/// A client of its owner's, but not isolab.
#[test]
fn files_that_cannot_be_written_are_refused_and_harm_nobody() {
    if !here() {
        return;
    }
    let guest = Guest::idle("files");
    let path = format!("/run/isolab/{}.socket", guest.name);
    let Ok(_) = UnixStream::connect(&path) else {
        return skip("linux", "only root's ledger is in /run/isolab").unwrap_or(());
    };
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| fs::File::create(folder.path().join(name)).unwrap();
    let read_only = fs::File::open(Path::new("/dev/null")).unwrap();
    let (pipe, _other) = UnixStream::pair().unwrap();
    let (memory, state) = (open("memory"), open("state"));
    let all: [&[i32]; 6] = [
        &[],
        &[memory.as_raw_fd()],
        &[read_only.as_raw_fd(), state.as_raw_fd()],
        &[memory.as_raw_fd(), read_only.as_raw_fd()],
        &[pipe.as_raw_fd(), pipe.as_raw_fd()],
        &[memory.as_raw_fd(), state.as_raw_fd(), state.as_raw_fd()],
    ];
    for files in all {
        let mut stream = UnixStream::connect(&path).unwrap();
        let rights = [ControlMessage::ScmRights(files)];
        let rights = if files.is_empty() { &[] } else { &rights[..] };
        let text = [IoSlice::new(b"{\"request\":\"snapshot\"}\n")];
        sendmsg::<()>(stream.as_raw_fd(), &text, rights, MsgFlags::empty(), None).unwrap();
        let mut answer = [0; 4096];
        let count = stream.read(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer[..count]);
        // The third is not taken: two are.
        assert!(answer.contains("error") || files.len() == 3, "{files:?}: {answer}");
        assert_eq!(output_of(&mut guest.exec(&["true"])).0, 0, "{files:?}");
        assert_eq!(guest.machine()["state"], "running", "{files:?}");
    }
}
