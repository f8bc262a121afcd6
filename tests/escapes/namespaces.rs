//! Namespaces: made, and joined.

use std::{
    fs::{self, File},
    process,
};

use nix::errno::Errno;

use crate::{
    call::call,
    everywhere::{Kind, everywhere, everywhere_is},
    host::Host,
    inside::{Attempt, Failed, describe, each},
};

pub const ATTEMPTS: &[(&str, Attempt)] = &[
    ("unshare", unshare),
    ("clone", clone),
    ("clone3", clone3),
    ("join-the-first-process", join_the_first_process),
    ("set-names", set_names),
    ("open-shared-memory", open_shared_memory),
];

const KINDS: [(&str, i32); 6] = [
    ("mnt", libc::CLONE_NEWNS),
    ("uts", libc::CLONE_NEWUTS),
    ("ipc", libc::CLONE_NEWIPC),
    ("pid", libc::CLONE_NEWPID),
    ("net", libc::CLONE_NEWNET),
    ("cgroup", libc::CLONE_NEWCGROUP),
];

fn unshare(_: &[String]) -> Result<String, Failed> {
    each(KINDS.map(|(name, flag)| (name, call!(SYS_unshare, flag))))
}

#[test]
fn no_namespace_is_unshared() {
    everywhere_is("unshare", "mnt=EPERM uts=EPERM ipc=EPERM pid=EPERM net=EPERM cgroup=EPERM");
}

/// As `clone3` takes them; a process that is made ends at once.
fn clone(_: &[String]) -> Result<String, Failed> {
    let clone = |flag: i32| match call!(SYS_clone, flag | libc::SIGCHLD, 0, 0, 0, 0) {
        Ok(0) => process::exit(0),
        other => other,
    };
    each(KINDS.map(|(name, flag)| (name, clone(flag))))
}

#[test]
fn no_process_is_cloned_into_new_namespaces() {
    everywhere_is("clone", "mnt=EPERM uts=EPERM ipc=EPERM pid=EPERM net=EPERM cgroup=EPERM");
}

fn clone3(_: &[String]) -> Result<String, Failed> {
    let clone = |flag: i32| {
        // struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, ...
        let mut arguments = [0u64; 11];
        (arguments[0], arguments[4]) = (flag as u64, libc::SIGCHLD as u64);
        let arguments = arguments.map(u64::to_ne_bytes).concat();
        match call!(SYS_clone3, arguments.as_slice(), arguments.len()) {
            Ok(0) => process::exit(0),
            other => other,
        }
    };
    each(KINDS.map(|(name, flag)| (name, clone(flag))))
}

#[test]
fn flags_that_no_filter_can_see_are_refused() {
    let all = |errno| KINDS.map(|(name, _)| format!("{name}={errno}")).join(" ");
    let expected = |kind: &Kind| Some(if kind.unconfined { all("EPERM") } else { all("ENOSYS") });
    everywhere(|_| vec!["clone3".into()], expected);
}

/// The namespaces of process 1: by their files, and by a descriptor of the process.
fn join_the_first_process(_: &[String]) -> Result<String, Failed> {
    let by_file = |name: &str, flag: i32| -> Result<usize, Failed> {
        Ok(call!(SYS_setns, &File::open(format!("/proc/1/ns/{name}"))?, flag)?)
    };
    let by_process = |flags: i32| -> Result<usize, Errno> {
        call!(SYS_setns, call!(SYS_pidfd_open, 1, 0)?, flags)
    };
    let files = KINDS.map(|(name, flag)| (name, by_file(name, flag)));
    let all = KINDS.iter().fold(0, |all, (_, flag)| all | flag);
    Ok(format!("{} pidfd={}", each(files)?, describe(by_process(all))))
}

#[test]
fn the_namespaces_of_the_first_process_are_not_joined() {
    let expected = |kind: &Kind| {
        // Its files may be opened where it is the attempt itself, or one of its own kind.
        let peers = !kind.init && !kind.share_pids;
        let file = if peers { "EPERM" } else { "EACCES" };
        let files = KINDS.map(|(name, _)| format!("{name}={file}")).join(" ");
        Some(format!("{files} pidfd=EPERM"))
    };
    everywhere(|_| vec!["join-the-first-process".into()], expected);
}

fn set_names(_: &[String]) -> Result<String, Failed> {
    let names = each([
        ("host", call!(SYS_sethostname, c"mine", 4)),
        ("domain", call!(SYS_setdomainname, c"mine", 4)),
    ])?;
    let now = fs::read_to_string("/proc/sys/kernel/hostname")?;
    Ok(format!("{names} now={}", now.trim()))
}

#[test]
fn the_host_name_is_set_neither_inside_nor_outside() {
    everywhere_is("set-names", "host=EPERM domain=EPERM now=isolab");
}

/// Memory and a semaphore that a process of the host shares by a key (sysvipc(7)).
fn open_shared_memory(words: &[String]) -> Result<String, Failed> {
    let key: i32 = words.first().and_then(|key| key.parse().ok()).ok_or("which key?")?;
    each([
        ("memory", call!(SYS_shmget, key, 0, 0)),
        ("semaphore", call!(SYS_semget, key, 0, 0)),
        ("queue", call!(SYS_msgget, key, 0)),
    ])
}

#[test]
fn what_processes_of_the_host_share_by_a_key_is_not_found() {
    let key = process::id() as i32;
    let mode = libc::IPC_CREAT | 0o666;
    let memory = call!(SYS_shmget, key, 4096, mode).unwrap();
    let semaphore = call!(SYS_semget, key, 1, mode).unwrap();
    let queue = call!(SYS_msgget, key, mode).unwrap();
    let words = |_: &Host| vec!["open-shared-memory".to_owned(), key.to_string()];
    let all = "memory=ENOENT semaphore=ENOENT queue=ENOENT";
    everywhere(words, |_| Some(all.to_owned()));
    call!(SYS_shmctl, memory, libc::IPC_RMID, 0).unwrap();
    call!(SYS_semctl, semaphore, 0, libc::IPC_RMID, 0).unwrap();
    call!(SYS_msgctl, queue, libc::IPC_RMID, 0).unwrap();
}
