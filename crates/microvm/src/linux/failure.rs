//! How a Linux guest came to an end that it should not have, and what was seen of it last.

use std::{fmt, time::Duration};

use crate::fault::{Fault, VcpuState};

/// What was cause with the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FailureCause {
    /// The kernel gave up, with these words.
    Panicked(String),
    /// It did not start up in so long.
    NeverStartedUp(Duration),
    /// Its first process could not do a step of its plan.
    Stuck {
        /// The step.
        step: String,
        /// The error of the guest's Linux.
        errno: i32,
    },
    /// All of its processors halted for good before its first process ran the command.
    Halted,
    /// A processor stopped.
    Fault(Fault),
}

impl fmt::Display for FailureCause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(words) => write!(formatter, "the guest's kernel panicked: {words}"),
            Self::NeverStartedUp(after) => {
                write!(formatter, "the guest did not reach user space within {after:?}")
            }
            Self::Stuck { step, errno } => {
                let error = std::io::Error::from_raw_os_error(*errno);
                write!(formatter, "the guest's first process could not do {step:?}: {error}")
            }
            Self::Halted => {
                formatter.write_str("the guest halted all of its processors before its command ran")
            }
            Self::Fault(fault) => write!(formatter, "the guest stopped with {fault}"),
        }
    }
}

/// A guest that came to a cause end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct GuestFailure {
    /// What was cause.
    pub cause: FailureCause,
    /// What was seen of it last.
    #[source]
    pub last_seen: LastSeen,
    /// What the user has added to its kernel's command line.
    pub own_words: String,
}

impl GuestFailure {
    /// What to do about it, where that is known.
    pub fn fix(&self) -> Option<String> {
        let out_of_memory = |words: &str| {
            let words = words.to_lowercase();
            ["deadlocked on memory", "out of memory"].iter().any(|it| words.contains(it))
        };
        let lines = &self.last_seen.console;
        let is_short = lines.iter().any(|line| line.contains("Initramfs unpacking failed: write"));
        let own_words = self.own_words.trim();
        match &self.cause {
            FailureCause::Panicked(words) if is_short || out_of_memory(words) => {
                let without = match own_words.contains("mem") {
                    true => format!(", and try it without {own_words:?} on its command line"),
                    false => String::new(),
                };
                Some(format!("give the guest more memory: `--memory`{without}"))
            }
            FailureCause::Panicked(_) | FailureCause::NeverStartedUp(_) | FailureCause::Stuck { .. } | FailureCause::Halted
                if !own_words.is_empty() =>
            {
                Some(format!(
                    "try it without {own_words:?} on its kernel's command line; `--console` shows the \
                     messages of its kernel"
                ))
            }
            FailureCause::NeverStartedUp(_) => Some(
                "`--start-up` sets the limit; `--console` shows the messages of its kernel"
                    .into(),
            ),
            FailureCause::Stuck { step, errno: libc::ENOENT } if step.contains("/dev/") => Some(
                "the kernel has no driver for it: name the folder of its modules (`--modules`), or \
                 take a distribution's cloud kernel (`isolab kernel get`)"
                    .into(),
            ),
            FailureCause::Stuck { step, errno } if step.starts_with("mount virtiofs ") => Some(
                match *errno {
                    libc::ENODEV => {
                        "the guest's kernel has no virtiofs: name the folder of its modules \
                         (`--modules`), or take a distribution's cloud kernel (`isolab kernel get`)"
                    }
                    libc::ENOTDIR => "the guest has a file there: name another destination",
                    libc::EROFS => {
                        "the destination lies in another shared directory, which is read-only: make \
                         it there on the host, or name another"
                    }
                    _ => "name another destination; `--console` shows the messages of its kernel",
                }
                .into(),
            ),
            _ => None,
        }
    }
}

/// Where each processor of a guest was at its end, and what its console said last.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
pub struct LastSeen {
    /// One for each processor.
    pub processors: Vec<VcpuState>,
    /// The last lines.
    pub console: Vec<String>,
}

impl fmt::Display for LastSeen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, processor) in self.processors.iter().enumerate() {
            let separator = if number == 0 { "" } else { "; " };
            write!(formatter, "{separator}processor {number}: {processor}")?;
        }
        match &*self.console {
            [] => formatter.write_str("; its console said nothing"),
            lines => {
                formatter.write_str("; the last lines of its console:")?;
                lines.iter().try_for_each(|line| write!(formatter, "\n    | {line}"))
            }
        }
    }
}
