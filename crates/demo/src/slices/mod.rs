//! The lesson's "one second into ten tenths": who ran when on one processor.
//!
//! Every worker reads the clock all the time and writes down where two readings are far apart:
//! somebody else had the processor then. So no privilege is needed to see it.

mod counted;
mod draw;
mod notes;
mod others;
mod page;
mod processor;
mod row;
mod source;
mod switches;
mod words;
mod worker;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use counted::{Counter, Throttled};
pub use draw::{draw, summary};
pub use notes::SCRIPT;
pub use processor::ProcessorTime;
pub use source::SlicesDemo;
pub use switches::Switches;

use crate::Language;

/// How the processor is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// `SCHED_RR`: each runs for 0.1 s, then the next one.
    RoundRobin,
    /// `SCHED_OTHER`: the one with the least time so far runs.
    Normal,
    /// The same as virtual processors of ten microVMs.
    VirtualProcessors,
    /// One container that may have a tenth.
    Quota,
    /// Three containers with weights of 1, 2 and 4.
    Weights,
}

impl Mode {
    const ALL: [Self; 5] =
        [Self::RoundRobin, Self::Normal, Self::VirtualProcessors, Self::Quota, Self::Weights];

    fn key(self) -> char {
        match self {
            Self::RoundRobin => 'r',
            Self::Normal => 'n',
            Self::VirtualProcessors => 'v',
            Self::Quota => 'q',
            Self::Weights => 'w',
        }
    }

    fn words(self, language: Language) -> &'static str {
        match self {
            Self::RoundRobin => language.either(
                "SCHED_RR: each runs for 0.1 s, then the next one",
                "SCHED_RR：每个运行 0.1 秒，然后轮到下一个",
            ),
            Self::Normal => language.either(
                "SCHED_OTHER, the default: whichever has had the least time runs",
                "SCHED_OTHER，默认策略：运行时间最少的先运行",
            ),
            Self::VirtualProcessors => language.either(
                "ten microVMs: to the host, a virtual CPU is a thread like any other",
                "十台微型虚拟机：对宿主机来说，虚拟 CPU 只是一个普通线程",
            ),
            Self::Quota => language.either(
                "a container with a quota of 10 %: runs for 10 ms, then throttled until the next period",
                "配额 10 % 的容器：运行 10 毫秒，然后停到下一个周期",
            ),
            Self::Weights => language
                .either("three containers with weights of 1 : 2 : 4", "三个容器，权重 1 : 2 : 4"),
        }
    }
}

/// One second of a processor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slices {
    /// How it is shared.
    pub mode: Mode,
    /// The length of what is shown, in milliseconds.
    pub milliseconds: u32,
    /// The workers.
    pub rows: Vec<Row>,
    /// Who counts CPU time beside the workers.
    #[serde(default)]
    pub counter: Option<Counter>,
    /// What a quota did.
    #[serde(default)]
    pub throttled: Option<Throttled>,
    /// What the scheduler did.
    #[serde(default)]
    pub switches: Option<Switches>,
    /// What the kernel counts of the processor itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processor: Option<ProcessorTime>,
    /// Why the picture is not the one that was asked for.
    pub note: Option<String>,
}

/// A worker in that second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// When it ran: begin and length, in hundredths of a millisecond from the picture's left edge.
    pub runs: Vec<(u32, u32)>,
    /// Its part of the processor by its own clock, 0 to 1.
    pub share: f32,
    /// The same as the kernel counts it.
    #[serde(default)]
    pub counted: Option<f32>,
    /// The median of its whole slices, in milliseconds; `None` of none.
    pub slice: Option<f32>,
    /// The longest that it had to wait, in milliseconds.
    pub gap: Option<f32>,
}

impl Slices {
    /// What is seen.
    pub(crate) const WINDOW: Duration = Duration::from_secs(1);

    pub(crate) fn page(&self, language: Language) -> String {
        page::page(self, language)
    }

    pub(crate) fn is_on(&self, key: char) -> bool {
        self.mode.key() == key
    }
}
