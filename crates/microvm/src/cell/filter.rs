//! The lists as seccomp filters: programs that the kernel runs at every system call of a thread.
//!
//! A search that halves the numbers comes to its end in seven steps. When a filter is installed, the
//! kernel runs it once for every number that there is, to find those that are always allowed, and
//! translates it for the processor: a short program starts a machine sooner than a long one.

use std::{io, process, sync::OnceLock};

use kvm_bindings::{
    kvm_clock_data, kvm_cpuid2, kvm_debugregs, kvm_guest_debug, kvm_irqchip, kvm_lapic_state,
    kvm_mp_state, kvm_msrs, kvm_pit_state2, kvm_regs, kvm_sregs, kvm_translation, kvm_vcpu_events,
    kvm_xcrs, kvm_xsave,
};
use seccompiler::{BpfProgram, sock_filter};

use super::{Role, list};

/// Of virtual CPUs (Linux, `include/uapi/linux/kvm.h`): running, and looking at what it did.
const KVM: [u64; 17] = [
    0xae80, // KVM_RUN
    0xaead, // KVM_KVMCLOCK_CTRL: it was paused
    of_kvm(0x81, size_of::<kvm_regs>()),
    of_kvm(0x83, size_of::<kvm_sregs>()),
    // What a debugger asks for of its own guest.
    WRITE | of_size(0x82, size_of::<kvm_regs>()), // KVM_SET_REGS
    READ | WRITE | of_size(0x85, size_of::<kvm_translation>()), // KVM_TRANSLATE
    WRITE | of_size(0x9b, size_of::<kvm_guest_debug>()), // KVM_SET_GUEST_DEBUG
    of_kvm(0x98, size_of::<kvm_mp_state>()),
    of_kvm(0x9f, size_of::<kvm_vcpu_events>()),
    0xaece, // KVM_GET_STATS_FD
    // What a snapshot has of it.
    READ | WRITE | of_size(0x88, size_of::<kvm_msrs>()), // KVM_GET_MSRS
    READ | WRITE | of_size(0x91, size_of::<kvm_cpuid2>()), // KVM_GET_CPUID2
    of_kvm(0x8e, size_of::<kvm_lapic_state>()),
    of_kvm(0xa1, size_of::<kvm_debugregs>()),
    0xaea3, // KVM_GET_TSC_KHZ
    of_kvm(0xa4, size_of::<kvm_xsave>()),
    of_kvm(0xa6, size_of::<kvm_xcrs>()),
];
/// Of a whole machine, for a snapshot.
const MACHINE: [u64; 3] = [
    READ | WRITE | of_size(0x62, size_of::<kvm_irqchip>()), // KVM_GET_IRQCHIP
    of_kvm(0x9f, size_of::<kvm_pit_state2>()),
    of_kvm(0x7c, size_of::<kvm_clock_data>()),
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
    READ | of_size(number, size)
}

/// From the kernel.
const READ: u64 = 2 << 30;
/// To the kernel.
const WRITE: u64 = 1 << 30;

/// The rest of a request's number.
const fn of_size(number: u64, size: usize) -> u64 {
    (size as u64) << 16 | 0xae << 8 | number
}

/// Puts the filter of `role` on the calling thread.
///
/// # Errors
///
/// When the kernel has no seccomp.
pub fn install(role: Role) -> io::Result<()> {
    static COMPILED: [OnceLock<BpfProgram>; 5] = [const { OnceLock::new() }; 5];
    let program = COMPILED[role as usize].get_or_init(|| compile(role));
    seccompiler::apply_filter(program).map_err(|error| match error {
        seccompiler::Error::Prctl(source) | seccompiler::Error::Seccomp(source) => source,
        error => io::Error::other(error),
    })
}

// Classic BPF (Linux, `include/uapi/linux/bpf_common.h`), which loads words of the call's
// `struct seccomp_data`: number:32 architecture:32 instruction:64 arguments:6 x 64.
const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const ANY_BIT: u16 = 0x45; // BPF_JMP | BPF_JSET | BPF_K
const EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const GREATER_EQUAL: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// Where a program goes on: an instruction by its number from the end, as jumps lead forwards only
/// and what they lead to is there first.
type Label = usize;

/// A program that is written from its end.
#[derive(Default)]
struct Backwards {
    reversed: BpfProgram,
}

impl Backwards {
    fn push(&mut self, code: u16, (jt, jf): (u8, u8), k: u32) -> Label {
        self.reversed.push(sock_filter { code, jt, jf, k });
        self.reversed.len() - 1
    }

