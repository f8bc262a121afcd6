//! The Linux microVM: a real kernel in a virtual machine.
//!
//! A bare program needs a processor and some memory. Linux needs a computer: interrupts, a timer,
//! tables that describe the hardware, a console, and somebody to be the hardware. The five
//! questions are the same, and so is their order.
//!
//! | | Question | here |
//! |---|---|---|
//! | 1 | What separates it from the host? | [`machine`]: slots, interrupt controllers |
//! | 2 | What may it consume? | [`memory`]: RAM with a gap for devices |
//! | 3 | What does it find inside? | [`kernel`](crate::kernel), [`boot`], [`acpi`]: kernel, initramfs, tables |
//! | 4 | With what power does it start? | [`cpus`]: registers, `cpuid` |
//! | 5 | How does it reach the host? | [`run`] and [`devices`](crate::devices) |
//!
//! The story in which they meet is [`LinuxVm::spawn`](sandbox::Sandbox::spawn), below.

pub mod acpi;
pub mod boot;
mod boot_params;
mod capture;
mod channel;
pub mod command_line;
pub mod console;
pub mod cpus;
mod disk_image;
mod failure;
mod hardware;
mod instance;
pub mod layout;
mod merged;
pub mod monitor;
mod names;
mod recipe;
mod restore;
pub mod run;
mod saving;
mod share;
pub mod source;
mod streams;
mod system;
mod window;

use std::{
    net::Ipv4Addr,
    os::unix::net::UnixListener,
    panic::resume_unwind,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use host::TerminalMode;
use sandbox::{
    Instance, Limits, Mailbox, Milestone, Program, Sandbox, Stdio, Timeline, Trace, Workload,
};

use crate::{
    control::Handle,
    cpu_time::cpu_time,
    devices::virtio::{disk::DiskFile, rate::Limit, tap::Tap},
    error::{Error, Result},
    exit_trace::ExitTrace,
    gdb,
    kernel::KernelImage,
    kernels::{self, Kernel},
    layout::PAGE,
    machine::{self, Machine},
    memory::{self, Memory},
};

pub use boot::EntryPoint;
pub use disk_image::{RootDiskError, mke2fs, root_disk};
pub use failure::{FailureCause, GuestFailure, LastSeen};
pub use recipe::Recipe;
pub use restore::SavedVm;
pub use share::Share;
pub use system::GuestRoot;

use boot::BootConfig;
use command_line::CommandLine;
use hardware::{Hardware, Inventory};
use instance::{Guest, LinuxInstance, Times};
use system::System;

/// The word for it in tables.
const NAME: &str = "linux";
/// What it is called in messages.
const DISPLAY_NAME: &str = "linux microvm";

/// Its host name, unless it is to have another.
pub const HOSTNAME: &str = "isolab";
/// Memory of a Linux guest, unless it is limited otherwise.
const MEMORY: u64 = 256 << 20;

/// Runs workloads in virtual machines with a Linux kernel of their own.
#[derive(Debug, Clone)]
pub struct LinuxVm {
    /// What a machine may consume: memory, and a number of virtual CPUs.
    pub limits: Limits,
    /// The kernel: an ELF file, `vmlinux`, or a bzImage, `vmlinuz`.
    pub kernel: PathBuf,
    /// The folder of its modules, for the drivers of the guest's devices.
    pub modules: Option<PathBuf>,
    /// What the guest finds for its root.
    pub root: GuestRoot,
    /// Words for the kernel's command line, behind isolab's own or instead of them.
    pub command_line: CommandLine,
    /// Which of the kernel's entries to begin at.
    pub entry_point: EntryPoint,
    /// Its disks: `/dev/vda`, `/dev/vdb`, ...
    pub disks: Vec<DiskFile>,
    /// Directories of the host's that it reads.
    pub shares: Vec<Share>,
    /// What may go through each of its disks.
    pub disk_limit: Limit,
    /// A network card.
    pub network: Option<Card>,
    /// What may go through that.
    pub network_limit: Limit,
    /// Its host name.
    pub hostname: String,
    /// Files of its `/etc` with what is in them, in place of its root's own.
    pub etc: Vec<(&'static str, String)>,
    /// As whom the command runs; root if nobody else is named.
    pub user: GuestUser,
    /// Which way the command's output takes to the host.
    pub output_way: OutputWay,
    /// Whether it has a device for randomness.
    pub rng: bool,
    /// So much of its memory it is asked to give back once it is up.
    pub balloon_bytes: Option<u64>,
    /// Whether the kernel's console goes to standard error.
    pub show_console: bool,
    /// How long it may take to start up.
    pub start_up: Option<Duration>,
    /// Where others may ask for it to be paused, looked at, or to run a second command.
    pub control: Option<Arc<UnixListener>>,
    /// Where a debugger may come: the machine waits for it at its first instruction.
    pub debugger: Option<Arc<gdb::Listener>>,
    /// KVM's device.
    pub device: PathBuf,
}

/// Which way a command's standard output takes to the host. The bytes are the same; how many trips
/// they cost is the lesson.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum OutputWay {
    /// Para-virtualization: a port of a virtio device, a trip for each buffer.
    #[default]
    Virtio,
    /// Full virtualization: the serial port, trips for each byte.
    Serial,
    /// Passthrough: memory that both sides see, no trip at all.
    Page,
}

/// As whom a command runs in a guest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GuestUser {
    /// The user's id.
    pub uid: u32,
    /// The group's id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// A network card, `eth0` inside.
#[derive(Debug, Clone)]
pub struct Card {
    /// The link of the host's that its cable leads to.
    pub tap: Arc<Tap>,
    /// Its own address on that link.
    pub mac: [u8; 6],
    /// The address that the guest gets; without, it has a card and must find one.
    pub address: Option<Address>,
}

/// An address of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// The guest's.
    pub inside: Ipv4Addr,
    /// So many of its bits are the network's.
    pub prefix: u8,
    /// Who knows the way to all others.
    pub gateway: Ipv4Addr,
}

