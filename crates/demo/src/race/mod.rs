//! Which starts first, and how much memory each takes: a plain process, a container, a microVM and,
//! where possible, a Linux microVM.
//!
//! A start takes a millisecond or two. So nothing is seen while it happens: the milestones of real
//! runs are taken down first and then shown on one axis, slowly.

mod bars;
mod draw;
mod heading;
mod idle_pool;
mod lanes;
mod notes;
mod page;
mod picture;
mod shared;
mod source;
mod starts;
mod worker;

use sandbox::Milestone;
use serde::{Deserialize, Serialize};

pub use draw::{draw, summary};
pub use notes::SCRIPT;
pub use source::RaceDemo;
pub use starts::with_linux;

use crate::{Language, script::Words};

/// What a program runs in, in the order of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A plain process: no walls, the floor.
    Process,
    /// Namespaces and a root of its own.
    Container,
    /// A virtual machine with nothing in it but the program.
    Microvm,
    /// A virtual machine with a Linux kernel of its own.
    Linux,
}

impl Kind {
    fn words(self, language: Language) -> &'static str {
        let words = match self {
            Self::Process => Words("process", "进程"),
            Self::Container => Words("container", "容器"),
            Self::Microvm => Words("microVM", "微型虚拟机"),
            Self::Linux => Words("Linux microVM", "Linux 微型虚拟机"),
        };
        words.of(language)
    }
}

/// All that is known at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Race {
    /// The starts that are shown; none before the first ones were measured.
    pub starts: Option<Starts>,
    /// How far along the axis they have been shown, in microseconds.
    pub shown: u32,
    /// What has been begun and is not over.
    pub busy: Option<Busy>,
    /// The idle instances.
    #[serde(alias = "crowds")]
    pub idle: Vec<IdleInstances>,
    /// What the machine could still give (`MemAvailable`), in bytes.
    pub available: u64,
    /// Why the picture is not the one that was asked for.
    pub note: Option<String>,
}

/// Where starts were measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Testbed {
    /// On the host that shows them.
    #[serde(alias = "here")]
    Host,
    /// In an emulated computer, whose clock counts instructions.
    Nest,
}

/// Real starts, one of each kind, measured on one testbed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Starts {
    /// Where.
    #[serde(alias = "place")]
    pub testbed: Testbed,
    /// Of how many starts of a kind the median one is shown; of Linux there is one.
    pub rounds: u32,
    /// Whether isolab was built without optimization, so that its own part takes longer.
    pub unoptimized: bool,
    /// One start of each kind.
    pub lanes: Vec<Lane>,
}

/// One start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lane {
    /// Of what.
    pub kind: Kind,
    /// When each of [`Milestone::ALL`] was reached, in microseconds since the start.
    pub reached: [Option<u32>; Milestone::ALL.len()],
    /// The most memory that the guest had touched, in bytes; known of Linux.
    pub memory: Option<u64>,
    /// Why there is no such start.
    pub missing: Option<String>,
}

impl Lane {
    fn at(&self, milestone: Milestone) -> Option<u32> {
        self.reached[milestone as usize]
    }

    fn end(&self) -> u32 {
        self.reached.iter().flatten().copied().max().unwrap_or(0)
    }
}

impl Starts {
    /// When the last one is over, in microseconds.
    fn end(&self) -> u32 {
        self.lanes.iter().map(Lane::end).max().unwrap_or(0)
    }

    /// How many times slower than they were they are shown: of 1, 2, 5, 10 and so on the most that
    /// lets all of it be seen in [`LONGEST`] milliseconds.
    fn slower(&self) -> u32 {
        const LONGEST: u64 = 4000;
        let fits = |factor: &u32| u64::from(self.end()) * u64::from(*factor) <= LONGEST * 1000;
        let factors = [1000, 500, 200, 100, 50, 20, 10, 5, 2];
        factors.into_iter().find(fits).unwrap_or(1)
    }

    /// How long the axis is, in microseconds: the end, rounded up to a number that is easily read.
    fn axis(&self) -> u32 {
        let end = self.end().max(1);
        let power = 10u32.pow(end.ilog10());
        let steps = [1, 2, 3, 4, 5, 6, 8, 10].into_iter();
        let nice = steps.map(|step| power.saturating_mul(step)).find(|axis| *axis >= end);
        nice.unwrap_or(u32::MAX)
    }
}

/// What has been begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Busy {
    /// Starts are measured; the number of rounds so far.
    Measuring(u32),
    /// A Linux microVM boots; the seconds so far.
    Booting(Testbed, u32),
    /// All idle instances are ended.
    Ending,
}

/// Idle instances of one kind. All numbers of bytes are what they added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IdleInstances {
    /// What they are.
    pub kind: Kind,
    /// How many are running.
    pub count: u32,
    /// How many were requested.
    #[serde(alias = "wanted")]
    pub requested: u32,
    /// The processes inside them (PSS).
    pub inside: u64,
    /// isolab itself, which holds them (PSS without its code).
    pub launcher: u64,
    /// The host's kernel: the growth of the whole machine's, so approximate.
    pub kernel: u64,
}

impl IdleInstances {
    fn bytes(&self) -> u64 {
        self.inside + self.launcher + self.kernel
    }
}

impl Race {
    pub(crate) fn page(&self, language: Language) -> String {
        page::page(self, language)
    }

    pub(crate) fn is_on(&self, key: char) -> bool {
        let runs = |kind| self.idle.iter().any(|idle| idle.kind == kind && idle.count > 0);
        let has_linux = |starts: &Starts| starts.lanes.iter().any(|lane| lane.kind == Kind::Linux);
        match key {
            'r' => self.starts.as_ref().is_some_and(|starts| !has_linux(starts)),
            'l' => self.starts.as_ref().is_some_and(has_linux),
            'c' => runs(Kind::Container),
            'v' => runs(Kind::Microvm),
            _ => false,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A container that is cleaned up after 3.1 ms, and whatever else.
    pub(crate) fn starts(more: &[(Kind, [u32; 5])]) -> Starts {
        let lane = |&(kind, reached): &(Kind, [u32; 5])| {
            let memory = (kind == Kind::Linux).then_some(82 << 20);
            Lane { kind, reached: reached.map(Some), memory, missing: None }
        };
        let container = (Kind::Container, [800, 1900, 2100, 2300, 3100]);
        let lanes = [container].iter().chain(more).map(lane).collect();
        Starts { testbed: Testbed::Host, rounds: 20, unoptimized: false, lanes }
    }

    #[test]
    fn the_axis_is_a_round_number_and_the_motion_slow_enough_to_be_seen() {
        let short = starts(&[]);
        assert_eq!((short.axis(), short.slower()), (4000, 1000));
        let long = starts(&[(Kind::Linux, [50_000, 220_000, 625_000, 626_000, 637_000])]);
        assert_eq!((long.axis(), long.slower()), (800_000, 5));
        let longest = starts(&[(Kind::Linux, [1, 2, 3, 4, u32::MAX])]);
        assert_eq!((longest.axis(), longest.slower()), (u32::MAX, 1));
    }
}
