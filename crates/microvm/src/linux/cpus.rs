//! Question 4: with what power does a Linux guest start? As a processor after firmware.
//!
//! A kernel asks its processor what it can do, and believes it. So what `cpuid` says is made here:
//! the host's features as far as KVM can give them, and the machine's own shape, so many processors
//! and this one being the third. Two leaves at 0x40000000 say that the host is KVM, so that the
//! guest takes the time from a page that KVM writes (kvmclock) rather than measure its clocks.
//!
//! The first processor begins at the kernel's entry; the others wait, as real ones do, until the
//! first sends them an interrupt with an address in it (INIT and SIPI). KVM does that part.

use kvm_bindings::{
    CpuId, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, Msrs, kvm_cpuid_entry2, kvm_msr_entry, kvm_regs,
    kvm_sregs,
};
use kvm_ioctls::{Cap, VcpuFd};
use sandbox::{Question, Trace};

use crate::{
    error::{Error, Result},
    kvm_call::kvm_call,
    linux::boot::{EntryPoint, Start},
    machine::Machine,
    registers::{CR0_PE, RFLAGS_FIXED, Segment, SegmentKind},
    vcpu,
};

/// The interrupt controllers' numbers in the tables have eight bits, and 255 means all of them.
pub const MOST: u32 = 254;

/// The processors of a machine, prepared to run.
///
/// # Errors
///
/// When KVM refuses one of them, or its state.
pub fn prepare(cpus: &[VcpuFd], machine: &Machine, start: Start) -> Result<()> {
    let features = machine.features()?;
    let deadline_timer = machine.can(Cap::TscDeadlineTimer);
    let trace = &mut *machine.trace();
    let shape = Shape { count: cpus.len() as u32, deadline_timer };
    for (number, cpu) in (0..).zip(cpus) {
        let operands = format!(": processor {number} of {}", shape.count);
        let own = shape.show(&features, number)?;
        kvm_call(trace, Question::Power, "KVM_SET_CPUID2", operands, || cpu.set_cpuid2(&own))?;
        set_msrs(cpu, trace)?;
    }
    match cpus.first() {
        Some(first) => begin_at(first, start, trace),
        None => Ok(()),
    }
}

/// What a processor says of the machine that it is in.
struct Shape {
    count: u32,
    deadline_timer: bool,
}

impl Shape {
    /// What processor `number` answers to `cpuid` (SDM volume 2A, CPUID; APM volume 3, appendix E).
    fn show(&self, features: &CpuId, number: u32) -> Result<CpuId> {
        const TOPOLOGIES: [u32; 2] = [0xb, 0x1f];
        let deepest = features.as_slice().iter().map(|it| it.function).filter(|it| *it < 0x100);
        let has_topology = deepest.max() >= Some(TOPOLOGIES[0]);
        let mut leaves: Vec<kvm_cpuid_entry2> = features
            .as_slice()
            .iter()
            .filter(|leaf| !TOPOLOGIES.contains(&leaf.function))
            .copied()
            .collect();
        for leaf in &mut leaves {
            self.adjust(leaf, number);
        }
        if has_topology {
            leaves.extend(self.topology(TOPOLOGIES[0], number));
        }
        CpuId::from_entries(&leaves).map_err(|_| Error::Unsupported {
            what: format!("show a guest {} leaves of cpuid", leaves.len()),
            fix: "use another kernel on the host: it has more than any that isolab knows".into(),
        })
    }

    fn adjust(&self, leaf: &mut kvm_cpuid_entry2, number: u32) {
        const HYPERVISOR: u32 = 1 << 31;
        const DEADLINE_TIMER: u32 = 1 << 24;
        const SEVERAL: u32 = 1 << 28;
        match leaf.function {
            0x1 => {
                leaf.ebx = leaf.ebx & 0xffff | self.count << 16 | number << 24;
                leaf.ecx |= HYPERVISOR;
                if self.deadline_timer {
                    leaf.ecx |= DEADLINE_TIMER;
                }
                if self.count > 1 {
                    leaf.edx |= SEVERAL;
                }
            }
            // Caches: none of them is shared; so many processors in the package.
            0x4 if leaf.eax & 0x1f != 0 => {
                leaf.eax = leaf.eax & 0x3fff | (self.count - 1).min(63) << 26;
            }
            // No counters of performance: nobody here reads them, and the guest need not try them.
            0xa => (leaf.eax, leaf.ebx, leaf.ecx, leaf.edx) = (0, 0, 0, 0),
            0x8000_0008 => {
                leaf.ecx = leaf.ecx & !0xf0ff | self.bits() << 12 | (self.count - 1);
            }
            0x8000_001e => (leaf.eax, leaf.ebx, leaf.ecx) = (number, number, 0),
            _ => {}
        }
    }

