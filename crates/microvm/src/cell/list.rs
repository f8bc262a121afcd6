//! The system calls that are left to a thread, by its role, and what for.
//!
//! None of them takes a path (but `unlink` of the monitor, and what the thread of shared directories
//! finds files with), makes a descriptor that leads anywhere, starts a process or reaches one. What has an argument that matters is decided in `filter`.

use super::Role;

/// Of every role.
const ALL: &[i64] = &[
    // Memory: malloc, and the stacks of threads that end. What is mapped is never executable.
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    // Waiting for other threads, and kicking them (`tgkill`, of this process alone).
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_tgkill,
    libc::SYS_getpid,
    libc::SYS_gettid,
    // Signals: handlers return, and waits that they interrupted go on. None can be set any more.
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    // Time, where the vDSO cannot tell it: that of threads, for one.
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    // Descriptors that are open: the guest's streams, eventfds, the message of a panic.
    libc::SYS_read,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_poll,
    libc::SYS_close,
    libc::SYS_ioctl,
    // In a debug build the standard library asks whether what it closes is open (`F_GETFD` alone).
    libc::SYS_fcntl,
    // Keys of hash tables.
    libc::SYS_getrandom,
    // The end: of a thread, of the process.
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Of those that serve devices. A virtual CPU does so too: it serves short requests itself, and all
/// devices when their driver has become ready.
const SERVING: &[i64] = &[
    // Disks: how long the file is by now, what is in it, and that it is on the host's disk.
    libc::SYS_lseek,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_pwrite64,
    libc::SYS_fallocate,
    libc::SYS_fdatasync,
];

/// Of virtual CPUs: how much of the guest's memory is there, at its end.
const VCPU: &[i64] = &[libc::SYS_mincore];

/// Of the devices' thread: waiting for doorbells.
const DEVICES: &[i64] = &[libc::SYS_epoll_wait, libc::SYS_epoll_pwait];

/// Of the thread of shared directories: waiting for doorbells, and reading files. They are found from
/// a descriptor; where that leads is the mount's affair, see `cell`.
const SHARES: &[i64] = &[
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    // A file or a directory, and the text of a link.
    libc::SYS_openat2,
    libc::SYS_readlinkat,
    // What is known of it, what is in it.
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_lseek,
    libc::SYS_preadv,
    libc::SYS_getdents64,
];

/// Of those that wait for the machine's end.
const MONITOR: &[i64] = &[
    // How much of the guest's memory is there.
    libc::SYS_mincore,
    // Whether the terminal has told the guest of a signal already.
    libc::SYS_getpgrp,
    libc::SYS_getpgid,
    // A built-in program is told to stop in a file of memory.
    libc::SYS_pwrite64,
    // The launcher's entry in the ledger goes.
    libc::SYS_unlink,
    libc::SYS_unlinkat,
    // The length of what is read, where the launcher gives its clean pages back.
    libc::SYS_lseek,
];

/// Of the machine's thread of a Linux guest: waiting for its processors.
const CONTROL: &[i64] = &[
    // How much of the guest's memory is there.
    libc::SYS_mincore,
    // Those who ask come to a socket that is open, send lines, frames and descriptors, and are
    // answered without an address. None is called from here.
    libc::SYS_accept4,
    libc::SYS_recvmsg,
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    // A dump, into a file that came with a request.
    libc::SYS_pwrite64,
    // The mode of the launcher's terminal is set back by the terminal's own group.
    libc::SYS_getpgrp,
    libc::SYS_getpgid,
];

/// All of a role.
pub fn of(role: Role) -> impl Iterator<Item = i64> {
    let own: [&[i64]; 2] = match role {
        Role::Vcpu => [SERVING, VCPU],
        Role::Devices => [SERVING, DEVICES],
        Role::Shares => [SHARES, &[]],
        Role::Monitor => [MONITOR, &[]],
        Role::Control => [CONTROL, &[]],
    };
    [ALL, own[0], own[1]].into_iter().flatten().copied()
}
