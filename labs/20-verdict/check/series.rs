//! Series that nobody has measured, made up so that each usual mistake shows in one row.

use lab::check::Bench;
use report::{Ratio, Sample, Series, Unit, Verdict, noise_floor, ratio};

/// What a row of the made-up table is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// More, where outliers make the mean far more.
    FarMore,
    /// Less by two to three times.
    Less,
    /// Half as much, to the last digit.
    Half,
    /// More, where outliers make the mean less.
    More,
    /// A difference that the medians of two series of the same thing have as well.
    WithinFloor,
    /// A difference beyond the medians of two such series, but not beyond their interval.
    WideFloor,
    /// A difference whose interval spans 1.
    WideInterval,
    /// One of the two series is missing.
    Missing,
    /// One of the two has too few samples.
    Few,
    /// One of the two series of the same thing is missing.
    Floorless,
    /// 1 is outside of the interval by the records' own seed, and inside by others.
    Seed,
}

/// In the order in which the rows are judged: a later one is only about its own mistake.
pub const KINDS: [Kind; 11] = [
    Kind::FarMore,
    Kind::Less,
    Kind::Half,
    Kind::More,
    Kind::WithinFloor,
    Kind::WideFloor,
    Kind::WideInterval,
    Kind::Missing,
    Kind::Few,
    Kind::Floorless,
    Kind::Seed,
];

const SANDBOXES: [&str; 4] = ["process", "process (again)", "container", "microvm"];
/// Four processes of so many rounds.
const ROUNDS: u32 = 3;
/// What somebody writes who does not take the records' own seed.
const USUAL_SEEDS: [u64; 5] = [0, 1, 7, 20, 42];

/// Rows of series, and the seed by which their intervals are what they are meant to be.
pub struct Table {
    /// The metric of each kind of row.
    pub rows: Vec<(Kind, String)>,
    /// All series, in no order.
    pub series: Vec<Series>,
    /// The records' seed.
    pub seed: u64,
}

/// A fraction from 0 to 1.
pub fn any(bench: &Bench) -> f64 {
    bench.random(1 << 20) as f64 / f64::from(1 << 20)
}

/// Puts things into an order that nobody knows beforehand.
pub fn shuffle<T>(bench: &Bench, things: &mut [T]) {
    for last in (1..things.len()).rev() {
        things.swap(last, bench.random(last as u64 + 1) as usize);
    }
}

/// Everything, different each time.
pub fn make(bench: &Bench) -> Table {
    let mut table = Table { rows: Vec::new(), series: Vec::new(), seed: 0 };
    let seeded = loop {
        if let Some((seed, four)) = apart_by_seed(bench) {
            table.seed = seed;
            break four;
        }
    };
    for kind in KINDS {
        let metric = format!("made-up.{}", bench.token());
        let mut four = match kind {
            Kind::Seed => seeded.clone(),
            _ => of_kind(bench, kind, table.seed),
        };
        let [_, _, container, microvm] = &mut four;
        let odd = if bench.random(2) == 0 { container } else { microvm };
        match kind {
            Kind::Missing => odd.clear(),
            Kind::Few => odd.truncate(3 + bench.random(3) as usize),
            Kind::Floorless => four[bench.random(2) as usize].clear(),
            _ => {}
        }
        let named = SANDBOXES.into_iter().zip(four).filter(|(_, samples)| !samples.is_empty());
        table.series.extend(named.map(|(sandbox, samples)| Series {
            metric: metric.clone(),
            sandbox: sandbox.into(),
            unit: Unit::Count,
            caveat: None,
            samples,
            seconds: Vec::new(),
        }));
        table.rows.push((kind, metric));
    }
    shuffle(bench, &mut table.series);
    table
}

/// Samples around `centre`, which vary by two parts in a hundred.
fn around(bench: &Bench, centre: f64) -> Vec<Sample> {
    let sample = |number: u32| {
        let value = centre * (1.0 + 0.02 * any(bench));
        Sample { value, process: number / ROUNDS, round: number % ROUNDS }
    };
    (0..4 * ROUNDS).map(sample).collect()
}

/// The same where whole processes are far from each other.
fn apart(bench: &Bench, centre: f64) -> Vec<Sample> {
    let mut factors = [0.6, 0.95, 1.05, 1.7];
    shuffle(bench, &mut factors);
    let mut samples = around(bench, centre);
    samples.iter_mut().for_each(|sample| sample.value *= factors[sample.process as usize]);
    samples
}

/// The same with one sample far out, as when another process had the processor. More of them could
/// move a resampled median too.
fn disturbed(bench: &Bench, centre: f64) -> Vec<Sample> {
    let mut samples = around(bench, centre);
    let far = bench.random(samples.len() as u64) as usize;
    samples[far].value *= 15.0 + 10.0 * any(bench);
    samples
}

