//! The default profile: Docker's, with the differences listed here.
//!
//! The reference is `seccomp/default_linux.go` of github.com/moby/profiles, for x86_64. As there,
//! io_uring, userfaultfd, the kernel's keyrings, swap, kexec, `pivot_root` and the sockets of
//! AF_VSOCK and AF_ALG are never allowed; unless the container has CAP_SYS_ADMIN, `clone` cannot
//! make namespaces and `clone3` fails with ENOSYS; `ptrace` and the calls that read another
//! process's memory are allowed, for debuggers and MPI: since Linux 4.8 a tracer cannot change a
//! call after the filter has checked it. The differences:
//!
//! - `ioctl` with TIOCSTI and TIOCLINUX is denied: they insert input into the terminal, which the
//!   shell outside would read if it is the user's own.
//! - Only UNIX, IP, netlink and packet sockets are allowed. Every other family is a kernel module
//!   of varying quality that is loaded on demand; Docker allows three dozen. `socketpair` has the
//!   same list: TIPC has pairs.
//! - An `int` argument is compared as 32 bits, as the kernel reads it. Docker compares 64 bits, so
//!   a call with a higher bit set does not match its rule.
//! - `personality` may also disable address space randomization for the caller, as debuggers do.
//! - 32-bit programs cannot make sockets by `socketcall`: there the family is behind a pointer,
//!   which no filter can read, and AF_VSOCK and AF_ALG must stay denied. It fails with ENOSYS for
//!   `socket` and `socketpair`; newer C libraries use the calls of these names (Linux 4.3), older
//!   ones get no sockets. Docker allows all of `socketcall`.
//! - Allowed, and not in Docker's list: for 32-bit programs the older forms of allowed calls
//!   (`nice`, `oldstat`, `sigaction`, ..), and names that no kernel implements (`break`, `stty`,
//!   ..). Fewer gaps make the filter shorter and faster to install.
//! - The x32 ABI is denied. Docker allows it.
//! - Allowed, and newer than Docker's list: `file_getattr` and `file_setattr`, whose function
//!   `ioctl` has too; `uprobe`, which the kernel itself inserts into a traced program; with
//!   CAP_SYS_ADMIN, `open_tree_attr`.

use super::{Action, Argument, Operator, Profile, Rule, SCMP_ARCH_X86, Seccomp};

/// Allowed regardless of the arguments.
const ALLOWED: &str = "
access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2
fadvise64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync
fgetxattr file_getattr file_setattr flistxattr flock fremovexattr fsetxattr fstat fstatfs fsync
ftruncate futimesat getcwd getdents getdents64 getxattr getxattrat inotify_add_watch inotify_init
inotify_init1 inotify_rm_watch lchown lgetxattr link linkat listmount listxattr listxattrat
llistxattr lremovexattr lseek lsetxattr lstat mkdir mkdirat mknod mknodat name_to_handle_at
newfstatat open openat openat2 pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read
readahead readlink readlinkat readv removexattr removexattrat rename renameat renameat2 rmdir
sendfile setxattr setxattrat splice stat statfs statmount statx symlink symlinkat sync
sync_file_range syncfs tee truncate umask unlink unlinkat utime utimensat utimes vmsplice write
writev

epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait
epoll_wait_old eventfd eventfd2 io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit
poll ppoll pselect6 select signalfd signalfd4 timerfd_create timerfd_gettime timerfd_settime

accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg
sendmmsg sendmsg sendto setsockopt shutdown

brk cachestat madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2
mlockall mmap mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free
pkey_mprotect process_mrelease process_vm_readv process_vm_writev remap_file_pages

arch_prctl capget capset execve execveat exit exit_group fork get_robust_list get_thread_area
getegid geteuid getgid getgroups getpgid getpgrp getpid getppid getresgid getresuid getrlimit
getrusage getsid gettid getuid kill landlock_add_rule landlock_create_ruleset
landlock_restrict_self modify_ldt pidfd_open pidfd_send_signal prctl prlimit64 ptrace
restart_syscall rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn
rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo seccomp set_robust_list set_thread_area
set_tid_address setfsgid setfsuid setgid setgroups setpgid setregid setresgid setresuid setreuid
setrlimit setsid setuid sigaltstack tgkill tkill uprobe uretprobe vfork wait4 waitid

futex futex_requeue futex_wait futex_waitv futex_wake getcpu getpriority ioprio_get ioprio_set
sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam
sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam
sched_setscheduler sched_yield setpriority

adjtimex alarm clock_adjtime clock_getres clock_gettime clock_nanosleep getitimer gettimeofday
nanosleep pause setitimer time timer_create timer_delete timer_getoverrun timer_gettime
timer_settime times

_llseek _newselect chown32 clock_adjtime64 clock_getres_time64 clock_gettime64
clock_nanosleep_time64 fadvise64_64 fchown32 fcntl64 fstat64 fstatat64 fstatfs64 ftruncate64
futex_time64 getegid32 geteuid32 getgid32 getgroups32 getresgid32 getresuid32 getuid32
io_pgetevents_time64 ipc lchown32 lstat64 mmap2 mq_timedreceive_time64 mq_timedsend_time64
ppoll_time64 pselect6_time64 recvmmsg_time64 rt_sigtimedwait_time64 sched_rr_get_interval_time64
semtimedop_time64 sendfile64 setfsgid32 setfsuid32 setgid32 setgroups32 setregid32 setresgid32
setresuid32 setreuid32 setuid32 sigprocmask sigreturn stat64 statfs64 timer_gettime64
timer_settime64 timerfd_gettime64 timerfd_settime64 truncate64 ugetrlimit utimensat_time64 waitpid

