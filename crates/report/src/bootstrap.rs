//! How sure the medians are: the bootstrap (Efron 1979), in two levels.
//!
//! Rounds of one process share its memory layout, so they are alike. Therefore whole processes are
//! drawn first, then rounds within each: the spread between processes counts in full.
//!
//! ```text
//!   measured   process 1: a b c     process 2: d e f     process 3: g h i
//!   drawn      process 3: i g i     process 1: a a c     process 3: h g h    -> a median
//! ```
//! 2000 such draws give 2000 medians; the middle 95 % of them are the interval.
//!
//! It assumes nothing of how the samples lie, which makes it the one to learn first, and it is too
//! narrow for the few processes of a comparison: reports use [`interval`](crate::interval).

use std::collections::BTreeMap;

use crate::{
    Interval, Ratio, Sample,
    random::Random,
    statistics::{median_in_place, quantile_of_sorted},
};

/// How often the samples are drawn anew.
const RESAMPLES: usize = 2000;

/// Fewer samples than this can give no interval of 95 %: the chance that all of five samples lie
/// on the same side of the true median is 2/2^5, more than 5 %.
pub(crate) const FEWEST: usize = 6;

/// Draws from more samples than this take long and tell no more; evenly spread ones are kept.
const MOST: usize = 4000;

/// The rounds of one process; the values of one side, or of both sides together.
type Rounds<T> = Vec<T>;
type Processes<T> = Vec<Rounds<T>>;

/// The interval in which the median lies with 95 % confidence; `None` of fewer than six samples.
///
/// It depends on nothing but the samples and the seed.
pub fn median_interval(samples: &[Sample], seed: u64) -> Option<Interval> {
    let processes = grouped(samples);
    let values: Vec<f64> = processes.iter().flatten().copied().collect();
    if values.len() < FEWEST {
        return None;
    }
    let mut random = Random::new(seed);
    let mut drawn = Vec::new();
    let mut medians: Vec<f64> = (0..RESAMPLES)
        .filter_map(|_| {
            drawn.clear();
            draw(&processes, &mut random, |&value| drawn.push(value));
            median_in_place(&mut drawn)
        })
        .collect();
    let middle = median_in_place(&mut values.clone())?;
    Some(reaching(middle_of(&mut medians)?, middle))
}

/// How often the median of `base` goes into that of `samples`; `None` if either is empty or the
/// base is zero.
///
/// Where both have the same rounds, the same are drawn on both sides.
pub fn ratio(samples: &[Sample], base: &[Sample], seed: u64) -> Option<Ratio> {
    let value = median_of(samples)? / median_of(base)?;
    if !value.is_finite() {
        return None;
    }
    let pairs = paired(samples, base);
    let enough = samples.len() >= FEWEST && base.len() >= FEWEST;
    let paired = pairs.iter().map(Vec::len).sum::<usize>() * 2 > samples.len().max(base.len());
    if !enough {
        return Some(Ratio { value, interval: None, paired });
    }
    let mut random = Random::new(seed);
    let (mut above, mut below) = (Vec::new(), Vec::new());
    let (left, right) = (grouped(samples), grouped(base));
    let mut ratios = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        above.clear();
        below.clear();
        if paired {
            draw(&pairs, &mut random, |&(value, base)| {
                above.push(value);
                below.push(base);
            });
        } else {
            draw(&left, &mut random, |&value| above.push(value));
            draw(&right, &mut random, |&value| below.push(value));
        }
        if let (Some(above), Some(below)) =
            (median_in_place(&mut above), median_in_place(&mut below))
        {
            ratios.push(above / below);
        }
    }
    // A base that is zero in some draw has no ratio there.
    ratios.retain(|ratio| ratio.is_finite());
    let interval = middle_of(&mut ratios).map(|interval| reaching(interval, value));
    Some(Ratio { value, interval, paired })
}

/// Calls `take` for as many rounds as there are, from processes drawn at random.
fn draw<T>(processes: &Processes<T>, random: &mut Random, mut take: impl FnMut(&T)) {
    for _ in 0..processes.len() {
        let rounds = &processes[random.below(processes.len())];
        for _ in 0..rounds.len() {
            take(&rounds[random.below(rounds.len())]);
        }
    }
}

/// The same interval, widened where `value` lies outside.
fn reaching(interval: Interval, value: f64) -> Interval {
    Interval { low: interval.low.min(value), high: interval.high.max(value) }
}

/// The middle 95 %.
fn middle_of(values: &mut [f64]) -> Option<Interval> {
    values.sort_unstable_by(f64::total_cmp);
    Some(Interval {
        low: quantile_of_sorted(values, 0.025)?,
        high: quantile_of_sorted(values, 0.975)?,
    })
}

fn median_of(samples: &[Sample]) -> Option<f64> {
    median_in_place(&mut samples.iter().map(|sample| sample.value).collect::<Vec<_>>())
}

/// The values by process, in an order that does not depend on that of the samples.
fn grouped(samples: &[Sample]) -> Processes<f64> {
    let mut processes = BTreeMap::<u32, Rounds<f64>>::new();
    let step = samples.len().div_ceil(MOST).max(1);
    for sample in samples.iter().step_by(step) {
        processes.entry(sample.process).or_default().push(sample.value);
    }
    let mut processes: Processes<f64> = processes.into_values().collect();
    processes.iter_mut().for_each(|rounds| rounds.sort_unstable_by(f64::total_cmp));
    processes
}