/// The series of [`SANDBOXES`] in a row of this kind.
fn of_kind(bench: &Bench, kind: Kind, seed: u64) -> [Vec<Sample>; 4] {
    let centre = 10.0 + 1000.0 * any(bench);
    let container = centre * 1.5;
    let process = around(bench, centre);
    let again = around(bench, centre * 1.01);
    let four = |again, container, microvm| [process.clone(), again, container, microvm];
    let steady = around(bench, container);
    match kind {
        Kind::FarMore => {
            four(again, steady, disturbed(bench, container * (2.4 + 0.4 * any(bench))))
        }
        Kind::Less => four(again, steady, around(bench, container * (0.3 + 0.15 * any(bench)))),
        Kind::Half => {
            // Whole numbers lose nothing where they are written down and read again.
            let scaled = |factor: f64| -> Vec<Sample> {
                let one = |it: &Sample| Sample { value: it.value.round() * factor, ..*it };
                steady.iter().map(one).collect()
            };
            four(again, scaled(2.0), scaled(1.0))
        }
        Kind::More => {
            let more = around(bench, container * (1.4 + 0.2 * any(bench)));
            four(again, disturbed(bench, container), more)
        }
        Kind::WithinFloor => {
            let twice = 1.5 + 0.2 * any(bench);
            // Which of the two came out larger is chance.
            let twice = if bench.random(2) == 0 { twice } else { 1.0 / twice };
            let more = around(bench, container * (1.15 + 0.1 * any(bench)));
            four(around(bench, centre * twice), steady, more)
        }
        Kind::WideFloor => loop {
            let again = apart(bench, centre);
            let found = ratio(&again, &process, seed).expect("neither is empty");
            if !(0.9..1.1).contains(&found.value) || noise_floor(&found) < 1.4 {
                continue;
            }
            break four(again, steady, around(bench, container * (1.2 + 0.05 * any(bench))));
        },
        Kind::WideInterval => loop {
            let microvm = apart(bench, container * 1.3);
            let found = ratio(&microvm, &steady, seed).expect("neither is empty");
            let spans = found.interval.is_some_and(|it| it.low < 0.9 && it.high > 1.1);
            if spans && (1.15..1.5).contains(&found.value) {
                break four(again, steady, microvm);
            }
        },
        Kind::Missing | Kind::Few | Kind::Floorless | Kind::Seed => {
            four(again, steady, around(bench, container * (1.4 + 0.2 * any(bench))))
        }
    }
}

/// Series of which one seed's interval does not reach 1, and the others' do; and that seed.
fn apart_by_seed(bench: &Bench) -> Option<(u64, [Vec<Sample>; 4])> {
    let centre = 10.0 + 1000.0 * any(bench);
    let noisy = |centre: f64| {
        let mut samples = around(bench, centre);
        samples.iter_mut().for_each(|sample| sample.value *= 1.0 + 0.4 * any(bench));
        samples
    };
    let (container, mut microvm) = (noisy(centre), noisy(centre));
    let of = |seed: u64, microvm: &[Sample]| ratio(microvm, &container, seed);
    let low = |seed: u64| of(seed, &microvm)?.interval.map(|it| it.low);
    let own = (0..4).map(|_| 1000 + bench.random(1 << 40));
    let (low_of_own, seed) = own
        .filter_map(|seed| Some((low(seed)?, seed)))
        .max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    let of_others = USUAL_SEEDS.into_iter().filter_map(low).fold(0.0, f64::max);
    if low_of_own < of_others * 1.001 {
        return None;
    }
    // 1 lies between the two.
    let scale = 1.0 / (low_of_own * of_others).sqrt();
    microvm.iter_mut().for_each(|sample| sample.value *= scale);
    let process = around(bench, centre);
    let again = around(bench, centre * 1.001);
    let floor = ratio(&again, &process, seed).as_ref().map(noise_floor);
    let verdict = |seed| Some(Verdict::of(&of(seed, &microvm)?, floor));
    let is_more = matches!(verdict(seed)?, Verdict::More(_));
    let same = |seed| verdict(seed) == Some(Verdict::NoDifferenceShown);
    let apart = is_more && USUAL_SEEDS.into_iter().all(same);
    apart.then(|| (seed, [process, again, container.clone(), microvm]))
}

/// The ratio by the records' seed, where there are both series.
pub fn ratio_of(series: &[Series], metric: &str, names: [&str; 2], seed: u64) -> Option<Ratio> {
    let samples = |name: &str| {
        let found = series.iter().find(|one| one.metric == metric && one.sandbox == name);
        found.map(|series| &series.samples[..])
    };
    ratio(samples(names[0])?, samples(names[1])?, seed)
}
