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

use std::{
    borrow::Cow,
    cell::{RefCell, RefMut},
    os::fd::FromRawFd,
    path::Path,
    sync::Arc,
};

use kvm_bindings::{
    CpuId, KVM_API_VERSION, KVM_MAX_CPUID_ENTRIES, KVM_PIT_SPEAKER_DUMMY, kvm_pit_config,
    kvm_userspace_memory_region,
};
use kvm_ioctls::{Cap, IoEventAddress, Kvm, VcpuFd, VmFd};
use sandbox::{Question, Trace};
use vmm_sys_util::eventfd::EventFd;

use crate::{
    error::{Error, Result},
    kvm_call::kvm_call,
    loader::{self, EntryState, Program},
    memory::Memory,
    shared_memory::SharedMemory,
};

/// Gives a range of guest physical addresses memory of this process.
const SET_MEMORY: &str = "KVM_SET_USER_MEMORY_REGION";

/// A virtual machine.
pub struct Machine {
    // Dropped in this order: the last slot's memory must outlive the machine.
    vm: VmFd,
    kvm: Kvm,
    memory: Option<Arc<Memory>>,
    trace: RefCell<Trace>,
}

impl Machine {
    /// A machine without memory and without a CPU, whose calls `trace` records.
    ///
    /// # Errors
    ///
    /// When there is no KVM at `device`, when permission denied, or when it refuses.
    pub fn create(device: &Path, mut trace: Trace) -> Result<Self> {
        let opening = format!("open {}", device.display());
        let kvm = trace.record(Question::Boundary, opening, || open(device))?;
        let meaning = ": an empty physical address space";
        let vm =
            kvm_call(&mut trace, Question::Boundary, "KVM_CREATE_VM", meaning, || kvm.create_vm())?;
        Ok(Self { vm, kvm, memory: None, trace: RefCell::new(trace) })
    }