/// The pairs of values that both sides have of the same process and round.
fn paired(samples: &[Sample], base: &[Sample]) -> Processes<(f64, f64)> {
    let key = |sample: &Sample| (sample.process, sample.round);
    let base: BTreeMap<_, _> = base.iter().map(|sample| (key(sample), sample.value)).collect();
    let mut pairs = BTreeMap::<(u32, u32), (f64, f64)>::new();
    for sample in samples {
        if let Some(&base) = base.get(&key(sample)) {
            pairs.insert(key(sample), (sample.value, base));
        }
    }
    let step = pairs.len().div_ceil(MOST).max(1);
    let mut processes = BTreeMap::<u32, Rounds<(f64, f64)>>::new();
    for ((process, _), pair) in pairs.into_iter().step_by(step) {
        processes.entry(process).or_default().push(pair);
    }
    processes.into_values().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn samples(values: &[f64]) -> Vec<Sample> {
        let sample = |(round, &value)| Sample { value, process: 0, round };
        (0..).zip(values).map(sample).collect()
    }

    fn in_processes(values: &[f64], processes: u32) -> Vec<Sample> {
        (0..)
            .zip(values)
            .map(|(index, &value)| Sample {
                value,
                process: index % processes,
                round: index / processes,
            })
            .collect()
    }

    #[test]
    fn five_samples_are_too_few_for_an_interval() {
        assert_eq!(median_interval(&samples(&[1.0; 5]), 1), None);
        assert!(median_interval(&samples(&[1.0; 6]), 1).is_some());
    }

    #[test]
    fn the_interval_covers_the_true_median_about_95_times_of_100() {
        let mut random = Random::new(42);
        let covered = (0..300).filter(|&seed| {
            let values: Vec<f64> = (0..41).map(|_| random.fraction().powi(3)).collect();
            median_interval(&samples(&values), seed).unwrap().contains(0.125)
        });
        let covered = covered.count();
        assert!((276..=297).contains(&covered), "{covered} of 300");
    }

    #[test]
    fn processes_that_differ_widen_the_interval() {
        let values: Vec<f64> = (0..60).map(|i| f64::from(i % 3) + f64::from(i) / 1000.0).collect();
        let alike = median_interval(&samples(&values[..]), 1).unwrap();
        let apart = median_interval(&in_processes(&values, 3), 1).unwrap();
        assert!(apart.high - apart.low > alike.high - alike.low);
    }

    #[test]
    fn what_disturbs_both_sides_alike_cancels_out_in_pairs() {
        let base: Vec<f64> = (0..40).map(|i| 100.0 * 1.1f64.powi(i % 20)).collect();
        let double: Vec<f64> = base.iter().map(|value| value * 2.0).collect();
        let ratio = ratio(&samples(&double), &samples(&base), 1).unwrap();
        assert!(ratio.paired);
        let interval = ratio.interval.unwrap();
        assert!((interval.low - 2.0).abs() < 1e-9 && (interval.high - 2.0).abs() < 1e-9);
    }

    #[test]
    fn there_is_no_ratio_to_nothing() {
        assert_eq!(ratio(&samples(&[1.0]), &samples(&[0.0]), 1), None);
        assert_eq!(ratio(&samples(&[1.0]), &[], 1), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..Default::default() })]

        #[test]
        fn the_interval_contains_the_median(
            values in proptest::collection::vec(1.0..1e9f64, 6..60), processes in 1..5u32,
        ) {
            let samples = in_processes(&values, processes);
            let interval = median_interval(&samples, 1).unwrap();
            prop_assert!(interval.contains(median_of(&samples).unwrap()));
        }

        #[test]
        fn neither_order_nor_time_of_day_matters(
            values in proptest::collection::vec(1.0..1e9f64, 6..60), processes in 1..5u32,
        ) {
            let mut samples = in_processes(&values, processes);
            let before = median_interval(&samples, 1);
            samples.reverse();
            prop_assert_eq!(median_interval(&samples, 1), before);
        }

        #[test]
        fn twice_the_values_give_twice_the_interval_and_the_ratio_two(
            values in proptest::collection::vec(1.0..1e9f64, 6..60), processes in 1..5u32,
        ) {
            let base = in_processes(&values, processes);
            let double: Vec<Sample> =
                base.iter().map(|s| Sample { value: s.value * 2.0, ..*s }).collect();
            let (once, twice) = (median_interval(&base, 1).unwrap(), median_interval(&double, 1).unwrap());
            prop_assert_eq!(twice, Interval { low: once.low * 2.0, high: once.high * 2.0 });
            prop_assert_eq!(ratio(&double, &base, 1).unwrap().value, 2.0);
        }

        #[test]
        fn the_ratio_turned_round_is_the_inverse(
            left in proptest::collection::vec(1.0..1e3f64, 6..40),
            right in proptest::collection::vec(1.0..1e3f64, 6..40),
        ) {
            let (left, right) = (samples(&left), samples(&right));
            let there = ratio(&left, &right, 1).unwrap();
            let back = ratio(&right, &left, 1).unwrap();
            prop_assert!((there.value * back.value - 1.0).abs() < 1e-9);
            prop_assert_eq!(there.paired, back.paired);
        }
    }
}
