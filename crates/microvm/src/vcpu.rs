//! Question 4: with what power does it start? The microVM's answer; see `container::privileges`
//! for the other.
//!
//! A process is given user ids and capabilities by its kernel. A program without a kernel is given
//! the processor's own powers: a mode, a ring, and the registers that go with them. Ring 3 is where
//! a process runs too, so that the built-in programs compute there exactly as they do as processes.

use kvm_bindings::{CpuId, kvm_cpuid_entry2, kvm_regs, kvm_sregs};
use kvm_ioctls::VcpuFd;
use sandbox::{Question, Trace};

use crate::{
    error::Result,
    kvm_call::kvm_call,
    loader::{EntryState, Power},
    registers::{
        CR0_AM, CR0_ET, CR0_MP, CR0_NE, CR0_PE, CR0_PG, CR0_WP, CR4_OSFXSR, CR4_OSXMMEXCPT,
        CR4_PAE, EFER_LMA, EFER_LME, EFER_NXE, EFER_SCE, RFLAGS_FIXED, RFLAGS_IOPL_3, Segment,
        SegmentKind,
    },
    tables::{self, selector},
};

/// 64-bit mode: protected, with paging, and what the programs compute with.
const CR0: u64 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG;
const CR4: u64 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
const EFER: u64 = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;

/// Prepares `cpu` to begin at `entry`.
///
/// # Errors
///
/// When KVM refuses the state.
pub fn prepare(cpu: &VcpuFd, entry: &EntryState, trace: &mut Trace) -> Result<()> {
    set_cpuid(cpu, trace)?;
    let long = |ring| format!(": CR0={CR0:x} CR4={CR4:x} EFER={EFER:x}, ring {ring}");
    let (state, rflags) = match entry.power {
        Power::Real => (": real mode, 16 bits, no rings".into(), RFLAGS_FIXED),
        Power::Kernel => (long(0), RFLAGS_FIXED),
        // The I/O bitmap of the task state says the same of the ports.
        Power::User => (long(3), RFLAGS_FIXED | RFLAGS_IOPL_3),
    };
    kvm_call(trace, Question::Power, "KVM_SET_SREGS", state, || {
        // The rest of the state is that of a processor after reset.
        let mut state = cpu.get_sregs()?;
        match entry.power {
            Power::Real => real_mode(&mut state),
            Power::Kernel => long_mode(&mut state, 0),
            Power::User => long_mode(&mut state, 3),
        }
        cpu.set_sregs(&state)
    })?;
    let state = kvm_regs {
        rip: entry.instruction,
        rsp: entry.stack,
        rdi: entry.memory_end,
        rflags,
        ..kvm_regs::default()
    };
    let operands = format!(": RIP={:#x} RSP={:#x}", entry.instruction, entry.stack);
    kvm_call(trace, Question::Power, "KVM_SET_REGS", operands, || cpu.set_regs(&state))
}

/// Gives `cpu` a CPUID with the one leaf that 64-bit mode needs.
///
/// Which bits EFER may have follows from CPUID: long mode (LME) needs LM, no-execute pages (NXE)
/// need NX, and `syscall` (SCE) needs SYSCALL. KVM of Linux 6.12.117 and of all from 7.2 on holds
/// `KVM_SET_SREGS` to that, as `wrmsr` always was; earlier ones take whatever EFER they are given.
/// A virtual CPU that was given no CPUID has none of the three. It comes before `KVM_SET_SREGS`.
///
/// # Errors
///
/// When KVM refuses it.
pub fn set_cpuid(cpu: &VcpuFd, trace: &mut Trace) -> Result<()> {
    // Intel SDM, volume 2, CPUID, table 3-8: extended processor signature and feature bits.
    const EXTENDED_FEATURES: u32 = 0x8000_0001;
    const SYSCALL: u32 = 1 << 11;
    const NX: u32 = 1 << 20;
    const LM: u32 = 1 << 29;
    let leaf = kvm_cpuid_entry2 {
        function: EXTENDED_FEATURES,
        edx: SYSCALL | NX | LM,
        ..kvm_cpuid_entry2::default()
    };
    let leaves = CpuId::from_entries(&[leaf]).expect("one leaf is fewer than KVM takes");
    let operands = ": leaf 80000001, long mode, no-execute pages, syscall";
    kvm_call(trace, Question::Power, "KVM_SET_CPUID2", operands, || cpu.set_cpuid2(&leaves))
}

/// 16-bit real mode, whose code begins at address 0.
pub fn real_mode(state: &mut kvm_sregs) {
    // After reset CS lies at the end of the address space, where the firmware would be.
    state.cs.base = 0;
    state.cs.selector = 0;
}

/// 64-bit mode in `ring` 0 or 3, with the tables that [`tables`] writes.
pub fn long_mode(state: &mut kvm_sregs, ring: u8) {
    state.cr0 = CR0;
    state.cr3 = tables::PAGE_MAP;
    state.cr4 = CR4;
    state.efer = EFER;
    let (code, data) = match ring {
        3 => (selector::USER_CODE, selector::USER_DATA),
        _ => (selector::KERNEL_CODE, selector::KERNEL_DATA),
    };
    state.cs = Segment::flat(SegmentKind::Code64, ring).register(code);
    let data = Segment::flat(SegmentKind::Data, ring).register(data);
    for each in [&mut state.ss, &mut state.ds, &mut state.es, &mut state.fs, &mut state.gs] {
        *each = data;
    }
    state.gdt.base = tables::DESCRIPTORS;
    state.gdt.limit = tables::DESCRIPTORS_BYTES - 1;
    state.idt.base = tables::GATES;
    state.idt.limit = (tables::VECTORS * 16 - 1) as u16;
    state.tr = tables::TASK.register(selector::TASK);
}
