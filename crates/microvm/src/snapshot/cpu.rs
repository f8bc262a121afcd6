//! Question 4, in the middle of a life: with what power does a processor go on? With all that it
//! had.
//!
//! A processor that was saved must not find out. Its registers are not half of it: there are those
//! of its model (clocks, system calls, KVM's own), the interrupt controller in it with the timer,
//! interrupts that are on their way, and what `cpuid` has told it. KVM shows each through a call of
//! its own, and some calls disturb what others show, so their order matters (Linux,
//! `Documentation/virt/kvm/api.rst`).

use std::collections::BTreeMap;

use kvm_bindings::{
    CpuId, KVM_MAX_CPUID_ENTRIES, Msrs, kvm_cpuid_entry2, kvm_debugregs, kvm_lapic_state,
    kvm_mp_state, kvm_msr_entry, kvm_regs, kvm_sregs, kvm_vcpu_events, kvm_xcrs, kvm_xsave,
};
use kvm_ioctls::{Cap, VcpuFd};
use sandbox::KvmCall;
use serde::{Deserialize, Serialize};

use super::{SnapshotError, host::Host, plain::Plain};
use crate::{
    error::{Error, Result},
    hex::Hex,
    machine::Machine,
    registers::{CR4_VMXE, EFER_SVME},
};

/// All that a processor knows.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Whether it runs, halts, or was never started: `KVM_GET_MP_STATE`.
    activity: u32,
    registers: Plain<kvm_regs>,
    /// The instruction that it goes on with, for the one who reads this.
    rip: Hex,
    /// Control registers, segments, tables: `KVM_GET_SREGS`. What `KVM_GET_SREGS2` has beyond it is
    /// for 32-bit guests.
    special: Plain<kvm_sregs>,
    /// Registers of floating point and vectors, and which of them there are.
    vectors: Plain<kvm_xsave>,
    vectors_enabled: Option<Plain<kvm_xcrs>>,
    debug: Plain<kvm_debugregs>,
    /// The interrupt controller with its timer.
    controller: Plain<kvm_lapic_state>,
    /// Registers of its model, by number.
    of_model: BTreeMap<Hex, Hex>,
    /// Exceptions and interrupts that are on their way.
    events: Plain<kvm_vcpu_events>,
    /// What it answers to `cpuid`.
    cpuid: Vec<Plain<kvm_cpuid_entry2>>,
    /// How fast its time stamps count, in kHz.
    clock_khz: Option<u32>,
}

/// The time stamps.
const TIME_STAMPS: Hex = Hex(0x10);
/// The timer of the interrupt controller rings when the time stamps reach this.
const TIMER_DEADLINE: Hex = Hex(0x6e0);

/// Lets `cpus`, fresh ones of `machine`, go on from `states`, on the same kind of `host`.
///
/// # Errors
///
/// When KVM refuses a part of one.
pub fn restore(states: &[State], cpus: &[VcpuFd], machine: &Machine, host: &Host) -> Result<()> {
    if let (Some(cpu), Some(state)) = (cpus.first(), states.first()) {
        state.keep_time_stamps_apart(cpu)?;
    }
    cpus.iter().zip(states).try_for_each(|(cpu, state)| state.restore(cpu, machine, host))
}

/// Which parts of a processor's state this KVM shows: asked of the machine once, so that a
/// processor's own thread can save it without the machine.
#[derive(Debug)]
pub struct Parts {
    has_clock: bool,
    has_xcrs: bool,
    /// The model-specific registers that hold a part of the state.
    msrs: Vec<u32>,
}

impl Parts {
    /// Those of the processors of `machine`.
    ///
    /// # Errors
    ///
    /// When KVM does not tell.
    pub fn of(machine: &Machine) -> Result<Self> {
        Ok(Self {
            has_clock: machine.can(Cap::GetTscKhz),
            has_xcrs: machine.can(Cap::Xcrs),
            msrs: machine.msr_indices()?,
        })
    }
}

