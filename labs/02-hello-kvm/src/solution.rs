//! Lab 02, solved.

use std::process::ExitCode;

use hello_kvm::{Answer, Result};
use kvm_bindings::{kvm_regs, kvm_userspace_memory_region};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd, VmFd};
use microvm::vcpu::real_mode;
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

fn create_vm(kvm: &Kvm) -> Result<VmFd> {
    Ok(kvm.create_vm()?)
}

fn memory_slot(host_address: u64, bytes: u64) -> kvm_userspace_memory_region {
    kvm_userspace_memory_region {
        slot: 0,
        flags: 0,
        guest_phys_addr: 0,
        memory_size: bytes,
        userspace_addr: host_address,
    }
}

fn add_memory(vm: &VmFd, slot: kvm_userspace_memory_region) -> Result<()> {
    // SAFETY: the memory is unmapped at the program's end, when the machine is closed.
    Ok(unsafe { vm.set_user_memory_region(slot) }?)
}

fn create_vcpu(vm: &VmFd) -> Result<VcpuFd> {
    Ok(vm.create_vcpu(0)?)
}

fn entry_registers(entry: u64) -> kvm_regs {
    kvm_regs { rip: entry, rflags: 1 << 1, ..kvm_regs::default() }
}

fn set_entry(cpu: &VcpuFd, registers: &kvm_regs) -> Result<()> {
    let mut state = cpu.get_sregs()?;
    real_mode(&mut state);
    cpu.set_sregs(&state)?;
    Ok(cpu.set_regs(registers)?)
}

fn run(cpu: &mut VcpuFd, memory: &GuestMemoryMmap, answer: u64) -> Result<u32> {
    loop {
        match cpu.run()? {
            VcpuExit::IoOut(..) => {}
            VcpuExit::Hlt => break,
            other => return Err(format!("an exit that nobody expected: {other:?}").into()),
        }
    }
    Ok(memory.read_obj(GuestAddress(answer))?)
}

/// The right answers; a wrong one is these but for what is wrong.
pub(crate) const ANSWER: Answer =
    Answer { create_vm, memory_slot, add_memory, create_vcpu, entry_registers, set_entry, run };

fn main() -> ExitCode {
    hello_kvm::program(&ANSWER)
}
