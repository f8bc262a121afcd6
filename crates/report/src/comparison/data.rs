//! What the records hold for a statement, and what is missing of it.

use std::borrow::Cow;

use super::{AGAIN, BASE, Comparison, Evidence, Lack, Look, counted};
use crate::{
    Gap, Ratio, Sample, Series, Verdict,
    bootstrap::{FEWEST, ratio},
    catalogue,
    metric::PROBE,
    statistics::median,
    validation::is_measurement,
    verdict::noise_floor,
};

impl<'a> Comparison<'a> {
    /// The median of a metric in a sandbox in which measuring it did not fail, and of how many
    /// samples it is.
    pub fn median(&self, metric: &str, sandbox: &str) -> Evidence<(f64, usize)> {
        self.complete(metric, sandbox).map(|measured| (measured.median, measured.samples.len()))
    }

    /// The largest sample of a metric in a sandbox, and of how many samples it is.
    pub fn largest(&self, metric: &str, sandbox: &str) -> Evidence<(f64, usize)> {
        self.complete(metric, sandbox).map(|measured| {
            let values = measured.samples.iter().map(|sample| sample.value);
            (values.fold(0.0, f64::max), measured.samples.len())
        })
    }

    /// How many times the value of `base` that of `sandbox` is; `None` if no difference is shown.
    pub fn difference(&self, metric: &str, sandbox: &str, base: &str) -> Evidence<Option<f64>> {
        let again = second_run();
        let mut needed = vec![sandbox, base];
        if base == BASE && catalogue::measured_twice(metric) {
            needed.push(&again);
        }
        let samples = needed.into_iter().map(|name| {
            self.complete(metric, name).unless(|measured| {
                let count = measured.samples.len();
                let why = format!("{}, and an interval takes {FEWEST}", counted(count));
                (count < FEWEST).then(|| lack(metric, name, &why))
            })
        });
        Evidence::all(samples).and_then(|_| {
            let floor = if base == BASE { self.noise_floor(metric) } else { None };
            match self.ratio(metric, sandbox, base).map(|ratio| Verdict::of(&ratio, floor)) {
                Some(Verdict::Less(ratio) | Verdict::More(ratio)) => Evidence::present(Some(ratio)),
                Some(Verdict::NoDifferenceShown) => Evidence::present(None),
                Some(Verdict::TooFewSamples(_)) | None => {
                    Evidence::lacking(lack(metric, sandbox, "there is no ratio to a value of 0"))
                }
            }
        })
    }

    /// Whether the host shows through to a probe.
    pub fn exposed(&self, probe: &str, sandbox: &str) -> Evidence<bool> {
        let why = match self.look(probe, sandbox) {
            Look::Answered(probe) => return Evidence::present(probe.exposed),
            Look::Failed(gap) => &gap.reason,
            Look::Absent => NO_REASON,
        };
        Evidence::lacking(lack(&format!("{PROBE}{probe}"), sandbox, why))
    }

    /// A series in which nothing failed.
    pub(super) fn complete(&self, metric: &str, sandbox: &str) -> Evidence<Found<'a>> {
        let found = match self.found(metric, sandbox) {
            Ok(found) => found,
            Err(why) => return Evidence::lacking(lack(metric, sandbox, why)),
        };
        let Some(gap) = found.incomplete else { return Evidence::present(found) };
        let why = format!("after {}: {}", counted(found.samples.len()), gap.reason);
        Evidence::lacking(lack(metric, sandbox, &why))
    }

    /// The usable samples of a series, or why there are none.
    pub(super) fn found(&self, metric: &str, sandbox: &str) -> Result<Found<'a>, &'a str> {
        let there = |series: &&Series| series.metric == metric && series.sandbox == sandbox;
        let all = self.records.series.iter().find(there).filter(|it| !it.samples.is_empty());
        let gap = self.gap(metric, sandbox);
        let Some(series) = all else {
            return Err(gap.map_or(NO_REASON, |gap| gap.reason.as_str()));
        };
        let usable = |sample: &Sample| is_measurement(sample.value, series.unit);
        let samples: Cow<[Sample]> = match series.samples.iter().all(usable) {
            true => Cow::Borrowed(&series.samples),
            false => series.samples.iter().copied().filter(usable).collect(),
        };
        let values: Vec<f64> = samples.iter().map(|sample| sample.value).collect();
        let median =
            median(&values).ok_or("its samples are not numbers that a measurement gives")?;
        Ok(Found { series, samples, median, incomplete: gap })
    }

    /// The ratio of two sandboxes in which measuring did not fail.
    pub(super) fn ratio(&self, metric: &str, sandbox: &str, base: &str) -> Option<Ratio> {
        let both = self.complete(metric, sandbox).and(self.complete(metric, base));
        let (samples, base) = both.get().ok()?;
        ratio(&samples.samples, &base.samples, self.provenance.seed)
    }

    /// How far apart two measurements of the base were; `None` where there were no two, or too few
    /// samples of either to say.
    pub(super) fn noise_floor(&self, metric: &str) -> Option<f64> {
        let again = self.ratio(metric, &second_run(), BASE)?;
        again.interval?;
        Some(noise_floor(&again)).filter(|floor| floor.is_finite())
    }
}

/// What the records hold of one metric in one sandbox.
#[derive(Debug, Clone)]
pub(super) struct Found<'a> {
    pub(super) series: &'a Series,
    pub(super) samples: Cow<'a, [Sample]>,
    pub(super) median: f64,
    /// Measuring failed before its end.
    pub(super) incomplete: Option<&'a Gap>,
}

/// Why there is no number where the records hold no gap either.
const NO_REASON: &str = "not in the records";

/// The name of the second run of the base.
fn second_run() -> String {
    format!("{BASE}{AGAIN}")
}

fn lack(metric: &str, sandbox: &str, why: &str) -> Lack {
    let title = || catalogue::find(metric).map_or(metric, |(_, metric)| metric.title).to_owned();
    let what = metric.strip_prefix(PROBE).map_or_else(title, |probe| format!("probe {probe}"));
    Lack { what, sandbox: sandbox.to_owned(), why: why.to_owned() }
}
