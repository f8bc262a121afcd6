//! The system calls of x86_64 by name: `arch/x86/entry/syscalls/syscall_64.tbl` of Linux 6.18.
//!
//! As text, because a list of strings would be hundreds of addresses to relocate at each start.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    ops::Range,
};

/// From number 0 on, one after the other.
const FROM_0: &str = "
read write open close stat fstat lstat poll lseek mmap mprotect munmap brk rt_sigaction
rt_sigprocmask rt_sigreturn ioctl pread64 pwrite64 readv writev access pipe select sched_yield
mremap msync mincore madvise shmget shmat shmctl dup dup2 pause nanosleep getitimer alarm setitimer
getpid sendfile socket connect accept sendto recvfrom sendmsg recvmsg shutdown bind listen
getsockname getpeername socketpair setsockopt getsockopt clone fork vfork execve exit wait4 kill
uname semget semop semctl shmdt msgget msgsnd msgrcv msgctl fcntl flock fsync fdatasync truncate
ftruncate getdents getcwd chdir fchdir rename mkdir rmdir creat link unlink symlink readlink chmod
fchmod chown fchown lchown umask gettimeofday getrlimit getrusage sysinfo times ptrace getuid
syslog getgid setuid setgid geteuid getegid setpgid getppid getpgrp setsid setreuid setregid
getgroups setgroups setresuid getresuid setresgid getresgid getpgid setfsuid setfsgid getsid capget
capset rt_sigpending rt_sigtimedwait rt_sigqueueinfo rt_sigsuspend sigaltstack utime mknod uselib
personality ustat statfs fstatfs sysfs getpriority setpriority sched_setparam sched_getparam
sched_setscheduler sched_getscheduler sched_get_priority_max sched_get_priority_min
sched_rr_get_interval mlock munlock mlockall munlockall vhangup modify_ldt pivot_root _sysctl prctl
arch_prctl adjtimex setrlimit chroot sync acct settimeofday mount umount2 swapon swapoff reboot
sethostname setdomainname iopl ioperm create_module init_module delete_module get_kernel_syms
query_module quotactl nfsservctl getpmsg putpmsg afs_syscall tuxcall security gettid readahead
setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr
removexattr lremovexattr fremovexattr tkill time futex sched_setaffinity sched_getaffinity
set_thread_area io_setup io_destroy io_getevents io_submit io_cancel get_thread_area lookup_dcookie
epoll_create epoll_ctl_old epoll_wait_old remap_file_pages getdents64 set_tid_address
restart_syscall semtimedop fadvise64 timer_create timer_settime timer_gettime timer_getoverrun
timer_delete clock_settime clock_gettime clock_getres clock_nanosleep exit_group epoll_wait
epoll_ctl tgkill utimes vserver mbind set_mempolicy get_mempolicy mq_open mq_unlink mq_timedsend
mq_timedreceive mq_notify mq_getsetattr kexec_load waitid add_key request_key keyctl ioprio_set
ioprio_get inotify_init inotify_add_watch inotify_rm_watch migrate_pages openat mkdirat mknodat
fchownat futimesat newfstatat unlinkat renameat linkat symlinkat readlinkat fchmodat faccessat
pselect6 ppoll unshare set_robust_list get_robust_list splice tee sync_file_range vmsplice
move_pages utimensat epoll_pwait signalfd timerfd_create eventfd fallocate timerfd_settime
timerfd_gettime accept4 signalfd4 eventfd2 epoll_create1 dup3 pipe2 inotify_init1 preadv pwritev
rt_tgsigqueueinfo perf_event_open recvmmsg fanotify_init fanotify_mark prlimit64 name_to_handle_at
open_by_handle_at clock_adjtime syncfs sendmmsg setns getcpu process_vm_readv process_vm_writev
kcmp finit_module sched_setattr sched_getattr renameat2 seccomp getrandom memfd_create
kexec_file_load bpf execveat userfaultfd membarrier mlock2 copy_file_range preadv2 pwritev2
pkey_mprotect pkey_alloc pkey_free statx io_pgetevents rseq uretprobe uprobe";

/// From here on all architectures count together.
pub(super) const COMMON: u32 = 424;