    /// The end: what becomes of the call.
    fn answer(&mut self, action: u32) -> Label {
        self.push(RETURN, (0, 0), action)
    }

    /// Loads a word of the call; the instruction that was written last comes next.
    fn load(&mut self, offset: u32) -> Label {
        self.push(LOAD, (0, 0), offset)
    }

    /// Goes on at `holds` if what was loaded compares so with `k`, else at `fails`.
    fn branch(&mut self, code: u16, k: u32, holds: Label, fails: Label) -> Label {
        let skipped = |label: Label| {
            u8::try_from(self.reversed.len() - 1 - label).expect("fewer than 256 instructions")
        };
        self.push(code, (skipped(holds), skipped(fails)), k)
    }

    fn finish(mut self) -> BpfProgram {
        self.reversed.reverse();
        self.reversed
    }
}

fn compile(role: Role) -> BpfProgram {
    /// `AUDIT_ARCH_X86_64`: 32-bit calls have other numbers. Those of the x32 ABI are beyond 2^30.
    const X86_64: u32 = 0xc000_003e;
    let mut calls: Vec<i64> = list::of(role).collect();
    calls.sort_unstable();
    let mut program = Backwards::default();
    let refused = program.answer(libc::SECCOMP_RET_TRAP);
    let allowed = program.answer(libc::SECCOMP_RET_ALLOW);
    // What becomes of the numbers from each of these on.
    let mut intervals = vec![(0, refused)];
    for call in calls {
        let (number, then) = (call as u32, arguments(&mut program, role, call, (allowed, refused)));
        intervals.pop_if(|(first, _)| *first == number);
        if intervals.last().is_none_or(|(_, before)| *before != then) {
            intervals.push((number, then));
        }
        intervals.push((number + 1, refused));
    }
    search(&mut program, &intervals);
    let number = program.load(NUMBER);
    program.branch(EQUAL, X86_64, number, refused);
    program.load(ARCHITECTURE);
    program.finish()
}

/// Finds the interval of the number that was loaded, by halving.
fn search(program: &mut Backwards, intervals: &[(u32, Label)]) -> Label {
    match intervals {
        [] => unreachable!("halves of two or more have one or more"),
        [(_, then)] => *then,
        _ => {
            let (low, high) = intervals.split_at(intervals.len() / 2);
            let (less, more) = (search(program, low), search(program, high));
            program.branch(GREATER_EQUAL, high[0].0, more, less)
        }
    }
}

/// Decides about the arguments of a call that is on the list of `role`.
fn arguments(
    program: &mut Backwards,
    role: Role,
    call: i64,
    (allowed, refused): (Label, Label),
) -> Label {
    match call {
        // Nobody here makes code.
        libc::SYS_mmap | libc::SYS_mprotect => {
            program.branch(ANY_BIT, libc::PROT_EXEC as u32, refused, allowed);
            program.load(argument(2))
        }
        libc::SYS_fcntl => one_of(program, 1, &[libc::F_GETFD as u64], allowed, refused),
        libc::SYS_tgkill => one_of(program, 0, &[process::id().into()], allowed, refused),
        // A pointer to nothing: those who ask are answered, and nobody is called.
        libc::SYS_sendto => {
            program.branch(EQUAL, 0, allowed, refused);
            let high = program.load(argument(4) + 4);
            program.branch(EQUAL, 0, high, refused);
            program.load(argument(4))
        }
        libc::SYS_ioctl => {
            let requests = match role {
                Role::Vcpu => &[&KVM, WINDOW].concat(),
                Role::Devices => WINDOW,
                Role::Shares => &[],
                Role::Monitor => TERMINAL,
                Role::Control => &[&MACHINE, TERMINAL].concat(),
            };
            one_of(program, 1, requests, allowed, refused)
        }
        _ => allowed,
    }
}

/// Where the low half of an argument lies; the high one follows.
const fn argument(index: u32) -> u32 {
    ARGUMENTS + 8 * index
}

/// Allows an argument of 32 bits that is among `values`; of none it need not look.
fn one_of(
    program: &mut Backwards,
    index: u32,
    values: &[u64],
    allowed: Label,
    mut otherwise: Label,
) -> Label {
    if values.is_empty() {
        return otherwise;
    }
    // The first of them is the one that is compared first: KVM_RUN of a processor's.
    for value in values.iter().rev() {
        otherwise = program.branch(EQUAL, *value as u32, allowed, otherwise);
    }
    program.load(argument(index))
}
