//! The records read a second time, with statistics of their own.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

/// What is read of `records.json`.
#[derive(Debug, Deserialize)]
pub(super) struct Raw {
    pub(super) version: u64,
    pub(super) provenance: Value,
    pub(super) series: Vec<RawSeries>,
    pub(super) gaps: Vec<Value>,
}

/// One series as it stands in the file.
#[derive(Debug, Deserialize)]
pub(super) struct RawSeries {
    pub(super) metric: String,
    pub(super) sandbox: String,
    pub(super) unit: String,
    pub(super) samples: Vec<RawSample>,
    #[serde(default)]
    pub(super) seconds: Vec<f64>,
}

/// One sample as it stands in the file.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct RawSample {
    pub(super) value: f64,
    pub(super) process: u64,
    pub(super) round: u64,
}

/// A median with the ends of its interval.
#[derive(Debug, Clone, Copy)]
pub(super) struct Estimate {
    pub(super) middle: f64,
    pub(super) ends: Option<(f64, f64)>,
}

impl Raw {
    /// The records in these bytes.
    pub(super) fn of(bytes: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(bytes)
    }

    /// The series of a metric in a sandbox, if it has samples.
    pub(super) fn find(&self, metric: &str, sandbox: &str) -> Option<&RawSeries> {
        let there = |it: &&RawSeries| it.metric == metric && it.sandbox == sandbox;
        self.series.iter().find(there).filter(|series| !series.samples.is_empty())
    }

    /// Whether measuring it failed, in part or altogether.
    pub(super) fn failed(&self, metric: &str, sandbox: &str) -> bool {
        self.gaps.iter().any(|gap| gap["metric"] == metric && gap["sandbox"] == sandbox)
    }
}

impl RawSeries {
    /// The median of all samples, by sorting, and Student's interval over the processes.
    pub(super) fn estimate(&self) -> Estimate {
        let middle = middle(self.samples.iter().map(|sample| sample.value).collect());
        let processes: Vec<f64> = self.processes().into_values().collect();
        let ends = (processes.len() >= 5).then(|| {
            if middle > 0.0 && processes.iter().all(|value| *value > 0.0) {
                let logarithms = processes.iter().map(|value| value.ln()).collect::<Vec<_>>();
                let (low, high) = reach(&logarithms, middle.ln());
                (low.exp(), high.exp())
            } else {
                reach(&processes, middle)
            }
        });
        Estimate { middle, ends }
    }

    /// Whether it is one size or number throughout.
    pub(super) fn constant(&self) -> bool {
        let counted = ["bytes", "count"].contains(&self.unit.as_str());
        let values: BTreeSet<u64> = self.samples.iter().map(|it| it.value.to_bits()).collect();
        counted && values.len() == 1 && self.processes().len() > 1
    }

    /// The median of each process.
    pub(super) fn processes(&self) -> BTreeMap<u64, f64> {
        let mut values = BTreeMap::<u64, Vec<f64>>::new();
        for sample in &self.samples {
            values.entry(sample.process).or_default().push(sample.value);
        }
        values.into_iter().map(|(process, values)| (process, middle(values))).collect()
    }

    /// How many times the value of `base` it is, with the ends of the interval.
    pub(super) fn ratio(&self, base: &Self) -> Option<Estimate> {
        let (above, below) = (self.estimate().middle, base.estimate().middle);
        if above <= 0.0 || below <= 0.0 {
            return None;
        }
        let ratio = above / below;
        if self.constant() && base.constant() {
            return Some(Estimate { middle: ratio, ends: Some((ratio, ratio)) });
        }
        let (left, right) = (self.processes(), base.processes());
        let all = || left.values().chain(right.values());
        if left.len() < 5 || right.len() < 5 || all().any(|value| *value <= 0.0) {
            return Some(Estimate { middle: ratio, ends: None });
        }
        let alike: Option<Vec<f64>> = left
            .iter()
            .map(|(process, above)| Some(above.ln() - right.get(process)?.ln()))
            .collect();
        let (low, high) = match alike.filter(|_| left.len() == right.len()) {
            Some(differences) => reach(&differences, ratio.ln()),
            None => {
                let sides = [&left, &right].map(|side| side.values().map(|it| it.ln()).collect());
                reach_of_two(&sides, ratio.ln())
            }
        };
        Some(Estimate { middle: ratio, ends: Some((low.exp(), high.exp())) })
    }
}

/// The middle one of the sorted values, or the mean of the middle two.
fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len() % 2 == 1 { values[half] } else { f64::midpoint(values[half - 1], values[half]) }
}

fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>();
    (mean, squares / (count - 1.0) / count)
}

/// Student's interval around the mean, 1.15 times as wide, and as far around `middle`.
fn reach(values: &[f64], middle: f64) -> (f64, f64) {
    let (mean, error) = mean_and_error(values);
    let half = 1.15 * student(values.len() as f64 - 1.0) * error.sqrt();
    (mean.min(middle) - half, mean.max(middle) + half)
}

/// The same of a difference of two means (Welch).
fn reach_of_two(sides: &[Vec<f64>; 2], middle: f64) -> (f64, f64) {
    let [(left, one), (right, two)] = [0, 1].map(|side| mean_and_error(&sides[side]));
    let [first, second] = [0, 1].map(|side| sides[side].len() as f64 - 1.0);
    let (mean, error) = (left - right, one + two);
    let freedom = error * error / (one * one / first + two * two / second);
    let half = if error > 0.0 { 1.15 * student(freedom) * error.sqrt() } else { 0.0 };
    (mean.min(middle) - half, mean.max(middle) + half)
}

/// Student's quantile 0.975 from a table, on the line of the inverse degrees of freedom between its
/// entries.
fn student(freedom: f64) -> f64 {
    const TABLE: [(f64, f64); 13] = [
        (4.0, 2.7764),
        (5.0, 2.5706),
        (6.0, 2.4469),
        (7.0, 2.3646),
        (8.0, 2.3060),
        (9.0, 2.2622),
        (10.0, 2.2281),
        (12.0, 2.1788),
        (15.0, 2.1314),
        (20.0, 2.0860),
        (30.0, 2.0423),
        (60.0, 2.0003),
        (f64::INFINITY, 1.9600),
    ];
    let above = TABLE.iter().position(|(entry, _)| *entry >= freedom).unwrap_or(TABLE.len() - 1);
    let (Some(before), (to, last)) = (above.checked_sub(1), TABLE[above]) else {
        return TABLE[0].1;
    };
    let (from, first) = TABLE[before];
    let part = (1.0 / from - 1.0 / freedom) / (1.0 / from - 1.0 / to);
    first + (last - first) * part
}
