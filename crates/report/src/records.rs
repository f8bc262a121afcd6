//! What was measured: raw samples, and where they come from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The version of the file format; a file of a higher one is refused. Version 1 knew neither the
/// [`Method`] nor the [`Subject`]s, [`Condition`]s and moments of samples.
pub const VERSION: u32 = 2;

/// One run of the comparison or of the benches, as `records.json` holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Records {
    /// [`VERSION`] of the program that wrote it.
    pub version: u32,
    /// Where, when and how it was measured.
    pub provenance: Provenance,
    /// The samples, one series for each metric and sandbox.
    pub series: Vec<Series>,
    /// What could not be measured, with the reason.
    pub gaps: Vec<Gap>,
    /// Who ran when, for the pictures of time slices.
    pub traces: Vec<ScheduleTrace>,
    /// What can be seen from inside.
    pub probes: Vec<Probe>,
}

/// Where, when and how it was measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The command line.
    pub command: String,
    /// When it began, in seconds since 1970, UTC.
    pub began_unix_seconds: u64,
    /// How long it took, in seconds.
    pub took_seconds: f64,
    /// The commit of isolab, with `-dirty` if the tree was changed; empty if unknown.
    pub commit: String,
    /// The seed of every random choice, such as the order of rounds.
    pub seed: u64,
    /// Facts about the host by name, such as `kernel`, `cpu`, `hz`, `mitigations`, `cgroup`, `kvm`.
    pub host: BTreeMap<String, String>,
    /// The version of the isolab that measured, built into it; empty in records of version 1.
    #[serde(default)]
    pub isolab: String,
    /// How it was measured; `None` in records of version 1.
    #[serde(default)]
    pub method: Option<Method>,
    /// What took part besides isolab's own sandboxes, by the name of its series.
    #[serde(default)]
    pub subjects: BTreeMap<String, Subject>,
    /// What else the host did meanwhile, in the order of time.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// How the samples were taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Method {
    /// The fresh processes that measured, one after the other.
    pub processes: u32,
    /// Rounds in each of them for the part with the most.
    pub rounds: u32,
    /// Rounds before these whose numbers were not kept.
    pub warm_up: u32,
    /// In which order sandboxes had their turns.
    pub order: Order,
    /// Whether one sandbox was measured under two names, for the noise floor.
    pub measured_twice: bool,
}

/// In which order sandboxes have their turns in the rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The same order in each round of a process, begun at another one each time.
    Cyclic,
    /// Williams squares: each follows each other one equally often.
    Balanced,
    /// All samples of one, then all of the next.
    Consecutive,
}

/// A program of others that took part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Its version, in its own words.
    pub version: String,
    /// The command line that was measured.
    pub command: Vec<String>,
}

/// What the host did while one of the processes measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// When, in seconds since the run began.
    pub seconds: f64,
    /// What was being measured, such as `startup`.
    pub part: String,
    /// The part of CPU time that the hypervisor below gave to others since the condition before;
    /// `None` if the kernel does not say (proc_stat(5), `steal`).
    pub steal: Option<f64>,
    /// The part of time in which a runnable process waited for a CPU; `None` without pressure stall
    /// information (`/proc/pressure/cpu`, `some`).
    pub cpu_pressure: Option<f64>,
}

/// Samples of one metric in one sandbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// What was measured, such as `startup.first_byte`; see the catalogue of metrics.
    pub metric: String,
    /// Where: `process`, `container`, `microvm`, or a second run of one for the noise floor, such
    /// as `process (again)`.
    pub sandbox: String,
    /// The unit of the values.
    pub unit: Unit,
    /// Why the numbers are not what they seem, such as a KVM that interprets guest code.
    pub caveat: Option<String>,
    /// The samples in the order in which they were taken.
    pub samples: Vec<Sample>,
    /// When each of them was taken, in seconds since the run began; empty in records of version 1.
    #[serde(default)]
    pub seconds: Vec<f64>,
}

/// What a second run of the same sandbox is called behind its name, for the noise floor.
pub(crate) const AGAIN: &str = " (again)";

/// Whether a series of that sandbox is a second run.
pub(crate) fn is_second_run(sandbox: &str) -> bool {
    sandbox.ends_with(AGAIN)
}

/// One raw number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The number, in the unit of its series.
    pub value: f64,
    /// Which of the fresh processes measured it.
    pub process: u32,
    /// Which interleaved round it belongs to; the same round of two sandboxes makes a pair.
    pub round: u32,
}

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Time.
    Nanoseconds,
    /// Memory or disk.
    Bytes,
    /// Memory or disk throughput.
    BytesPerSecond,
    /// A number of things.
    Count,
    /// A part of one: 0.1 is ten percent.
    Share,
}

impl Unit {
    /// Its name in records.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nanoseconds => "nanoseconds",
            Self::Bytes => "bytes",
            Self::BytesPerSecond => "bytes_per_second",
            Self::Count => "count",
            Self::Share => "share",
        }
    }
}

/// A row that could not be measured, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The metric.
    pub metric: String,
    /// The sandbox.
    pub sandbox: String,
    /// What is lacking.
    pub reason: String,
    /// What to do about it; empty if nothing can be done.
    pub fix: String,
}

/// Who ran when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScheduleTrace {
    /// What it shows, such as `slices.round_robin`.
    pub metric: String,
    /// One lane for each program that shared the processor.
    pub lanes: Vec<Lane>,
    /// The length of the time axis in nanoseconds.
    pub length_nanoseconds: u64,
}

/// When one program ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lane {
    /// Its name.
    pub label: String,
    /// Stretches of running, first and last nanosecond on the axis.
    pub running: Vec<(u64, u64)>,
}

/// What can be seen from inside one sandbox. A probe that failed is none of these, but a [`Gap`]
/// whose metric is [`PROBE`](crate::metric::PROBE) and its name: what nobody has seen is not hidden.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// The question, such as `kernel` or `host files`.
    pub probe: String,
    /// The sandbox.
    pub sandbox: String,
    /// What was seen, in a few words.
    pub seen: String,
    /// Whether the host showed through.
    pub exposed: bool,
}
