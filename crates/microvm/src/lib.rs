//! A KVM virtual machine monitor that can be read in class.
//!
//! [`MicroVm`] runs a built-in program, or a file of the user's own, in a virtual machine without
//! firmware, kernel or disk. Like its twin, the crate `container`, it answers five questions, one
//! in each module:
//!
//! | | Question | here | in `container` |
//! |---|---|---|---|
//! | 1 | What separates it from the host? | [`machine`]: `KVM_CREATE_VM`, slots | `namespaces` |
//! | 2 | What may it consume? | [`memory`]: guest RAM | `cgroup` |
//! | 3 | What does it find inside? | [`loader`]: program, page tables | `rootfs` |
//! | 4 | With what power does it start? | [`vcpu`]: mode, ring, registers | `privileges` |
//! | 5 | How does it reach the host? | [`exits`] and [`devices`]: run loop, ports | `process`, `network` |
//!
//! [`cell`] closes the process around the machine, in case a guest gets out of it.
//!
//! The story in which they meet is [`MicroVm::spawn`](sandbox::Sandbox::spawn), below.

pub mod cell;
mod control;
mod cpu_time;
mod device_access;
pub mod devices;
mod elf;
mod error;
mod exception;
mod exit_counts;
mod exit_trace;
pub mod exits;
pub mod fault;
mod flavour;
pub mod gdb;
pub mod guest_exit;
pub mod guest_session;
mod halt;
pub mod held_signals;
mod hex;
pub mod initramfs;
mod instance;
pub mod kernel;
pub mod kernels;
mod kick;
mod kvm_call;
pub mod layout;
pub mod linux;
pub mod loader;
pub mod machine;
pub mod memory;
pub mod monitor_request;
pub mod ram;
pub mod registers;
pub mod run;
pub mod shared_memory;
pub mod snapshot;
pub mod statistics;
pub mod tables;
pub mod vcpu;

use std::{path::PathBuf, sync::Arc};

use guest::abi::map;
use sandbox::{Instance, Limits, Mailbox, Milestone, Sandbox, Timeline, Trace, Workload};

pub use control::Handle;
pub use elf::ElfError;
pub use error::{Error, Result};
pub use exit_counts::ExitCounts;
pub use flavour::{Flavour, KvmFlavour, flavour};
pub use held_signals::HeldSignals;
pub use linux::LinuxVm;

use cpu_time::cpu_time;
use exit_trace::ExitTrace;
use instance::{BareInstance, Guest};
use loader::Program;
use machine::Machine;
use memory::Memory;
use shared_memory::SharedMemory;

const NAME: &str = "microvm";

/// How the user's own file begins. Built-in programs always begin in 64-bit ring 3.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// An ELF file as [`Mode::Long64`], any other as [`Mode::Real16`].
    #[default]
    Auto,
    /// In 16-bit real mode at 0x7c00, as a boot sector.
    Real16,
    /// In 64-bit ring 0: a flat file at 0x100000, an ELF file by its segments.
    Long64,
    /// The same in 64-bit ring 3.
    User64,
}

/// Runs workloads in virtual machines of their own.
#[derive(Debug, Clone)]
pub struct MicroVm {
    /// What a machine may consume.
    pub limits: Limits,
    /// How the user's own file begins.
    pub mode: Mode,
    /// Where a debugger may come: the machine waits for it at its first instruction.
    pub debugger: Option<Arc<gdb::Listener>>,
    /// KVM's device.
    pub device: PathBuf,
}

impl Default for MicroVm {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            mode: Mode::default(),
            debugger: None,
            device: "/dev/kvm".into(),
        }
    }
}

impl Sandbox for MicroVm {
    fn name(&self) -> &'static str {
        NAME
    }

    fn spawn(&self, workload: &Workload) -> sandbox::Result<Box<dyn Instance>> {
        Ok(Box::new(self.start(workload, None)?))
    }
}

impl MicroVm {
    /// Starts `workload`, a file of the user's own in ring 3 or ring 0, with a device that is passed
    /// through to it: memory that lies at [`devices::page::ADDRESS`], and that both sides reach
    /// without an exit. Who has the file behind it is the device.
    ///
    /// # Errors
    ///
    /// Those of [`Sandbox::spawn`].
    pub fn spawn_with_device(
        &self,
        workload: &Workload,
        device: SharedMemory,
    ) -> sandbox::Result<Box<dyn Instance>> {
        Ok(Box::new(self.start(workload, Some(device))?))
    }

