//! What follows from data, computed once more: how one series is to another, and the sentence of
//! that.

use std::collections::BTreeMap;

use lab::check::{Checked, ensure, fail};
use report::{Ratio, Records, Sample, Verdict, noise_floor};
use verdict::{Relation, Sentence};

use super::series::{Kind, ratio_of};

/// How one series is to another.
#[derive(Clone)]
pub struct Found {
    pub relation: Relation,
    pub ratio: f64,
    /// The same without a second series of the base.
    without_floor: Relation,
    /// Whether it is so near to the border that it may as well be the other.
    pub border: bool,
}

/// The data, with what was computed of them.
pub struct Reference<'a> {
    pub records: &'a Records,
    known: BTreeMap<[String; 3], Option<Found>>,
}

fn relation(verdict: Verdict) -> Option<Relation> {
    match verdict {
        Verdict::Less(_) => Some(Relation::Less),
        Verdict::More(_) => Some(Relation::More),
        Verdict::NoDifferenceShown => Some(Relation::Same),
        Verdict::TooFewSamples(_) => None,
    }
}

fn near(one: f64, other: f64) -> bool {
    (one.ln() - other.ln()).abs() < 0.05
}

impl<'a> Reference<'a> {
    pub fn of(records: &'a Records) -> Self {
        Self { records, known: BTreeMap::new() }
    }

    /// How `sandbox` is to `base`; `None` when that was not measured.
    pub fn compare(&mut self, metric: &str, sandbox: &str, base: &str) -> Option<Found> {
        let key = [metric, sandbox, base].map(str::to_owned);
        if !self.known.contains_key(&key) {
            let found = self.compute(metric, sandbox, base);
            self.known.insert(key.clone(), found);
        }
        self.known[&key].clone()
    }

    fn compute(&self, metric: &str, sandbox: &str, base: &str) -> Option<Found> {
        let ratio_of =
            |names| ratio_of(&self.records.series, metric, names, self.records.provenance.seed);
        let found = ratio_of([sandbox, base])?;
        let floor = ratio_of(["process (again)", "process"]).as_ref().map_or(1.0, noise_floor);
        let Ratio { value, interval, .. } = found;
        let interval = interval?;
        let ends = [interval.low, interval.high].into_iter().any(|end| near(end, 1.0));
        Some(Found {
            relation: relation(Verdict::of(&found, Some(floor)))?,
            ratio: value,
            without_floor: relation(Verdict::of(&found, None))?,
            border: (ends && interval.low != interval.high) || near(value.max(1.0 / value), floor),
        })
    }

    fn samples(&self, metric: &str, sandbox: &str) -> &'a [Sample] {
        let mut all = self.records.series.iter();
        let found = all.find(|one| one.metric == metric && one.sandbox == sandbox);
        found.map_or(&[], |series| &series.samples)
    }

    /// Whether a sentence is the one of these data; `kind` if they are made up.
    pub fn ensure_sentence(
        &mut self,
        metric: &str,
        kind: Option<Kind>,
        said: Option<Sentence>,
    ) -> Checked<()> {
        let found = self.compare(metric, "microvm", "container");
        let count = |sandbox| self.samples(metric, sandbox).len();
        let about = |id: &str| {
            let finding = fail(id).fact("metric", metric).fact("microvm", count("microvm"));
            finding.fact("container", count("container"))
        };
        let (said, found) = match (said, found) {
            (None, None) => return Ok(()),
            (Some(said), None) => {
                let is_missing = count("microvm") == 0 || count("container") == 0;
                let id = if is_missing { "L20-filled-in" } else { "L20-too-few" };
                return Err(about(id).fact("said", format!("{:.3}", said.ratio)));
            }
            (None, Some(found)) => {
                let is_floorless = kind == Some(Kind::Floorless);
                let id = if is_floorless { "L20-floorless" } else { "L20-left-out" };
                let finding = about(id).fact("ratio", format!("{:.3}", found.ratio));
                return Err(finding.fact("wanted", word(found.relation)));
            }
            (Some(said), Some(found)) => (said, found),
        };
        let wanted = ["microvm", "container"].map(|sandbox| format!("{metric}/{sandbox}"));
        ensure(said.data == wanted, || {
            let names = if said.data.is_empty() { "nothing".into() } else { said.data.join(", ") };
            about("L20-no-datum").fact("names", names).fact("wanted", wanted.join(", "))
        })?;
        let about = |id: &str| {
            let finding = about(id).fact("said", format!("{:.3}", said.ratio));
            let finding = finding.fact("ratio", format!("{:.3}", found.ratio));
            finding.fact("relation", word(said.relation)).fact("wanted", word(found.relation))
        };
        self.ensure_ratio(metric, said.ratio, found.ratio)
            .map_err(|(id, what)| about(id).fact("what", what))?;
        let border = kind.is_none() && found.border;
        ensure(said.relation == found.relation || border, || {
            about(match kind {
                Some(Kind::WithinFloor) => "L20-no-floor",
                None if said.relation == found.without_floor => "L20-no-floor",
                Some(Kind::WideFloor) => "L20-floor-of-medians",
                Some(Kind::WideInterval) => "L20-no-interval",
                Some(Kind::Seed) => "L20-seed",
                _ => "L20-relation",
            })
        })
    }

    /// Whether `said` is the ratio of the medians; else the message, and what it is instead.
    fn ensure_ratio(&self, metric: &str, said: f64, right: f64) -> Result<(), (&str, String)> {
        let is = |value: f64| (said / value - 1.0).abs() < 1e-3;
        if is(right) {
            return Ok(());
        }
        let of = |middle: fn(&[Sample]) -> f64, sandbox| middle(self.samples(metric, sandbox));
        if is(of(mean, "microvm") / of(mean, "container")) {
            return Err(("L20-means", String::new()));
        }
        if is(1.0 / right) {
            return Err(("L20-inverted", String::new()));
        }
        for sandbox in ["microvm", "container", "process", "process (again)"] {
            for base in ["microvm", "container", "process", "process (again)"] {
                if sandbox != base && is(of(median, sandbox) / of(median, base)) {
                    return Err(("L20-other-series", format!("{sandbox} to {base}")));
                }
            }
        }
        Err(("L20-textbook", String::new()))
    }
}

fn mean(samples: &[Sample]) -> f64 {
    samples.iter().map(|sample| sample.value).sum::<f64>() / samples.len() as f64
}

fn median(samples: &[Sample]) -> f64 {
    let values: Vec<f64> = samples.iter().map(|sample| sample.value).collect();
    report::median(&values).unwrap_or(f64::NAN)
}

/// The relation for people.
pub fn word(relation: Relation) -> String {
    format!("{relation:?}")
}
