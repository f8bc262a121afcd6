//! Lab 02: a virtual machine, its memory and its processor. The part that leads the student's
//! functions. Labs 03 and 04 use [`scenario::Random`], [`look`] and
//! [`watchdog`] too.

use std::{os::fd::IntoRawFd, process::ExitCode};

use kvm_bindings::{kvm_regs, kvm_userspace_memory_region};
use kvm_ioctls::{Kvm, VcpuFd, VmFd};
use lab::program::run;
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap};

pub mod look;
mod other_exits;
pub mod scenario;
pub mod watchdog;

use scenario::{MEMORY_BYTES, Scenario};

/// What a step gives, or why it did not succeed: `?` takes errors of every kind.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The student's functions.
pub struct Answer {
    /// Makes an empty machine.
    pub create_vm: fn(&Kvm) -> Result<VmFd>,
    /// Describes the memory.
    pub memory_slot: fn(u64, u64) -> kvm_userspace_memory_region,
    /// Gives it to the machine.
    pub add_memory: fn(&VmFd, kvm_userspace_memory_region) -> Result<()>,
    /// Makes a processor.
    pub create_vcpu: fn(&VmFd) -> Result<VcpuFd>,
    /// Describes its registers at the first instruction.
    pub entry_registers: fn(u64) -> kvm_regs,
    /// Puts it there.
    pub set_entry: fn(&VcpuFd, &kvm_regs) -> Result<()>,
    /// Lets it run and fetches the answer.
    pub run: fn(&mut VcpuFd, &GuestMemoryMmap, u64) -> Result<u32>,
}

/// The program: makes a machine whose guest computes something of the check's token.
pub fn program(answer: &Answer) -> ExitCode {
    run(|host| {
        let scenario = Scenario::of(host.number("seed", 2));
        let token = host.number("token", 0x2a) as u32;
        let kvm = host.step("open /dev/kvm", Kvm::new)?;
        let memory = host.step("mmap", || {
            GuestMemoryMmap::<()>::from_ranges(&[(GuestAddress(0), MEMORY_BYTES as usize)])
        })?;
        host.step("write the guest's program", || {
            memory.write_slice(&scenario.code(), GuestAddress(scenario.entry.into()))?;
            memory.write_slice(&token.to_le_bytes(), GuestAddress(scenario.token.into()))
        })?;
        let address = host.step("find the memory", || memory.get_host_address(GuestAddress(0)))?;

        let vm = host.step("create_vm", || (answer.create_vm)(&kvm))?;
        let slot = (answer.memory_slot)(address as u64, MEMORY_BYTES);
        host.say("slot_number", slot.slot);
        host.say("slot_flags", slot.flags);
        host.say("slot_guest", slot.guest_phys_addr);
        host.say("slot_bytes", slot.memory_size);
        host.say("slot_host", slot.userspace_addr);
        host.say("memory", address as u64);
        host.meet("slot");
        host.step("add_memory", || (answer.add_memory)(&vm, slot))?;
        host.say("given", if has_memory(&vm, address as u64) { "yes" } else { "no" });
        host.meet("given");
        let mut cpu = host.step("create_vcpu", || (answer.create_vcpu)(&vm))?;
        let registers = (answer.entry_registers)(scenario.entry.into());
        host.say("rflags", registers.rflags);
        host.say("wanted_rip", registers.rip);
        let reset = host.step("KVM_GET_SREGS", || cpu.get_sregs())?;
        host.step("set_entry", || (answer.set_entry)(&cpu, &registers))?;
        let state = host.step("KVM_GET_SREGS", || cpu.get_sregs())?;
        host.say("cs_base", state.cs.base);
        host.say("cs_selector", state.cs.selector);
        // Whatever else differs from the state after reset.
        let mut rest = state;
        (rest.cs.base, rest.cs.selector) = (reset.cs.base, reset.cs.selector);
        host.say("rest", if rest == reset { "as after reset" } else { "changed" });
        host.say("rip", host.step("KVM_GET_REGS", || cpu.get_regs())?.rip);
        host.say("statistics", statistics(&cpu));
        host.meet("ready");

        watchdog::watch(&cpu, host);
        let ran = (answer.run)(&mut cpu, &memory, scenario.answer.into());
        watchdog::rest();
        host.say("rip", host.step("KVM_GET_REGS", || cpu.get_regs())?.rip);
        match ran {
            Ok(value) => {
                host.say("how", "ended");
                host.say("answer", value);
            }
            Err(error) => {
                host.say("how", "refused");
                host.say("error", error);
            }
        }
        host.meet(watchdog::STOPPED);
        if host.is_checked() {
            other_exits::all(host, answer, &kvm)?;
        }
        Ok(())
    })
}

/// Whether the machine has memory at the guest's address 0: then KVM refuses another slot there
/// (`EEXIST`).
fn has_memory(vm: &VmFd, address: u64) -> bool {
    let slot = |memory_size| kvm_userspace_memory_region {
        slot: 7,
        flags: 0,
        guest_phys_addr: 0,
        memory_size,
        userspace_addr: address,
    };
    // SAFETY: the memory is unmapped at the program's end, when the machine is closed.
    let refused = unsafe { vm.set_user_memory_region(slot(MEMORY_BYTES)) }.is_err();
    if !refused {
        // SAFETY: a slot of size 0 is one taken away.
        let _ = unsafe { vm.set_user_memory_region(slot(0)) };
    }
    refused
}

/// A new descriptor of `cpu`'s statistics, which the check reads too and which stays open; -1 if
/// this kernel has none.
pub fn statistics(cpu: &VcpuFd) -> i32 {
    microvm::statistics::file(cpu).map_or(-1, IntoRawFd::into_raw_fd)
}
