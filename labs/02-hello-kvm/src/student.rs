//! Lab 02: make a virtual machine, and let it compute something.
//!
//! Write the seven functions. `isolab lab check 02` tells you how far you are.
#![allow(unused, clippy::needless_pass_by_value, reason = "until all steps are written")]

use std::process::ExitCode;

use hello_kvm::{Answer, Result};
use kvm_bindings::{kvm_regs, kvm_userspace_memory_region};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd, VmFd};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

/// A machine: a physical address space with nothing in it. `kvm` is the open `/dev/kvm`, and the
/// ioctl is `KVM_CREATE_VM` (Documentation/virt/kvm/api.rst, 4.2).
fn create_vm(kvm: &Kvm) -> Result<VmFd> {
    todo!("lab 2, step 1: ask `kvm` for a machine")
}

/// Describes a slot of memory: `bytes` of guest memory from address 0 are this process's own
/// memory from `host_address`.
///
/// Two kinds of addresses meet in this structure (api.rst, 4.35): `guest_phys_addr` is where the
/// guest finds the memory, `userspace_addr` is where we do. It is slot 0, and has no flags.
fn memory_slot(host_address: u64, bytes: u64) -> kvm_userspace_memory_region {
    todo!("lab 2, step 2: fill the five fields")
}

/// Gives the slot to the machine (`KVM_SET_USER_MEMORY_REGION`).
///
/// The call is `unsafe`: KVM will let a guest write to these addresses for as long as the machine
/// lives, and only we know that nobody else uses them.
fn add_memory(vm: &VmFd, slot: kvm_userspace_memory_region) -> Result<()> {
    todo!("lab 2, step 3: unsafe {{ vm... }}")
}

/// Processor number 0 of the machine (`KVM_CREATE_VCPU`, api.rst, 4.7).
fn create_vcpu(vm: &VmFd) -> Result<VcpuFd> {
    todo!("lab 2, step 4: ask `vm` for a processor")
}

/// The general registers with which the guest starts: the instruction pointer at `entry`, and of
/// the flags only the one that is always set (Intel SDM, volume 1, 3.4.3: "reserved, 1").
fn entry_registers(entry: u64) -> kvm_regs {
    todo!("lab 2, step 5: rip and rflags; all else is 0")
}

/// Points the processor at its first instruction, in 16-bit real mode.
///
/// After reset, `cs.base` and `cs.selector` say where a PC has its firmware (Intel SDM, volume 3,
/// 10.1.4); here both are 0. Read the special registers (`KVM_GET_SREGS`), change
/// these two, write them back, and write the general ones.
fn set_entry(cpu: &VcpuFd, registers: &kvm_regs) -> Result<()> {
    todo!("lab 2, step 6: get_sregs, set_sregs, set_regs")
}

/// Lets the guest run (`KVM_RUN`) until it halts, then reads the answer out of its memory: a `u32`
/// at the guest's address `answer`.
///
/// `KVM_RUN` returns whenever the guest does something that it cannot do alone. This guest writes to
/// a port now and then, which means nothing here, and halts when it is done. Anything else is an
/// error.
fn run(cpu: &mut VcpuFd, memory: &GuestMemoryMmap, answer: u64) -> Result<u32> {
    todo!("lab 2, step 7: a loop around a match on cpu.run()?, then memory.read_obj")
}

fn main() -> ExitCode {
    hello_kvm::program(&Answer {
        create_vm,
        memory_slot,
        add_memory,
        create_vcpu,
        entry_registers,
        set_entry,
        run,
    })
}
