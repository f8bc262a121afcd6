//! Which records can be a measurement, so that everything after need not ask.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Records, Sample, ScheduleTrace, Unit, catalogue};

/// What records hold that no measurement gives.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// A number that is not one, is negative or beyond all measure.
    #[error("{metric} in the {sandbox} has the value {value}")]
    Value {
        /// The metric.
        metric: String,
        /// The sandbox.
        sandbox: String,
        /// The value.
        value: f64,
    },
    /// Two series for the same thing.
    #[error("{metric} in the {sandbox} is there twice")]
    Twice {
        /// The metric.
        metric: String,
        /// The sandbox.
        sandbox: String,
    },
    /// A unit that the metric does not have, or another than in the other sandboxes.
    #[error("{metric} in the {sandbox} is in {found:?}, and this metric is in {expected:?}")]
    Unit {
        /// The metric.
        metric: String,
        /// The sandbox.
        sandbox: String,
        /// The unit of the series.
        found: Unit,
        /// The unit of the metric.
        expected: Unit,
    },
    /// Moments for some of the samples only.
    #[error("{metric} in the {sandbox} has {samples} samples and {moments} moments")]
    Moments {
        /// The metric.
        metric: String,
        /// The sandbox.
        sandbox: String,
        /// How many samples there are.
        samples: usize,
        /// How many moments.
        moments: usize,
    },
    /// More of something than a page can show.
    #[error("too many {what}: {found}, of at most {most}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        found: usize,
        /// How much may be.
        most: usize,
    },
    /// A stretch of running that ends before it begins, or lies outside the trace.
    #[error(
        "the trace {metric} has an interval from {first} to {last} ns in a trace of {length} ns"
    )]
    Stretch {
        /// The trace.
        metric: String,
        /// Its beginning.
        first: u64,
        /// Its end.
        last: u64,
        /// The length of the trace.
        length: u64,
    },
}

/// About thirty years in nanoseconds, or an exbibyte.
const MOST: f64 = 1e18;
const MOST_SERIES: usize = 2_000;
const MOST_SAMPLES: usize = 2_000_000;
const MOST_TRACES: usize = 200;
const MOST_LANES: usize = 500;
const MOST_STRETCHES: usize = 1_000_000;
const MOST_WORDS: usize = 5_000;

impl Records {
    /// Whether all numbers can be shown.
    ///
    /// # Errors
    ///
    /// The first thing that cannot be.
    pub fn validate(&self) -> Result<(), Invalid> {
        at_most("series", self.series.len(), MOST_SERIES)?;
        at_most("samples", self.series.iter().map(|s| s.samples.len()).sum(), MOST_SAMPLES)?;
        at_most("traces", self.traces.len(), MOST_TRACES)?;
        at_most("gaps", self.gaps.len(), MOST_WORDS)?;
        at_most("probes", self.probes.len(), MOST_WORDS)?;
        at_most("facts about the host", self.provenance.host.len(), MOST_WORDS)?;
        at_most("conditions", self.provenance.conditions.len(), MOST_WORDS)?;
        at_most("subjects", self.provenance.subjects.len(), MOST_WORDS)?;
        let mut seen = BTreeSet::new();
        // What others call what they have counted is their own affair, as long as they count it alike
        // everywhere.
        let command = &self.provenance.command;
        let ours = command.is_empty()
            || ["isolab", "cargo"].iter().any(|program| command.starts_with(program));
        let known = |name: &str| catalogue::find(name).filter(|_| ours);
        let mut units = BTreeMap::<&str, Unit>::new();
        for series in &self.series {
            let (metric, sandbox) = (series.metric.clone(), series.sandbox.clone());
            if !seen.insert((&series.metric, &series.sandbox)) {
                return Err(Invalid::Twice { metric, sandbox });
            }
            let usable = |sample: &&Sample| !is_measurement(sample.value, series.unit);
            if let Some(&Sample { value, .. }) = series.samples.iter().find(usable) {
                return Err(Invalid::Value { metric, sandbox, value });
            }
            let of_row = *units.entry(&series.metric).or_insert_with(|| {
                known(&series.metric).map_or(series.unit, |(_, metric)| metric.unit)
            });
            if series.unit != of_row {
                let (found, expected) = (series.unit, of_row);
                return Err(Invalid::Unit { metric, sandbox, found, expected });
            }
            let (samples, moments) = (series.samples.len(), series.seconds.len());
            if moments != 0 && moments != samples {
                return Err(Invalid::Moments { metric, sandbox, samples, moments });
            }
        }
        if !possible(self.provenance.took_seconds) {
            let value = self.provenance.took_seconds;
            let (metric, sandbox) = ("took_seconds".into(), "provenance".into());
            return Err(Invalid::Value { metric, sandbox, value });
        }
        self.traces.iter().try_for_each(validate_trace)
    }
}

fn validate_trace(trace: &ScheduleTrace) -> Result<(), Invalid> {
    at_most("lanes", trace.lanes.len(), MOST_LANES)?;
    at_most("stretches", trace.lanes.iter().map(|l| l.running.len()).sum(), MOST_STRETCHES)?;
    let length = trace.length_nanoseconds;
    for &(first, last) in trace.lanes.iter().flat_map(|lane| &lane.running) {
        if first > last || last > length {
            return Err(Invalid::Stretch { metric: trace.metric.clone(), first, last, length });
        }
    }
    Ok(())
}

fn possible(value: f64) -> bool {
    (0.0..=MOST).contains(&value)
}

/// Whether a measurement in `unit` can give this number: no amount is infinite, and only memory can
/// shrink. What is zero or less is as good as any other sample: who drops it keeps the survivors.
pub(crate) fn is_measurement(value: f64, unit: Unit) -> bool {
    possible(if unit == Unit::Bytes { value.abs() } else { value })
}

fn at_most(what: &'static str, found: usize, most: usize) -> Result<(), Invalid> {
    if found > most { Err(Invalid::TooMany { what, found, most }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Series, example};

    #[test]
    fn a_stretch_outside_its_trace_is_refused() {
        for stretch in [(5, 4), (0, u64::MAX)] {
            let mut records = example::records();
            records.traces[0].lanes[0].running = vec![stretch];
            assert!(matches!(records.validate(), Err(Invalid::Stretch { .. })));
        }
    }

    #[test]
    fn memory_may_shrink_and_time_may_not() {
        assert!(is_measurement(-4096.0, Unit::Bytes) && !is_measurement(-1.0, Unit::Nanoseconds));
        assert!(!is_measurement(f64::NAN, Unit::Bytes) && !is_measurement(1e300, Unit::Bytes));
    }

    #[test]
    fn a_unit_that_is_not_the_metrics_is_refused() {
        let mut records = example::records();
        records.series[0].unit = Unit::Bytes;
        assert!(matches!(records.validate(), Err(Invalid::Unit { .. })));
        // Of a metric that only the records know, the first sandbox says the unit.
        let mut records = example::records();
        let bench = |it: &&mut Series| it.metric.starts_with("bench.");
        records.series.iter_mut().filter(bench).nth(1).unwrap().unit = Unit::Share;
        assert!(matches!(records.validate(), Err(Invalid::Unit { .. })));
    }

    #[test]
    fn moments_are_of_all_samples_or_of_none() {
        let mut records = example::records();
        records.series[0].seconds = vec![1.0];
        assert!(matches!(records.validate(), Err(Invalid::Moments { .. })));
    }

    #[test]
    fn a_series_that_is_there_twice_is_refused() {
        let mut records = example::records();
        records.series.push(records.series[0].clone());
        assert!(matches!(records.validate(), Err(Invalid::Twice { .. })));
    }
}
