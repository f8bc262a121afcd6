//! Comparable points in time in different sandboxes.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Points in time that can be observed from outside in every sandbox, so that comparisons are fair.
///
/// ```text
///  spawn()    Created      Entered        FirstByte    Exited       Cleaned
///     |----------|------------|---------------|-----------|------------|----> time
///       isolated   program in   first output    it ends     nothing is left
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Milestone {
    /// The isolation is set up: `clone3` or `posix_spawn` returned, or the virtual CPU was created.
    Created,
    /// The first instruction of the program may run: `execve` succeeded, or `KVM_RUN` was entered.
    Entered,
    /// The host has received the first byte of the program's output, if that is captured.
    FirstByte,
    /// The host knows that the program has ended.
    Exited,
    /// All resources of the instance are freed.
    Cleaned,
}

impl Milestone {
    /// All milestones in the order in which they are reached.
    pub const ALL: [Milestone; 5] =
        [Self::Created, Self::Entered, Self::FirstByte, Self::Exited, Self::Cleaned];

    /// The name in tables and records: `created`, `entered`, `first_byte`, `exited`, `cleaned`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Entered => "entered",
            Self::FirstByte => "first_byte",
            Self::Exited => "exited",
            Self::Cleaned => "cleaned",
        }
    }
}

/// The time since boot on the clock that all sandboxes and programs share (`CLOCK_MONOTONIC`).
pub fn monotonic_now() -> Duration {
    Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC).expect("Linux has CLOCK_MONOTONIC"))
}

/// The milestones of one run, each the first time it was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    start: Duration,
    reached: [Option<Duration>; Milestone::ALL.len()],
}

impl Timeline {
    /// Starts the clock.
    pub fn start() -> Self {
        Self { start: monotonic_now(), reached: [None; Milestone::ALL.len()] }
    }

    /// Records that `milestone` is reached now, unless it was before.
    pub fn reach(&mut self, milestone: Milestone) {
        self.reach_at(milestone, monotonic_now());
    }

    /// Records that `milestone` was reached at `instant` of [`monotonic_now`], unless it was
    /// before.
    pub fn reach_at(&mut self, milestone: Milestone, instant: Duration) {
        self.reached[milestone as usize].get_or_insert(instant);
    }

    /// The instant of the start, on the clock of [`monotonic_now`].
    pub fn started_at(&self) -> Duration {
        self.start
    }

    /// How long after the start `milestone` was reached.
    pub fn since_start(&self, milestone: Milestone) -> Option<Duration> {
        Some(self.reached[milestone as usize]?.saturating_sub(self.start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_milestone_is_reached_once() {
        let mut timeline = Timeline::start();
        let first = timeline.started_at() + Duration::from_micros(5);
        timeline.reach_at(Milestone::Created, first);
        timeline.reach_at(Milestone::Created, first * 2);
        assert_eq!(timeline.since_start(Milestone::Created), Some(Duration::from_micros(5)));
        assert_eq!(timeline.since_start(Milestone::Cleaned), None);
    }
}
