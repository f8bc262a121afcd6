//! Which kind of KVM this is, found by several signs and one experiment.
//!
//! With hardware assistance (VMX, SVM) all of a guest runs on the processor. A KVM without it (PVM)
//! runs ring 3 there and interprets ring 0, thousands of times slower. Flags and module names can
//! be wrong in a nested or emulated machine, so the experiment decides: the same loop in ring 0 and
//! in ring 3, and how many instructions KVM says that it has interpreted.

use std::{fs, path::Path};

use kvm_ioctls::VcpuExit;
use sandbox::Trace;

use crate::{
    MicroVm,
    error::{Error, Result},
    loader::{Power, Program},
    machine::Machine,
    memory::{Memory, Pages},
    statistics, vcpu,
};

/// What carries the guests of this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KvmFlavour {
    /// Intel's virtual machine extensions.
    Vmx,
    /// AMD's secure virtual machine.
    Svm,
    /// Software: shadow page tables, and a guest kernel that is interpreted.
    Pvm,
    /// The signs disagree, or there are none.
    Unknown,
}

/// What is known about this host's KVM, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flavour {
    /// What carries its guests.
    pub kind: KvmFlavour,
    /// Whether this host is itself a virtual machine.
    pub nested: bool,
    /// Whether ring 0 of a guest is interpreted; `None` where KVM does not count (before 5.14).
    pub interprets_ring0: Option<bool>,
    /// The signs that were found, a line each.
    pub evidence: Vec<String>,
}

/// Finds out which kind of KVM this is, in a few milliseconds.
///
/// # Errors
///
/// Those of [`available`](crate::available), and when the experiment cannot be made.
pub fn flavour() -> sandbox::Result<Flavour> {
    let device = MicroVm::default().device;
    let ring_0 = interpreted(&device, Power::Kernel)?;
    let ring_3 = interpreted(&device, Power::User)?;
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = text.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    let flag = |name: &str| flags.split_whitespace().any(|flag| flag == name);
    let module = |name: &str| Path::new("/sys/module").join(name).exists();
    let interprets_ring0 = ring_0.zip(ring_3).map(|(kernel, user)| kernel > LOOPS && user < LOOPS);
    let kind = match interprets_ring0 {
        Some(true) => KvmFlavour::Pvm,
        _ if flag("vmx") && module("kvm_intel") => KvmFlavour::Vmx,
        _ if flag("svm") && module("kvm_amd") => KvmFlavour::Svm,
        _ if module("kvm_pvm") => KvmFlavour::Pvm,
        _ => KvmFlavour::Unknown,
    };
    let mut evidence: Vec<String> = ["vmx", "svm", "hypervisor"]
        .map(|name| format!("/proc/cpuinfo: flag {name} {}", if flag(name) { "yes" } else { "no" }))
        .into();
    for name in ["kvm_intel", "kvm_amd", "kvm_pvm"] {
        evidence.push(format!("module {name} {}", if module(name) { "yes" } else { "no" }));
    }
    evidence.push(match ring_0.zip(ring_3) {
        Some((kernel, user)) => {
            format!("a loop of 2001 instructions: {kernel} interpreted in ring 0, {user} in ring 3")
        }
        None => "KVM does not count interpreted instructions (Linux 5.14 and later do)".into(),
    });
    Ok(Flavour { kind, nested: flag("hypervisor"), interprets_ring0, evidence })
}

const LOOPS: u64 = 1000;

/// How many instructions KVM interprets of a loop of 2001 that begins with `power`.
fn interpreted(device: &Path, power: Power) -> Result<Option<u64>> {
    // mov ecx, 1000; again: dec ecx; jnz again; out 0xe9, al
    const CODE: [u8; 11] = [0xb9, 0xe8, 0x03, 0, 0, 0xff, 0xc9, 0x75, 0xfc, 0xe6, 0xe9];
    let program = Program::flat(&CODE, power);
    let mut machine = Machine::create(device, Trace::default())?;
    let memory = Memory::new(program.memory_bytes, Pages::Small, &mut machine.trace())?;
    machine.attach(memory)?;
    let mut cpu = machine.cpu(0)?;
    let entry = machine.load(&program)?;
    vcpu::prepare(&cpu, &entry, &mut machine.trace())?;
    loop {
        match cpu.run() {
            Ok(VcpuExit::IoOut(..)) => return Ok(statistics::of(&cpu, "insn_emulation")),
            Err(errno) if errno.errno() == libc::EINTR => {}
            Err(errno) => return Err(Error::kvm("KVM_RUN")(errno)),
            Ok(_) => return Ok(None),
        }
    }
}
