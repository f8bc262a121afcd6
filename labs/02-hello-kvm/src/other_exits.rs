//! Guests that come out for a reason that `run` does not know: it must say so.

use kvm_bindings::{kvm_regs, kvm_userspace_memory_region};
use kvm_ioctls::{Kvm, VcpuFd, VmFd};
use lab::program::{Host, Trouble};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap};

use super::{
    Answer, Result,
    scenario::{MEMORY_BYTES, PORT},
    watchdog,
};

const ENTRY: u64 = 0x1000;
const KEPT: u64 = 0x8000;

/// Two guests, whose programs end in `hlt` as well.
pub(super) fn all(host: &Host, answer: &Answer, kvm: &Kvm) -> std::result::Result<(), Trouble> {
    // in al, PORT; hlt.
    let input = [0xe4, PORT, 0xf4];
    // mov ds:[0xfff0], al with a segment that lies beyond the memory; hlt.
    let beyond = [0xb8, 0x00, 0xf0, 0x8e, 0xd8, 0xa2, 0xf0, 0xff, 0xf4];
    for (name, code) in [("in", &input[..]), ("mmio", &beyond)] {
        let (_vm, mut cpu, memory) = host.step("make a machine", || machine(kvm, code))?;
        watchdog::watch(&cpu, host);
        let ran = (answer.run)(&mut cpu, &memory, KEPT);
        watchdog::rest();
        let words = match ran {
            Ok(_) => "success".to_owned(),
            Err(error) => format!("an error: {error}"),
        };
        host.say("returned", words);
        host.meet(name);
    }
    Ok(())
}

fn machine(kvm: &Kvm, code: &[u8]) -> Result<(VmFd, VcpuFd, GuestMemoryMmap)> {
    let memory = GuestMemoryMmap::<()>::from_ranges(&[(GuestAddress(0), MEMORY_BYTES as usize)])?;
    memory.write_slice(code, GuestAddress(ENTRY))?;
    let vm = kvm.create_vm()?;
    let slot = kvm_userspace_memory_region {
        slot: 0,
        flags: 0,
        guest_phys_addr: 0,
        memory_size: MEMORY_BYTES,
        userspace_addr: memory.get_host_address(GuestAddress(0))? as u64,
    };
    // SAFETY: the caller drops the machine before the memory.
    unsafe { vm.set_user_memory_region(slot) }?;
    let cpu = vm.create_vcpu(0)?;
    let mut state = cpu.get_sregs()?;
    microvm::vcpu::real_mode(&mut state);
    cpu.set_sregs(&state)?;
    cpu.set_regs(&kvm_regs { rip: ENTRY, rflags: 1 << 1, ..kvm_regs::default() })?;
    Ok((vm, cpu, memory))
}