impl State {
    /// Of `cpu`, which is not running and has completed what it was about.
    ///
    /// # Errors
    ///
    /// When KVM does not tell something, or it has more than a snapshot holds.
    pub fn of(cpu: &VcpuFd, parts: &Parts) -> Result<Self> {
        // Saying whether it runs takes signals to start and to reset in, so it comes first.
        let activity = cpu.get_mp_state().map_err(Error::kvm("KVM_GET_MP_STATE"))?.mp_state;
        let registers = cpu.get_regs().map_err(Error::kvm("KVM_GET_REGS"))?;
        let special = cpu.get_sregs().map_err(Error::kvm("KVM_GET_SREGS"))?;
        refuse_hypervisor(&special)?;
        let enabled = parts.has_xcrs.then(|| cpu.get_xcrs()).transpose();
        // More than fits (tiles of AMX) a process has only if it asks for it, and we do not.
        let vectors = cpu.get_xsave().map_err(Error::kvm("KVM_GET_XSAVE"))?;
        Ok(Self {
            activity,
            registers: Plain(registers),
            rip: Hex(registers.rip),
            special: Plain(special),
            vectors: Plain(vectors),
            vectors_enabled: enabled.map_err(Error::kvm("KVM_GET_XCRS"))?.map(Plain),
            debug: Plain(cpu.get_debug_regs().map_err(Error::kvm("KVM_GET_DEBUGREGS"))?),
            controller: Plain(cpu.get_lapic().map_err(Error::kvm("KVM_GET_LAPIC"))?),
            of_model: read_msrs(cpu, &parts.msrs)?,
            // After all that may still deliver one.
            events: Plain(cpu.get_vcpu_events().map_err(Error::kvm("KVM_GET_VCPU_EVENTS"))?),
            cpuid: cpu
                .get_cpuid2(KVM_MAX_CPUID_ENTRIES)
                .map_err(Error::kvm("KVM_GET_CPUID2"))?
                .as_slice()
                .iter()
                .map(|leaf| Plain(*leaf))
                .collect(),
            clock_khz: parts.has_clock.then(|| cpu.get_tsc_khz().ok()).flatten(),
        })
    }

    /// Lets `cpu`, a fresh one of `machine`, go on from here, on the same kind of `host`.
    fn restore(&self, cpu: &VcpuFd, machine: &Machine, host: &Host) -> Result<()> {
        let leaves: Vec<kvm_cpuid_entry2> = self.cpuid.iter().map(|leaf| leaf.0).collect();
        let cpuid = CpuId::from_entries(&leaves).map_err(|_| Error::Unsupported {
            what: format!("show a guest {} leaves of cpuid", leaves.len()),
            fix: "save the snapshot anew".into(),
        })?;
        // First what it can do, for KVM judges by that all that follows.
        cpu.set_cpuid2(&cpuid).map_err(Error::kvm("KVM_SET_CPUID2"))?;
        if let Some(khz) = self.clock_khz
            && cpu.get_tsc_khz().ok() != Some(khz)
        {
            let call = KvmCall::new("KVM_SET_TSC_KHZ", format!(": time stamps at {khz} kHz"));
            let set = cpu.set_tsc_khz(khz);
            set.map_err(|errno| Error::Kvm { call, source: errno.into() })?;
        }
        let activity = kvm_mp_state { mp_state: self.activity };
        cpu.set_mp_state(activity).map_err(Error::kvm("KVM_SET_MP_STATE"))?;
        cpu.set_regs(&self.registers.0).map_err(Error::kvm("KVM_SET_REGS"))?;
        cpu.set_sregs(&self.special(host)).map_err(Error::kvm("KVM_SET_SREGS"))?;
        self.restore_vectors(cpu, machine)?;
        if let Some(Plain(enabled)) = &self.vectors_enabled {
            cpu.set_xcrs(enabled).map_err(Error::kvm("KVM_SET_XCRS"))?;
        }
        cpu.set_debug_regs(&self.debug.0).map_err(Error::kvm("KVM_SET_DEBUGREGS"))?;
        // After KVM_SET_SREGS, which says where the controller is and switches it on.
        cpu.set_lapic(&self.controller.0).map_err(Error::kvm("KVM_SET_LAPIC"))?;
        self.restore_msrs(cpu)?;
        cpu.set_vcpu_events(&self.events.0).map_err(Error::kvm("KVM_SET_VCPU_EVENTS"))?;
        // So that its watchdogs know that it was stopped; a guest without kvmclock has none to tell.
        let _ = cpu.kvmclock_ctrl();
        Ok(())
    }

    /// KVM takes time stamps that are set to about what they are for an attempt to have all
    /// processors agree, and lets them agree with those that it began with
    /// (`kvm_synchronize_tsc`). So those of the first are set to something else before. The others'
    /// shall agree with the first's.
    fn keep_time_stamps_apart(&self, cpu: &VcpuFd) -> Result<()> {
        let Some(Hex(now)) = self.of_model.get(&TIME_STAMPS) else { return Ok(()) };
        let far = Msrs::from_entries(&[entry(TIME_STAMPS.0, now.wrapping_add(1 << 44))]);
        cpu.set_msrs(&far.expect("it is one")).map_err(Error::kvm("KVM_SET_MSRS: time stamps"))?;
        Ok(())
    }

