//! The claims of the lesson one by one, each held against the numbers.
//!
//! Each claim is judged by [`Evidence`] of all that it speaks of. Where a part alone refutes or proves
//! it, that part is evidence enough, and it says so by `all_true` or `or`. A size is judged by its
//! whole interval, so that too few processes and a busy host are evidence of nothing.

mod resources;
mod startup;
mod time;
mod walls;

pub(crate) use resources::{density, disk, memory};
pub(crate) use startup::{container_speed, container_startup, machine_startup, microvm_speed};
pub(crate) use time::{shared_out, tenths, throughput, without_cgroups};
pub(crate) use walls::{heavy_io, isolation};

use crate::{
    Comparison, Interval, Unit,
    comparison::{Evidence, Lack, MACHINES, counted},
    format::in_sentence,
    interval::FEWEST,
    metric,
};

const NANOSECONDS_PER_SECOND: f64 = 1e9;

/// A median and the number of its samples.
type Median = Evidence<(f64, usize)>;

/// The sandbox of a Linux guest, a machine with an operating system as the lesson's.
pub(crate) const LINUX: &str = "linux";

/// What the lesson says of a size, for the picture of it beside the measured ones.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LessonValue {
    /// In the unit of the metric.
    pub(crate) value: f64,
    /// In the lesson's word.
    pub(crate) word: &'static str,
}

/// What the lesson says of a container and of a virtual machine: start-up, disk, density.
pub(crate) const LESSON_VALUES: [(&str, [LessonValue; 2]); 3] = [
    (
        metric::STARTUP_COLD_FIRST_BYTE,
        [
            LessonValue { value: NANOSECONDS_PER_SECOND, word: "seconds" },
            LessonValue { value: 60.0 * NANOSECONDS_PER_SECOND, word: "minutes" },
        ],
    ),
    (
        metric::FOOTPRINT_DISK,
        [
            LessonValue { value: 1024.0, word: "KB" },
            LessonValue { value: 1_073_741_824.0, word: "GB" },
        ],
    ),
    (
        metric::DENSITY_COUNT,
        [LessonValue { value: 300.0, word: "hundreds" }, LessonValue { value: 10.0, word: "tens" }],
    ),
];

/// What was measured in words, with the number of samples where it is small.
fn measured<'a>(parts: impl IntoIterator<Item = (&'a Median, String)>) -> String {
    let (mut texts, mut counts) = (Vec::new(), Vec::new());
    for (median, text) in parts {
        if let Ok((_, count)) = median.get() {
            texts.push(text);
            counts.push(*count);
        }
    }
    match counts.iter().min() {
        Some(&fewest) if fewest < FEWEST => {
            let count = match counts.len() {
                1 => counted(fewest),
                _ => format!("at least {} each", counted(fewest)),
            };
            format!("{} ({count})", texts.join(", "))
        }
        _ => texts.join(", "),
    }
}

/// The value of a median in words; empty if there is none.
fn value(median: &Median, unit: Unit) -> String {
    median.get().map_or(String::new(), |(value, _)| in_sentence(*value, unit))
}

/// A virtual machine with an operating system, as the lesson's is: metric and sandbox.
///
/// The first of these that was measured often enough to be judged, else the first that was measured; the
/// Linux guest, of which nothing is there then, if none was. A microVM without a kernel is not one of
/// them, however well it is measured.
fn machine<'a>(
    comparison: &Comparison,
    of_linux: &[&'static str],
    of_peers: &[&'static str],
    can_be_judged: impl Fn(&'static str, &'a str) -> bool,
) -> (&'static str, &'a str) {
    let peers = MACHINES.iter().flat_map(|peer| of_peers.iter().map(move |of| (*of, *peer)));
    let linux = of_linux.iter().map(|of| (*of, LINUX));
    let there = |(metric, sandbox): &(&str, &str)| comparison.median(metric, sandbox).get().is_ok();
    // Nothing of the last of them is what is missing where there is none.
    let missing = of_linux.last().map_or("", |of| *of);
    let mut all = linux.chain(peers);
    let judged = all.clone().find(|(metric, sandbox)| can_be_judged(metric, sandbox));
    let found = judged.or_else(|| all.find(there));
    found.unwrap_or((missing, LINUX))
}

/// Whether the whole interval lies within or without the limits; missing where it spans one.
fn lies_within(
    range: Evidence<Interval>,
    limits: (f64, f64),
    what: (&str, &str),
) -> Evidence<bool> {
    let (low, high) = limits;
    let spans = |range: &Interval| {
        let cut = |limit: f64| range.low < limit && limit < range.high;
        (cut(low) || cut(high)).then(|| Lack {
            what: what.0.to_owned(),
            sandbox: what.1.to_owned(),
            why: "its interval spans the limit of the claim".to_owned(),
        })
    };
    range.unless(spans).map(|range| low <= range.low && range.high <= high)
}

/// How often `value` goes into `of`, in words: `480 times faster`.
fn times_faster(value: f64, of: f64, than: &str) -> String {
    let whole =
        |ratio: f64| if ratio < 9.95 { format!("{ratio:.1}") } else { format!("{ratio:.0}") };
    match of / value {
        ratio if ratio >= 1.0 => format!("{} times faster than {than}", whole(ratio)),
        ratio => format!("{} times slower than {than}", whole(1.0 / ratio)),
    }
}
