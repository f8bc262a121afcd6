//! The cell of the VMM: what its threads can still do to the host once a guest owns them.
//!
//! A guest is kept in its machine by the processor and KVM. The VMM around it is a program that
//! reads what the guest writes, and programs have faults. So before the first instruction of the
//! guest, each thread that will ever look at its bytes gives away what it does not need. Then a
//! guest that breaks out of its machine finds itself in a process that can do next to nothing. The
//! reference is Firecracker (Agache et al., NSDI 2020): its jailer and its filters for each thread.
//!
//! ```text
//!   what                                  of a thread, always    of the process, if it is ours
//!   no_new_privs                          x                      x
//!   no capabilities                       x (of root's thread for shares: one, to read)
//!   a root without files                  x (root, or below)
//!   user 65534                                                   x (of root's VM threads)
//!   seccomp: a list for each role         x
//!   namespaces: user, ipc, uts                                   x
//!   namespaces: mount, net                                       x (Linux guests)
//!   descriptors that were inherited                              closed
//!   RLIMIT_AS, NOFILE, CORE                                      x
//! ```
//!
//! # Why threads, and not a process of its own
//!
//! isolab is a library first: tests, benches and demos run many machines in one process, and go on
//! to do other things. So what the kernel keeps of a thread is put on the machine's own threads, by
//! whoever starts them ([`enter`]); what it keeps of a process only where the process is the
//! launcher's and does nothing else, which it says itself ([`enter_process`]). A process for each
//! VMM would take a fork at least, which costs here what the whole cell may cost.
//!
//! Threads share their memory: who owns one can make another do what that one may. The lists of the
//! roles are therefore what an intruder meets first, and that of the widest role, [`Role::Monitor`],
//! is what he has in the end. It can neither open, execute nor connect to anything either; beyond
//! the others it can remove a file by name, for the launcher's entry in the ledger. In a library's
//! process the caller's own threads have no list at all; only a launcher's process is closed. Nor has
//! the thread of a machine that is being saved, which writes its snapshot.
//!
//! A guest with a shared directory has one thread more, [`Role::Shares`], and that one can open files:
//! no filter sees what openat2(2) is asked for, which lies in memory. What holds it is that it has no
//! way to any file but the shared ones: its root is empty, and the descriptor of a share is a mount
//! of its own, read-only, with nothing above it
//! ([`SharedTree`](crate::devices::virtio::fs::SharedTree)).
//!
//! # What was measured
//!
//! Prices on the development machine, each the median of 41, in microseconds: ipc 20, uts 2, user 10
//! and 40 for its maps, mount 26 and again 60 to take it down, net 360; a filter 40 to 80, in threads
//! that install theirs at once. A bare microVM of 2.4 ms, start to exit, is 0.05 ms later with its
//! cell. It does without the last two namespaces: a thread whose root has no files and that can
//! neither mount nor make a socket gains nothing by them that could be named. A Linux guest boots for
//! a second, and has all. A pid namespace holds children, and none of these threads can make one;
//! RLIMIT_FSIZE would cut off the guest's disks and the launcher's output alike.
//!
//! # What a call outside of its list does
//!
//! The kernel refuses it and sends SIGSYS (`SECCOMP_RET_TRAP`), and [`breach`] tells. Where the
//! process is the launcher's, it ends at once, with a message and the exit code 125. Where it is a
//! library's, which other work depends on, the call fails with EPERM and the machine ends with an
//! [`Error::Breach`]. `SECCOMP_RET_KILL_PROCESS` would be as final and say nothing.

mod breach;
mod filter;
#[cfg(any(test, feature = "hole"))]
pub mod hole;
mod list;
mod process;
mod role;
mod sigsys;
#[cfg(test)]
mod tests;

use std::io;

use nix::{errno::Errno, sched::CloneFlags, unistd::geteuid};
use sandbox::{Question, Trace};

use crate::{
    error::{Error, Result},
    kick,
};

pub use breach::Breach;
pub use process::{Walls, enter_process};
pub use role::Role;
pub use sigsys::breach;
pub(crate) use sigsys::take_own_signals_only;

/// Who owns nothing, as most systems have it (`nobody`).
const NOBODY: libc::uid_t = 65534;

/// Takes from the calling thread, for good, what a thread of this role does not need. It comes
/// before the thread sees a byte of a guest's.
///
/// # Errors
///
/// When the kernel refuses a step: one that was built without seccomp, for one.
pub fn enter(role: Role, trace: &mut Trace) -> Result<()> {
    keep_heaps();
    // Signals first: their handlers cannot be set any more afterwards.
    kick::listen();
    sigsys::listen(role);
    if !role.is_the_launchers() {
        take_own_signals_only();
    }
    step(trace, role, "prctl PR_SET_NO_NEW_PRIVS", || {
        // SAFETY: sets a flag of the calling thread.
        unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }
    })?;
    // Before it is somebody else: then it has no more to keep.
    let keeps = role == Role::Shares && geteuid().is_root() && keep_reading(role, trace)?;
    if !role.is_the_launchers() {
        leave_files(role, trace)?;
        if process::is_ours() && geteuid().is_root() {
            become_nobody(role, trace)?;
        }
    }
    drop_capabilities(role, keeps, trace)?;
    let call = format!("seccomp: {} calls are left to it", list::of(role).count());
    let refused = |source: io::Error| Error::Cell { call: "seccomp".into(), source };
    trace
        .record(Question::Boundary, describe(role, &call), || filter::install(role))
        .map_err(refused)
}

