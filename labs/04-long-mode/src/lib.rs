//! Lab 04: page tables and 64-bit mode. The part that leads the student's functions.

use std::{path::Path, process::ExitCode};

use hello_kvm::{statistics, watchdog};
use kvm_bindings::{kvm_regs, kvm_sregs};
use kvm_ioctls::{VcpuExit, VcpuFd};
use lab::program::{Host, run};
use microvm::{
    machine::Machine,
    memory::{Memory, Pages},
    tables, vcpu,
};
use sandbox::Trace;

pub mod scenario;
pub mod walk;

use scenario::{MAPPED, MEMORY_BYTES, PAGE, Scenario};

/// The student's functions.
pub struct Answer {
    /// Maps all addresses below the given one to themselves.
    pub write_pages: fn(&Memory, u64) -> microvm::Result<()>,
    /// Lets a page of the guest's be another physical one.
    pub remap: fn(&Memory, u64, u64) -> microvm::Result<()>,
    /// Puts a processor's state into 64-bit mode.
    pub long_mode: fn(&mut kvm_sregs, u8),
}

/// The program: a guest in 64-bit mode that says what it finds there.
pub fn program(answer: &Answer) -> ExitCode {
    run(|host| {
        let scenario = Scenario::of(host.number("seed", 4));
        // The machine of lab 02, by the library.
        let mut machine = host
            .step("KVM_CREATE_VM", || Machine::create(Path::new("/dev/kvm"), Trace::default()))?;
        let memory =
            host.step("mmap", || Memory::new(MEMORY_BYTES, Pages::Small, &mut Trace::default()))?;
        let memory = host.step("KVM_SET_USER_MEMORY_REGION", || machine.attach(memory))?;
        host.step("write the guest's program", || {
            tables::write_descriptors(memory)?;
            memory.write("program", scenario.entry, &scenario.code())?;
            memory.write(
                "token",
                scenario.window.1 + scenario.offset,
                &scenario.token.to_le_bytes(),
            )
        })?;

        host.step("write_pages", || (answer.write_pages)(memory, MAPPED))?;
        for (page, physical) in [scenario.window, scenario.hole] {
            host.step("remap", || (answer.remap)(memory, page, physical))?;
        }
        if let Some((_, _, address)) = memory.pieces().next() {
            host.say("memory", address);
        }
        // Another memory, which is to be mapped to another extent.
        let other =
            host.step("mmap", || Memory::new(MEMORY_BYTES, Pages::Small, &mut Trace::default()))?;
        host.step("write_pages", || (answer.write_pages)(&other, scenario.pages * PAGE))?;
        if let Some((_, _, address)) = other.pieces().next() {
            host.say("other", address);
        }
        let mut cpu = host.step("KVM_CREATE_VCPU", || machine.cpu(0))?;
        // Without long mode in CPUID, KVM refuses a state that is in it.
        host.step("KVM_SET_CPUID2", || vcpu::set_cpuid(&cpu, &mut machine.trace()))?;
        let mut state = host.step("KVM_GET_SREGS", || cpu.get_sregs())?;
        let mut of_ring_3 = state;
        (answer.long_mode)(&mut of_ring_3, 3);
        host.say("dpl_of_ring_3", of_ring_3.cs.dpl);
        (answer.long_mode)(&mut state, 0);
        say_state(host, &state);
        host.meet("state");
        host.step("KVM_SET_SREGS", || cpu.set_sregs(&state))?;
        say_state(host, &host.step("KVM_GET_SREGS", || cpu.get_sregs())?);
        let registers = kvm_regs { rip: scenario.entry, rflags: 1 << 1, ..kvm_regs::default() };
        host.step("KVM_SET_REGS", || cpu.set_regs(&registers))?;
        host.say("statistics", statistics(&cpu));
        host.meet("ready");

        watchdog::watch(&cpu, host);
        let how = run_to_the_end(&mut cpu, &scenario, host);
        watchdog::rest();
        host.say("rip", host.step("KVM_GET_REGS", || cpu.get_regs())?.rip);
        host.say("how", how);
        host.meet(watchdog::STOPPED);
        Ok(())
    })
}

/// The loop of lab 03: only the hole has a device. Says how often it was asked and where last;
/// gives why it ended.
fn run_to_the_end(cpu: &mut VcpuFd, scenario: &Scenario, host: &Host) -> String {
    let (mut mmio, mut last) = (0, 0);
    let how = loop {
        match cpu.run() {
            Ok(VcpuExit::MmioRead(address, data)) => {
                (mmio, last) = (mmio + 1, address);
                let answer = scenario.device.to_le_bytes();
                data.iter_mut().zip(answer).for_each(|(byte, of_answer)| *byte = of_answer);
            }
            Ok(VcpuExit::MmioWrite(address, _)) => (mmio, last) = (mmio + 1, address),
            Ok(VcpuExit::Hlt) => break "halted".to_owned(),
            Ok(VcpuExit::Shutdown) => break "shutdown".to_owned(),
            Ok(other) => break format!("{other:?}"),
            Err(error) if error.errno() == libc::EINTR => {}
            Err(error) => break format!("KVM_RUN: {error}"),
        }
    };
    host.say("mmio", mmio);
    host.say("mmio_at", last);
    how
}

/// Says all of the state that 64-bit mode consists of.
fn say_state(host: &Host, state: &kvm_sregs) {
    for (name, value) in
        [("cr0", state.cr0), ("cr3", state.cr3), ("cr4", state.cr4), ("efer", state.efer)]
    {
        host.say(name, value);
    }
    let cs = &state.cs;
    for (name, value) in [
        ("present", cs.present),
        ("type", cs.type_),
        ("s", cs.s),
        ("dpl", cs.dpl),
        ("l", cs.l),
        ("db", cs.db),
    ] {
        host.say(&format!("cs_{name}"), value);
    }
    host.say("cs_selector", cs.selector);
}
