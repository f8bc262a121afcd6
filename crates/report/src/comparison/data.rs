//! What the records hold for a statement, and what is missing of it.

use std::{borrow::Cow, collections::BTreeMap};

use super::{BASE, Comparison, Evidence, Lack, Look, countable, counted};
use crate::{
    Gap, Interval, Ratio, Sample, Series, Verdict, catalogue,
    conditions::disturbance,
    interval::{FEWEST, is_constant, median_interval, processes, ratio},
    metric::PROBE,
    records::AGAIN,
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

    /// Where a metric lies with 95 % confidence: what a judgement of its size rests on. Missing of
    /// fewer than five processes and of a busy host; of a constant both ends are the same.
    pub fn range(&self, metric: &str, sandbox: &str) -> Evidence<Interval> {
        let found = self.complete(metric, sandbox).unless(|found| {
            let constant = countable(found.series.unit) && is_constant(&found.samples);
            if constant { None } else { self.doubtful(metric, sandbox, &found.samples) }
        });
        found.map(|Found { samples, median, .. }| {
            median_interval(&samples).unwrap_or(Interval { low: median, high: median })
        })
    }

    /// What ten programs that share something have together: ten times the mean of each process's
    /// samples, its median.
    pub fn sum_of_ten(&self, metric: &str, sandbox: &str) -> Evidence<f64> {
        let found = self.complete(metric, sandbox);
        found.map(|found| {
            let tens: Vec<f64> = tens(&found.samples).iter().map(|ten| ten.value).collect();
            median(&tens).expect("complete samples are not empty")
        })
    }

    /// As [`Comparison::range`], of that sum.
    pub fn range_of_ten(&self, metric: &str, sandbox: &str) -> Evidence<Interval> {
        let found = self.complete(metric, sandbox);
        let found = found.unless(|found| self.doubtful(metric, sandbox, &found.samples));
        found.map(|found| {
            median_interval(&tens(&found.samples)).expect("there are enough processes")
        })
    }

    /// Whether the run ended the starts of instances itself, so that their number is a lower bound:
    /// so unless the records say that the host refused one more.
    pub fn ended_by_its_budget(&self, sandbox: &str) -> bool {
        let stopped = self.provenance.host.get(&format!("density.stopped.{sandbox}"));
        stopped.is_none_or(|why| !why.starts_with("no more could start"))
    }

    /// Why these samples carry no judgement.
    fn doubtful(&self, metric: &str, sandbox: &str, samples: &[Sample]) -> Option<Lack> {
        let few = match processes(samples) {
            count if count >= FEWEST => None,
            1 => Some(format!(
                "{} of 1 process, and an interval takes {FEWEST}",
                counted(samples.len())
            )),
            count => Some(format!("{count} processes, and an interval takes {FEWEST}")),
        };
        let busy = || Some(format!("the host was busy: {}", disturbance(self.provenance, metric)?));
        Some(lack(metric, sandbox, &few.or_else(busy)?))
    }

    /// How many times the value of `base` that of `sandbox` is; `None` if no difference is shown.
    pub fn difference(&self, metric: &str, sandbox: &str, base: &str) -> Evidence<Option<f64>> {
        let again = second_run(BASE);
        let mut needed = vec![sandbox, base];
        if base == BASE && catalogue::measured_twice(metric) {
            needed.push(&again);
        }
        let samples = needed.into_iter().map(|name| {
            self.complete(metric, name)
                .unless(|measured| self.doubtful(metric, name, &measured.samples))
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
        let ratio = ratio(&samples.samples, &base.samples)?;
        let constant = |found: &Found| countable(found.series.unit) && is_constant(&found.samples);
        let exact = Interval { low: ratio.value, high: ratio.value };
        let interval =
            if constant(samples) && constant(base) { Some(exact) } else { ratio.interval };
        Some(Ratio { interval, ..ratio })
    }

    /// How far apart two measurements of the same sandbox were, at worst; `None` where there were
    /// no two, or too few processes to say.
    pub(super) fn noise_floor(&self, metric: &str) -> Option<f64> {
        let series = self.records.series.iter().filter(|series| series.metric == metric);
        let floors = series.filter_map(|series| {
            let once = series.sandbox.strip_suffix(AGAIN)?;
            let again = self.ratio(metric, &series.sandbox, once)?;
            again.interval?;
            Some(noise_floor(&again)).filter(|floor| floor.is_finite())
        });
        floors.reduce(f64::max)
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

/// One sample for each process: what ten programs have together.
fn tens(samples: &[Sample]) -> Vec<Sample> {
    let mut processes = BTreeMap::<u32, (f64, u32)>::new();
    for sample in samples {
        let (sum, count) = processes.entry(sample.process).or_default();
        (*sum, *count) = (*sum + sample.value, *count + 1);
    }
    let sample = |(process, (sum, count)): (u32, (f64, u32))| Sample {
        value: 10.0 * sum / f64::from(count),
        process,
        round: 0,
    };
    processes.into_iter().map(sample).collect()
}

/// Why there is no number where the records hold no gap either.
const NO_REASON: &str = "not in the records";

/// The name of the second run of a sandbox.
fn second_run(sandbox: &str) -> String {
    format!("{sandbox}{AGAIN}")
}

fn lack(metric: &str, sandbox: &str, why: &str) -> Lack {
    let title = || catalogue::find(metric).map_or(metric, |(_, metric)| metric.title).to_owned();
    let what = metric.strip_prefix(PROBE).map_or_else(title, |probe| format!("probe {probe}"));
    Lack { what, sandbox: sandbox.to_owned(), why: why.to_owned() }
}
