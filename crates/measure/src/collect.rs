//! From the messages of many processes to one set of records.

use std::collections::BTreeMap;

use report::{
    Gap, Probe, Provenance, Records, Sample, ScheduleTrace, Series, VERSION, metric::PROBE,
};

use crate::{
    Part,
    message::{Measurement, Message},
    subjects::{LABELS, LINUX},
};

/// What the measuring processes have reported so far.
#[derive(Default)]
pub struct Collection {
    series: Vec<Series>,
    gaps: Vec<Gap>,
    traces: Vec<ScheduleTrace>,
    probes: Vec<Probe>,
    facts: BTreeMap<String, String>,
}

impl Collection {
    /// Takes in a message of the measuring process with that number.
    pub fn take(&mut self, message: Message, process: u32) {
        match message {
            Message::Measured(measured) => self.sample(measured, process),
            // Several processes may meet the same gap.
            Message::Gap(gap) if self.gaps.contains(&gap) => {}
            Message::Gap(gap) => self.gaps.push(gap),
            // One picture of a kind is enough; the first will do.
            Message::Trace(trace) if self.traces.iter().any(|it| it.metric == trace.metric) => {}
            Message::Trace(trace) => self.traces.push(trace),
            Message::Probe(probe) => self.probes.push(probe),
            Message::Fact(name, value) => drop(self.facts.insert(name, value)),
            Message::Round => {}
        }
    }

    fn sample(&mut self, measured: Measurement, process: u32) {
        let Measurement { metric, sandbox, unit, value, round, caveat } = measured;
        let sample = Sample { value, process, round };
        let known = |it: &&mut Series| it.metric == metric && it.sandbox == sandbox;
        match self.series.iter_mut().find(known) {
            Some(series) => series.samples.push(sample),
            None => {
                let samples = vec![sample];
                self.series.push(Series {
                    metric,
                    sandbox,
                    unit,
                    caveat,
                    samples,
                    seconds: Vec::new(),
                });
            }
        }
    }

    /// Makes sure that each metric of `part` has a series, a probe or a gap for every sandbox: what
    /// no process reported is a gap with this reason.
    pub fn complete(&mut self, part: Part, reason: &str) {
        for metric in part.metrics() {
            // Linux guests are not asked what they see.
            let linux = [LINUX].into_iter().filter(|_| part != Part::Probes);
            for sandbox in LABELS.into_iter().chain(linux) {
                let reason = match (sandbox, part) {
                    (LINUX, Part::Linux | Part::Images) => reason,
                    (LINUX, _) => "it has a question of its own, the last one",
                    _ => reason,
                };
                let series = self.series.iter().map(|it| (&it.metric, &it.sandbox));
                let mut known = series.chain(self.gaps.iter().map(|it| (&it.metric, &it.sandbox)));
                let probed = self.probes.iter().any(|it| {
                    metric.strip_prefix(PROBE) == Some(&it.probe) && it.sandbox == sandbox
                });
                if !probed && !known.any(|(known, of)| known == metric && of == sandbox) {
                    let (metric, sandbox) = ((*metric).to_owned(), sandbox.to_owned());
                    let (reason, fix) = (reason.to_owned(), String::new());
                    self.gaps.push(Gap { metric, sandbox, reason, fix });
                }
            }
        }
    }

    /// The records, with where they come from.
    pub fn into_records(self, mut provenance: Provenance) -> Records {
        provenance.host.extend(self.facts);
        let Self { series, gaps, traces, probes, .. } = self;
        Records { version: VERSION, provenance, series, gaps, traces, probes }
    }
}

#[cfg(test)]
mod tests {
    use report::{Unit, metric};

    use super::*;

    fn number(sandbox: &str, value: f64) -> Message {
        Message::Measured(Measurement {
            metric: metric::CROSSING.into(),
            sandbox: sandbox.into(),
            unit: Unit::Nanoseconds,
            value,
            round: 0,
            caveat: None,
        })
    }

    #[test]
    fn samples_of_several_processes_make_one_series() {
        let mut collection = Collection::default();
        collection.take(number("process", 1.0), 0);
        collection.take(number("process", 2.0), 1);
        let records = collection.into_records(Provenance::default());
        let of: Vec<_> =
            records.series[0].samples.iter().map(|it| (it.value, it.process)).collect();
        assert_eq!(of, [(1.0, 0), (2.0, 1)]);
    }

    #[test]
    fn what_no_process_reported_is_a_gap() {
        let mut collection = Collection::default();
        collection.take(number("process", 1.0), 0);
        collection.complete(Part::Programs, "it was lost");
        let is_gap = |metric: &str, sandbox: &str| {
            collection.gaps.iter().any(|gap| gap.metric == metric && gap.sandbox == sandbox)
        };
        assert!(!is_gap(metric::CROSSING, "process"));
        assert!(is_gap(metric::CROSSING, "container") && is_gap(metric::COMPUTE_SPIN, "process"));
    }

    #[test]
    fn a_probe_that_nobody_made_is_a_gap() {
        let mut collection = Collection::default();
        let seen = Probe {
            probe: metric::PROBE_HOST_FILES.trim_start_matches(PROBE).into(),
            sandbox: "microvm".into(),
            seen: "none".into(),
            exposed: false,
        };
        collection.take(Message::Probe(seen), 0);
        collection.complete(Part::Probes, "it was lost");
        let gaps = |metric: &str| -> Vec<&str> {
            let gaps = collection.gaps.iter().filter(|gap| gap.metric == metric);
            gaps.map(|gap| gap.sandbox.as_str()).collect()
        };
        assert_eq!(gaps(metric::PROBE_HOST_FILES), ["process", "container"]);
        assert_eq!(gaps(metric::PROBE_KERNEL), ["process", "container", "microvm"]);
    }
}
