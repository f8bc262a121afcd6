//! Why a workload could not be run.

use std::{error::Error as StdError, path::PathBuf, time::Duration};

use crate::LimitsError;

/// A result of the contract.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a workload could not be run; the same few cases for every sandbox.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This kind of sandbox cannot do that on any host.
    #[error("a {sandbox} cannot {what}")]
    Unsupported {
        /// The sandbox.
        sandbox: &'static str,
        /// What it cannot, after "cannot": `keep a CPU quota`.
        what: String,
        /// What to do instead.
        fix: String,
    },
    /// This host lacks what the sandbox needs.
    #[error("no {sandbox} can run on this host")]
    Unavailable {
        /// The sandbox.
        sandbox: &'static str,
        /// What is missing.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
        /// How to fix it.
        fix: String,
    },
    /// An invalid limit.
    #[error("invalid limits")]
    Limits(#[from] LimitsError),
    /// The program does not exist. A shell's 127.
    #[error("program {program:?} not found in the {sandbox}")]
    NotFound {
        /// The sandbox in which it was looked for.
        sandbox: &'static str,
        /// The program as given.
        program: PathBuf,
        /// What to do.
        fix: String,
    },
    /// The program exists but cannot be run. A shell's 126.
    #[error("program {program:?} cannot be run in the {sandbox}")]
    NotExecutable {
        /// The sandbox.
        sandbox: &'static str,
        /// The program as given.
        program: PathBuf,
        /// Why not.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The workload was still running at its deadline, and was killed.
    #[error("the {sandbox} was still running after {after:?} and was killed")]
    Deadline {
        /// The sandbox.
        sandbox: &'static str,
        /// The deadline.
        after: Duration,
        /// Where it was at that moment, if known.
        #[source]
        source: Option<Box<dyn StdError + Send + Sync>>,
        /// What it had written.
        written: Written,
    },
    /// The captured output exceeded its limit, and the workload was killed.
    #[error("the {sandbox} wrote more than {limit} bytes and was killed")]
    TooMuchOutput {
        /// The sandbox.
        sandbox: &'static str,
        /// The limit in bytes.
        limit: usize,
    },
    /// A step of the sandbox failed.
    #[error("the {sandbox} failed")]
    Failed {
        /// The sandbox.
        sandbox: &'static str,
        /// The step.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
        /// What to do, if known.
        fix: Option<String>,
        /// What the workload had written.
        written: Written,
    },
}

/// What a workload had written when it was stopped; empty if its output is not captured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// To standard output.
    pub output: Vec<u8>,
    /// To standard error.
    pub errors: Vec<u8>,
}

impl Error {
    /// The command's exit code for this error: 125 if isolab itself failed, 126 and 127 as in a
    /// shell, 2 for an invalid or unsupported limit.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Limits(_) | Self::Unsupported { .. } => 2,
            Self::NotExecutable { .. } => 126,
            Self::NotFound { .. } => 127,
            _ => 125,
        }
    }

    /// The same error, with the output that the workload had written before.
    #[must_use]
    pub fn after(mut self, so_far: Written) -> Self {
        if let Self::Deadline { written, .. } | Self::Failed { written, .. } = &mut self {
            *written = so_far;
        }
        self
    }

    /// What the workload had written before, if it ran at all.
    pub fn written(&self) -> Option<&Written> {
        match self {
            Self::Deadline { written, .. } | Self::Failed { written, .. } => Some(written),
            _ => None,
        }
    }

    /// What to do about it, if known.
    pub fn fix(&self) -> Option<&str> {
        match self {
            Self::Unsupported { fix, .. }
            | Self::Unavailable { fix, .. }
            | Self::NotFound { fix, .. }
            | Self::Failed { fix: Some(fix), .. } => Some(fix),
            _ => None,
        }
    }
}

/// `A: B: C; D`, an error with its causes and, if known, what to do.
pub fn chain_with_help(error: &dyn StdError, way_out: Option<&str>) -> String {
    let chain = chain(error);
    way_out.map_or(chain.clone(), |way_out| format!("{chain}; {way_out}"))
}

/// `A: B: C`, an error and its causes without repetitions.
pub fn chain(error: &dyn StdError) -> String {
    let mut said = error.to_string();
    let mut text = said.clone();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        let message = deeper.to_string();
        if !said.ends_with(&message) {
            text += &format!(": {message}");
        }
        said = message;
        cause = deeper.source();
    }
    text
}
