//! Why a nest could not be made, or what became of it.

use std::{io, path::PathBuf, time::Duration};

use crate::tools;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong with a nest.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program of the host is lacking.
    #[error("{program} is not installed on this host")]
    NotInstalled {
        /// Its name.
        program: &'static str,
    },
    /// The kernel, its modules or the initramfs could not be had.
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
    /// The output was to be kept, and is more than that: root inside may write without end.
    #[error("the nest wrote more than {limit} bytes and was ended")]
    TooMuchOutput {
        /// The bound.
        limit: usize,
    },
    /// A program that needs what is not inside.
    #[error("the nest cannot run {program:?}: {why}")]
    NotStatic {
        /// Its file.
        program: PathBuf,
        /// Why not.
        why: &'static str,
    },
    /// Something that would be hidden by the nest's own.
    #[error("{path:?} cannot be brought into the nest: it has a /dev, /proc and /sys of its own")]
    Hidden {
        /// What was to be brought in.
        path: PathBuf,
    },
    /// The kernel would not come up in so little memory.
    #[error("a nest of {bytes} bytes of memory has no room for its kernel")]
    LittleMemory {
        /// How much was asked for.
        bytes: u64,
    },
    /// Its KVM would refuse the emulated processor.
    #[error(
        "the kernel {kernel} is a real-time one (PREEMPT_RT): its KVM refuses a processor without a \
         constant time stamp counter, and QEMU emulates none"
    )]
    RealTime {
        /// Its release.
        kernel: String,
    },
    /// Several processors, and a clock that counts the instructions of one.
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
    /// mke2fs did not make a disk.
    #[error("mke2fs made no disk of {tree:?}: {said}")]
    NoDisk {
        /// What was to be on it.
        tree: PathBuf,
        /// What it said.
        said: String,
    },
    /// QEMU ended before the computer was switched off.
    #[error("QEMU ended: {said}")]
    Qemu {
        /// What it said.
        said: String,
    },
    /// The computer did not come up in time.
    #[error("the nest did not boot within {patience:?}{}", quoted(console))]
    NoStart {
        /// How long it was waited for.
        patience: Duration,
        /// The last lines of its console.
        console: Vec<String>,
    },
    /// The computer broke off: its kernel panicked, or its processor gave up.
    #[error("the nest broke off{}", quoted(console))]
    BrokeOff {
        /// The last lines of its console.
        console: Vec<String>,
    },
    /// A step of the plan failed.
    #[error("the nest failed at the step `{step}`")]
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
    /// The caller wanted no more.
    #[error("the nest was told to end and was powered off")]
    ToldToEnd,
    /// What came out is no archive of the nest's first process, so it was changed inside.
    #[error("bring files out: {what}")]
    Archive {
        /// What is wrong with it.
        what: String,
    },
    /// A shell is wanted, and the host has none to give.
    #[error("the nest has no shell: this host has no busybox to lend")]
    NoShell,
    /// A shell is wanted without a terminal.
    #[error("a shell in the nest needs a terminal, and standard input is none")]
    NoTerminal,
}

impl Error {
    /// What to do about it, where that is known.
    pub fn fix(&self) -> Option<String> {
        let text = match self {
            Self::NotInstalled { program } => tools::how_to_install(program),
            Self::NoShell => tools::how_to_install("busybox"),
            Self::Microvm(error) => return error.fix(),
            Self::NotStatic { .. } => {
                "link it with its libraries in it: RUSTFLAGS=-Ctarget-feature=+crt-static, cc -static"
            }
            Self::LittleMemory { .. } => "give it at least 128M: --memory",
            Self::RealTime { .. } => {
                "take another: `isolab kernel list` shows what there is, `isolab kernel get` gets one"
            }
            Self::Step { .. } => {
                "the kernel may lack a driver: take a distribution's cloud kernel (`isolab kernel \
                 get`), or name the folder of its modules (`--modules`)"
            }
            Self::OneCounts { .. } => "leave --icount or --vcpus away",
            Self::Qemu { said } if is_about_memory(said) => "give it less memory: --memory",
            Self::NoStart { .. } => "try again when this host has less to do",
            Self::BrokeOff { console } => match console.iter().any(|line| is_about_memory(line)) {
                true => "give it more memory: --memory 2G",
                false => "try again, or with another kernel: `isolab kernel list`",
            },
            Self::Deadline { .. } => "give it longer: --deadline",
            Self::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "make room, or set XDG_CACHE_HOME and TMPDIR to folders on another disk"
            }
            _ => return None,
        };
        Some(text.to_owned())
    }

    /// The exit code of a command that failed so: 2 for what cannot be meant, 126 and 127 as a
    /// shell, and else 125.
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

/// The last lines of a console behind what they explain.
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
