//! What became of a workload.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{ExitReason, Report, Timeline, Trace};

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It returned this code.
    Exited(u8),
    /// This signal killed it.
    Signaled(i32),
}

impl Status {
    /// The exit code that a shell would give: the program's own, or 128 and the signal's number.
    pub fn code(self) -> u8 {
        match self {
            Self::Exited(code) => code,
            Self::Signaled(signal) => 128u8.saturating_add(u8::try_from(signal).unwrap_or(u8::MAX)),
        }
    }

    /// Whether the program said that all went well.
    pub fn is_success(self) -> bool {
        self == Self::Exited(0)
    }
}

/// How a machine ended by its guest's will, where the guest did not wait for its program's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MachineEnd {
    /// The guest powered it off.
    PowerOff,
    /// The guest halted all of its processors, and nothing can wake them.
    Halt,
    /// The guest restarted it.
    Restart,
}

impl fmt::Display for MachineEnd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::PowerOff => "the guest powered off",
            Self::Halt => "the guest halted",
            Self::Restart => "the guest restarted its machine, which ends it",
        })
    }
}

/// How often a virtual machine left to its VMM for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitCount {
    /// The reason.
    pub reason: ExitReason,
    /// How often.
    pub count: u64,
}

/// Processes that the kernel killed because there was no memory left for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutOfMemory {
    /// How many.
    pub kills: u64,
    /// The limit of the workload; without one it is the host, or a limit around isolab, that had no
    /// more.
    pub limit_bytes: Option<u64>,
}

/// What the workload consumed; `None` where the host does not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// CPU time, user and system together, of the workload and of the walls around it.
    pub cpu_time: Option<Duration>,
    /// The most memory in use at once, in bytes.
    pub peak_memory_bytes: Option<u64>,
    /// The VM exits by reason; none for other sandboxes, whose system calls nobody counts.
    pub vm_exits: Vec<ExitCount>,
    /// What the kernel killed of it for want of memory, if anything.
    #[serde(default)]
    pub out_of_memory: Option<OutOfMemory>,
    /// The VM exits that KVM handled by itself, without a return from `KVM_RUN`; `None` where it
    /// does not count them.
    pub vm_exits_in_kernel: Option<u64>,
}

/// What became of a workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// How it ended.
    pub status: Status,
    /// How its machine ended, unless that was at the program's end.
    pub machine_end: Option<MachineEnd>,
    /// What it wrote to standard output, if captured.
    pub output: Vec<u8>,
    /// What it wrote to standard error, if captured.
    pub errors: Vec<u8>,
    /// When it reached which milestone.
    pub timeline: Timeline,
    /// What it consumed.
    pub usage: Usage,
    /// What a built-in program reported through its mailbox.
    pub report: Option<Report>,
    /// The calls that were made for it, if it was traced.
    pub trace: Trace,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_program_has_the_code_of_a_shell() {
        assert_eq!(Status::Signaled(9).code(), 137);
        assert_eq!(Status::Exited(42).code(), 42);
        assert!(!Status::Signaled(0).is_success());
    }
}
