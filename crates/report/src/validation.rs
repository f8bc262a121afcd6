//! Which records can be a measurement, so that everything after need not ask.

use crate::{Records, Sample, ScheduleTrace, Unit};

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
        let mut seen = std::collections::BTreeSet::new();
        for series in &self.series {
            let (metric, sandbox) = (series.metric.clone(), series.sandbox.clone());
            if !seen.insert((&series.metric, &series.sandbox)) {
                return Err(Invalid::Twice { metric, sandbox });
            }
            // Memory can shrink meanwhile.
            let amount = |value: f64| if series.unit == Unit::Bytes { value.abs() } else { value };
            let impossible = |sample: &&Sample| !possible(amount(sample.value));
            if let Some(&Sample { value, .. }) = series.samples.iter().find(impossible) {
                return Err(Invalid::Value { metric, sandbox, value });
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

/// Whether a measurement in `unit` can give this number: nothing takes no time, and no amount is
/// infinite.
pub(crate) fn is_measurement(value: f64, unit: Unit) -> bool {
    let may_be_nothing = matches!(unit, Unit::Bytes | Unit::Count | Unit::Share);
    possible(value) && (may_be_nothing || value > 0.0)
}

fn at_most(what: &'static str, found: usize, most: usize) -> Result<(), Invalid> {
    if found > most { Err(Invalid::TooMany { what, found, most }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    #[test]
    fn a_stretch_outside_its_trace_is_refused() {
        for stretch in [(5, 4), (0, u64::MAX)] {
            let mut records = example::records();
            records.traces[0].lanes[0].running = vec![stretch];
            assert!(matches!(records.validate(), Err(Invalid::Stretch { .. })));
        }
    }

    #[test]
    fn a_series_that_is_there_twice_is_refused() {
        let mut records = example::records();
        records.series.push(records.series[0].clone());
        assert!(matches!(records.validate(), Err(Invalid::Twice { .. })));
    }
}
