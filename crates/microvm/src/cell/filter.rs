//! The lists as seccomp filters: programs that the kernel runs at every system call of a thread.

use std::{io, process, sync::OnceLock};

use kvm_bindings::{kvm_mp_state, kvm_regs, kvm_sregs, kvm_vcpu_events};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use super::{Role, list};

/// Of virtual CPUs (Linux, `include/uapi/linux/kvm.h`): running, and looking at what it did.
const KVM: [u64; 6] = [
    0xae80, // KVM_RUN
    of_kvm(0x81, size_of::<kvm_regs>()),
    of_kvm(0x83, size_of::<kvm_sregs>()),
    of_kvm(0x98, size_of::<kvm_mp_state>()),
    of_kvm(0x9f, size_of::<kvm_vcpu_events>()),
    0xaece, // KVM_GET_STATS_FD
];
/// The size of the launcher's terminal.
const WINDOW: &[u64] = &[libc::TIOCGWINSZ];
/// Whether it is one, its size, and its mode as it was before. Typing into it is not among them.
const TERMINAL: &[u64] =
    &[libc::TCGETS, libc::TCSETS, libc::TCSETS + 1, libc::TCSETS + 2, libc::TIOCGWINSZ];

/// A request that reads, `_IOR(KVMIO, number, size)` (Linux, `include/uapi/asm-generic/ioctl.h`).
const fn of_kvm(number: u64, size: usize) -> u64 {
    const READ: u64 = 2 << 30;
    READ | (size as u64) << 16 | 0xae << 8 | number
}

/// Puts the filter of `role` on the calling thread.
///
/// # Errors
///
/// When the kernel has no seccomp.
pub fn install(role: Role) -> io::Result<()> {
    static COMPILED: [OnceLock<Option<BpfProgram>>; 3] = [const { OnceLock::new() }; 3];
    let compiled = COMPILED[role as usize].get_or_init(|| compile(role).ok());
    let program = compiled.as_ref().ok_or(io::ErrorKind::InvalidInput)?;
    seccompiler::apply_filter(program).map_err(|error| match error {
        seccompiler::Error::Prctl(source) | seccompiler::Error::Seccomp(source) => source,
        error => io::Error::other(error),
    })
}

fn compile(role: Role) -> Result<BpfProgram, seccompiler::Error> {
    let rules = list::of(role).map(|call| Ok((call, rules(role, call)?)));
    let rules = rules.collect::<Result<_, seccompiler::Error>>()?;
    let (refused, allowed) = (SeccompAction::Trap, SeccompAction::Allow);
    SeccompFilter::new(rules, refused, allowed, TargetArch::x86_64)?.try_into().map_err(Into::into)
}

/// What the arguments of a call on the list of `role` must be; whatever they like where it is empty.
fn rules(role: Role, call: i64) -> Result<Vec<SeccompRule>, seccompiler::Error> {
    use SeccompCmpOp::{Eq, MaskedEq};
    let argument = |index, comparison, value| {
        let condition = SeccompCondition::new(index, SeccompCmpArgLen::Dword, comparison, value)?;
        SeccompRule::new(vec![condition]).map_err(seccompiler::Error::from)
    };
    match call {
        // Nobody here makes code.
        libc::SYS_mmap | libc::SYS_mprotect => {
            Ok(vec![argument(2, MaskedEq(libc::PROT_EXEC as u64), 0)?])
        }
        libc::SYS_fcntl => Ok(vec![argument(1, Eq, libc::F_GETFD as u64)?]),
        libc::SYS_tgkill => Ok(vec![argument(0, Eq, process::id().into())?]),
        libc::SYS_ioctl => {
            let requests = match role {
                Role::Vcpu => [&KVM, WINDOW],
                Role::Devices => [&[], WINDOW],
                Role::Monitor => [&[], TERMINAL],
            };
            requests.into_iter().flatten().map(|request| argument(1, Eq, *request)).collect()
        }
        _ => Ok(Vec::new()),
    }
}