impl LinuxVm {
    /// A machine that boots the kernel in this file, of which no modules are known.
    pub fn new(kernel: impl Into<PathBuf>) -> Self {
        Self {
            limits: Limits::default(),
            kernel: kernel.into(),
            modules: None,
            root: GuestRoot::default(),
            user: GuestUser::default(),
            command_line: CommandLine::default(),
            entry_point: EntryPoint::default(),
            disks: Vec::new(),
            shares: Vec::new(),
            disk_limit: Limit::default(),
            network: None,
            network_limit: Limit::default(),
            hostname: HOSTNAME.into(),
            etc: Vec::new(),
            output_way: OutputWay::default(),
            rng: false,
            balloon_bytes: None,
            show_console: false,
            start_up: None,
            control: None,
            debugger: None,
            device: "/dev/kvm".into(),
        }
    }

    /// A machine that boots `kernel`.
    pub fn of(kernel: &Kernel) -> Self {
        Self { modules: kernel.modules.clone(), ..Self::new(&kernel.vmlinux) }
    }
}

impl Sandbox for LinuxVm {
    fn name(&self) -> &'static str {
        NAME
    }

    fn spawn(&self, workload: &Workload) -> sandbox::Result<Box<dyn Instance>> {
        match self.start(workload, None) {
            Ok(running) => Ok(Box::new(running)),
            Err(error) => Err(error.into_sandbox_error(DISPLAY_NAME)),
        }
    }
}

impl LinuxVm {
    /// The story: five questions, answered in order. The guest is saved on its way as `saving`
    /// says: in which folder, and whether it goes on then.
    fn start(&self, workload: &Workload, saving: Option<(&Path, bool)>) -> Result<LinuxInstance> {
        let timeline = Timeline::start();
        let trace = Trace::new(workload.trace);
        let before = cpu_time();
        let count = processors(&self.limits, &self.device)?;
        if count > 1 && self.debugger.is_some() {
            return Err(Error::Unsupported {
                what: format!("be debugged with {count} virtual CPUs"),
                fix: "give it one: `--vcpus 1`".into(),
            });
        }
        // In a thread of its own, so that what it frees does not lie between what stays.
        let prepared = thread::scope(|scope| scope.spawn(|| self.prepare(workload)).join());
        let (config, inventory) = prepared.unwrap_or_else(|panic| resume_unwind(panic))?;
        let handle = Arc::new(Handle::new(timeline, mailbox(workload)?));
        let saving = self.saving(workload, &inventory, saving, &handle)?;
        let recipe = Recipe::of(self, workload, &inventory)
            .and_then(|it| it.while_running(workload.stdio, self.debugger.is_some()));

        // 1. What separates it from the host? An address space of its own, made by KVM.
        let mut machine = Machine::create(&self.device, trace)?;

        // 2. What may it consume? So much memory, and so many threads' time.
        let memory = Memory::of_a_pc(config.memory_bytes, &mut machine.trace())?;
        machine.attach(memory)?;
        machine.add_interrupt_controllers()?;
        let cpus = machine.cpus(count)?;
        handle.reach(Milestone::Created);

        // 3. What does it find inside? Its kernel, and tables that describe the machine.
        let hardware = Hardware::new(&machine, self, inventory, &handle)?;
        let start = boot::load(&machine, &config, &hardware.acpi_description(count))?;

        // 4. With what power does it start? As processors after firmware.
        cpus::prepare(&cpus, &machine, start)?;

        // 5. How does it reach the host? By leaving KVM_RUN, in a thread for each processor.
        let spent = cpu_time().saturating_sub(before);
        // One that stands still in a debugger takes as long as its user.
        let start_up = self.start_up.filter(|_| self.debugger.is_none());
        let times = Times { deadline: workload.deadline, start_up };
        let terminal = (workload.stdio == Stdio::Terminal).then(TerminalMode::raw).flatten();
        let exit_trace = ExitTrace::of(workload);
        let own_words = self.command_line.own_words().to_owned();
        let control = self.control.clone();
        let guest = Guest {
            cpus,
            machine,
            hardware,
            exit_trace,
            terminal,
            saving,
            spent,
            own_words,
            control,
            debugger: self.debugger.clone(),
            recipe,
        };
        LinuxInstance::start(guest, handle, times)
    }

