//! Question 2: what may it consume? Here: the scheduling policy, which is not part of a cgroup; see
//! sched(7).

use std::io;

use nix::{
    sched::{self, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};
use sandbox::Question::Budget;

use crate::{plan::SyscallPlan, spec};

pub use crate::spec::scheduling::{CpuAffinity, CpuSet, IoClass, IoPriority, Policy, Scheduler};

impl Policy {
    /// Its number (linux/sched.h), and its name.
    fn number(self) -> (u32, &'static str) {
        match self {
            Self::Other => (0, "SCHED_OTHER"),
            Self::Fifo => (1, "SCHED_FIFO"),
            Self::RoundRobin => (2, "SCHED_RR"),
            Self::Batch => (3, "SCHED_BATCH"),
            Self::Idle => (5, "SCHED_IDLE"),
            Self::Deadline => (6, "SCHED_DEADLINE"),
        }
    }
}

/// The child's steps that set its policy and its priority on disks, while it has the power for it.
pub(crate) fn set(plan: &mut SyscallPlan, power: &spec::Power) {
    if let Some(scheduler) = &power.scheduler {
        let (number, name) = scheduler.policy.number();
        let attributes = plan.keep(attributes(scheduler, number));
        let Scheduler { nice, priority, .. } = scheduler;
        let words = format!("sched_setattr {name}, nice {nice}, priority {priority}");
        plan.step(Budget, words, libc::SYS_sched_setattr, [0, attributes, 0]);
    }
    if let Some(IoPriority { class, priority }) = power.io_priority {
        // Of linux/ioprio.h.
        const WHO_PROCESS: usize = 1;
        const CLASS_SHIFT: usize = 13;
        let class = match class {
            IoClass::RealTime => 1,
            IoClass::BestEffort => 2,
            IoClass::Idle => 3,
        };
        let value = class << CLASS_SHIFT | usize::from(priority);
        let words = format!("ioprio_set class {class}, priority {priority}");
        plan.step(Budget, words, libc::SYS_ioprio_set, [WHO_PROCESS, 0, value]);
    }
}

/// `struct sched_attr`, in its first version (linux/sched/types.h).
fn attributes(scheduler: &Scheduler, number: u32) -> Vec<u8> {
    const SIZE: u32 = 48;
    let Scheduler { nice, priority, flags, runtime, deadline, period, .. } = *scheduler;
    let head = [SIZE, number].map(u32::to_ne_bytes).concat();
    let middle = [nice.cast_unsigned(), priority].map(u32::to_ne_bytes).concat();
    let times = [runtime, deadline, period].map(u64::to_ne_bytes).concat();
    [head, flags.to_ne_bytes().to_vec(), middle, times].concat()
}

/// The child's step that moves it to these processors.
pub(crate) fn stay_on(plan: &mut SyscallPlan, cpus: Option<&CpuSet>) {
    if let Some(CpuSet(bits)) = cpus {
        let arguments = [0, bits.len(), plan.keep(bits)];
        plan.step(Budget, "sched_setaffinity", libc::SYS_sched_setaffinity, arguments);
    }
}

/// The lowest of the real-time priorities: above every normal process, below any other real-time
/// one.
const PRIORITY: i32 = 1;

/// Gives the process the real-time policy `SCHED_RR`: such processes run in turn, each for a fixed
/// time slice, before all normal ones.
///
/// The kernel keeps a twentieth of each second for the others (`sched_rt_runtime_us`), so a process
/// that never sleeps does not lock up the machine.
///
/// # Errors
///
/// Those of `sched_setscheduler(2)`: `EPERM` without `CAP_SYS_NICE`, and in a cgroup without a
/// real-time budget (`cpu.rt_runtime_us` is 0 for new ones).
pub fn round_robin(pid: u32) -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: PRIORITY };
    // SAFETY: the call reads one `sched_param`, which lives on this stack until it returns.
    match unsafe {
        libc::sched_setscheduler(pid.cast_signed(), libc::SCHED_RR, &raw const parameters)
    } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Returns the first processor that the calling thread may use, and moves the thread itself to the
/// others, if there are any: real-time programs on that processor would keep the observer waiting.
///
/// # Errors
///
/// Those of `sched_getaffinity(2)`.
pub fn leave_one_processor() -> io::Result<sched::CpuSet> {
    let mut others = sched_getaffinity(Pid::this())?;
    let first =
        (0..sched::CpuSet::count()).find(|&cpu| others.is_set(cpu) == Ok(true)).unwrap_or(0);
    let mut left = sched::CpuSet::new();
    left.set(first)?;
    others.unset(first)?;
    // Fails if there is no other.
    let _ = sched_setaffinity(Pid::this(), &others);
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attributes_are_laid_out_as_the_kernel_has_them() {
        let scheduler = Scheduler {
            policy: Policy::Deadline,
            nice: -1,
            priority: 2,
            flags: 4,
            runtime: 5,
            deadline: 6,
            period: 7,
        };
        let bytes = attributes(&scheduler, 3);
        let words: Vec<u32> =
            bytes.chunks(4).map(|it| u32::from_ne_bytes(it.try_into().unwrap())).collect();
        assert_eq!(words, [48, 3, 4, 0, u32::MAX, 2, 5, 0, 6, 0, 7, 0]);
    }

    #[test]
    fn a_process_that_is_not_there_cannot_be_served() {
        let error = round_robin(i32::MAX.cast_unsigned()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ESRCH));
    }
}
