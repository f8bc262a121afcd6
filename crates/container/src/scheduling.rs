//! Question 2: what may it consume? Here: the scheduling policy, which is not part of a cgroup; see
//! sched(7).

use std::io;

use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

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
pub fn leave_one_processor() -> io::Result<CpuSet> {
    let mut others = sched_getaffinity(Pid::this())?;
    let first = (0..CpuSet::count()).find(|&cpu| others.is_set(cpu) == Ok(true)).unwrap_or(0);
    let mut left = CpuSet::new();
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
    fn a_process_that_is_not_there_cannot_be_served() {
        let error = round_robin(i32::MAX.cast_unsigned()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ESRCH));
    }
}
