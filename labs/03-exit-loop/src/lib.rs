//! Lab 03: the run loop: why a guest stops. The part that leads the student's functions.

use std::{
    io::{Read, Write},
    os::{fd::AsRawFd, unix::net::UnixStream},
    process::ExitCode,
};

use hello_kvm::{Result, statistics, watchdog};
use kvm_bindings::{kvm_regs, kvm_userspace_memory_region};
use kvm_ioctls::{Kvm, VcpuFd, VmFd};
use lab::program::run;
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap};

pub mod cpu;
pub mod page;
pub mod scenario;
pub mod trials;

use cpu::Cpu;
use page::RunPage;
use scenario::{ENTRY, MEMORY_BYTES, Scenario};

/// What follows after an exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The guest goes on.
    Run,
    /// It is at its end.
    Stop,
}

/// The devices of the machine.
#[derive(Debug)]
pub struct Devices {
    /// What the serial port leads to.
    pub line: Line,
    /// What the adder holds.
    pub sum: u32,
}

/// The student's functions; the others are called by these two.
pub struct Answer {
    /// Does what the guest came out for.
    pub handle_exit: fn(&mut RunPage, &mut Devices) -> Result<Next>,
    /// Lets the guest run to its end.
    pub run: fn(&mut Cpu, &mut Devices) -> Result<()>,
}

/// A cable: what is sent comes out at its far end, and the other way round.
#[derive(Debug)]
pub struct Line(UnixStream);

impl Line {
    /// Sends a byte.
    pub fn send(&mut self, byte: u8) {
        // Nobody would miss what does not fit any more.
        let _ = self.0.write_all(&[byte]);
    }

    /// Receives a byte; 0xff, as of a port without a device, if none has come.
    pub fn receive(&mut self) -> u8 {
        let mut byte = [0xff];
        let _ = self.0.read(&mut byte);
        byte[0]
    }
}

/// The program: a guest that needs its host for nearly everything.
pub fn program(answer: &Answer) -> ExitCode {
    run(|host| {
        let scenario = Scenario::of(host.number("seed", 3));
        let (kvm, vm, memory, fd) = host.step("create a machine", || machine(&scenario.code))?;
        let page_bytes = host.step("KVM_GET_VCPU_MMAP_SIZE", || kvm.get_vcpu_mmap_size())?;
        let mut cpu = Cpu::new(fd, page_bytes, &scenario.signals);
        let (near, mut far) = host.step("socketpair", UnixStream::pair)?;
        host.step("fcntl", || near.set_nonblocking(true).and_then(|()| far.set_nonblocking(true)))?;
        let mut devices = Devices { line: Line(near), sum: 0 };
        if !host.is_checked() {
            host.step("write the input", || far.write_all(&scenario.input))?;
        }
        let address = host.step("find the memory", || memory.get_host_address(GuestAddress(0)))?;
        host.say("memory", address as u64);
        host.say("far", far.as_raw_fd());
        host.say("statistics", statistics(cpu.fd()));
        host.meet("ready");

        watchdog::watch(cpu.fd(), host);
        let ran = (answer.run)(&mut cpu, &mut devices);
        watchdog::rest();
        let tally = cpu.tally();
        host.say("port_out", tally.port_out);
        host.say("port_in", tally.port_in);
        host.say("memory_read", tally.memory_read);
        host.say("memory_write", tally.memory_write);
        host.say("halt", tally.halt);
        host.say("other", tally.other);
        host.say("last", watchdog::last());
        host.say("rip", host.step("KVM_GET_REGS", || cpu.fd().get_regs())?.rip);
        host.say("interrupted", u64::from(cpu.was_interrupted()));
        host.say("how", if ran.is_ok() { "ended" } else { "refused" });
        host.say("error", ran.err().map_or_else(String::new, |error| error.to_string()));
        host.meet(watchdog::STOPPED);

        if host.is_checked() {
            trials::exits(host, answer, &mut devices);
            trials::runs(host, answer, &mut cpu, &mut devices);
        }
        drop(vm);
        Ok(())
    })
}

/// Lab 02's machine, with `code` in its memory.
fn machine(code: &[u8]) -> Result<(Kvm, VmFd, GuestMemoryMmap, VcpuFd)> {
    let kvm = Kvm::new()?;
    let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), MEMORY_BYTES as usize)])?;
    memory.write_slice(code, GuestAddress(ENTRY))?;
    let vm = kvm.create_vm()?;
    let slot = kvm_userspace_memory_region {
        memory_size: MEMORY_BYTES,
        userspace_addr: memory.get_host_address(GuestAddress(0))? as u64,
        ..kvm_userspace_memory_region::default()
    };
    // SAFETY: the memory is returned beside the machine, and the machine is closed before it.
    unsafe { vm.set_user_memory_region(slot) }?;
    let fd = vm.create_vcpu(0)?;
    let mut state = fd.get_sregs()?;
    microvm::vcpu::real_mode(&mut state);
    fd.set_sregs(&state)?;
    fd.set_regs(&kvm_regs { rip: ENTRY, rflags: 1 << 1, ..kvm_regs::default() })?;
    Ok((kvm, vm, memory, fd))
}