nice oldfstat oldlstat oldolduname oldstat olduname readdir sgetmask sigaction signal sigpending
sigsuspend ssetmask
afs_syscall break ftime getpmsg gtty idle lock mpx nfsservctl prof profil putpmsg security stty tuxcall
ulimit

getrandom mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget
msgrcv msgsnd semctl semget semop semtimedop shmat shmctl shmdt shmget sysinfo uname";

/// Allowed with the capability (numbers of linux/capability.h), regardless of the arguments.
const ALLOWED_WITH: [(u32, &str); 14] = [
    (2, "open_by_handle_at"),                       // DAC_READ_SEARCH
    (16, "delete_module finit_module init_module"), // SYS_MODULE
    (17, "ioperm iopl"),                            // SYS_RAWIO
    (18, "chroot"),                                 // SYS_CHROOT
    (19, "kcmp pidfd_getfd process_madvise"),       // SYS_PTRACE
    (20, "acct"),                                   // SYS_PACCT
    (SYS_ADMIN, WITH_SYS_ADMIN),
    (22, "reboot"),                                                    // SYS_BOOT
    (23, "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"), // SYS_NICE
    (25, "clock_settime clock_settime64 settimeofday stime"),          // SYS_TIME
    (26, "vhangup"),                                                   // SYS_TTY_CONFIG
    (34, "syslog"),                                                    // SYSLOG
    (38, "perf_event_open"),                                           // PERFMON
    (39, "bpf"),                                                       // BPF
];

const SYS_ADMIN: u32 = 21;
const WITH_SYS_ADMIN: &str = "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick
lookup_dcookie lsm_get_self_attr lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount
open_tree open_tree_attr perf_event_open quotactl quotactl_fd setdomainname sethostname setns
syslog umount umount2 unshare";

/// The flags of `clone` that make a namespace. CLONE_NEWTIME is not one of them: its bit belongs to
/// the child's exit signal.
const NEW_NAMESPACES: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u64;

const FAMILIES: [i32; 5] =
    [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK, libc::AF_PACKET];

/// SYS_SOCKET and SYS_SOCKETPAIR of linux/net.h: the functions of `socketcall` that make sockets.
const SOCKETS: [u32; 2] = [1, 8];

/// PER_LINUX, PER_LINUX32, both with UNAME26, Linux without address space randomization, and the
/// query of the current one.
const PERSONALITIES: [u32; 6] = [0, 0x8, 0x2_0000, 0x2_0008, 0x4_0000, u32::MAX];

/// The capabilities on which the default profile depends.
pub(super) fn relevant_capabilities() -> u64 {
    ALLOWED_WITH.iter().fold(0, |mask, (capability, _)| mask | 1 << capability)
}

impl Seccomp {
    /// What [`Seccomp::Default`] means for a container with these capabilities in its bounding set,
    /// as bits.
    pub fn default_profile(capabilities: u64) -> Profile {
        let mut rules = vec![allow(ALLOWED)];
        let held = |capability: u32| capabilities >> capability & 1 == 1;
        rules.extend(ALLOWED_WITH.iter().filter(|it| held(it.0)).map(|(_, names)| allow(names)));
        if !held(SYS_ADMIN) {
            let flags = Argument {
                index: 0,
                value: NEW_NAMESPACES,
                value_two: 0,
                operator: Operator::MaskedEqual,
            };
            rules.push(Rule { arguments: vec![flags], ..allow("clone") });
            rules.push(refuse("clone3", libc::ENOSYS));
        }
        for request in [libc::TIOCSTI, libc::TIOCLINUX] {
            let typing = vec![is(1, request as u32)];
            rules.push(Rule { arguments: typing, ..refuse("ioctl", libc::EPERM) });
        }
        rules.push(allow("ioctl"));
        for function in SOCKETS {
            rules.push(Rule {
                arguments: vec![is(0, function)],
                ..refuse("socketcall", libc::ENOSYS)
            });
        }
        rules.push(allow("socketcall"));
        for family in FAMILIES {
            let family = vec![is(0, family as u32)];
            rules.push(Rule { arguments: family, ..allow("socket socketpair") });
        }
        for personality in PERSONALITIES {
            rules.push(Rule { arguments: vec![is(0, personality)], ..allow("personality") });
        }
        let architectures = ["SCMP_ARCH_X86_64", SCMP_ARCH_X86].map(str::to_owned).into();
        Profile { default_action: Action::Errno, default_errno: None, architectures, rules }
    }
}

fn allow(names: &str) -> Rule {
    let names = names.split_ascii_whitespace().map(str::to_owned).collect();
    Rule { names, action: Action::Allow, errno: None, arguments: Vec::new() }
}

fn refuse(name: &str, errno: i32) -> Rule {
    Rule { action: Action::Errno, errno: Some(errno as u16), ..allow(name) }
}

/// The argument is this `int`: the kernel ignores the upper half of the register.
fn is(index: u8, value: u32) -> Argument {
    let (mask, value) = (u64::from(u32::MAX), u64::from(value));
    Argument { index, value: mask, value_two: value, operator: Operator::MaskedEqual }
}
