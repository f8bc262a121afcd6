//! The student's bootstrap, held against the library's: not one interval but their average, since
//! each is drawn at random.

use lab::check::{Bench, Checked, Finding, Student, ensure, fail};
use report::{Interval, Sample, median_interval};

/// By as many seeds the interval of the same samples is taken.
const SEEDS: u64 = 12;
/// And by as many of them once more: by chance two seeds have the same interval now and then.
const AGAIN: usize = 3;
/// How far, in widths, the average end of right intervals may be from the library's: a multiple of
/// what chance makes of it, and less than the middle 90 % would.
const NEAR: f64 = 0.05;
/// How much more than the library's a right interval may vary from seed to seed, by chance; of 100
/// draws it is four and a half times as much.
const VARIES: f64 = 3.0;

/// The ends, on average and how much they vary from seed to seed.
struct AverageInterval {
    low: f64,
    high: f64,
    deviation: f64,
}

/// Intervals of made-up samples.
pub fn intervals(bench: &mut Bench, student: &mut Student) -> Checked<()> {
    let (apart, right) = apart(bench)?;
    let alike = alike(bench);
    let sets = [&apart[..5], &apart[..6], &alike, &apart];
    let once = || vec![1 + bench.random(1 << 30)];
    let mut many: Vec<u64> = (1..=SEEDS).collect();
    many.extend_from_within(..AGAIN);
    let seeds = [once(), once(), once(), many];
    let words = seeds.iter().zip(sets).map(|(seeds, samples)| {
        let seeds: Vec<String> = seeds.iter().map(ToString::to_string).collect();
        let samples = samples
            .iter()
            .map(|Sample { value, process, round }| format!("{process}:{round}:{value}"));
        format!("{};{}", seeds.join(","), samples.collect::<Vec<_>>().join(" "))
    });
    student.go_with(&words.collect::<Vec<_>>().join("|"))?;
    // Some fifty thousand medians, where the whole processor may be emulated.
    student.meet_within("interval", bench.timeout() * 3)?;

    let found = |set: usize, turn: usize| said(student, &format!("drill.{set}.{turn}"));
    for (set, samples) in sets.iter().enumerate() {
        let found = found(set, 0);
        let count = samples.len();
        bench.saw(format!("interval of {count} made-up samples"), in_words(found));
        let finding = |id| fail(id).fact("found", in_words(found)).fact("count", count);
        let few = count < 6;
        ensure(few == found.is_none(), || finding(if few { "L18-few" } else { "L18-six" }))?;
    }
    let all: Vec<Interval> = (0..seeds[3].len()).filter_map(|turn| found(3, turn)).collect();
    ensure(all.len() == seeds[3].len(), || {
        fail("L18-six").fact("found", "None").fact("count", apart.len())
    })?;
    ensure(all.iter().any(|it| it.low != it.high), || {
        fail("L18-replacement").fact("found", in_words(all.first().copied()))
    })?;
    ensure_rounds_drawn(found(2, 0), &interval(&alike, seeds[2][0])?)?;
    ensure_interval(&all, &right)?;
    student.go()
}

/// Of processes that are far apart, several times.
fn ensure_interval(all: &[Interval], right: &AverageInterval) -> Checked<()> {
    let found = AverageInterval::of(all);
    let width = right.high - right.low;
    let part = (found.high - found.low) / width;
    let finding = |id: &str| {
        let finding = fail(id).fact("found", found.in_words()).fact("right", right.in_words());
        finding.fact("part", format!("{:.0}", part * 100.0))
    };
    ensure(!(0.0..0.6).contains(&part), || finding("L18-one-level"))?;
    let near = |one: f64, other: f64, share: f64| (one - other).abs() <= share * width;
    let is_around = near(found.low, right.low, 0.2) && near(found.high, right.high, 0.2);
    ensure(is_around, || finding("L18-interval"))?;
    for (first, again) in all.iter().zip(&all[SEEDS as usize..]) {
        ensure(same(*first, *again), || {
            let finding = finding("L18-not-repeatable").fact("first", in_words(Some(*first)));
            finding.fact("again", in_words(Some(*again)))
        })?;
    }
    ensure(!all.iter().all(|one| same(*one, all[0])), || finding("L18-seed-ignored"))?;
    let varies = found.deviation / right.deviation;
    ensure(varies <= VARIES, || finding("L18-draws").fact("varies", format!("{varies:.1}")))?;
    let agrees = near(found.low, right.low, NEAR) && near(found.high, right.high, NEAR);
    ensure(agrees, || finding("L18-quantiles"))
}

