//! Lab 18: the start of a container and of a virtual machine, measured. The part that leads the
//! student's four functions.
//!
//! ```text
//!   parent   measure, a few times | plan | median, interval | ...             | summary
//!   children                        one start of each kind | process 1, 2 ... |
//!                                   by this part           | by `measure`     |
//! ```
//!
//! Every child is a fresh process and adds its runs to the file `start-up.csv`, a line each.

mod measuring;
mod statistics;

use std::{process::ExitCode, time::Duration};

use lab::program::run;
use report::{Interval, Sample};
use sandbox::{Sandbox, Workload};

pub use measuring::{FILE, TRIALS};
pub use report::Random;
pub use statistics::samples_of;

/// What is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A process in namespaces of its own.
    Container,
    /// The same once more: two names for one thing. What differs between them is noise.
    ContainerAgain,
    /// A virtual machine.
    MicroVm,
}

impl Subject {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Container, Self::ContainerAgain, Self::MicroVm];

    /// Its name in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::ContainerAgain => "container-again",
            Self::MicroVm => "microvm",
        }
    }
}

/// What one start took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// From one milestone to the next: to `Created`, to `Entered`, to `FirstByte`, to `Exited`, to
    /// `Cleaned`.
    pub phases: [Duration; 5],
    /// The whole, by a stopwatch outside: from before the call to after it.
    pub total: Duration,
}

/// The student's functions.
pub struct Answer {
    /// Starts something and takes the time.
    pub measure: fn(&dyn Sandbox, &Workload) -> sandbox::Result<Measured>,
    /// What is started when: the order of starts in each of several fresh processes.
    pub plan: fn(&[Subject]) -> Vec<Vec<Subject>>,
    /// The middle value.
    pub median: fn(&[f64]) -> Option<f64>,
    /// Where the true median lies, with 95 % confidence.
    pub median_interval: fn(&[Sample], u64) -> Option<Interval>,
}

/// The program.
pub fn program(answer: &Answer) -> ExitCode {
    run(|host| match host.argument("role") {
        "" => {
            measuring::try_out(host, answer)?;
            let plan = measuring::plan(host, answer);
            statistics::drill(host, answer);
            measuring::all(host, &plan)?;
            statistics::summary(host, answer)
        }
        role => measuring::child(host, answer, role),
    })
}
