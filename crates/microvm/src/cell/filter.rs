//! The lists as seccomp filters: programs that the kernel runs at every system call of a thread.
//!
//! A search that halves the list comes to its end in seven steps. When a filter is installed, the
//! kernel runs it once for every number that there is, to find those that are always allowed, and
//! translates it for the processor: a short program starts a machine sooner than a long one.

use std::{io, process, sync::OnceLock};

use kvm_bindings::{kvm_mp_state, kvm_regs, kvm_sregs, kvm_vcpu_events};
use seccompiler::{BpfProgram, sock_filter};

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
/// Whether it is one, its size, whose it is, and its mode as it was before. Typing into it is not
/// among them.
const TERMINAL: &[u64] = &[
    libc::TCGETS,
    libc::TCSETS,
    libc::TCSETS + 1,
    libc::TCSETS + 2,
    libc::TIOCGWINSZ,
    libc::TIOCGPGRP,
];

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
    static COMPILED: [OnceLock<BpfProgram>; 3] = [const { OnceLock::new() }; 3];
    let program = COMPILED[role as usize].get_or_init(|| compile(role));
    seccompiler::apply_filter(program).map_err(|error| match error {
        seccompiler::Error::Prctl(source) | seccompiler::Error::Seccomp(source) => source,
        error => io::Error::other(error),
    })
}

// Classic BPF (Linux, `include/uapi/linux/bpf_common.h`), which loads words of the call's
// `struct seccomp_data`: number:32 architecture:32 instruction:64 arguments:6 x 64.
const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const GREATER_EQUAL: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

const ALLOWED: sock_filter = instruction(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW);
const REFUSED: sock_filter = instruction(RETURN, 0, 0, libc::SECCOMP_RET_TRAP);

/// One instruction; a jump skips `jt` instructions if its condition holds, else `jf`.
const fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

fn compile(role: Role) -> BpfProgram {
    /// `AUDIT_ARCH_X86_64`: 32-bit calls have other numbers. Those of the x32 ABI are beyond 2^30.
    const X86_64: u32 = 0xc000_003e;
    let mut calls: Vec<i64> = list::of(role).collect();
    calls.sort_unstable();
    let mut program = vec![
        instruction(LOAD, 0, 0, ARCHITECTURE),
        instruction(EQUAL, 1, 0, X86_64),
        REFUSED,
        instruction(LOAD, 0, 0, NUMBER),
    ];
    program.extend(search(role, &calls));
    program
}

/// Decides about the number that was loaded, by halving those that are allowed.
fn search(role: Role, sorted: &[i64]) -> BpfProgram {
    const SHORT: &str = "half of a list of some forty calls has fewer than 256 instructions";
    let jump = |program: &BpfProgram| u8::try_from(program.len()).expect(SHORT);
    match sorted {
        [] => vec![REFUSED],
        [call] => {
            let then = arguments(role, *call);
            let mut program = vec![instruction(EQUAL, 0, jump(&then), *call as u32)];
            program.extend(then);
            program.push(REFUSED);
            program
        }
        _ => {
            let (low, high) = sorted.split_at(sorted.len() / 2);
            let then = search(role, low);
            let mut program = vec![instruction(GREATER_EQUAL, jump(&then), 0, high[0] as u32)];
            program.extend(then);
            program.extend(search(role, high));
            program
        }
    }
}

/// Decides about the arguments of a call that is on the list of `role`.
fn arguments(role: Role, call: i64) -> BpfProgram {
    match call {
        // Nobody here makes code.
        libc::SYS_mmap | libc::SYS_mprotect => lacks(2, libc::PROT_EXEC as u32),
        libc::SYS_fcntl => is_one_of(1, &[libc::F_GETFD as u64]),
        libc::SYS_tgkill => is_one_of(0, &[process::id().into()]),
        libc::SYS_sendto => is_null(4),
        libc::SYS_ioctl => match role {
            Role::Vcpu => is_one_of(1, &[&KVM, WINDOW].concat()),
            Role::Devices => is_one_of(1, WINDOW),
            Role::Monitor => is_one_of(1, TERMINAL),
        },
        _ => vec![ALLOWED],
    }
}

/// Where the low half of an argument lies; the high one follows.
const fn argument(index: u32) -> u32 {
    ARGUMENTS + 8 * index
}

/// Allows an argument of 32 bits that is among `values`.
fn is_one_of(index: u32, values: &[u64]) -> BpfProgram {
    let mut program = vec![instruction(LOAD, 0, 0, argument(index))];
    for (after, value) in (0..values.len() as u8).rev().zip(values) {
        program.push(instruction(EQUAL, after + 1, 0, *value as u32));
    }
    program.extend([REFUSED, ALLOWED]);
    program
}

/// Allows an argument without any of these bits.
fn lacks(index: u32, bits: u32) -> BpfProgram {
    let load = instruction(LOAD, 0, 0, argument(index));
    vec![load, instruction(AND, 0, 0, bits), instruction(EQUAL, 1, 0, 0), REFUSED, ALLOWED]
}

/// Allows a pointer to nothing.
fn is_null(index: u32) -> BpfProgram {
    vec![
        instruction(LOAD, 0, 0, argument(index)),
        instruction(EQUAL, 0, 2, 0),
        instruction(LOAD, 0, 0, argument(index) + 4),
        instruction(EQUAL, 1, 0, 0),
        REFUSED,
        ALLOWED,
    ]
}
