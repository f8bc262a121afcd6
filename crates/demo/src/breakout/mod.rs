//! Three attempts to get out, and four walls: chroot, pivot_root, a container, a microVM.
//!
//! The attempts are real, but their targets are this demonstration's own: a file, a process and a few
//! bytes of memory. The transcript of an attempt is what its program wrote; whether it escaped is
//! judged by its target.

mod attempts;
mod draw;
mod machine;
mod notes;
mod page;
mod source;
mod table;
mod targets;
mod words;

use serde::{Deserialize, Serialize};

pub use draw::{draw, summary};
pub use notes::SCRIPT;
pub use source::BreakoutDemo;

use crate::Language;

/// What stands between the attempt and the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wall {
    /// `chroot(2)`, with all of root's privileges.
    Chroot,
    /// A mount namespace and `pivot_root(2)`, with all of root's privileges.
    PivotRoot,
    /// A container of isolab: all namespaces, few capabilities, a filter.
    Container,
    /// A microVM of isolab, without a kernel.
    #[serde(rename = "microvm")]
    MicroVm,
}

impl Wall {
    const ALL: [Self; 4] = [Self::Chroot, Self::PivotRoot, Self::Container, Self::MicroVm];

    fn key(self) -> char {
        match self {
            Self::Chroot => 'c',
            Self::PivotRoot => 'p',
            Self::Container => 'n',
            Self::MicroVm => 'm',
        }
    }
}

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attempt {
    /// To walk out of the root and read a file.
    File,
    /// To kill a process.
    Process,
    /// To read the memory of isolab.
    Memory,
}

impl Attempt {
    const ALL: [Self; 3] = [Self::File, Self::Process, Self::Memory];

    fn key(self) -> char {
        match self {
            Self::File => '1',
            Self::Process => '2',
            Self::Memory => '3',
        }
    }
}

/// The targets of the attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetState {
    /// What is in the file.
    pub file: String,
    /// The process.
    pub pid: u32,
    /// Whether it lives.
    pub alive: bool,
    /// What is in the memory of isolab.
    pub memory: String,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It was not made yet.
    #[default]
    Untried,
    /// It is being made.
    Running,
    /// It reached its target.
    #[serde(alias = "out")]
    Escaped,
    /// It did not.
    #[serde(alias = "held")]
    Contained,
    /// It could not be made on this host.
    Impossible,
}

/// One attempt at one wall.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// How it ended.
    pub verdict: Verdict,
    /// What it did, in order.
    pub steps: Vec<Step>,
}

/// A step of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The system call, or the instruction.
    pub call: String,
    /// What came of it.
    pub result: String,
}

/// All that is known at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breakout {
    /// The targets of the attempts.
    #[serde(alias = "baits")]
    pub targets: TargetState,
    /// The attempts, by wall.
    pub trials: [[Trial; Attempt::ALL.len()]; Wall::ALL.len()],
    /// The wall that was tried last.
    pub wall: Option<Wall>,
    /// The attempt whose transcript is shown.
    pub attempt: Attempt,
    /// What went wrong.
    pub note: Option<String>,
}

impl Breakout {
    pub(crate) fn page(&self, language: Language) -> String {
        page::page(self, language)
    }

    fn trial(&self, wall: Wall, attempt: Attempt) -> &Trial {
        &self.trials[wall as usize][attempt as usize]
    }

    pub(crate) fn is_on(&self, key: char) -> bool {
        self.wall.is_some_and(|wall| wall.key() == key) || self.attempt.key() == key
    }
}