    /// SVM does not show that a task state is busy, and KVM adds it (`svm_get_segment`). A processor
    /// that is emulated finds ports forbidden by a busy one (QEMU, `check_io`), so it goes again.
    fn special(&self, host: &Host) -> kvm_sregs {
        const BUSY: u8 = 2;
        let mut special = self.special.0;
        if host.is_svm() {
            special.tr.type_ &= !BUSY;
        }
        special
    }

    fn restore_vectors(&self, cpu: &VcpuFd, machine: &Machine) -> Result<()> {
        let bytes = machine.amount(Cap::Xsave2) as usize;
        if bytes > size_of::<kvm_xsave>() {
            let what = format!("restore {bytes} bytes of vector registers");
            let fix = "start isolab from a program that does not ask for AMX".into();
            return Err(Error::Unsupported { what, fix });
        }
        // SAFETY: KVM reads as many bytes as it just said, which the structure has.
        unsafe { cpu.set_xsave(&self.vectors.0) }.map_err(Error::kvm("KVM_SET_XSAVE"))
    }

    /// The timer's deadline comes last: it is compared with time stamps, and the controller must be
    /// in the mode that has one.
    fn restore_msrs(&self, cpu: &VcpuFd) -> Result<()> {
        let deadline = self.of_model.get_key_value(&TIMER_DEADLINE);
        let others = self.of_model.iter().filter(|(number, _)| **number != TIMER_DEADLINE);
        let entries: Vec<kvm_msr_entry> =
            others.chain(deadline).map(|(number, value)| entry(number.0, value.0)).collect();
        let mut rest = &entries[..];
        while !rest.is_empty() {
            let some = &rest[..rest.len().min(SOME)];
            let list = Msrs::from_entries(some).expect("they are fewer than KVM takes");
            let done = cpu.set_msrs(&list).map_err(Error::kvm("KVM_SET_MSRS"))?.min(some.len());
            rest = &rest[done..];
            // It stopped at one that it takes no value for: fine if it has that value anyway.
            if done < some.len() {
                let refused = rest[0];
                if read(cpu, refused.index)? != Some(refused.data) {
                    let operands = format!(": {:#x} to {:#x}", refused.index, refused.data);
                    let call = KvmCall::new("KVM_SET_MSRS", operands);
                    let source = std::io::ErrorKind::InvalidInput.into();
                    return Err(Error::Kvm { call, source });
                }
                rest = &rest[1..];
            }
        }
        Ok(())
    }
}

/// What a hypervisor in the guest has told its processor of its own guests (`KVM_GET_NESTED_STATE`)
/// is not saved, and without it the guest would not go on.
fn refuse_hypervisor(special: &kvm_sregs) -> Result<()> {
    if special.cr4 & CR4_VMXE == 0 && special.efer & EFER_SVME == 0 {
        return Ok(());
    }
    Err(SnapshotError::Unsaveable {
        what: "a hypervisor of its own running: what that keeps in the processor is not saved",
        fix: "end its virtual machines and unload its KVM modules first",
    }
    .into())
}

/// So many registers of a model are read and written at once.
const SOME: usize = 64;

fn entry(number: u64, data: u64) -> kvm_msr_entry {
    kvm_msr_entry { index: number as u32, data, ..kvm_msr_entry::default() }
}

/// The registers of its model that can be read; a list of KVM's has some that this one lacks.
fn read_msrs(cpu: &VcpuFd, numbers: &[u32]) -> Result<BTreeMap<Hex, Hex>> {
    let mut found = BTreeMap::new();
    let mut rest = numbers;
    while !rest.is_empty() {
        let some: Vec<_> =
            rest.iter().take(SOME).map(|number| entry((*number).into(), 0)).collect();
        let mut list = Msrs::from_entries(&some).expect("they are fewer than KVM takes");
        let done = cpu.get_msrs(&mut list).map_err(Error::kvm("KVM_GET_MSRS"))?.min(some.len());
        for entry in &list.as_slice()[..done] {
            found.insert(Hex(entry.index.into()), Hex(entry.data));
        }
        // It stopped at one that cannot be read.
        rest = &rest[(done + usize::from(done < some.len()))..];
    }
    Ok(found)
}

fn read(cpu: &VcpuFd, number: u32) -> Result<Option<u64>> {
    let mut list = Msrs::from_entries(&[entry(number.into(), 0)]).expect("it is one");
    let done = cpu.get_msrs(&mut list).map_err(Error::kvm("KVM_GET_MSRS"))?;
    Ok(list.as_slice().first().filter(|_| done == 1).map(|entry| entry.data))
}
