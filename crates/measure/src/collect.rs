//! From the messages of many processes to one set of records.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    time::Instant,
};

use report::{
    Condition, Gap, Method, Probe, Provenance, Records, Sample, ScheduleTrace, Series, VERSION,
    metric::PROBE,
};

use crate::{
    Part,
    message::{Measurement, Message},
    subjects::{LABELS, LINUX},
};

/// What the measuring processes have reported so far.
pub struct Collection {
    began: Instant,
    series: Vec<Series>,
    gaps: Vec<Gap>,
    traces: Vec<ScheduleTrace>,
    probes: Vec<Probe>,
    facts: BTreeMap<String, String>,
    subjects: BTreeMap<String, report::Subject>,
    conditions: Vec<Condition>,
    method: Option<Method>,
}

impl Default for Collection {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            series: Vec::new(),
            gaps: Vec::new(),
            traces: Vec::new(),
            probes: Vec::new(),
            facts: BTreeMap::new(),
            subjects: BTreeMap::new(),
            conditions: Vec::new(),
            method: None,
        }
    }
}

impl Collection {
    /// Nothing yet, of a run by this method; the moments of samples are counted from now.
    pub fn by(method: Method) -> Self {
        Self { method: Some(method), ..Self::default() }
    }

    /// Takes in what else the host did meanwhile.
    pub fn condition(&mut self, condition: Condition) {
        self.conditions.push(condition);
    }

    /// Takes in a message of the measuring process with that number.
    pub fn take(&mut self, message: Message, process: u32) {
        match message {
            Message::Measured(measured) => self.sample(measured, process),
            // Several processes may meet the same gap, and word it a little differently.
            Message::Gap(Gap { metric, sandbox, .. })
                if self.gaps.iter().any(|it| it.metric == metric && it.sandbox == sandbox) => {}
            Message::Gap(gap) => self.gaps.push(gap),
            // One picture of a kind is enough; the first will do.
            Message::Trace(trace) if self.traces.iter().any(|it| it.metric == trace.metric) => {}
            Message::Trace(trace) => self.traces.push(trace),
            Message::Probe(probe) => self.probes.push(probe),
            Message::Subject(name, subject) => self.subject(&name, subject),
            Message::Fact(name, value) => drop(self.facts.insert(name, value)),
            Message::Process(_) | Message::Round => {}
        }
    }

    /// Whether measuring this metric has failed in this sandbox.
    pub(crate) fn has_failed(&self, metric: &str, sandbox: &str) -> bool {
        self.gaps.iter().any(|gap| gap.metric == metric && gap.sandbox == sandbox)
    }

    fn sample(&mut self, measured: Measurement, process: u32) {
        let Measurement { metric, sandbox, unit, value, round, caveat } = measured;
        let sample = Sample { value, process, round };
        // A message comes at once: so the moment is that of its end, by one clock for all processes,
        // also for those in a nest.
        let seconds = self.began.elapsed().as_secs_f64();
        let known = |it: &&mut Series| it.metric == metric && it.sandbox == sandbox;
        match self.series.iter_mut().find(known) {
            Some(series) => {
                series.samples.push(sample);
                series.seconds.push(seconds);
            }
            None => {
                let (samples, seconds) = (vec![sample], vec![seconds]);
                self.series.push(Series { metric, sandbox, unit, caveat, samples, seconds });
            }
        }
    }

    /// A program that is another one than before has no numbers: some would be of the one and some
    /// of the other.
    fn subject(&mut self, name: &str, subject: report::Subject) {
        let known = match self.subjects.entry(name.to_owned()) {
            Entry::Vacant(entry) => {
                entry.insert(subject);
                return;
            }
            Entry::Occupied(entry) => entry.into_mut(),
        };
        if known.version == subject.version {
            return;
        }
        let reason = format!(
            "another version in the middle of the run: {:?}, then {:?}",
            known.version, subject.version
        );
        *known = subject;
        let is_its = |series: &Series| series.sandbox == name;
        let metrics = self.series.iter().filter(|it| is_its(it)).map(|it| it.metric.clone());
        let gap = |metric| {
            let (sandbox, reason) = (name.to_owned(), reason.clone());
            Gap { metric, sandbox, reason, fix: "measure again".into() }
        };
        self.gaps.extend(metrics.map(gap));
        self.series.retain(|series| !is_its(series));
    }

    /// Makes sure that each metric of `part` has a series, a probe or a gap for every sandbox: what
    /// no process reported is a gap with this reason.
    pub fn complete(&mut self, part: Part, reason: &str) {
        for metric in part.metrics() {
            // Linux guests are not asked what they see.
            let linux = [LINUX].into_iter().filter(|_| part != Part::Probes);
            for sandbox in LABELS.into_iter().chain(linux) {
                let reason = match (sandbox, part) {
                    (LINUX, Part::Linux | Part::Images | Part::Io) => reason,
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

    /// Adds a gap for every metric of `part` in each of these sandboxes.
    pub fn gaps<'a>(&mut self, part: Part, sandboxes: impl Iterator<Item = &'a str>, reason: &str) {
        for sandbox in sandboxes {
            self.gaps.extend(part.metrics().iter().map(|metric| Gap {
                metric: (*metric).to_owned(),
                sandbox: sandbox.to_owned(),
                reason: reason.to_owned(),
                fix: String::new(),
            }));
        }
    }

    /// The records, with where they come from.
    pub fn into_records(self, mut provenance: Provenance) -> Records {
        provenance.host.extend(self.facts);
        provenance.subjects.extend(self.subjects);
        provenance.conditions.extend(self.conditions);
        provenance.method = self.method.or(provenance.method);
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
    fn every_sample_has_its_moment() {
        let mut collection = Collection::default();
        collection.take(number("process", 1.0), 0);
        std::thread::sleep(std::time::Duration::from_millis(5));
        collection.take(number("process", 2.0), 1);
        let seconds = &collection.into_records(Provenance::default()).series[0].seconds;
        assert!(seconds.len() == 2 && seconds[1] - seconds[0] >= 0.005, "{seconds:?}");
    }

    #[test]
    fn a_version_that_changes_makes_a_gap_of_the_numbers() {
        let mut collection = Collection::default();
        let version = |version: &str| {
            let subject = report::Subject { version: version.into(), command: Vec::new() };
            Message::Subject("runc".into(), subject)
        };
        collection.take(version("1.0"), 0);
        collection.take(number("runc", 1.0), 0);
        collection.take(version("1.0"), 1);
        assert!(collection.gaps.is_empty());
        collection.take(version("1.1"), 1);
        assert!(collection.series.is_empty());
        assert!(collection.gaps[0].reason.contains("another version"), "{:?}", collection.gaps);
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