    /// The story: five questions, answered in order.
    fn start(&self, workload: &Workload, device: Option<SharedMemory>) -> Result<BareInstance> {
        let mut timeline = Timeline::start();
        let trace = Trace::new(workload.trace);
        let before = cpu_time();
        check(&self.limits)?;
        let program = Program::of(&workload.program, self.mode, &self.limits)?;
        memory::check_host_has(program.memory_bytes)?;

        // 1. What separates it from the host? An address space of its own, made by KVM.
        let mut machine = Machine::create(&self.device, trace)?;

        // 2. What may it consume? So much memory, and one thread's time.
        let memory = Memory::new(program.memory_bytes, program.pages(), &mut machine.trace())?;
        let mailbox = mailbox(&program, &memory, &mut machine.trace())?;
        machine.attach(memory)?;
        let cpu = machine.cpu(0)?;
        timeline.reach(Milestone::Created);

        // 3. What does it find inside? Tables for the processor, and its program.
        let entry = machine.load(&program)?;

        // 4. With what power does it start? A mode and a ring.
        if !program.has_mailbox() {
            machine.set_cpuid(&cpu)?;
        }
        vcpu::prepare(&cpu, &entry, &mut machine.trace())?;

        // 5. How does it reach the host? By leaving KVM_RUN, in a thread that answers; a device of
        // its own without that.
        if let Some(device) = &device {
            machine.share(device, devices::page::ADDRESS)?;
        }
        let spent = cpu_time().saturating_sub(before);
        let exit_trace = ExitTrace::of(workload);
        let width = match entry.power {
            loader::Power::Real => gdb::Width::Bits32,
            loader::Power::Kernel | loader::Power::User => gdb::Width::Bits64,
        };
        let debugger = self.debugger.clone().map(|listener| (listener, width));
        let stdio = workload.stdio;
        let guest = Guest { cpu, machine, device, stdio, exit_trace, spent, debugger };
        BareInstance::start(guest, Handle::new(timeline, mailbox), workload.deadline)
    }
}

/// A mailbox in the pages of `memory`, with the program's arguments in it.
fn mailbox(program: &Program, memory: &Memory, trace: &mut Trace) -> Result<Option<Mailbox>> {
    if !program.has_mailbox() {
        return Ok(None);
    }
    let mailbox =
        Mailbox::create().map_err(Error::system::<std::io::Error>("create the mailbox"))?;
    program.address(&mailbox)?;
    memory.share(&mailbox, map::MAILBOX, trace)?;
    Ok(Some(mailbox))
}

/// Refuses limits of a bare machine that cannot be kept.
fn check(limits: &Limits) -> Result<()> {
    check_outside(limits)?;
    match limits.vcpus {
        Some(2..) => Err(Error::Unsupported {
            what: "have more than one virtual CPU".into(),
            fix: "leave --vcpus out, start several of them, or use --in linux".into(),
        }),
        _ => Ok(()),
    }
}

/// Refuses what no virtual machine in the launcher's own process can keep.
fn check_outside(limits: &Limits) -> Result<()> {
    limits.check()?;
    let unsupported =
        |what: &str, fix: &str| Err(Error::Unsupported { what: what.into(), fix: fix.into() });
    let outside = "put isolab itself into a cgroup (`systemd-run --scope -p CPUQuota=50% isolab ...`), or use --in container";
    match limits {
        Limits { cpu_quota: Some(_), .. } => unsupported("keep a CPU quota", outside),
        Limits { cpu_weight: Some(_), .. } => unsupported("keep a CPU weight", outside),
        Limits { pids: Some(_), .. } => unsupported(
            "limit processes: the host sees none inside",
            "leave --pids out, or use --in container",
        ),
        _ => Ok(()),
    }
}

/// Whether this host can run a microVM.
///
/// # Errors
///
/// [`sandbox::Error::Unavailable`] with the cause, and how to mend it.
pub fn available() -> sandbox::Result<()> {
    machine::open(&MicroVm::default().device)?;
    Ok(())
}
