//! The exits of one processor, written down one by one for a story.

use std::time::Duration;

use sandbox::{Question, Step, Workload, monotonic_now};

use crate::crossings::Reason;

/// So many exits of a processor are told in a story.
const SOME: usize = 100;
/// So many if every one was asked for: a guest must not fill the host's memory with them.
const EVERY: usize = 1_000_000;

/// Exits, each with who answered it and how long that took.
#[derive(Debug, Clone, Default)]
pub struct Told {
    most: usize,
    /// The exits as steps.
    pub steps: Vec<Step>,
}

impl Told {
    /// As many as `workload` wants to hear of.
    pub fn of(workload: &Workload) -> Self {
        let most = match (workload.trace, workload.every_crossing) {
            (_, true) => EVERY,
            (true, false) => SOME,
            (false, false) => 0,
        };
        Self { most, steps: Vec::new() }
    }

    /// Whether anything is told.
    pub fn is_told(&self) -> bool {
        self.most > 0
    }

    /// The instant, if the exit that has just come is to be told.
    pub fn now(&self) -> Option<Duration> {
        (self.steps.len() < self.most).then(monotonic_now)
    }

    /// The exit that came at `began` is answered, by `device` if there was one.
    pub fn tell(&mut self, began: Option<Duration>, reason: Reason, device: Option<&str>) {
        let Some(began) = began else { return };
        let took = monotonic_now().saturating_sub(began);
        let call = format!("KVM_RUN -> {reason}: {}", device.unwrap_or("nobody"));
        self.steps.push(Step { question: Question::WayOut, call: call.into(), began, took });
    }
}
