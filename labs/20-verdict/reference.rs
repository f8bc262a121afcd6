//! What follows from data, computed once more.

use std::collections::BTreeMap;

use lab::check::{Checked, Finding, ensure, fail};
use report::{Probe, Ratio, Records, Sample, Verdict, noise_floor, ratio};
use verdict::{Carrier, Claim, Judgement, Relation, Sentence, Signs};

/// How one series is to another.
#[derive(Clone)]
pub struct Found {
    pub relation: Relation,
    pub ratio: f64,
    /// The same of means.
    means: f64,
    /// The same without a second series of the base.
    without_floor: Relation,
    /// Whether it is so near to the border that it may as well be the other.
    border: bool,
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

fn mean(samples: &[Sample]) -> f64 {
    samples.iter().map(|sample| sample.value).sum::<f64>() / samples.len() as f64
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
        let samples = |name: &str| {
            let mut all = self.records.series.iter();
            let found = all.find(|one| one.metric == metric && one.sandbox == name);
            found.map(|series| &series.samples[..])
        };
        let ratio_of = |of: &str, base: &str| ratio(samples(of)?, samples(base)?, self.seed());
        let found = ratio_of(sandbox, base)?;
        let floor = ratio_of("process (again)", "process").as_ref().map_or(1.0, noise_floor);
        let Ratio { value, interval, .. } = found;
        let interval = interval?;
        let near = |one: f64, other: f64| (one.ln() - other.ln()).abs() < 0.05;
        let ends = [interval.low, interval.high].into_iter().any(|end| near(end, 1.0));
        Some(Found {
            relation: relation(Verdict::of(&found, Some(floor)))?,
            ratio: value,
            means: mean(samples(sandbox)?) / mean(samples(base)?),
            without_floor: relation(Verdict::of(&found, None))?,
            border: (ends && interval.low != interval.high) || near(value.max(1.0 / value), floor),
        })
    }

    fn seed(&self) -> u64 {
        self.records.provenance.seed
    }

    /// Whether a sentence is the one of these data.
    pub fn ensure_sentence(&mut self, metric: &str, said: Option<Sentence>) -> Checked<()> {
        let found = self.compare(metric, "microvm", "container");
        let about = |id: &str| fail(id).fact("metric", metric);
        let (said, found) = match (said, found) {
            (None, None) => return Ok(()),
            (Some(said), None) => return Err(about("L20-filled-in").fact("said", said.ratio)),
            (None, Some(found)) => return Err(about("L20-left-out").fact("ratio", found.ratio)),
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
            let finding = finding.fact("means", format!("{:.3}", found.means));
            finding.fact("relation", word(said.relation)).fact("wanted", word(found.relation))
        };
        let is = |value: f64| (said.ratio / value - 1.0).abs() < 1e-3;
        ensure(is(found.ratio) || !is(found.means), || about("L20-means"))?;
        ensure(is(found.ratio), || about("L20-textbook"))?;
        let right = said.relation == found.relation || found.border;
        ensure(right || said.relation != found.without_floor, || about("L20-no-floor"))?;
        ensure(right, || about("L20-relation"))
    }

    /// Whether a judgement is the one that these data give on a host with such signs.
    pub fn ensure_judgement(
        &mut self,
        claim: &Claim,
        signs: &Signs,
        said: Judgement,
    ) -> Checked<()> {
        let about = |id: &str, wanted: Judgement| -> Finding {
            let finding = fail(id).fact("claim", words(claim)).fact("said", format!("{said:?}"));
            finding.fact("wanted", format!("{wanted:?}")).fact("signs", signs_in_words(signs))
        };
        if matches!(claim, Claim::Compares { hardware: true, .. })
            && carrier(signs) != Carrier::Hardware
        {
            let right = said == Judgement::NotMeasured;
            return ensure(right, || about("L20-hardware-claim", Judgement::NotMeasured));
        }
        let (wanted, border) = match claim {
            Claim::Shows { probe, sandbox, exposed } => {
                let named = |one: &&Probe| one.probe == *probe && one.sandbox == *sandbox;
                let found = self.records.probes.iter().find(named);
                (found.map(|one| one.exposed == *exposed), false)
            }
            Claim::Compares { metric, sandbox, base, relation, factor, .. } => {
                let found = self.compare(metric, sandbox, base);
                let size = |found: &Found| found.ratio.max(1.0 / found.ratio);
                let holds = |found: &Found| {
                    let large = found.relation == Relation::Same || size(found) >= *factor;
                    found.relation == *relation && large
                };
                let near = |found: &Found| (size(found) / factor).ln().abs() < 0.05;
                let border = found.as_ref().is_some_and(|found| found.border || near(found));
                (found.as_ref().map(holds), border)
            }
        };
        let wanted = match wanted {
            Some(true) => Judgement::Supported,
            Some(false) => Judgement::Contradicted,
            None => Judgement::NotMeasured,
        };
        let id = match (wanted, said) {
            (wanted, said) if wanted == said => return Ok(()),
            (Judgement::NotMeasured, _) => "L20-judged-unmeasured",
            (_, Judgement::NotMeasured) => "L20-judged",
            _ if border => return Ok(()),
            (Judgement::Contradicted, _) => "L20-contradiction-accepted",
            _ => "L20-judged",
        };
        Err(about(id, wanted))
    }
}

/// What carries virtual machines on a host with these signs.
pub fn carrier(signs: &Signs) -> Carrier {
    match signs {
        Signs { hypervisor: Some(name), .. } if name.starts_with("TCG") => {
            Carrier::EmulatedProcessor
        }
        Signs { interprets_ring0: Some(true), .. } => Carrier::Interpreter,
        Signs { extension: Some(_), .. } => Carrier::Hardware,
        _ => Carrier::Unknown,
    }
}

/// Whether the student says so too.
pub fn ensure_carrier(signs: &Signs, said: Carrier) -> Checked<()> {
    let wanted = carrier(signs);
    let id = if said == Carrier::Hardware { "L20-emulated" } else { "L20-carrier" };
    ensure(said == wanted, || {
        let finding = fail(id).fact("signs", signs_in_words(signs));
        finding.fact("said", format!("{said:?}")).fact("wanted", format!("{wanted:?}"))
    })
}

pub fn signs_in_words(signs: &Signs) -> String {
    let or_none = |name: &Option<String>| name.clone().unwrap_or_else(|| "none".into());
    let ring0 = match signs.interprets_ring0 {
        Some(true) => "interpreted",
        Some(false) => "not interpreted",
        None => "unknown",
    };
    let (extension, below) = (or_none(&signs.extension), or_none(&signs.hypervisor));
    format!("extension {extension}, ring 0 {ring0}, hypervisor below {below}")
}

fn word(relation: Relation) -> String {
    format!("{relation:?}")
}

fn words(claim: &Claim) -> String {
    match claim {
        Claim::Compares { metric, sandbox, base, relation: Relation::Same, .. } => {
            format!("{metric}: {sandbox} and {base} are the same")
        }
        Claim::Compares { metric, sandbox, base, relation, factor, hardware } => {
            let whose = if *hardware { ", with hardware virtualization" } else { "" };
            let relation = word(*relation);
            format!("{metric}: {sandbox} {relation} than {base}, {factor} times at least{whose}")
        }
        Claim::Shows { probe, sandbox, exposed: true } => {
            format!("the host's {probe} shows in a {sandbox}")
        }
        Claim::Shows { probe, sandbox, exposed: false } => {
            format!("the host's {probe} does not show in a {sandbox}")
        }
    }
}
