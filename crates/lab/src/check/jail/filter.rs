//! The system calls that do not exist for a student's program: what no lab is about, and what this
//! one is not about.
//!
//! Capabilities and namespaces already refuse most of what is listed. The filter holds where a bug
//! of the kernel lies behind a call, and keeps a program that needs no namespaces from making a
//! user namespace, in which it would have every capability.

use std::{collections::BTreeMap, io};

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter, sock_filter,
};

use super::{Setup, at};

/// Refused to every program.
const NEVER: &[i64] = &[
    // Other processes' memory and descriptors: the check's above all.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Large parts of the kernel that no lab is about.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_fanotify_init,
    libc::SYS_lookup_dcookie,
    // Keys, which no namespace divides but that of users.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // Files by a handle, which no mount hides (open_by_handle_at(2)).
    libc::SYS_open_by_handle_at,
    // The kernel and the machine.
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
];

/// Refused to programs that need no namespaces.
const NAMESPACES: &[i64] = &[
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_chroot,
    libc::SYS_pivot_root,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_mount_setattr,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
];

/// The flags of clone(2) that make namespaces. CLONE_NEWTIME is among the bits of clone(2)'s exit
/// signal, and for clone3 and unshare alone.
const NEW: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u64;

/// What a program may call sockets of: those that a network namespace divides, not vsock(7), and not
/// what takes a module to be loaded.
const FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// Installs the filters for what this thread executes, with `no_new_privs`.
pub(super) fn install(setup: &Setup) -> io::Result<()> {
    let denied = rules(setup).and_then(|rules| compiled(rules, libc::EPERM));
    // The first filter answers for those that follow where it refuses: the numbers of another ABI.
    let mut programs = vec![only_native_numbers(), denied.map_err(at("compile the filter"))?];
    if !setup.namespaces {
        // Its flags are in memory, where a filter cannot look; without it the C library takes clone.
        let absent = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
        programs.push(compiled(absent, libc::ENOSYS).map_err(at("compile the filter"))?);
    }
    programs.iter().try_for_each(|program| apply_filter(program)).map_err(at("seccomp"))
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn rules(setup: &Setup) -> Result<Rules, seccompiler::BackendError> {
    let mut rules: Rules = NEVER.iter().map(|number| (*number, Vec::new())).collect();
    if !setup.namespaces {
        rules.extend(NAMESPACES.iter().map(|number| (*number, Vec::new())));
        let makes = |flag: u64| one(0, SeccompCmpOp::MaskedEq(flag), flag);
        let flags = (0..u64::BITS).map(|bit| 1 << bit).filter(|flag| NEW & flag != 0);
        rules.insert(libc::SYS_clone, flags.map(makes).collect::<Result<_, _>>()?);
    }
    // What is typed into a terminal for its owner (ioctl_tty(2)).
    let typing = [libc::TIOCSTI, libc::TIOCLINUX];
    let typing = typing.map(|request| one(1, SeccompCmpOp::Eq, request));
    rules.insert(libc::SYS_ioctl, typing.into_iter().collect::<Result<_, _>>()?);
    let other = FAMILIES.map(|family| condition(0, SeccompCmpOp::Ne, family as u64));
    let other = SeccompRule::new(other.into_iter().collect::<Result<_, _>>()?)?;
    rules.insert(libc::SYS_socket, vec![other]);
    Ok(rules)
}

fn one(
    argument: u8,
    is: SeccompCmpOp,
    value: u64,
) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(vec![condition(argument, is, value)?])
}

/// The kernel takes 32 bits of each of these arguments.
fn condition(
    argument: u8,
    is: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, is, value)
}

fn compiled(rules: Rules, errno: i32) -> Result<BpfProgram, seccompiler::BackendError> {
    let refused = SeccompAction::Errno(errno as u32);
    SeccompFilter::new(rules, SeccompAction::Allow, refused, TargetArch::x86_64)?.try_into()
}

/// Calls by the numbers of x32 have other numbers and the same architecture (seccomp(2), "Caveats").
fn only_native_numbers() -> BpfProgram {
    const X32: u32 = 0x4000_0000;
    let step = |code: u32, jt, jf, k| sock_filter { code: code as u16, jt, jf, k };
    vec![
        // seccomp_data begins with the number.
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 1, X32),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}
