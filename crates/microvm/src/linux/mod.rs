//! The Linux microVM: a real kernel in a virtual machine.
//!
//! A bare program needs a processor and some memory. Linux needs a computer: interrupts, a timer,
//! tables that describe the hardware, a console, and somebody to be the hardware. The five
//! questions are the same, and so is their order.
//!
//! | | Question | here |
//! |---|---|---|
//! | 1 | What separates it from the host? | [`machine`](crate::machine): slots, interrupt controllers |
//! | 2 | What may it consume? | [`memory`](crate::memory): RAM with a gap for devices |
//! | 3 | What does it find inside? | [`kernel`](crate::kernel), [`boot`], [`acpi`]: kernel, initramfs, tables |
//! | 4 | With what power does it start? | [`cpus`]: registers, `cpuid` |
//! | 5 | How does it reach the host? | [`run`] and [`devices`](crate::devices) |
//!
//! The story in which they meet is [`LinuxVm::spawn`](sandbox::Sandbox::spawn), below.

pub mod acpi;
pub mod boot;
pub mod command_line;
pub mod console;
pub mod cpus;
mod ended;
mod hardware;
pub mod run;
mod running;
pub mod source;

use std::{path::PathBuf, sync::Arc, time::Duration};

use sandbox::{Instance, Limits, Milestone, Sandbox, Story, Timeline, Workload};

use crate::{
    control::Handle,
    error::{Error, Result},
    kernel::KernelImage,
    machine::Machine,
    memory::{Memory, PAGE},
    running::cpu_time,
};

pub use boot::EntryPoint;
pub use ended::{Ended, LastSeen};

use boot::Plan;
use command_line::CommandLine;
use hardware::Hardware;
use running::{Guest, Running, Times};
use source::Source;

/// The word for it in tables.
const NAME: &str = "linux";
/// What it is called in messages.
const TOLD_AS: &str = "linux microvm";

/// Memory of a Linux guest, unless it is limited otherwise.
const MEMORY: u64 = 256 << 20;

/// Runs workloads in virtual machines with a Linux kernel of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinuxVm {
    /// What a machine may consume: memory, and a number of virtual CPUs.
    pub limits: Limits,
    /// The kernel: an ELF file, `vmlinux`, or a bzImage, `vmlinuz`.
    pub kernel: PathBuf,
    /// Files that the kernel unpacks one over the other for its first file system.
    pub initramfs: Vec<PathBuf>,
    /// Words for the kernel's command line, behind isolab's own or instead of them.
    pub command_line: CommandLine,
    /// Which of the kernel's entries to begin at.
    pub entry_point: EntryPoint,
    /// How long it may take to start up.
    pub start_up: Option<Duration>,
    /// KVM's device.
    pub device: PathBuf,
}

impl LinuxVm {
    /// A machine that boots `kernel` and nothing else.
    pub fn new(kernel: impl Into<PathBuf>) -> Self {
        Self {
            limits: Limits::default(),
            kernel: kernel.into(),
            initramfs: Vec::new(),
            command_line: CommandLine::default(),
            entry_point: EntryPoint::default(),
            start_up: None,
            device: "/dev/kvm".into(),
        }
    }
}

impl Sandbox for LinuxVm {
    fn name(&self) -> &'static str {
        NAME
    }

    fn spawn(&self, workload: &Workload) -> sandbox::Result<Box<dyn Instance>> {
        match self.start(workload) {
            Ok(running) => Ok(Box::new(running)),
            Err(error) => Err(error.told_by(TOLD_AS)),
        }
    }
}

impl LinuxVm {
    /// The story: five questions, answered in order.
    fn start(&self, workload: &Workload) -> Result<Running> {
        let timeline = Timeline::start();
        let mut story = Story::new(workload.trace);
        let before = cpu_time();
        let count = processors(&self.limits)?;
        let plan = self.plan(workload)?;
        let handle = Arc::new(Handle::new(timeline, None));

        // 1. What separates it from the host? An address space of its own, made by KVM.
        let mut machine = Machine::create(&self.device, &mut story)?;

        // 2. What may it consume? So much memory, and so many threads' time.
        machine.attach(Memory::of_a_pc(plan.memory_bytes, &mut story)?, &mut story)?;
        machine.add_interrupt_controllers(&mut story)?;
        let cpus = machine.cpus(count, &mut story)?;
        handle.reach(Milestone::Created);

        // 3. What does it find inside? Its kernel, and papers that describe the machine.
        let hardware = Hardware::new(&machine, workload, &handle, &mut story)?;
        let start = machine.boot(&plan, &hardware.papers(count), &mut story)?;

        // 4. With what power does it start? As processors after firmware.
        cpus::prepare(&cpus, &machine, start, &mut story)?;

        // 5. How does it reach the host? By leaving KVM_RUN, in a thread for each processor.
        let spent = cpu_time().saturating_sub(before);
        let times = Times { deadline: workload.deadline, start_up: self.start_up };
        Running::start(Guest { cpus, machine, hardware, story, spent }, handle, times)
    }

    /// What is to be booted, checked before there is a machine.
    fn plan(&self, workload: &Workload) -> Result<Plan> {
        let initramfs: Result<Vec<Source>> =
            self.initramfs.iter().map(|path| Source::open(path)).collect();
        let plan = Plan {
            kernel: KernelImage::read(&self.kernel)?,
            entry_point: self.entry_point,
            initramfs: initramfs?,
            command_line: self.command_line.with_init(&workload.program)?,
            memory_bytes: self.limits.memory_bytes.unwrap_or(MEMORY) / PAGE * PAGE,
        };
        plan.check()?;
        Ok(plan)
    }
}

/// How many processors the limits ask for; refuses what a machine in the launcher's own process
/// cannot keep.
fn processors(limits: &Limits) -> Result<u8> {
    crate::check_outside(limits)?;
    match limits.vcpus.unwrap_or(1) {
        count @ 1..=cpus::MOST => Ok(count as u8),
        count => Err(Error::Unsupported {
            what: format!("have {count} virtual CPUs"),
            fix: format!("use --vcpus 1 to {}", cpus::MOST),
        }),
    }
}