    /// Two levels: one thread in a core, all cores in a package.
    fn topology(&self, function: u32, number: u32) -> [kvm_cpuid_entry2; 3] {
        let level = |index: u32, shift: u32, processors: u32, kind: u32| kvm_cpuid_entry2 {
            function,
            index,
            flags: KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
            eax: shift,
            ebx: processors,
            ecx: kind << 8 | index,
            edx: number,
            ..kvm_cpuid_entry2::default()
        };
        const THREAD: u32 = 1;
        const CORE: u32 = 2;
        [level(0, 0, 1, THREAD), level(1, self.bits(), self.count, CORE), level(2, 0, 0, 0)]
    }

    /// So many bits tell the processors apart.
    fn bits(&self) -> u32 {
        self.count.next_power_of_two().trailing_zeros()
    }
}

/// The registers that firmware sets: memory is cached, and strings move fast.
fn set_msrs(cpu: &VcpuFd, trace: &mut Trace) -> Result<()> {
    const MISC_ENABLE: (u32, u64) = (0x1a0, 1);
    const MTRR_DEFAULT: (u32, u64) = (0x2ff, 1 << 11 | 6); // enabled, write-back
    let operands = ": memory is cached, string instructions are fast";
    let entries = [MISC_ENABLE, MTRR_DEFAULT].map(|(index, data)| kvm_msr_entry {
        index,
        data,
        ..kvm_msr_entry::default()
    });
    let registers = Msrs::from_entries(&entries).expect("two are fewer than KVM takes");
    // A processor that lacks one of them stops there, and does without.
    kvm_call(trace, Question::Power, "KVM_SET_MSRS", operands, || cpu.set_msrs(&registers))?;
    Ok(())
}

/// Lets `cpu` begin at the kernel's entry.
fn begin_at(cpu: &VcpuFd, start: Start, trace: &mut Trace) -> Result<()> {
    let mode = match start.entry_point {
        EntryPoint::Long64 => "64 bits, paging, ring 0",
        EntryPoint::Pvh => "32 bits, no paging, ring 0",
    };
    kvm_call(trace, Question::Power, "KVM_SET_SREGS", format!(": {mode}"), || {
        let mut state = cpu.get_sregs()?;
        match start.entry_point {
            EntryPoint::Long64 => vcpu::long_mode(&mut state, 0),
            EntryPoint::Pvh => protected_mode(&mut state),
        }
        cpu.set_sregs(&state)
    })?;
    // Linux looks for the zero page in RSI, PVH has its start information in EBX.
    let (rsi, rbx) = match start.entry_point {
        EntryPoint::Long64 => (start.information, 0),
        EntryPoint::Pvh => (0, start.information),
    };
    let registers =
        kvm_regs { rip: start.instruction, rsi, rbx, rflags: RFLAGS_FIXED, ..kvm_regs::default() };
    let operands = format!(": RIP={:#x} RSI={rsi:#x} RBX={rbx:#x}", start.instruction);
    kvm_call(trace, Question::Power, "KVM_SET_REGS", operands, || cpu.set_regs(&registers))
}

/// Flat segments of 4 GiB, no paging (Xen, `docs/misc/pvh.pandoc`).
fn protected_mode(state: &mut kvm_sregs) {
    state.cr0 = CR0_PE;
    state.cs = Segment::flat(SegmentKind::Code32, 0).register(0x10);
    let data = Segment::flat(SegmentKind::Data, 0).register(0x18);
    for each in [&mut state.ss, &mut state.ds, &mut state.es, &mut state.fs, &mut state.gs] {
        *each = data;
    }
    // The 104 bytes of a task's state (section 8.2.1), wherever: nothing reads them.
    state.tr = Segment { base: 0, limit: 103, kind: SegmentKind::Task, ring: 0 }.register(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(function: u32) -> kvm_cpuid_entry2 {
        kvm_cpuid_entry2 { function, ..kvm_cpuid_entry2::default() }
    }

    #[test]
    fn every_processor_knows_which_one_it_is() {
        let features = [leaf(0), leaf(1), leaf(0xb), leaf(0x8000_0008)];
        let features = CpuId::from_entries(&features).unwrap();
        let shape = Shape { count: 3, deadline_timer: true };
        for number in 0..3 {
            let shown = shape.show(&features, number).unwrap();
            let find = |function: u32, index: u32| {
                let mut leaves = shown.as_slice().iter();
                *leaves.find(|it| it.function == function && it.index == index).unwrap()
            };
            assert_eq!(find(1, 0).ebx >> 24, number);
            assert_eq!(find(1, 0).ebx >> 16 & 0xff, 3);
            assert_eq!(find(1, 0).ecx >> 24 & 1, 1);
            assert_eq!((find(0xb, 1).eax, find(0xb, 1).ebx, find(0xb, 1).edx), (2, 3, number));
            assert_eq!(find(0x8000_0008, 0).ecx, 2 << 12 | 2);
        }
    }

    #[test]
    fn a_processor_without_topology_leaves_gets_none() {
        let features = CpuId::from_entries(&[leaf(0), leaf(1)]).unwrap();
        let shown = Shape { count: 1, deadline_timer: false }.show(&features, 0).unwrap();
        assert_eq!(shown.as_slice().len(), 2);
    }
}