    /// Records what is done with it. Nobody else can while the guard lives.
    pub fn trace(&self) -> RefMut<'_, Trace> {
        self.trace.borrow_mut()
    }

    /// Closes it, and gives what was recorded.
    pub fn into_trace(self) -> Trace {
        self.trace.take()
    }

    /// A request to KVM, recorded and named in its error.
    fn call<T>(
        &self,
        question: Question,
        name: &'static str,
        operands: impl Into<Cow<'static, str>>,
        act: impl FnOnce() -> Result<T, kvm_ioctls::Error>,
    ) -> Result<T> {
        kvm_call(&mut self.trace(), question, name, operands, act)
    }

    /// Gives the machine its memory, a slot for each piece.
    ///
    /// A machine that already has an interrupt controller would wait here for all its CPUs to
    /// notice (an SRCU grace period): memory comes first.
    ///
    /// # Errors
    ///
    /// When KVM refuses it.
    pub fn attach(&mut self, memory: Memory) -> Result<&Arc<Memory>> {
        for (slot, (guest_phys_addr, memory_size, userspace_addr)) in (0..).zip(memory.pieces()) {
            let region = kvm_userspace_memory_region {
                slot,
                flags: 0,
                guest_phys_addr,
                memory_size,
                userspace_addr,
            };
            let end = guest_phys_addr + memory_size;
            let operands = format!(" slot {slot}: {guest_phys_addr:#x}..{end:#x}");
            self.call(Question::Budget, SET_MEMORY, operands, || {
                // SAFETY: `memory` owns this range of our address space, and `self` keeps it
                // until after the machine is closed; nothing but vm-memory's volatile accesses
                // reads it.
                unsafe { self.vm.set_user_memory_region(region) }
            })?;
        }
        Ok(self.memory.insert(Arc::new(memory)))
    }

    /// Lets the guest see `memory` too, from `address` on.
    ///
    /// # Errors
    ///
    /// When KVM refuses it.
    pub fn share(&self, memory: &SharedMemory, address: u64) -> Result<()> {
        // Behind the slots of its own memory; one for each page of 64 KiB there is at most.
        const FIRST_SLOT: u32 = 8;
        let slot = FIRST_SLOT + (address >> 16) as u32 % FIRST_SLOT;
        let region = kvm_userspace_memory_region {
            slot,
            flags: 0,
            guest_phys_addr: address,
            memory_size: memory.bytes() as u64,
            userspace_addr: memory.start() as u64,
        };
        let operands = format!(" slot {slot}: memory of ours at {address:#x}");
        self.call(Question::WayOut, SET_MEMORY, operands, || {
            // SAFETY: it is a mapping of our own that lives for as long as a processor of this
            // machine runs: who holds both lets the processors go first.
            unsafe { self.vm.set_user_memory_region(region) }
        })
    }

    /// Interrupt controllers and a timer, all of them in the kernel: an interrupt between two
    /// virtual CPUs, or from the timer, causes no exit to this process. They come after the memory
    /// (see [`Machine::attach`]) and before the CPUs, each of which gets a controller of its own.
    ///
    /// # Errors
    ///
    /// When KVM refuses them.
    pub fn add_interrupt_controllers(&self) -> Result<()> {
        // Intel's processors keep a task state there while the guest is in real mode; the three
        // pages lie among the devices, where Linux looks for nothing.
        const TASK_STATE: usize = 0xfffb_d000;
        let vm = &self.vm;
        self.call(Question::Boundary, "KVM_SET_TSS_ADDR", "", || vm.set_tss_address(TASK_STATE))?;
        let chips = ": APICs, IO-APIC and PICs";
        self.call(Question::Boundary, "KVM_CREATE_IRQCHIP", chips, || vm.create_irq_chip())?;
        // Port 0x61, the speaker's, is the timer's too.
        let timer = kvm_pit_config { flags: KVM_PIT_SPEAKER_DUMMY, ..kvm_pit_config::default() };
        let meaning = ": the timer of an AT";
        self.call(Question::Boundary, "KVM_CREATE_PIT2", meaning, || vm.create_pit2(timer))
    }

    /// Raises an input of the interrupt controller whenever `eventfd` is written to.
    ///
    /// # Errors
    ///
    /// When KVM refuses it.
    pub fn register_irqfd(&self, eventfd: &EventFd, line: u32) -> Result<()> {
        let operands = format!(": an eventfd to line {line}");
        self.call(Question::WayOut, "KVM_IRQFD", operands, || self.vm.register_irqfd(eventfd, line))
    }

    /// Lets KVM signal `doorbell` when the guest writes the number of `queue` to `address`; the
    /// guest goes on without an exit to this process.
    ///
    /// # Errors
    ///
    /// When KVM refuses it.
    pub fn register_ioeventfd(&self, doorbell: &EventFd, address: u64, queue: u32) -> Result<()> {
        let operands = format!(": {queue} at {address:#x} to an eventfd");
        let address = IoEventAddress::Mmio(address);
        self.call(Question::WayOut, "KVM_IOEVENTFD", operands, || {
            self.vm.register_ioevent(doorbell, &address, queue)
        })
    }

    /// CPU `number`, from 0 on.
    ///
    /// # Errors
    ///
    /// When KVM refuses it.
    pub fn cpu(&self, number: u8) -> Result<VcpuFd> {
        self.call(Question::Boundary, "KVM_CREATE_VCPU", format!(" {number}"), || {
            self.vm.create_vcpu(number.into())
        })
    }

    /// CPUs 0 to `count` - 1.
    ///
    /// # Errors
    ///
    /// When KVM refuses one.
    pub fn cpus(&self, count: u8) -> Result<Vec<VcpuFd>> {
        (0..count).map(|number| self.cpu(number)).collect()
    }

    /// The processor's features that KVM can show to a guest.
    ///
    /// # Errors
    ///
    /// When KVM does not tell.
    pub fn features(&self) -> Result<CpuId> {
        features(&self.kvm)
    }

    /// Whether KVM can do what `capability` names.
    pub fn can(&self, capability: Cap) -> bool {
        self.vm.check_extension(capability)
    }

    /// How much of what `capability` names KVM has; 0 if it does not know it.
    pub fn amount(&self, capability: Cap) -> u32 {
        self.vm.check_extension_int(capability).try_into().unwrap_or(0)
    }

    /// The numbers of the model-specific registers that hold a part of a guest's state.
    ///
    /// # Errors
    ///
    /// When KVM does not tell.
    pub fn msr_indices(&self) -> Result<Vec<u32>> {
        let list = self.kvm.get_msr_index_list().map_err(Error::kvm("KVM_GET_MSR_INDEX_LIST"))?;
        Ok(list.as_slice().to_vec())
    }

    /// KVM's side of it.
    pub fn vm(&self) -> &VmFd {
        &self.vm
    }

    /// Lets the guest's `cpuid` report the features that KVM supports; without this it reports none.
    ///
    /// # Errors
    ///
    /// When KVM refuses it.
    pub fn set_cpuid(&self, cpu: &VcpuFd) -> Result<()> {
        let features = self.features()?;
        let meaning = ": the features that KVM supports";
        self.call(Question::Power, "KVM_SET_CPUID2", meaning, || cpu.set_cpuid2(&features))
    }

    /// Fills the memory with what `program` needs.
    ///
    /// # Errors
    ///
    /// When the machine has no memory, or too little of it.
    pub fn load(&self, program: &Program) -> Result<EntryState> {
        loader::load(self.attached_memory()?, program, &mut self.trace())
    }

    /// The memory, which has to be attached.
    pub(crate) fn attached_memory(&self) -> Result<&Memory> {
        let none = Error::OutsideMemory { what: "program", bytes: 0, address: 0 };
        self.memory.as_deref().ok_or(none)
    }

    /// The memory, once it is attached.
    pub fn memory(&self) -> Option<&Arc<Memory>> {
        self.memory.as_ref()
    }
}

/// The processor's features that this KVM can show to a guest.
///
/// # Errors
///
/// When KVM does not tell.
pub fn features(kvm: &Kvm) -> Result<CpuId> {
    let features = kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES);
    features.map_err(Error::kvm("KVM_GET_SUPPORTED_CPUID"))
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
