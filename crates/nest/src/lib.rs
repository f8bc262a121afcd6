//! A whole emulated computer with hardware virtualization, for hosts that have none.
//!
//! Most classrooms have neither VMX nor SVM: machines of a cloud, containers, other hypervisors'
//! guests. QEMU can play a processor with SVM, instruction by instruction (TCG, its "tiny code
//! generator"), and a distribution's kernel on it has a real `kvm_amd` and a cgroup tree of pure
//! version 2. A [`Nest`] starts the two, runs one static program in there, isolab itself as a rule,
//! passes on what it writes, brings its files out, and ends with its exit code.
//!
//! ```text
//!   host      isolab nest -- run --in microvm hello
//!   QEMU        processor with SVM, emulated     [`machine`]: its devices and their channels
//!   Linux         kvm_amd, cgroup v2             [`inside`]: the initramfs and the plan
//!   isolab          run --in microvm hello       the command
//!   guest             hello                      under the emulated hardware's protection
//! ```
//!
//! Nothing of it is left when it ends, however it ends: the files that QEMU is given have no names,
//! and the kernel kills QEMU together with the thread that waits for it.
#![forbid(unsafe_code)]

pub mod archive;
mod clock;
mod conversation;
mod disks;
mod error;
mod inside;
mod machine;
mod packages;
mod program;
pub mod reports;
pub mod tail;
mod tools;

use std::{ffi::OsString, os::fd::BorrowedFd, path::PathBuf, time::Duration};

use microvm::kernels::{self, Kernel};
use sandbox::{Status, Stdio};

pub use error::{Error, Result};
pub use tools::find as find_program;

use conversation::Conversation;
use disks::Disks;
use machine::Machine;

/// Enough memory for isolab and what it runs inside.
pub const DEFAULT_MEMORY_BYTES: u64 = 1 << 30;
/// With less, Debian's kernel does not boot.
const MIN_MEMORY_BYTES: u64 = 128 << 20;
/// Booting takes two seconds on an idle host, and much longer on a busy one.
const DEFAULT_START_UP: Duration = Duration::from_secs(60);

/// An emulated computer, and what is to be run in it.
#[derive(Debug, Clone)]
pub struct Nest {
    /// The kernel it boots. One that has its drivers for SVM as files or built in.
    pub kernel: Kernel,
    /// A statically linked program of the host. Inside it is in `/usr/bin`.
    pub program: PathBuf,
    /// Its arguments, without its name.
    pub arguments: Vec<OsString>,
    /// Whether a shell is run instead of it, which finds it by its name.
    pub shell: bool,
    /// Additions to its environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Files and directories of the host that are copied into the nest, at the same paths.
    pub add: Vec<PathBuf>,
    /// Kernel modules to load in addition to those that isolab needs.
    pub modules: Vec<String>,
    /// Where to copy the files that the program leaves in the directory [`OUT`].
    pub out: Option<PathBuf>,
    /// Whether the computer's clock counts instructions, a nanosecond each, instead of time. Then
    /// it has one processor, and so must the Linux guests in it: see [`ICOUNT`].
    pub icount: bool,
    /// How much memory it has.
    pub memory_bytes: u64,
    /// How many processors it has.
    pub vcpus: u32,
    /// The limit for booting, up to the program's start.
    pub start_up: Duration,
    /// The limit for everything; the nest is powered off then.
    pub deadline: Option<Duration>,
}

/// The directory inside whose files are copied out.
pub const OUT: &str = "/out";

/// The variable that names it inside; only in a nest is it set.
pub const OUT_VARIABLE: &str = "ISOLAB_OUT";

/// The variable that is set inside where the clock counts instructions.
///
/// QEMU cannot play several processors then: sooner or later their kernel waits for a lock that none
/// of them holds. The crate's README says what was seen.
pub const ICOUNT: &str = "ISOLAB_ICOUNT";

/// How the program in a nest ended, and its output if that was captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NestOutcome {
    /// Its exit code, or the signal that killed it.
    pub status: Status,
    /// What it wrote to standard output.
    pub output: Vec<u8>,
    /// What it wrote to standard error.
    pub errors: Vec<u8>,
}

impl Nest {
    /// A nest for this program, with the chosen kernel.
    ///
    /// # Errors
    ///
    /// When there is no kernel.
    pub fn of(program: PathBuf) -> Result<Self> {
        Ok(Self::with(kernels::chosen()?, program))
    }

    /// A nest for this program, with this kernel.
    pub fn with(kernel: Kernel, program: PathBuf) -> Self {
        Self {
            kernel,
            program,
            arguments: Vec::new(),
            shell: false,
            environment: Vec::new(),
            add: Vec::new(),
            modules: Vec::new(),
            out: None,
            icount: false,
            memory_bytes: DEFAULT_MEMORY_BYTES,
            vcpus: 1,
            start_up: DEFAULT_START_UP,
            deadline: None,
        }
    }

    /// Starts the computer, runs the program in it and waits for its end. With
    /// [`Stdio::Terminal`] the program has the caller's terminal, otherwise no input.
    ///
    /// When `stop` becomes readable, the nest is powered off. The calling thread must live as long as
    /// the nest: when it ends, the kernel kills QEMU.
    ///
    /// # Errors
    ///
    /// When the host lacks something, when the computer does not boot or crashes, when the program
    /// cannot be run, at the deadline, and when the files cannot be copied out.
    pub fn run(&self, stdio: Stdio, stop: Option<BorrowedFd<'_>>) -> Result<NestOutcome> {
        self.check()?;
        // What it finds inside: disks with what is large, and all else in its initramfs.
        let disks = Disks::of(self)?;
        let modules = inside::modules(self)?;
        let plan = inside::plan(self, &modules, &disks, stdio);
        let initramfs = inside::initramfs(self, &modules, &disks, &plan)?;

        // What it runs on: a computer that is a process of this host.
        let machine = Machine::start(self, &initramfs, &disks)?;

        // How it reaches the host: through the computer's ports, until it is switched off.
        let outcome = Conversation::of(machine, self, &plan, stdio)?.until_the_end(stop)?;
        if let (Some(directory), Some(disk)) = (&self.out, &disks.out) {
            archive::unpack(disk, directory)?;
        }
        Ok(outcome)
    }

    /// Refuses options that cannot be met.
    fn check(&self) -> Result<()> {
        if self.memory_bytes < MIN_MEMORY_BYTES {
            return Err(Error::LittleMemory { bytes: self.memory_bytes });
        }
        if self.icount && self.vcpus > 1 {
            return Err(Error::OneCounts { vcpus: self.vcpus });
        }
        let own = ["/dev", "/proc", "/sys"];
        match self.add.iter().find(|path| own.iter().any(|own| path.starts_with(own))) {
            Some(path) => Err(Error::Hidden { path: path.clone() }),
            None => Ok(()),
        }
    }
}

/// Whether this host has the programs that a nest needs; the kernel is looked for separately.
///
/// # Errors
///
/// Names the program that is missing.
pub fn available() -> Result<()> {
    tools::find("qemu-system-x86_64")?;
    tools::find("setpriv")?;
    tools::find("mke2fs")?;
    Ok(())
}
