//! Question 4: with what power does it start? The microVM's answer; see `container::privileges`
//! for the other.
//!
//! A process is given user ids and capabilities by its kernel. A program without a kernel is given
//! the processor's own powers: a mode, a ring, and the registers that go with them. Ring 3 is where
//! a process runs too, so that the built-in programs compute there exactly as they do as processes.

use kvm_bindings::{CpuId, kvm_cpuid_entry2, kvm_regs, kvm_segment, kvm_sregs};
use kvm_ioctls::VcpuFd;
use sandbox::{Question, Story};

use crate::{
    error::{Error, Result},
    loader::{Entry, Power},
    tables::{self, selector},
};

/// Protected mode with paging, write protection, alignment mask and native FPU errors.
const CR0: u64 = 0x8005_0033;
/// Physical address extension, and SSE with its exceptions.
const CR4: u64 = 0x620;
/// Long mode enabled and active, no-execute pages, `syscall`.
const EFER: u64 = 0xd01;
/// The bit of RFLAGS that is always set.
const RFLAGS: u64 = 1 << 1;
/// All I/O ports for ring 3 (IOPL); the I/O bitmap of the task state says the same.
const ALL_PORTS: u64 = 3 << 12;

/// Prepares `cpu` to begin at `entry`.
///
/// # Errors
///
/// When KVM refuses the state.
pub fn prepare(cpu: &VcpuFd, entry: &Entry, story: &mut Story) -> Result<()> {
    set_cpuid(cpu, story)?;
    let (call, registers) = match entry.power {
        Power::Real => ("KVM_SET_SREGS: real mode, 16 bits, no rings", RFLAGS),
        Power::Kernel => ("KVM_SET_SREGS: CR0=80050033 CR4=620 EFER=d01, ring 0", RFLAGS),
        Power::User => ("KVM_SET_SREGS: CR0=80050033 CR4=620 EFER=d01, ring 3", RFLAGS | ALL_PORTS),
    };
    story
        .step(Question::Power, call, || {
            // The rest of the state is that of a processor after reset.
            let mut state = cpu.get_sregs()?;
            match entry.power {
                Power::Real => real_mode(&mut state),
                Power::Kernel => long_mode(&mut state, 0),
                Power::User => long_mode(&mut state, 3),
            }
            cpu.set_sregs(&state)
        })
        .map_err(Error::kvm(call))?;
    let state = kvm_regs {
        rip: entry.instruction,
        rsp: entry.stack,
        rdi: entry.memory_end,
        rflags: registers,
        ..kvm_regs::default()
    };
    let call = format!("KVM_SET_REGS: RIP={:#x} RSP={:#x}", entry.instruction, entry.stack);
    story.step(Question::Power, call.clone(), || cpu.set_regs(&state)).map_err(Error::kvm(call))
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
pub fn set_cpuid(cpu: &VcpuFd, story: &mut Story) -> Result<()> {
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
    let call = "KVM_SET_CPUID2: leaf 80000001, long mode, no-execute pages, syscall";
    story.step(Question::Power, call, || cpu.set_cpuid2(&leaves)).map_err(Error::kvm(call))
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
    state.cs = segment(code, 0xb, ring);
    let data = segment(data, 0x3, ring);
    for each in [&mut state.ss, &mut state.ds, &mut state.es, &mut state.fs, &mut state.gs] {
        *each = data;
    }
    state.gdt.base = tables::DESCRIPTORS;
    state.gdt.limit = tables::DESCRIPTORS_BYTES - 1;
    state.idt.base = tables::GATES;
    state.idt.limit = (tables::VECTORS * 16 - 1) as u16;
    state.tr = kvm_segment {
        base: tables::TASK_STATE,
        limit: tables::TASK_STATE_BYTES - 1,
        selector: selector::TASK,
        type_: 0xb,
        present: 1,
        ..kvm_segment::default()
    };
}

/// What the processor would cache of a flat descriptor; code (0xb) is 64-bit, data (0x3) is not.
fn segment(selector: u16, type_: u8, ring: u8) -> kvm_segment {
    let code = u8::from(type_ == 0xb);
    kvm_segment {
        limit: u32::MAX,
        selector,
        type_,
        present: 1,
        dpl: ring,
        db: 1 - code,
        s: 1,
        l: code,
        g: 1,
        ..kvm_segment::default()
    }
}
