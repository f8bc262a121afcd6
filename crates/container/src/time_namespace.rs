//! Question 1: what separates it from the host? Its clocks too, if it has a time namespace: how long the
//! host has been running is not seen inside (time_namespaces(7)).
//!
//! A process never moves into a new time namespace; the next program that it executes does. Until then
//! nobody is inside, and only so long can the offsets be set.

use sandbox::Question::Boundary;

use crate::{
    Error, lookup,
    plan::SyscallPlan,
    spec::namespaces::{Clock, TimeOffset},
};

/// CLONE_NEWTIME of linux/sched.h. In the older calls it is a part of the exit signal.
pub(crate) const NEW_TIME: i32 = 0x80;

impl TimeOffset {
    /// Its line in `/proc/PID/timens_offsets`.
    fn line(self) -> String {
        let clock = match self.clock {
            Clock::Monotonic => "monotonic",
            Clock::Boottime => "boottime",
        };
        format!("{clock} {} {}\n", self.seconds, self.nanoseconds)
    }
}

/// The child's steps that make it. They come before the gate: afterwards the child has another user,
/// which makes its files in `/proc` the host's root's.
pub(crate) fn make(plan: &mut SyscallPlan, offsets: &[TimeOffset]) -> Result<(), Error> {
    plan.step(Boundary, "unshare time", libc::SYS_unshare, [NEW_TIME as usize]);
    if offsets.is_empty() {
        return Ok(());
    }
    lookup::open_own_proc_to_write(plan, "timens_offsets".as_ref())?;
    let file = plan.result();
    let lines: String = offsets.iter().map(|offset| offset.line()).collect();
    let arguments = [file.operand(), plan.keep(&lines), lines.len()];
    let words = format!("write to timens_offsets: {}", lines.trim().replace('\n', ", "));
    plan.step(Boundary, words, libc::SYS_write, arguments);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_a_line_of_its_clock() {
        let line = |clock, seconds, nanoseconds| TimeOffset { clock, seconds, nanoseconds }.line();
        assert_eq!(line(Clock::Monotonic, -5, 7), "monotonic -5 7\n");
        assert_eq!(line(Clock::Boottime, 86_400, 0), "boottime 86400 0\n");
    }
}