    /// What is to be booted, and the devices' side of it, checked before there is a machine.
    fn prepare(&self, workload: &Workload) -> Result<(BootConfig, Inventory)> {
        let memory_bytes = memory_bytes(&self.limits) / PAGE * PAGE;
        memory::check_host_has(memory_bytes)?;
        let kernel = KernelImage::read(&self.kernel, memory_bytes)?;
        let system = System::new(self, workload, kernel.end(), memory_bytes)?;
        let config = BootConfig {
            kernel,
            entry_point: self.entry_point,
            initramfs: system.initramfs,
            command_line: self.command_line.with_init(&system.init)?,
            memory_bytes,
        };
        config.check()?;
        let disks = system::open_disks(&self.disks)?.into_iter().chain(system.root_disk).collect();
        let shares = share::open(&self.shares)?;
        Ok((config, Inventory { disks, shares, init: system.plan, stdio: workload.stdio }))
    }
}

/// How much memory a Linux guest of these limits has.
pub fn memory_bytes(limits: &Limits) -> u64 {
    limits.memory_bytes.unwrap_or(MEMORY)
}

/// A mailbox, for a built-in program to report in.
fn mailbox(workload: &Workload) -> Result<Option<Mailbox>> {
    match workload.program {
        Program::Builtin(..) => Mailbox::create()
            .map(Some)
            .map_err(Error::system::<std::io::Error>("create the mailbox")),
        Program::Command(_) => Ok(None),
    }
}

/// Whether this host can run a Linux guest, and in less than minutes.
///
/// # Errors
///
/// [`sandbox::Error::Unavailable`] with the cause, and how to mend it.
pub fn available() -> sandbox::Result<()> {
    machine::open(&LinuxVm::new("").device)
        .map_err(|error| error.into_sandbox_error(DISPLAY_NAME))?;
    if crate::flavour()?.interprets_ring0 == Some(true) {
        return Err(sandbox::Error::Unavailable {
            sandbox: DISPLAY_NAME,
            source: "this KVM has no hardware assistance and interprets a guest's kernel".into(),
            fix: "run it in an emulated computer that has some: `isolab nest -- ...`".into(),
        });
    }
    kernels::chosen().map_err(|error| {
        let fix = error.fix().unwrap_or_default();
        sandbox::Error::Unavailable { sandbox: DISPLAY_NAME, source: error.into(), fix }
    })?;
    Ok(())
}

/// How many processors the limits ask for; refuses what a machine in the launcher's own process
/// cannot keep.
fn processors(limits: &Limits, device: &Path) -> Result<u8> {
    crate::check_outside(limits)?;
    let count = limits.vcpus.unwrap_or(1);
    // No KVM has so few that it matters to a guest as wide as its host.
    let host = thread::available_parallelism().map_or(1, usize::from) as u32;
    let most = match count > host {
        true => cpus::MOST.min(machine::open(device)?.get_max_vcpus() as u32),
        false => cpus::MOST,
    };
    match count {
        count if (1..=most).contains(&count) => Ok(count as u8),
        count => Err(Error::Unsupported {
            what: format!("have {count} virtual CPUs: KVM and isolab can give {most}"),
            fix: format!("use --vcpus 1 to {most}; this host has {host} to run them"),
        }),
    }
}
