//! What carries a virtual machine: the signs that a host gives.

use std::{arch::x86_64::__cpuid, io};

use serde::{Deserialize, Serialize};

use crate::chain;

/// What a host shows of its processor and its KVM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signs {
    /// The processor's extension for virtual machines that KVM uses: `vmx`, `svm`.
    pub extension: Option<String>,
    /// What an experiment says (`microvm::flavour`): whether KVM interprets a guest's ring 0,
    /// instruction by instruction; `None` if it cannot be told.
    pub interprets_ring0: Option<bool>,
    /// Who is below this host, if it is a virtual machine itself: the twelve letters of CPUID leaf
    /// 0x4000_0000, such as `KVMKVMKVM`, `VMwareVMware`, `TCGTCGTCGTCG`. TCG is QEMU without KVM: it
    /// translates every instruction, so the whole processor is a program, with all its extensions.
    pub hypervisor: Option<String>,
}

/// What carries a virtual machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Carrier {
    /// A processor with an extension for it, perhaps passed on by another hypervisor.
    Hardware,
    /// KVM runs ring 3 on the processor and interprets ring 0.
    Interpreter,
    /// A processor that is a program itself; its extension is emulated.
    EmulatedProcessor,
    /// The signs do not tell.
    Unknown,
}

impl Signs {
    /// The signs of the host that this process runs on.
    ///
    /// # Errors
    ///
    /// When KVM cannot be used.
    pub fn of_this_host() -> io::Result<Self> {
        let flavour = microvm::flavour().map_err(|error| chain(&error))?;
        let extension = match flavour.kind {
            microvm::KvmFlavour::Vmx => Some("vmx".to_owned()),
            microvm::KvmFlavour::Svm => Some("svm".to_owned()),
            microvm::KvmFlavour::Pvm | microvm::KvmFlavour::Unknown => None,
        };
        let interprets_ring0 = flavour.interprets_ring0;
        Ok(Self { extension, interprets_ring0, hypervisor: hypervisor() })
    }
}

/// SDM volume 2A, CPUID: bit 31 of ECX of leaf 1 is never set by a real processor; hypervisors set
/// it, and say who they are in the leaf of their own.
fn hypervisor() -> Option<String> {
    const PRESENT: u32 = 1 << 31;
    if __cpuid(1).ecx & PRESENT == 0 {
        return None;
    }
    let leaf = __cpuid(0x4000_0000);
    let letters = [leaf.ebx, leaf.ecx, leaf.edx].map(u32::to_le_bytes).concat();
    let name = String::from_utf8_lossy(&letters);
    Some(name.trim_end_matches('\0').to_owned())
}
