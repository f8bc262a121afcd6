//! What the kernel keeps of a process: for a launcher that runs one machine and nothing else.

use std::{
    fs, io,
    sync::atomic::{AtomicBool, Ordering},
};

use nix::{
    errno::Errno,
    sched::{CloneFlags, unshare},
    sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit},
    unistd::{getegid, geteuid},
};
use sandbox::{Limits, Question, Trace};

use crate::error::{Error, Result};

/// Whether this process has said that it is one machine's launcher.
static OURS: AtomicBool = AtomicBool::new(false);

/// Whether this process is a launcher's own, which does nothing else.
pub(super) fn is_ours() -> bool {
    OURS.load(Ordering::Relaxed)
}

/// In which namespaces of its own the launcher is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walls {
    /// Those that cost a hundredth of a bare machine's start: ipc and uts.
    Cheap,
    /// Mount and net too.
    All,
}

/// The VMM's own memory beside its guest's: kernels and archives that are read, and 128 MiB of
/// address space that malloc(3) reserves for each thread.
const BESIDE_GUEST: u64 = 4 << 30;
const OF_A_THREAD: u64 = 256 << 20;
/// Descriptors: a machine has one for each CPU and two for each queue of a device.
const DESCRIPTORS: u64 = 1024;

/// Closes this process for one machine with these limits. It calls it while it has one thread, after
/// it has opened what it was told to by descriptor, and before it starts the machine.
///
/// # Errors
///
/// When the kernel refuses what every process may.
pub fn enter_process(limits: &Limits, walls: Walls, trace: &mut Trace) -> Result<()> {
    OURS.store(true, Ordering::Relaxed);
    trace.record(Question::Boundary, "close inherited descriptors", close_inherited);
    enter_namespaces(walls, trace)?;
    let memory = limits.memory_bytes.unwrap_or(0).max(256 << 20);
    let threads = u64::from(limits.vcpus.unwrap_or(1)) + 3;
    // Twice: a kernel and its archive are held beside the memory that they are written to.
    let space = memory
        .saturating_mul(2)
        .saturating_add(BESIDE_GUEST)
        .saturating_add(threads.saturating_mul(OF_A_THREAD));
    let bounds = [
        (Resource::RLIMIT_AS, space),
        (Resource::RLIMIT_NOFILE, DESCRIPTORS),
        // A dump of this process would be one of its guest.
        (Resource::RLIMIT_CORE, 0),
    ];
    let call = format!("setrlimit: AS {} MiB, NOFILE {DESCRIPTORS}, CORE 0", space >> 20);
    let limited = trace.record(Question::Budget, call, || {
        bounds.into_iter().try_for_each(|(resource, bound)| lower(resource, bound))
    });
    limited.map_err(|errno| Error::Cell { call: "setrlimit".into(), source: errno.into() })
}

/// Lowers a limit, for good; it is never raised.
fn lower(resource: Resource, bound: u64) -> nix::Result<()> {
    let (_, hard) = getrlimit(resource)?;
    let bound = if hard == RLIM_INFINITY { bound } else { bound.min(hard) };
    setrlimit(resource, bound, bound)
}

/// Closes every descriptor but standard input, output and errors that this process did not open
/// itself. Those that it did open are all closed by an execve(2); those that came through one
/// cannot be so.
fn close_inherited() {
    const LOOKED_AT: i32 = 256;
    const FIRST: i32 = 3;
    let nothing = |fd| libc::pollfd { fd, events: 0, revents: 0 };
    let mut found: Vec<_> = (FIRST..LOOKED_AT).map(nothing).collect();
    // One call tells which of them are open (poll(2), POLLNVAL).
    // SAFETY: the array is `found`, of that length, and nobody waits.
    unsafe { libc::poll(found.as_mut_ptr(), found.len() as libc::nfds_t, 0) };
    for open in found.iter().filter(|each| each.revents & libc::POLLNVAL == 0) {
        // SAFETY: asks for a flag of a descriptor; of one that is not open, it fails.
        let flags = unsafe { libc::fcntl(open.fd, libc::F_GETFD) };
        if flags >= 0 && flags & libc::FD_CLOEXEC == 0 {
            // SAFETY: nothing in this process owns a descriptor without this flag: the standard
            // library and isolab open none such.
            unsafe { libc::close(open.fd) };
        }
    }
}

/// Enters namespaces of its own, as far as the caller may.
fn enter_namespaces(walls: Walls, trace: &mut Trace) -> Result<()> {
    let (flags, names) = match walls {
        Walls::Cheap => (CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS, "ipc, uts"),
        Walls::All => (
            CloneFlags::CLONE_NEWIPC
                | CloneFlags::CLONE_NEWUTS
                | CloneFlags::CLONE_NEWNS
                | CloneFlags::CLONE_NEWNET,
            "ipc, uts, mount, net",
        ),
    };
    // Who is not root gets the right to the others with a user namespace, in which he stays who he
    // is. Root gains nothing by one: the machine's threads become another user by themselves.
    let (flags, names) = match geteuid().is_root() {
        true => (flags, names.to_owned()),
        false => (flags | CloneFlags::CLONE_NEWUSER, format!("user, {names}")),
    };
    let (user, group) = (geteuid(), getegid());
    let entered = trace.record(Question::Boundary, format!("unshare {names}"), || unshare(flags));
    match entered {
        Ok(()) if flags.contains(CloneFlags::CLONE_NEWUSER) => {
            let mapped = trace.record(Question::Boundary, "write uid_map, gid_map: itself", || {
                fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
                fs::write("/proc/self/setgroups", "deny")?;
                fs::write("/proc/self/gid_map", format!("{group} {group} 1"))
            });
            mapped.map_err(|source: io::Error| Error::Cell { call: "write uid_map".into(), source })
        }
        Ok(()) => Ok(()),
        // Not allowed here, or no more of them on this host: the rest of the cell holds without.
        Err(Errno::EPERM | Errno::ENOSPC | Errno::EUSERS | Errno::EINVAL) => Ok(()),
        Err(errno) => {
            Err(Error::Cell { call: format!("unshare {names}").into(), source: errno.into() })
        }
    }
}