/// From number 424 on.
pub(super) const FROM_424: &str = "
pidfd_send_signal io_uring_setup io_uring_enter io_uring_register open_tree move_mount fsopen
fsconfig fsmount fspick pidfd_open clone3 close_range openat2 pidfd_getfd faccessat2
process_madvise epoll_pwait2 mount_setattr quotactl_fd landlock_create_ruleset landlock_add_rule
landlock_restrict_self memfd_secret process_mrelease futex_waitv set_mempolicy_home_node cachestat
fchmodat2 map_shadow_stack futex_wake futex_wait futex_requeue statmount listmount
lsm_get_self_attr lsm_set_self_attr lsm_list_modules mseal setxattrat getxattrat listxattrat
removexattrat open_tree_attr file_getattr file_setattr";

/// The calls of one architecture: names, and the numbers that are theirs in turn.
pub(super) struct Table(pub(super) &'static [(&'static str, Range<u32>)]);

/// Those of 64-bit programs.
pub(super) static X86_64: Table = Table(&[(FROM_0, 0..337), (FROM_424, 424..470)]);

impl Table {
    /// All calls with their numbers, in the order of the numbers.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, u32)> {
        let parts = self.0.iter();
        parts.flat_map(|(names, numbers)| names.split_ascii_whitespace().zip(numbers.clone()))
    }

    /// The number of each name.
    pub(super) fn numbers(&self) -> HashMap<&'static str, u32, BuildHasherDefault<Fnv>> {
        self.all().collect()
    }

    /// The numbers that have a name.
    pub(super) fn ranges(&self) -> impl Iterator<Item = Range<u32>> {
        self.0.iter().map(|(_, numbers)| numbers.clone())
    }
}

/// The hash function of Fowler, Noll and Vo: a tenth of the default one's time for a short name.
/// The keys are the kernel's, so nobody chooses them to collide.
#[derive(Default)]
pub(super) struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
pub(in crate::seccomp) mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_c_library() {
        let numbers = X86_64.numbers();
        let known = [
            ("read", libc::SYS_read),
            ("pause", libc::SYS_pause),
            ("fork", libc::SYS_fork),
            ("ptrace", libc::SYS_ptrace),
            ("uselib", libc::SYS_uselib),
            ("_sysctl", libc::SYS__sysctl),
            ("delete_module", libc::SYS_delete_module),
            ("security", libc::SYS_security),
            ("epoll_wait_old", libc::SYS_epoll_wait_old),
            ("vserver", libc::SYS_vserver),
            ("keyctl", libc::SYS_keyctl),
            ("vmsplice", libc::SYS_vmsplice),
            ("setns", libc::SYS_setns),
            ("rseq", libc::SYS_rseq),
            ("pidfd_send_signal", libc::SYS_pidfd_send_signal),
            ("clone3", libc::SYS_clone3),
            ("quotactl_fd", libc::SYS_quotactl_fd),
            ("set_mempolicy_home_node", libc::SYS_set_mempolicy_home_node),
            ("fchmodat2", libc::SYS_fchmodat2),
            ("mseal", libc::SYS_mseal),
        ];
        for (name, number) in known {
            assert_eq!(numbers.get(name).copied().map(i64::from), Some(number), "{name}");
        }
        assert_eq!(numbers.len(), X86_64.all().count(), "a name is there twice");
        for (names, range) in X86_64.0 {
            assert_eq!(names.split_ascii_whitespace().count(), range.len());
        }
        assert_eq!((numbers["uprobe"], numbers["file_setattr"]), (336, 469));
    }

    /// Holds `table` against a header of the kernel's, which names more than `least` calls.
    pub(in crate::seccomp) fn has_the_numbers_of(table: &Table, header: &str, least: usize) {
        let Ok(text) = std::fs::read_to_string(header) else {
            return println!("skipped: no {header} here (Debian: linux-libc-dev)");
        };
        let numbers = table.numbers();
        // A later kernel than the table's has calls that it lacks.
        let last = table.all().last().unwrap().1;
        let mut seen = 0;
        for line in text.lines().filter_map(|line| line.strip_prefix("#define __NR_")) {
            let (name, number) = line.split_once(' ').unwrap();
            let number: u32 = number.trim().parse().unwrap();
            if number <= last {
                assert_eq!(numbers.get(name), Some(&number), "{name}");
                seen += 1;
            }
        }
        assert!(seen > least, "{header} names {seen} calls");
    }

    #[test]
    fn the_numbers_are_those_of_the_kernels_header() {
        has_the_numbers_of(&X86_64, "/usr/include/x86_64-linux-gnu/asm/unistd_64.h", 300);
    }
}
