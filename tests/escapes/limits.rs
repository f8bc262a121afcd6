//! What is used up of the host: processes, memory, files.

use std::{
    fs::{self, File},
    io::Write as _,
    process::{Command, Stdio},
};

use nix::errno::Errno;
use sandbox::{Limits, Status};

use crate::{
    call::call,
    everywhere::{Kind, callers, everywhere, ready_as_root, ready_for_limits},
    host::Host,
    inside::{Attempt, Failed, each},
    launch::{Files, Launch, Who},
};

pub const ATTEMPTS: &[(&str, Attempt)] =
    &[("fork", fork), ("use-memory", use_memory), ("fill", fill), ("watch", watch)];

/// Makes processes that stay, until it may make no more.
fn fork(_: &[String]) -> Result<String, Failed> {
    let mut made = 0;
    while made < 2000 {
        let mut process = Command::new("/attempt");
        process.args([crate::inside::ROLE, "idle"]).stdin(Stdio::null()).stdout(Stdio::null());
        match process.spawn() {
            Ok(_) => made += 1,
            Err(error) => return Ok(format!("{} after {made}", Failed::from(error))),
        }
    }
    Ok(format!("{made} processes"))
}

#[test]
fn a_fork_bomb_stays_within_its_limit() {
    if !ready_for_limits() {
        return;
    }
    let mut host = Host::watched();
    for no_init in [false, true] {
        let files = Files::Directory(host.new_root(&format!("root-{no_init}")));
        let launch = Launch::of(&host, files, &["fork"]);
        let limits = Limits { pids: Some(16), ..Limits::default() };
        let launch = Launch { limits, no_init, ..launch };
        let answer = launch.run_as(Who::Root, &host);
        // Itself is one of the sixteen; init is none.
        assert_eq!(answer.describe(), "EAGAIN after 15");
        host.is_unchanged("a fork bomb");
    }
}

fn use_memory(words: &[String]) -> Result<String, Failed> {
    let megabytes: usize = words.first().and_then(|word| word.parse().ok()).ok_or("how much?")?;
    let all: Vec<Vec<u8>> = (0..megabytes).map(|_| vec![1u8; 1 << 20]).collect();
    Ok(format!("{} MiB", all.iter().map(Vec::len).sum::<usize>() >> 20))
}

#[test]
fn who_uses_more_memory_than_the_limit_is_killed_alone() {
    if !ready_for_limits() {
        return;
    }
    let mut host = Host::watched();
    let limits = Limits { memory_bytes: Some(32 << 20), ..Limits::default() };
    for no_init in [false, true] {
        let files = Files::Directory(host.new_root(&format!("root-{no_init}")));
        let launch = Launch::of(&host, files, &["use-memory", "256"]);
        let launch = Launch { limits: limits.clone(), no_init, ..launch };
        let answer = launch.run_as(Who::Root, &host);
        assert_eq!((answer.describe().as_str(), answer.status), ("", Some(Status::Signaled(9))));
        host.is_unchanged("a program without measure");
    }
}

/// Writes to files until nothing goes in any more.
fn fill(paths: &[String]) -> Result<String, Failed> {
    let chunk = vec![1u8; 1 << 20];
    let mut description = Vec::new();
    for path in paths {
        let mut file = File::create(path)?;
        let mut megabytes = 0;
        let error = loop {
            match file.write_all(&chunk) {
                Ok(()) if megabytes < 200 => megabytes += 1,
                Ok(()) => break Failed::from("no end"),
                Err(error) => break error.into(),
            }
        };
        fs::remove_file(path)?;
        description.push(format!("{path}: {error} after {megabytes} MiB"));
    }
    Ok(description.join(", "))
}

#[test]
fn what_lies_in_memory_has_an_end() {
    if !ready_as_root() {
        return;
    }
    let mut host = Host::watched();
    let root = host.new_root("root");
    for who in callers() {
        // The container's own files of /etc lie on its /dev, where its root has room for them in /etc:
        // the last megabyte is not whole.
        let dev = if who == Who::Root { 63 } else { 64 };
        let mut paths = vec![("/dev/shm/file", 64), ("/dev/file", dev)];
        if who == Who::Root {
            paths.push(("/tmp/file", 8)); // whose directory is not that user's
        }
        let words: Vec<&str> =
            std::iter::once("fill").chain(paths.iter().map(|(path, _)| *path)).collect();
        let launch = Launch::of(&host, Files::Overlay(root.clone()), &words);
        let launch = Launch { upper_bytes: Some(8 << 20), ..launch };
        let full = paths.iter().map(|(path, size)| format!("{path}: ENOSPC after {size} MiB"));
        let expected = full.collect::<Vec<_>>().join(", ");
        assert_eq!(launch.run_as(who, &host).describe(), expected, "{who:?}");
    }
    host.is_unchanged("full file systems");
}

/// Asks to be told of what happens to the host's files.
fn watch(words: &[String]) -> Result<String, Failed> {
    let secret = words.first().ok_or("whose?")?;
    let secret = std::ffi::CString::new(secret.as_str()).map_err(|_| "no path")?;
    let watcher = call!(SYS_inotify_init1, 0)?;
    let path = |path: &std::ffi::CStr| call!(SYS_inotify_add_watch, watcher, path, 2);
    each([
        ("secret", path(&secret)),
        ("by-process", path(c"/proc/1/root")),
        ("whole", call!(SYS_fanotify_init, 0, 0).or(Err(Errno::EPERM))),
    ])
}

#[test]
fn nobody_is_told_of_the_hosts_files() {
    let words = |host: &Host| vec!["watch".to_owned(), host.secret()];
    let expected = |kind: &Kind| {
        let has_another = kind.init || kind.share_pids;
        let is_there = kind.root == crate::everywhere::Root::Host;
        let expected = "secret=ENOENT by-process=EACCES whole=EPERM";
        (has_another && !is_there).then(|| expected.to_owned())
    };
    everywhere(words, expected);
}
