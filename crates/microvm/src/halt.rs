//! Noticing that a guest has halted for good, which KVM does not say.
//!
//! `halt -f` is the end of a guest: reboot(2) stops all processors but one, and that one executes
//! `cli; hlt` in a loop (`stop_this_cpu` in Linux). With the interrupt controllers in the host's
//! kernel, KVM answers `hlt` itself and waits for an interrupt. Interrupts are off, so none comes, and
//! the thread never leaves `KVM_RUN`. On a real machine a person reads "System halted" and presses
//! the button; here the launcher is that person.
//!
//! A processor cannot be asked while it is in `KVM_RUN`, and an exit to ask it costs time. So the
//! watchdog first looks at what is free: the CPU time that each processor's thread has taken, once
//! a second. A guest that is up takes some for its timers. Where none has taken any since the last
//! look, all are kicked out, and each thread asks KVM for its own processor.
//!
//! ```text
//!   watchdog   look ... look: no CPU time --> kick all          all have halted: the guest's end
//!   vcpu0      KVM_RUN ------------------------------> halted? yes, wait for the others
//!   vcpu1      KVM_RUN ------------------------------> halted? yes
//! ```
//!
//! Each stays outside until the last has answered, so one cannot wake another meanwhile. If one can
//! still go on, or does not answer in time, all do.

use std::time::Duration;

use kvm_bindings::{
    KVM_MP_STATE_HALTED, KVM_MP_STATE_INIT_RECEIVED, KVM_MP_STATE_UNINITIALIZED, kvm_vcpu_events,
};
use kvm_ioctls::VcpuFd;

use crate::registers::RFLAGS_IF;

/// Between two looks at the CPU time of the processors' threads.
const PERIOD: Duration = Duration::from_secs(1);
/// All processors must have answered by then. A thread that is not in `KVM_RUN` does not answer.
const ANSWER: Duration = Duration::from_millis(200);

/// When to look, and what was seen last.
pub struct HaltWatch {
    next: Duration,
    /// The CPU time of each thread; none for one that is gone.
    times: Vec<Option<Duration>>,
}

impl HaltWatch {
    /// Begins to watch at `now`, on the clock of [`monotonic_now`](sandbox::monotonic_now).
    pub fn new(now: Duration) -> Self {
        Self { next: now + PERIOD, times: Vec::new() }
    }

    /// The instant of the next look.
    pub fn next_look(&self) -> Duration {
        self.next
    }

    /// Looks at the CPU time of the threads; whether none has taken any since the last look.
    pub fn look(&mut self, times: Vec<Option<Duration>>, now: Duration) -> bool {
        let idle = !times.is_empty() && times == self.times && times.iter().all(Option::is_some);
        self.next = now + if idle { ANSWER } else { PERIOD };
        self.times = times;
        idle
    }
}

/// Whether `cpu`, which is not in `KVM_RUN`, can never execute an instruction again unless another
/// processor wakes it: it has halted with interrupts off, or has never been started.
pub fn has_halted(cpu: &VcpuFd) -> bool {
    let Ok(state) = cpu.get_mp_state() else { return false };
    match state.mp_state {
        KVM_MP_STATE_UNINITIALIZED | KVM_MP_STATE_INIT_RECEIVED => true,
        KVM_MP_STATE_HALTED => {
            let (registers, events) = (cpu.get_regs(), cpu.get_vcpu_events());
            let quiet = |events: &kvm_vcpu_events| events.nmi.pending | events.smi.pending == 0;
            registers.is_ok_and(|registers| registers.rflags & RFLAGS_IF == 0)
                && events.as_ref().is_ok_and(quiet)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_threads_that_take_no_time_at_all_are_asked() {
        let seconds = Duration::from_secs;
        let mut watch = HaltWatch::new(seconds(10));
        let times = |first, second| vec![Some(seconds(first)), Some(seconds(second))];
        assert!(!watch.look(times(1, 2), seconds(11)), "there is nothing to compare with");
        assert!(!watch.look(times(1, 3), seconds(12)), "one of them ran");
        assert!(watch.look(times(1, 3), seconds(13)));
        assert_eq!(watch.next_look(), seconds(13) + ANSWER);
        assert!(!watch.look(vec![Some(seconds(1)), None], seconds(14)));
        assert!(!watch.look(vec![Some(seconds(1)), None], seconds(15)), "one of them is gone");
        assert!(!watch.look(Vec::new(), seconds(16)));
        assert!(!watch.look(Vec::new(), seconds(17)), "no processor runs");
    }
}
