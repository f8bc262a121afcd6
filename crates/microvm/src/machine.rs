//! Question 1: what separates it from the host? The microVM's answer; see `container::namespaces`
//! for the other.
//!
//! A virtual machine of KVM is a file descriptor: physical memory that holds nothing but the slots
//! it is given, and virtual CPUs that can reach nothing else. All that the host's kernel shares
//! with the guest is named here.
//!
//! ```text
//!   this process                      kernel
//!   /dev/kvm   --KVM_CREATE_VM-->     machine: an empty physical address space
//!   memory     --KVM_SET_USER_...-->  slot 0: guest 0x0.. is our memory from `mmap`
//!   thread     --KVM_CREATE_VCPU-->   virtual CPU; KVM_RUN is how our thread becomes it
//! ```

use std::{os::fd::FromRawFd, path::Path, sync::Arc};

use kvm_bindings::{KVM_API_VERSION, KVM_MAX_CPUID_ENTRIES, kvm_userspace_memory_region};
use kvm_ioctls::{Kvm, VcpuFd, VmFd};
use sandbox::{Question, Story};

use crate::{
    error::{Error, Result},
    loader::{self, Entry, Image},
    memory::Memory,
};

/// A virtual machine.
pub struct Machine {
    // Dropped in this order: the last slot's memory must outlive the machine.
    vm: VmFd,
    kvm: Kvm,
    memory: Option<Arc<Memory>>,
}

impl Machine {
    /// A machine without memory and without a CPU.
    ///
    /// # Errors
    ///
    /// When there is no KVM at `device`, when the caller may not use it, or when it refuses.
    pub fn create(device: &Path, story: &mut Story) -> Result<Self> {
        let kvm = story
            .step(Question::Boundary, format!("open {}", device.display()), || open(device))?;
        let vm = story
            .step(Question::Boundary, "KVM_CREATE_VM: an empty physical address space", || {
                kvm.create_vm()
            })
            .map_err(Error::kvm("KVM_CREATE_VM"))?;
        Ok(Self { vm, kvm, memory: None })
    }

    /// Gives the machine its memory, a slot for each piece.
    ///
    /// A machine that already has an interrupt controller would wait here for all its CPUs to
    /// notice (an SRCU grace period): memory comes first.
    ///
    /// # Errors
    ///
    /// When KVM refuses it.
    pub fn attach(&mut self, memory: Memory, story: &mut Story) -> Result<&Arc<Memory>> {
        for (slot, (guest_phys_addr, memory_size, userspace_addr)) in (0..).zip(memory.pieces()) {
            let region = kvm_userspace_memory_region {
                slot,
                flags: 0,
                guest_phys_addr,
                memory_size,
                userspace_addr,
            };
            let end = guest_phys_addr + memory_size;
            let call =
                format!("KVM_SET_USER_MEMORY_REGION slot {slot}: {guest_phys_addr:#x}..{end:#x}");
            let vm = &self.vm;
            story
                .step(Question::Budget, call.clone(), || {
                    // SAFETY: `memory` owns this range of our address space, and `self` keeps it
                    // until after the machine is closed; nothing but vm-memory's volatile accesses
                    // reads it.
                    unsafe { vm.set_user_memory_region(region) }
                })
                .map_err(Error::kvm(call))?;
        }
        Ok(self.memory.insert(Arc::new(memory)))
    }

    /// The machine's only CPU.
    ///
    /// # Errors
    ///
    /// When KVM refuses it.
    pub fn cpu(&self, story: &mut Story) -> Result<VcpuFd> {
        story
            .step(Question::Boundary, "KVM_CREATE_VCPU 0", || self.vm.create_vcpu(0))
            .map_err(Error::kvm("KVM_CREATE_VCPU"))
    }

    /// Shows the processor's features to the guest's `cpuid`; without, it finds none.
    ///
    /// # Errors
    ///
    /// When KVM refuses it.
    pub fn show_features(&self, cpu: &VcpuFd, story: &mut Story) -> Result<()> {
        story
            .step(Question::Power, "KVM_SET_CPUID2: the features that KVM supports", || {
                cpu.set_cpuid2(&self.kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)?)
            })
            .map_err(Error::kvm("KVM_SET_CPUID2"))
    }

    /// Fills the memory with what `image` needs.
    ///
    /// # Errors
    ///
    /// When the machine has no memory, or too little of it.
    pub fn load(&self, image: &Image, story: &mut Story) -> Result<Entry> {
        match &self.memory {
            Some(memory) => loader::load(memory, image, story),
            None => Err(Error::OutsideMemory { what: "program", bytes: 0, address: 0 }),
        }
    }

    /// The memory, once it is attached.
    pub fn memory(&self) -> Option<&Arc<Memory>> {
        self.memory.as_ref()
    }
}

/// Opens `device` and makes sure that it is KVM.
///
/// # Errors
///
/// When it is absent, forbidden or something else.
pub fn open(device: &Path) -> Result<Kvm> {
    use std::os::{fd::IntoRawFd, unix::fs::OpenOptionsExt};
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_CLOEXEC)
        .open(device)
        .map_err(|source| Error::Open { device: device.to_owned(), source })?;
    // SAFETY: the descriptor was opened one line above and belongs to nobody else.
    let kvm = unsafe { Kvm::from_raw_fd(file.into_raw_fd()) };
    match kvm.get_api_version() {
        version if version == KVM_API_VERSION as i32 => Ok(kvm),
        version => Err(Error::NotKvm { device: device.to_owned(), version }),
    }
}