/// Has malloc(3) give nothing back of a heap while it frees. The first time that it gave back the end of
/// a heap that another thread has filled, it would open /proc/sys/vm/overcommit_memory to see how
/// (glibc, `check_may_shrink_heap`), which is on no list. `M_TRIM_THRESHOLD` is asked before that.
fn keep_heaps() {
    // SAFETY: sets a number of the allocator, under its own lock.
    unsafe { libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX) };
}

fn describe(role: Role, call: &str) -> String {
    format!("{}: {call}", role.name())
}

/// A system call that gives 0, or -1 and why not.
fn step<T: Into<i64>>(
    trace: &mut Trace,
    role: Role,
    call: &'static str,
    act: impl FnOnce() -> T,
) -> Result<()> {
    match trace.record(Question::Boundary, describe(role, call), || act().into()) {
        -1 => Err(Error::Cell { call: call.into(), source: io::Error::last_os_error() }),
        _ => Ok(()),
    }
}

/// Gives the thread a root in which there are no files but what the kernel says of the descriptors
/// that the process has anyway. Only root may, in whatever user namespace; for others the filter has
/// to be enough, which leaves no call that takes a path.
fn leave_files(role: Role, trace: &mut Trace) -> Result<()> {
    let call = "unshare CLONE_FS, chroot /proc/self/fdinfo";
    let left = trace.record(Question::Boundary, describe(role, call), || {
        // The process's other threads keep their root.
        nix::sched::unshare(CloneFlags::CLONE_FS)?;
        nix::unistd::chroot("/proc/self/fdinfo")?;
        nix::unistd::chdir("/")
    });
    match left {
        // The caller may not, or has no /proc.
        Ok(()) | Err(Errno::EPERM | Errno::ENOENT | Errno::EACCES) => Ok(()),
        Err(errno) => Err(Error::Cell { call: call.into(), source: errno.into() }),
    }
}

/// Makes the thread another user than the launcher, who owns nothing. The C library would change
/// all threads of the process: the system calls themselves change one (credentials(7)).
fn become_nobody(role: Role, trace: &mut Trace) -> Result<()> {
    let none: *const libc::gid_t = std::ptr::null();
    let changed = [
        step(trace, role, "setgroups: none", || {
            // SAFETY: changes the calling thread's groups; of a list of 0 nothing is read.
            unsafe { libc::syscall(libc::SYS_setgroups, 0, none) }
        }),
        step(trace, role, "setresgid 65534", || {
            // SAFETY: changes the calling thread's group.
            unsafe { libc::syscall(libc::SYS_setresgid, NOBODY, NOBODY, NOBODY) }
        }),
        step(trace, role, "setresuid 65534", || {
            // SAFETY: changes the calling thread's user.
            unsafe { libc::syscall(libc::SYS_setresuid, NOBODY, NOBODY, NOBODY) }
        }),
    ];
    changed.into_iter().try_for_each(|changed| match changed {
        // Root of a user namespace in which there is nobody else (user_namespaces(7)).
        Err(Error::Cell { source, .. })
            if matches!(source.raw_os_error(), Some(libc::EPERM | libc::EINVAL)) =>
        {
            Ok(())
        }
        changed => changed,
    })
}

/// Drops all capabilities of the thread, but [`DAC_READ_SEARCH`] if it `keeps` that. Those of the
/// bounding set would need an execve(2), which the filter refuses and `no_new_privs` makes fruitless.
fn drop_capabilities(role: Role, keeps: bool, trace: &mut Trace) -> Result<()> {
    let kept = if keeps { 1 << DAC_READ_SEARCH } else { 0 };
    // Effective, permitted and inheritable, of the first 32 and of the others.
    let sets = [kept, kept, 0, 0, 0, 0];
    let call = if keeps { "capset: CAP_DAC_READ_SEARCH" } else { "capset: none" };
    step(trace, role, call, || {
        // SAFETY: the kernel reads a header of two words and, of this version, two times three.
        unsafe { libc::syscall(libc::SYS_capset, CAPABILITIES.as_ptr(), sets.as_ptr()) }
    })
}

/// `_LINUX_CAPABILITY_VERSION_3`, with two words of each set, of the calling thread (capget(2)).
const CAPABILITIES: [u32; 2] = [0x2008_0522, 0];
/// Reading files and searching directories that are others' (capabilities(7)).
const DAC_READ_SEARCH: u32 = 2;

/// Lets the thread have what root reads, though it will be root no longer; gives whether root may here
/// at all, which in somebody's container he may not. It opens nothing but the shared directories by
/// that: there is nothing else that it has a way to, and no call that would open a file by its handle.
fn keep_reading(role: Role, trace: &mut Trace) -> Result<bool> {
    let mut sets = [0u32; 6];
    step(trace, role, "capget", || {
        // SAFETY: the kernel reads a header of two words and writes two times three.
        unsafe { libc::syscall(libc::SYS_capget, CAPABILITIES.as_ptr(), sets.as_mut_ptr()) }
    })?;
    if sets[1] & 1 << DAC_READ_SEARCH == 0 {
        return Ok(false);
    }
    step(trace, role, "prctl PR_SET_KEEPCAPS", || {
        // SAFETY: sets a flag of the calling thread.
        unsafe { libc::prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0, 0) }
    })?;
    Ok(true)
}