/// Of processes that are all alike: whoever draws whole processes only draws the same each time.
fn ensure_rounds_drawn(found: Option<Interval>, right: &Interval) -> Checked<()> {
    ensure(found.is_some_and(|it| it.low != it.high), || {
        let finding = fail("L18-rounds-not-drawn").fact("found", in_words(found));
        finding.fact("right", in_words(Some(*right)))
    })
}

/// Eight processes that differ, ten rounds in each that hardly do, and a few that took far longer;
/// and their intervals.
///
/// Only the scale is random, and which process and which round is which: how wide the intervals are
/// beside each other is the same each time. Of these, the middle 90 % of the medians end a twelfth
/// of the interval further inside, and the interval of all samples in one pot is half as wide.
fn apart(bench: &Bench) -> Result<(Vec<Sample>, AverageInterval), Finding> {
    let (scale, offset) = (1.0 + bench.random(500) as f64 / 1e3, bench.random(200_000) as f64);
    let (turn, shift) = (bench.random(8) as u32, bench.random(10) as u32);
    let mut samples = Vec::new();
    for (process, round) in (0..8).flat_map(|process| (0..10).map(move |round| (process, round))) {
        let (one, other) = ((process + turn) % 8, (round + shift) % 10);
        let number = 10 * one + other;
        let usual = 800_000 + 50_000 * one + 250 * (389 * number % 997);
        let slow = if number % 13 == 5 { 2 + (one + other) % 7 } else { 1 };
        samples.push(Sample { value: f64::from(usual * slow) * scale + offset, process, round });
    }
    let all = (1..=SEEDS).map(|seed| interval(&samples, seed));
    let ends = AverageInterval::of(&all.collect::<Result<Vec<_>, _>>()?);
    Ok((samples, ends))
}

/// Eight processes, each with the same eight values.
fn alike(bench: &Bench) -> Vec<Sample> {
    let values: Vec<f64> = (0..8).map(|_| 800_000.0 + bench.random(400_000) as f64).collect();
    let sample = |number: u32| {
        let (process, round) = (number / 8, number % 8);
        Sample { value: values[round as usize], process, round }
    };
    (0..64).map(sample).collect()
}

impl AverageInterval {
    fn of(all: &[Interval]) -> Self {
        let count = all.len() as f64;
        let low = all.iter().map(|it| it.low).sum::<f64>() / count;
        let high = all.iter().map(|it| it.high).sum::<f64>() / count;
        let squares = all.iter().map(|it| (it.low - low).powi(2) + (it.high - high).powi(2));
        Self { low, high, deviation: (squares.sum::<f64>() / (2.0 * count)).sqrt() }
    }

    fn in_words(&self) -> String {
        in_words(Some(Interval { low: self.low, high: self.high }))
    }
}

fn same(one: Interval, other: Interval) -> bool {
    one.low == other.low && one.high == other.high
}

fn in_words(interval: Option<Interval>) -> String {
    interval.map_or("None".into(), |it| format!("{:.0} to {:.0}", it.low, it.high))
}

/// The library's.
pub fn interval(samples: &[Sample], seed: u64) -> Result<Interval, Finding> {
    let none = || std::io::Error::other("too few samples for an interval").into();
    median_interval(samples, seed).ok_or_else(none)
}

/// What the program has said; `None` if it is no interval.
pub fn said(student: &Student, name: &str) -> Option<Interval> {
    let end = |which| student.said(&format!("{name}-{which}")).ok()?.parse().ok();
    Some(Interval { low: end("low")?, high: end("high")? })
}
