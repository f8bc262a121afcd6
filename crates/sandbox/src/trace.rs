//! The trace of one run: the events that answer each question, and how long they took.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{Event, monotonic_now};

/// The five questions that every isolation mechanism must answer, in the order of the lesson.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// 1. What separates it from the host?
    Boundary,
    /// 2. What may it consume?
    Budget,
    /// 3. What does it find inside?
    Inside,
    /// 4. With what power does it start?
    Power,
    /// 5. How does it reach the host?
    WayOut,
}

impl Question {
    /// All five, in order.
    pub const ALL: [Question; 5] =
        [Self::Boundary, Self::Budget, Self::Inside, Self::Power, Self::WayOut];

    /// The number in the lesson, 1 to 5.
    pub fn number(self) -> usize {
        self as usize + 1
    }
}

impl fmt::Display for Question {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Boundary => "What separates it from the host?",
            Self::Budget => "What may it consume?",
            Self::Inside => "What does it find inside?",
            Self::Power => "With what power does it start?",
            Self::WayOut => "How does it reach the host?",
        })
    }
}

/// One event and what it was for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceEntry {
    /// The question that it helps to answer.
    pub question: Question,
    /// What happened.
    pub event: Event,
    /// When it began, on the clock of [`monotonic_now`].
    pub began: Duration,
    /// How long it took.
    pub took: Duration,
}

/// The events of one run; empty unless the workload asked for them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    enabled: bool,
    /// The events in the order in which they began.
    pub entries: Vec<TraceEntry>,
}

impl Trace {
    /// A trace that records events if `enabled`, and costs next to nothing otherwise.
    pub fn new(enabled: bool) -> Self {
        Self { enabled, entries: Vec::new() }
    }

    /// Whether events are recorded.
    pub fn enabled(&self) -> bool {
        self.enabled
    }

    /// Does `act` and records it as `event`, whether it succeeds or not.
    pub fn record<T>(
        &mut self,
        question: Question,
        event: impl Into<Event>,
        act: impl FnOnce() -> T,
    ) -> T {
        if !self.enabled {
            return act();
        }
        let began = monotonic_now();
        let result = act();
        let took = monotonic_now().saturating_sub(began);
        self.entries.push(TraceEntry { question, event: event.into(), began, took });
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_enabled_trace_has_entries() {
        for enabled in [false, true] {
            let mut trace = Trace::new(enabled);
            assert_eq!(trace.record(Question::Power, "drop capabilities", || 7), 7);
            assert_eq!(trace.entries.len(), usize::from(enabled));
        }
    }
}
