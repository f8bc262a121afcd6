//! The warden: from a process of the real host to process 1 of the program's.

use std::{
    fs,
    io::{self, BufRead, BufReader},
    os::{
        fd::AsFd,
        unix::{fs::MetadataExt, net::UnixStream, process::CommandExt},
    },
    process::Command,
};

use nix::{
    sched::{CloneFlags, unshare},
    sys::{
        resource::{Resource, setrlimit},
        stat::{Mode, umask},
        wait::{WaitStatus, waitpid},
    },
    unistd::{ForkResult, Gid, Uid, fork, setresgid, setresuid},
};
use rustix::process::{
    DumpableBehavior, set_dumpable_behavior, set_parent_process_death_signal, setsid,
};

use super::{
    MEMORY_BYTES, ORDINARY, ORDINARY_GROUP, Orders, PROCESSES, at,
    furnish::furnish,
    init::init,
    messages::{InitMessage, Line, say},
};

/// The warden's and init's whole life.
pub(in crate::check) fn warden(orders: &str) -> u8 {
    let parsed = serde_json::from_str(orders).map_err(io::Error::from);
    match parsed.and_then(|orders: Orders| lock_up(&orders)) {
        Ok(code) => code,
        Err(error) => {
            // The check reads this line where it waits for init to be ready.
            let _ = say(&Line::output(), &InitMessage::SetupFailed(error.to_string()));
            1
        }
    }
}

fn lock_up(orders: &Orders) -> io::Result<u8> {
    set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    for file in orders.join.iter().filter(|_| !orders.entered) {
        fs::write(file, "0").map_err(at(format!("join {}", file.display())))?;
    }
    if !orders.entered {
        // A session of its own is controlled by no terminal: nobody inside has one.
        setsid().map_err(at("setsid"))?;
    }
    let line = Line::output();
    let mut asked = BufReader::new(io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from)?);
    if orders.root {
        unshare(CloneFlags::CLONE_NEWNS).map_err(at("unshare mount"))?;
    } else if !orders.entered {
        // Not root: a first user namespace, so that mounts can be changed at all. It is executed
        // anew there: the memory of a process belongs to the namespace in which it was executed.
        let (user, group) = (Uid::current(), Gid::current());
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)
            .map_err(at("unshare user and mount"))?;
        map_own_ids((user.as_raw(), group.as_raw()), (0, 0))?;
        let words = &orders.again;
        let orders = serde_json::to_string(&Orders { entered: true, ..orders.clone() })?;
        let mut again = Command::new("/proc/self/exe");
        return Err(again.args(words).args(["--warden", &orders]).exec());
    }
    // What is made here is for another user, the program's, whatever the caller keeps private.
    umask(Mode::S_IWGRP | Mode::S_IWOTH);
    let program =
        fs::read(&orders.program).map_err(at(format!("read {}", orders.program.display())))?;
    furnish(orders)?;
    limit(orders)?;

    // From here on root is root of nothing but what follows.
    unshare(CloneFlags::CLONE_NEWUSER).map_err(at("unshare user"))?;
    if orders.root {
        say(&line, &InitMessage::NeedsIdMaps)?;
        let mut mapped = String::new();
        asked.read_line(&mut mapped)?;
        let root = (Uid::from_raw(0), Gid::from_raw(0));
        setresgid(root.1, root.1, root.1).map_err(at("setresgid 0"))?;
        setresuid(root.0, root.0, root.0).map_err(at("setresuid 0"))?;
    } else {
        let ordinary = (ORDINARY, ORDINARY_GROUP);
        map_own_ids((0, 0), if orders.setup.root { (0, 0) } else { ordinary })?;
    }
    let all = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWPID;
    unshare(all).map_err(at("unshare mount, uts, ipc, net and pid"))?;
    // The child does not execute anything: it keeps this memory, which belongs to a namespace that
    // root inside, the student, is not root of. So the student may neither look into it nor trace
    // it (ptrace(2), "access mode checking").
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    // SAFETY: this process has a single thread, so the child may do whatever it could do.
    #[expect(unsafe_code, reason = "nix marks fork as unsafe for programs with threads")]
    match unsafe { fork() }.map_err(at("fork"))? {
        ForkResult::Child => init(orders, &program, &line, asked),
        ForkResult::Parent { child } => {
            drop(line);
            drop(asked);
            loop {
                match waitpid(child, None) {
                    Err(nix::errno::Errno::EINTR) => {}
                    Ok(WaitStatus::Exited(_, 0)) => return Ok(0),
                    _ => return Ok(1),
                }
            }
        }
    }
}

/// Maps the one user and the one group that this process has `outside` to those `inside`
/// (user_namespaces(7)).
fn map_own_ids(outside: (u32, u32), inside: (u32, u32)) -> io::Result<()> {
    for (file, text) in [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("{} {} 1", inside.0, outside.0)),
        ("gid_map", format!("{} {} 1", inside.1, outside.1)),
    ] {
        fs::write(format!("/proc/self/{file}"), text).map_err(at(format!("write {file}")))?;
    }
    Ok(())
}

/// Limits that hold without a cgroup too.
fn limit(orders: &Orders) -> io::Result<()> {
    if orders.setup.realtime {
        setrlimit(Resource::RLIMIT_RTPRIO, 1, 1)
            .map_err(at("allow real-time scheduling, which takes root,"))?;
    }
    // Addresses are not memory; where no cgroup counts memory, they have to stand for it.
    let address_space = if orders.join.is_empty() { 2 } else { 8 } * MEMORY_BYTES;
    setrlimit(Resource::RLIMIT_AS, address_space, address_space).map_err(at("limit memory"))?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(at("limit core files"))?;
    // Before Linux 5.14 it counts all that the user runs, outside too.
    let outside = if orders.root { 0 } else { threads_of(Uid::current()) };
    let most = outside + 4 * PROCESSES;
    setrlimit(Resource::RLIMIT_NPROC, most, most).map_err(at("limit processes"))
}

/// How many threads that user has.
fn threads_of(user: Uid) -> u64 {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let own = processes.filter(|it| it.metadata().is_ok_and(|about| about.uid() == user.as_raw()));
    own.filter_map(|it| Some(fs::read_dir(it.path().join("task")).ok()?.count() as u64)).sum()
}
