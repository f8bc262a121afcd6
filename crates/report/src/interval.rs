//! How sure the medians are: Student's interval over processes.
//!
//! Rounds of one process share its memory layout, and ten programs of one run share the run, so they
//! are alike: a process is one observation, however many samples it holds. Its observation is the
//! logarithm of the median of its samples, because times are multiplied rather than shifted by what
//! disturbs them.
//!
//! ```text
//!   measured   process 1: a b c     process 2: d e f     ...     process 5: m n o
//!   observed   ln median(a b c)     ln median(d e f)     ...     ln median(m n o)   -> mean, spread
//! ```
//! The half width is that of Student (1908), t * s / sqrt(n), and some more, because processes
//! lean to one side: some are much slower, none is much faster. It is laid around the mean of the
//! observations and around the median of all samples, and the interval reaches over both. A
//! bootstrap of so few processes is too narrow: of its intervals of 95 % it covers 83 with three
//! processes and 93 with eight. A test simulates the coverage of these.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Interval, Sample, statistics::median_in_place};

/// Fewer processes than this have no interval: Student's is then so wide that it tells nothing, and
/// what it assumes cannot be seen to be wrong.
pub(crate) const FEWEST: usize = 5;

/// The part of the normal distribution's mass on either side is 2.5 %.
const NORMAL: f64 = 1.959_963_984_540_054;

/// How much wider than Student's the intervals are; by the simulation of their coverage.
pub(crate) const WIDER: f64 = 1.15;

/// How often one value goes into another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// Ratio of the medians.
    pub value: f64,
    /// Where it lies with 95 % confidence; `None` of fewer than five processes.
    pub interval: Option<Interval>,
    /// Whether the same processes measured both sides, so that what disturbed both cancels out.
    pub paired: bool,
}

/// The interval in which the median lies with 95 % confidence; `None` of fewer than five processes.
///
/// It depends on nothing but the samples.
pub fn median_interval(samples: &[Sample]) -> Option<Interval> {
    let processes: Vec<f64> = by_process(samples).into_values().collect();
    let middle = median_of(samples)?;
    if processes.len() < FEWEST {
        return None;
    }
    // A growth may be zero or negative, and has no logarithm.
    if middle <= 0.0 || processes.iter().any(|median| *median <= 0.0) {
        return Some(around(&processes, middle));
    }
    let logarithms: Vec<f64> = processes.iter().map(|median| median.ln()).collect();
    let Interval { low, high } = around(&logarithms, middle.ln());
    // The logarithm and its inverse are exact to the last digit but one.
    Some(Interval { low: low.exp().min(middle), high: high.exp().max(middle) })
}

/// How often the median of `base` goes into that of `samples`; `None` if either is empty, zero or
/// negative.
///
/// Where the same processes measured both, their ratios are the observations.
pub fn ratio(samples: &[Sample], base: &[Sample]) -> Option<Ratio> {
    ratio_of(samples, base, true)
}

/// As [`ratio`], of two runs: their processes have numbers in common and nothing else.
pub fn ratio_of_runs(samples: &[Sample], base: &[Sample]) -> Option<Ratio> {
    ratio_of(samples, base, false)
}

fn ratio_of(samples: &[Sample], base: &[Sample], same_run: bool) -> Option<Ratio> {
    let (above, below) = (median_of(samples)?, median_of(base)?);
    let value = above / below;
    if above <= 0.0 || below <= 0.0 || !value.is_finite() {
        return None;
    }
    let [left, right] = [by_process(samples), by_process(base)];
    let paired = same_run && left.keys().eq(right.keys());
    let few = [&left, &right].iter().any(|side| side.len() < FEWEST);
    if few || left.values().chain(right.values()).any(|median| *median <= 0.0) {
        return Some(Ratio { value, interval: None, paired });
    }
    let differences = || left.iter().map(|(process, above)| (above / right[process]).ln());
    let Interval { low, high } = match paired {
        true => around(&differences().collect::<Vec<_>>(), value.ln()),
        false => welch([&left, &right], value.ln()),
    };
    let interval = Interval { low: low.exp().min(value), high: high.exp().max(value) };
    Some(Ratio { value, interval: Some(interval), paired })
}

/// Whether the samples are one number, and of more than one process: a size that is counted has no
/// interval.
pub(crate) fn is_constant(samples: &[Sample]) -> bool {
    let mut values = samples.iter().map(|sample| sample.value);
    let first = values.next();
    let processes: BTreeSet<u32> = samples.iter().map(|sample| sample.process).collect();
    processes.len() > 1 && values.all(|value| Some(value) == first)
}

/// From how many processes the samples are.
pub(crate) fn processes(samples: &[Sample]) -> usize {
    samples.iter().map(|sample| sample.process).collect::<BTreeSet<_>>().len()
}

/// Student's half width around the mean of the observations, and around `middle`.
fn around(observations: &[f64], middle: f64) -> Interval {
    let (mean, variance) = moments(observations);
    let count = observations.len() as f64;
    let half = WIDER * student(count - 1.0) * (variance / count).sqrt();
    Interval { low: mean.min(middle) - half, high: mean.max(middle) + half }
}

/// The same of the difference of two means whose variances differ (Welch 1947).
fn welch(sides: [&BTreeMap<u32, f64>; 2], middle: f64) -> Interval {
    let [left, right] = sides.map(|side| {
        let logarithms: Vec<f64> = side.values().map(|median| median.ln()).collect();
        let (mean, variance) = moments(&logarithms);
        let count = logarithms.len() as f64;
        (mean, variance / count, count - 1.0)
    });
    let (mean, variance) = (left.0 - right.0, left.1 + right.1);
    let half = if variance > 0.0 {
        let parts = left.1.powi(2) / left.2 + right.1.powi(2) / right.2;
        WIDER * student(variance.powi(2) / parts) * variance.sqrt()
    } else {
        0.0
    };
    Interval { low: mean.min(middle) - half, high: mean.max(middle) + half }
}

