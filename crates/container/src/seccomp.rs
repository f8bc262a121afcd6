//! The system calls that do not exist inside.
//!
//! Capabilities already refuse most of them; the filter holds where a bug of the kernel lies behind
//! the call, or where a user namespace would give the capability back. It is a list of what is
//! denied, so that ordinary programs do not notice it: two programs of the kernel's classic BPF,
//! compiled once, and run at every system call that the kernel has not found to be always allowed.
//! To find that out it runs each of them for every number when it is installed, so a search that
//! halves the list starts a container 0.1 ms sooner than one that goes through it.

use std::sync::OnceLock;

use nix::errno::Errno;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

use serde::{Deserialize, Serialize};

use crate::Error;

/// Which system calls exist inside.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Seccomp {
    /// All but those that a container has no use for.
    #[default]
    Default,
    /// All.
    Unconfined,
}

/// Refused with EPERM, whatever the arguments.
const DENIED: &[i64] = &[
    // Mounts, roots, namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_quotactl,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    // The kernel and the machine.
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    // Large parts of the kernel that few programs need.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_fanotify_init,
    libc::SYS_lookup_dcookie,
    // Keys, and the memory of others.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
];

/// The filters with their words, each as the address of a `sock_fprog` that lives for ever.
pub(crate) fn filters() -> Result<[(&'static str, usize); 2], Error> {
    static COMPILED: OnceLock<Option<[Program; 2]>> = OnceLock::new();
    let compiled = COMPILED.get_or_init(|| {
        Some([Program::from(denied_numbers()), Program::from(denied_arguments().ok()?)])
    });
    let [numbers, arguments] = compiled.as_ref().ok_or_else(|| Error::Call {
        step: "compile the seccomp filter".into(),
        errno: Errno::EINVAL,
    })?;
    Ok([
        ("seccomp: mounts, modules, bpf ... are denied", numbers.address()),
        ("seccomp: clone to new namespaces, typing for others", arguments.address()),
    ])
}

/// A program as seccomp(2) takes it.
#[repr(C)]
struct Program {
    length: u16,
    instructions: &'static [sock_filter; 0],
    _kept: Box<[sock_filter]>,
}

impl From<BpfProgram> for Program {
    fn from(program: BpfProgram) -> Self {
        let kept = program.into_boxed_slice();
        let length = kept.len() as u16;
        // SAFETY: an array of length 0 reads nothing, and `_kept` lives as long as this program,
        // which is never moved out of its static.
        let instructions = unsafe { &*kept.as_ptr().cast() };
        Self { length, instructions, _kept: kept }
    }
}

impl Program {
    fn address(&'static self) -> usize {
        self as *const Self as usize
    }
}

const LOAD_WORD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS: offset 0 is the number of the call
const JUMP_GREATER_EQUAL: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const JUMP_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

const ALLOWED: u32 = libc::SECCOMP_RET_ALLOW;
const REFUSED: u32 = libc::SECCOMP_RET_ERRNO | Errno::EPERM as u32;
const UNKNOWN: u32 = libc::SECCOMP_RET_ERRNO | Errno::ENOSYS as u32;

/// One instruction; a jump skips `jt` instructions if its condition holds, else `jf`.
fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

/// What is decided by the number of the call.
///
/// `clone3` hides its flags behind a pointer, where no filter can look: ENOSYS makes libraries fall
/// back to `clone`. The calls of the x32 ABI have numbers of their own, from 2^30 on, under the
/// same architecture: without this they would pass by both filters.
fn denied_numbers() -> BpfProgram {
    let mut numbers: Vec<u32> = DENIED.iter().map(|&number| number as u32).collect();
    numbers.sort_unstable();
    let mut program = vec![
        instruction(LOAD_WORD, 0, 0, 0),
        instruction(JUMP_GREATER_EQUAL, 1, 0, 1 << 30),
        instruction(JUMP_EQUAL, 0, 1, libc::SYS_clone3 as u32),
        instruction(RETURN, 0, 0, UNKNOWN),
    ];
    program.extend(search(&numbers));
    program
}

/// Refuses the number that was loaded if it is among these, by halving them.
fn search(sorted: &[u32]) -> BpfProgram {
    if let [last] = *sorted {
        return vec![
            instruction(JUMP_EQUAL, 0, 1, last),
            instruction(RETURN, 0, 0, REFUSED),
            instruction(RETURN, 0, 0, ALLOWED),
        ];
    }
    let (low, high) = sorted.split_at(sorted.len() / 2);
    let below = search(low);
    let skipped = u8::try_from(below.len()).expect("half of the list takes less than 256");
    let mut program = vec![instruction(JUMP_GREATER_EQUAL, skipped, 0, high[0])];
    program.extend(below);
    program.extend(search(high));
    program
}

/// What is decided by an argument of the call.
fn denied_arguments() -> Result<BpfProgram, seccompiler::BackendError> {
    // TIOCSTI types into the terminal, TIOCLINUX pastes: both into what the launcher reads.
    let mut typing = Vec::new();
    for request in [libc::TIOCSTI, libc::TIOCLINUX] {
        typing.push(rule(1, SeccompCmpOp::Eq, request)?);
    }
    let rules = [(libc::SYS_clone, new_namespaces()?), (libc::SYS_ioctl, typing)].into();
    let denied = SeccompAction::Errno(Errno::EPERM as u32);
    SeccompFilter::new(rules, SeccompAction::Allow, denied, TargetArch::x86_64)?.try_into()
}

/// `clone` with any flag that makes a namespace.
fn new_namespaces() -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    [
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWNS,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWCGROUP,
    ]
    .into_iter()
    .map(|flag| rule(0, SeccompCmpOp::MaskedEq(flag as u64), flag as u64))
    .collect()
}

fn rule(
    argument: u8,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompRule, seccompiler::BackendError> {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)?;
    SeccompRule::new(vec![condition])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel does with a program that only looks at the number.
    fn run(program: &[sock_filter], number: u32) -> u32 {
        let mut at = 0;
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            let holds = match code {
                RETURN => return k,
                JUMP_EQUAL => number == k,
                JUMP_GREATER_EQUAL => number >= k,
                _ => false,
            };
            at += 1 + usize::from(if holds { jt } else { jf });
        }
    }

    #[test]
    fn each_number_is_answered_as_the_list_says() {
        let program = denied_numbers();
        for number in 0..1024 {
            let expected = match i64::from(number) {
                libc::SYS_clone3 => UNKNOWN,
                listed if DENIED.contains(&listed) => REFUSED,
                _ => ALLOWED,
            };
            assert_eq!(run(&program, number), expected, "call {number}");
        }
        assert_eq!(run(&program, 1 << 30), UNKNOWN);
        assert_eq!(run(&program, u32::MAX), UNKNOWN);
    }

    #[test]
    fn a_program_is_laid_out_as_the_kernel_wants_it() {
        let program = Program::from(denied_numbers());
        assert_eq!(std::mem::offset_of!(Program, length), 0);
        assert_eq!(std::mem::offset_of!(Program, instructions), 8);
        assert_eq!(usize::from(program.length), denied_numbers().len());
    }
}
