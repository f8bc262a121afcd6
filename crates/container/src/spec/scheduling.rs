//! How a program shares the processors and disks with others, apart from its cgroup.

use serde::{Deserialize, Serialize};

/// A scheduling policy (sched(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Policy {
    /// The usual one.
    #[serde(rename = "SCHED_OTHER")]
    Other,
    /// Real time, until it sleeps.
    #[serde(rename = "SCHED_FIFO")]
    Fifo,
    /// Real time, in turn.
    #[serde(rename = "SCHED_RR")]
    RoundRobin,
    /// As the usual one, for programs that do not interact.
    #[serde(rename = "SCHED_BATCH")]
    Batch,
    /// Only when nothing else runs.
    #[serde(rename = "SCHED_IDLE")]
    Idle,
    /// A share of each period, before its deadline.
    #[serde(rename = "SCHED_DEADLINE")]
    Deadline,
}

/// What sched_setattr(2) sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduler {
    /// The policy.
    pub policy: Policy,
    /// The nice value, from -20 to 19.
    pub nice: i32,
    /// The real-time priority, from 1 to 99; 0 for the other policies.
    pub priority: u32,
    /// Flags, as `SCHED_FLAG_..` of linux/sched.h.
    pub flags: u64,
    /// With a deadline: CPU time of a period, in nanoseconds.
    pub runtime: u64,
    /// With a deadline: until when it is needed, in nanoseconds from the begin of the period.
    pub deadline: u64,
    /// With a deadline: the period, in nanoseconds; 0 means the deadline.
    pub period: u64,
}

/// The class of requests to disks (ioprio_set(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IoClass {
    /// Before all others.
    #[serde(rename = "IOPRIO_CLASS_RT")]
    RealTime,
    /// The usual one.
    #[serde(rename = "IOPRIO_CLASS_BE")]
    BestEffort,
    /// Only when the disk is idle.
    #[serde(rename = "IOPRIO_CLASS_IDLE")]
    Idle,
}

/// What ioprio_set(2) sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IoPriority {
    /// The class.
    pub class: IoClass,
    /// From 0, the highest, to 7.
    pub priority: u8,
}

/// A set of processors, a bit each, as sched_setaffinity(2) takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuSet(pub(crate) Vec<u8>);

impl CpuSet {
    /// The set that a list such as `0-3,7` names; `None` if it is not one.
    pub fn parse(list: &str) -> Option<Self> {
        /// Linux on x86_64 has at most as many (arch/x86/Kconfig, "NR_CPUS").
        const MOST: usize = 8192;
        let number = |word: &str| match word.bytes().all(|byte| byte.is_ascii_digit()) {
            true => word.parse::<usize>().ok().filter(|number| *number < MOST),
            false => None,
        };
        // A multiple of a long, which the kernel takes as a whole.
        let mut bits = vec![0; MOST / 8];
        for range in list.split(',').map(str::trim) {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            (first..=last).for_each(|cpu| bits[cpu / 8] |= 1 << (cpu % 8));
        }
        Some(Self(bits))
    }
}

/// Where a further program in a container runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CpuAffinity {
    /// Before it is in the container's cgroup.
    pub initial: Option<CpuSet>,
    /// From then on.
    pub last: Option<CpuSet>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_processors_is_a_set_of_bits() {
        let set = CpuSet::parse("0-2,9").unwrap();
        assert_eq!(set.0[..3], [0b111, 0b10, 0]);
        for bad in ["", ",", "2-1", "-1", "a", "8192", "1-", "0x3"] {
            assert_eq!(CpuSet::parse(bad), None, "{bad:?}");
        }
    }
}