/// Mean and variance.
fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, squares / (count - 1.0))
}

/// The quantile 0.975 of Student's distribution with that many degrees of freedom, at least 4: the
/// expansion of Abramowitz and Stegun, 26.7.5, right to three digits there.
fn student(freedom: f64) -> f64 {
    let z = NORMAL;
    let [z3, z5, z7, z9] = [3, 5, 7, 9].map(|power| z.powi(power));
    let terms = [
        (z3 + z) / 4.0,
        (5.0 * z5 + 16.0 * z3 + 3.0 * z) / 96.0,
        (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / 384.0,
        (79.0 * z9 + 776.0 * z7 + 1482.0 * z5 - 1920.0 * z3 - 945.0 * z) / 92_160.0,
    ];
    terms.iter().rev().fold(0.0, |sum, term| (sum + term) / freedom) + z
}

fn median_of(samples: &[Sample]) -> Option<f64> {
    median_in_place(&mut samples.iter().map(|sample| sample.value).collect::<Vec<_>>())
}

/// The median of each process.
fn by_process(samples: &[Sample]) -> BTreeMap<u32, f64> {
    let mut processes = BTreeMap::<u32, Vec<f64>>::new();
    for sample in samples {
        processes.entry(sample.process).or_default().push(sample.value);
    }
    let median = |(process, mut values): (u32, Vec<f64>)| {
        median_in_place(&mut values).map(|median| (process, median))
    };
    processes.into_iter().filter_map(median).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn in_processes(values: &[f64], processes: u32) -> Vec<Sample> {
        let sample = |(index, &value)| Sample {
            value,
            process: index % processes,
            round: index / processes,
        };
        (0..).zip(values).map(sample).collect()
    }

    #[test]
    fn below_five_processes_there_is_no_interval_however_many_samples() {
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!(median_interval(&in_processes(&values, 4)), None);
        assert!(median_interval(&in_processes(&values, 5)).is_some());
        let few = ratio(&in_processes(&values, 4), &in_processes(&values, 4)).unwrap();
        assert_eq!((few.value, few.interval), (1.0, None));
    }

    #[test]
    fn ten_programs_of_one_run_are_one_observation() {
        let once = in_processes(&[1.0, 2.0, 3.0, 4.0, 5.0], 5);
        let ten: Vec<Sample> = once.iter().flat_map(|sample| [*sample; 10]).collect();
        assert_eq!(median_interval(&ten), median_interval(&once));
    }

    #[test]
    fn the_quantiles_are_those_of_the_tables() {
        for (freedom, table) in [(4.0, 2.776), (5.0, 2.571), (7.0, 2.365), (30.0, 2.042)] {
            assert!((student(freedom) - table).abs() < 0.001, "{freedom}: {}", student(freedom));
        }
    }

    #[test]
    fn what_disturbs_both_sides_alike_cancels_out_in_pairs() {
        let base: Vec<f64> = (0..40).map(|i| 100.0 * 1.1f64.powi(i % 20)).collect();
        let double: Vec<f64> = base.iter().map(|value| value * 2.0).collect();
        let ratio = ratio(&in_processes(&double, 5), &in_processes(&base, 5)).unwrap();
        assert!(ratio.paired);
        let interval = ratio.interval.unwrap();
        assert!((interval.low - 2.0).abs() < 1e-9 && (interval.high - 2.0).abs() < 1e-9);
    }

    #[test]
    fn there_is_no_ratio_to_nothing() {
        let of = |value| in_processes(&[value], 1);
        assert_eq!(ratio(&of(1.0), &of(0.0)), None);
        assert_eq!(ratio(&of(-1.0), &of(1.0)), None);
        assert_eq!(ratio(&of(1.0), &[]), None);
    }

    #[test]
    fn growth_of_zero_and_less_has_an_interval_too() {
        let samples = in_processes(&[-4096.0, 0.0, 4096.0, 8192.0, 12_288.0], 5);
        let interval = median_interval(&samples).unwrap();
        assert!(interval.low < 0.0 && interval.contains(4096.0), "{interval:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

        #[test]
        fn the_interval_contains_the_median_and_no_order_changes_it(
            values in proptest::collection::vec(1.0..1e9f64, 6..60), processes in 5..7u32,
        ) {
            let mut samples = in_processes(&values, processes);
            let interval = median_interval(&samples).unwrap();
            prop_assert!(interval.contains(median_of(&samples).unwrap()));
            samples.reverse();
            let reversed = median_interval(&samples).unwrap();
            prop_assert!((reversed.low / interval.low - 1.0).abs() < 1e-9);
        }

        #[test]
        fn the_ratio_turned_round_is_the_inverse(
            left in proptest::collection::vec(1.0..1e3f64, 8..40),
            right in proptest::collection::vec(1.0..1e3f64, 8..40),
        ) {
            let (left, right) = (in_processes(&left, 5), in_processes(&right, 6));
            let there = ratio(&left, &right).unwrap();
            let back = ratio(&right, &left).unwrap();
            prop_assert!((there.value * back.value - 1.0).abs() < 1e-9);
            let (there, back) = (there.interval.unwrap(), back.interval.unwrap());
            prop_assert!((there.low * back.high - 1.0).abs() < 1e-6);
        }
    }
}
