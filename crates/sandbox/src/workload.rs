//! What to run.

use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use guest::Builtin;

/// The program of a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// One of the built-in programs with its arguments; missing ones take their defaults.
    Builtin(Builtin, Vec<u64>),
    /// A command and its arguments, found in the sandbox's own root; for a microVM a file.
    Command(Vec<OsString>),
}

/// Where the program's standard input and output are connected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stdio {
    /// Output is kept for the [`Outcome`](crate::Outcome); input stays open, and empty, until the
    /// workload is stopped.
    #[default]
    Capture,
    /// Output is kept for the [`Outcome`](crate::Outcome); input is the launcher's own.
    CaptureOutput,
    /// The launcher's own.
    Inherit,
    /// A new terminal, connected to the launcher's terminal.
    Terminal,
}

/// A program to run, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// The program.
    pub program: Program,
    /// Its standard input and output.
    pub stdio: Stdio,
    /// Variables that are added to the sandbox's own small environment
    /// ([`environment`](crate::environment)).
    pub environment: Vec<(OsString, OsString)>,
    /// Its working directory inside; `None` means `/` in a container, and the caller's for a
    /// process.
    pub directory: Option<PathBuf>,
    /// The workload is killed after this time, and waiting for it returns an error.
    pub deadline: Option<Duration>,
    /// Whether to record the [`Trace`](crate::Trace) of this run.
    pub trace: bool,
    /// Whether that trace has every VM exit, and not only the first hundred of each processor.
    pub every_exit: bool,
}

impl Workload {
    /// A built-in program with captured output.
    pub fn builtin(builtin: Builtin, arguments: &[u64]) -> Self {
        Self::new(Program::Builtin(builtin, arguments.to_vec()))
    }

    /// A command with captured output: the program, then its arguments.
    pub fn command<S: Into<OsString>>(words: impl IntoIterator<Item = S>) -> Self {
        Self::new(Program::Command(words.into_iter().map(Into::into).collect()))
    }

    fn new(program: Program) -> Self {
        Self {
            program,
            stdio: Stdio::Capture,
            environment: Vec::new(),
            directory: None,
            deadline: None,
            trace: false,
            every_exit: false,
        }
    }

    /// The same workload with other standard input and output.
    #[must_use]
    pub fn stdio(self, stdio: Stdio) -> Self {
        Self { stdio, ..self }
    }

    /// The same workload, killed after `deadline`.
    #[must_use]
    pub fn deadline(self, deadline: Duration) -> Self {
        Self { deadline: Some(deadline), ..self }
    }

    /// The words of the command line, for lists and messages.
    pub fn words(&self) -> Vec<String> {
        match &self.program {
            Program::Builtin(builtin, arguments) => std::iter::once(builtin.name().to_owned())
                .chain(arguments.iter().map(u64::to_string))
                .collect(),
            Program::Command(words) => {
                words.iter().map(|word| Path::new(word).display().to_string()).collect()
            }
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.words().join(" "))
    }
}
