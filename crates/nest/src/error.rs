//! Why a nest could not be started, or how it failed.

use std::{io, path::PathBuf, time::Duration};

use crate::packages;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong with a nest.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program is missing on the host.
    #[error("{program} is not installed on this host")]
    NotInstalled {
        /// Its name.
        program: &'static str,
    },
    /// The kernel, its modules or the initramfs could not be read or made.
    #[error(transparent)]
    Microvm(#[from] microvm::Error),
    /// A file of the host could not be read.
    #[error("read {path:?}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of the host could not be written.
    #[error("write {path:?}")]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The captured output passed its bound: root inside may write without end.
    #[error("the nest wrote more than {limit} bytes and was powered off")]
    TooMuchOutput {
        /// The bound.
        limit: usize,
    },
    /// The program cannot run inside: it needs shared libraries, or is not an ELF file.
    #[error("the nest cannot run {program:?}: {why}")]
    NotStatic {
        /// Its file.
        program: PathBuf,
        /// Why not.
        why: &'static str,
    },
    /// A path that the nest's own file systems would hide.
    #[error("cannot copy {path:?} into the nest, which has its own /dev, /proc and /sys")]
    Hidden {
        /// The path.
        path: PathBuf,
    },
    /// The kernel does not boot with so little memory.
    #[error("{bytes} bytes of memory are too few for the nest's kernel")]
    LittleMemory {
        /// How much was asked for.
        bytes: u64,
    },
    /// The kernel's KVM would refuse the emulated processor.
    #[error(
        "kernel {kernel} is a real-time kernel (PREEMPT_RT): its KVM needs a constant time stamp \
         counter, which QEMU does not emulate"
    )]
    RealTime {
        /// Its release.
        kernel: String,
    },
    /// More than one processor together with a clock that counts instructions.
    #[error("a nest whose clock counts instructions cannot have {vcpus} processors")]
    OneCounts {
        /// How many were asked for.
        vcpus: u32,
    },
    /// A call to this host's kernel failed.
    #[error("{call}")]
    System {
        /// The call.
        call: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A program of the host could not be started.
    #[error("start {program:?}")]
    Start {
        /// Its file.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// mke2fs failed.
    #[error("mke2fs could not make a disk of {tree:?}: {stderr}")]
    NoDisk {
        /// What was to be on it.
        tree: PathBuf,
        /// What it wrote to standard error.
        stderr: String,
    },
    /// QEMU ended before the computer was switched off.
    #[error("QEMU failed: {messages}")]
    Qemu {
        /// What it wrote to standard error.
        messages: String,
    },
    /// The computer did not boot in time.
    #[error("the nest did not boot within {start_up:?}{}", quoted(console))]
    NoStart {
        /// The limit.
        start_up: Duration,
        /// The last lines of its console.
        console: Vec<String>,
    },
    /// The computer stopped before the program ended: its kernel panicked, or its processor reset.
    #[error("the nest crashed{}", quoted(console))]
    Crashed {
        /// The last lines of its console.
        console: Vec<String>,
    },
    /// A step of the plan failed.
    #[error("the nest's first process failed at the step `{step}`")]
    Step {
        /// The step.
        step: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The program was still running at its deadline.
    #[error("the nest was still running after {after:?} and was powered off")]
    Deadline {
        /// The deadline.
        after: Duration,
    },
    /// The caller asked the nest to stop.
    #[error("the nest was asked to stop and was powered off")]
    Stopped,
    /// What came out is not an archive of the nest's first process: it was changed inside.
    #[error("copy files out of the nest: {what}")]
    Archive {
        /// What is wrong with it.
        what: String,
    },
    /// A shell was asked for, and the host has no busybox for the nest.
    #[error("the nest has no shell: busybox is not installed on this host")]
    NoShell,
    /// A shell was asked for, and standard input is not a terminal.
    #[error("a shell in the nest needs a terminal, and standard input is not one")]
    NoTerminal,
}

impl Error {
    /// How to solve it, where that is known.
    pub fn fix(&self) -> Option<String> {
        let text = match self {
            Self::NotInstalled { program } => packages::how_to_install(program),
            Self::NoShell => packages::how_to_install("busybox"),
            Self::Microvm(error) => return error.fix(),
            Self::NotStatic { .. } => {
                "link it statically: RUSTFLAGS=-Ctarget-feature=+crt-static, cc -static"
            }
            Self::LittleMemory { .. } => "give it at least 128M: --memory",
            Self::RealTime { .. } => {
                "use another kernel: `isolab kernel list` lists them, `isolab kernel get` downloads one"
            }
            Self::Step { .. } => {
                "the kernel may lack a driver: use a distribution's cloud kernel (`isolab kernel \
                 get`), or name the directory of its modules (`--modules`)"
            }
            Self::OneCounts { .. } => "omit --icount or --vcpus",
            Self::Qemu { messages } if is_about_memory(messages) => "give it less memory: --memory",
            Self::NoStart { .. } => "a busy host needs longer: `isolab nest --start-up 5m`",
            Self::Crashed { console } => match console.iter().any(|line| is_about_memory(line)) {
                true => "give it more memory: --memory 2G",
                false => "try again, or use another kernel: `isolab kernel list`",
            },
            Self::Deadline { .. } => "`isolab nest --deadline` sets the limit",
            Self::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "free some space, or set XDG_CACHE_HOME and TMPDIR to directories on another disk"
            }
            _ => return None,
        };
        Some(text.to_owned())
    }

    /// The exit code of a command that failed with this error: 2 for invalid arguments, 126 and 127 as
    /// in a shell, 125 otherwise.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::LittleMemory { .. } | Self::OneCounts { .. } => 2,
            Self::NotStatic { .. } => 126,
            Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => 127,
            _ => 125,
        }
    }
}

fn is_about_memory(line: &str) -> bool {
    let signs = ["deadlocked on memory", "Out of memory", "annot allocate memory"];
    signs.iter().any(|sign| line.contains(sign))
}

/// The last lines of a console, appended to a message.
fn quoted(console: &[String]) -> String {
    match console {
        [] => String::from("; its console is empty"),
        lines => format!("; its console ended:\n    {}", lines.join("\n    ")),
    }
}

/// A failed call to the kernel of this host; for `map_err`.
pub(crate) fn call<E: Into<io::Error>>(call: &'static str) -> impl FnOnce(E) -> Error {
    move |error| Error::System { call, source: error.into() }
}
