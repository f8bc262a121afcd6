//! Lab 20, solved.

use std::process::ExitCode;

use report::{Probe, Ratio, Records, Series, noise_floor, ratio};
use verdict::{
    Answer, Carrier, Claim, Evidence, Judgement, Relation, Sentence, Signs, VisibleState,
};

pub(crate) fn carrier(signs: &Signs) -> Carrier {
    let emulated = |name: &String| name.starts_with("TCG");
    if signs.hypervisor.as_ref().is_some_and(emulated) {
        return Carrier::EmulatedProcessor;
    }
    match (signs.interprets_ring0, &signs.extension) {
        (Some(true), _) => Carrier::Interpreter,
        (_, Some(_)) => Carrier::Hardware,
        _ => Carrier::Unknown,
    }
}

pub(crate) fn sentence(records: &Records, metric: &str) -> Option<Sentence> {
    let (relation, ratio) = compare(records, metric, "microvm", "container")?;
    let data = ["microvm", "container"].map(|sandbox| format!("{metric}/{sandbox}"));
    Some(Sentence { data: data.into(), relation, ratio })
}

/// How `sandbox` is to `base`, if both were measured often enough to say.
pub(crate) fn compare(
    records: &Records,
    metric: &str,
    sandbox: &str,
    base: &str,
) -> Option<(Relation, f64)> {
    let floor = ratio_of(records, metric, "process (again)", "process");
    let found = ratio_of(records, metric, sandbox, base)?;
    match report::Verdict::of(&found, floor.as_ref().map(noise_floor)) {
        report::Verdict::Less(value) => Some((Relation::Less, value)),
        report::Verdict::More(value) => Some((Relation::More, value)),
        report::Verdict::NoDifferenceShown => Some((Relation::Same, found.value)),
        report::Verdict::TooFewSamples(_) => None,
    }
}

pub(crate) fn ratio_of(
    records: &Records,
    metric: &str,
    sandbox: &str,
    base: &str,
) -> Option<Ratio> {
    let series = |name: &str| {
        let named = |series: &&Series| series.metric == metric && series.sandbox == name;
        records.series.iter().find(named).map(|series| &series.samples[..])
    };
    ratio(series(sandbox)?, series(base)?, records.provenance.seed)
}

pub(crate) fn probes(sandbox: &str, inside: &VisibleState, host: &VisibleState) -> Vec<Probe> {
    let probe = |probe: &str, inside: &Option<String>, host: &Option<String>| Probe {
        probe: probe.into(),
        sandbox: sandbox.into(),
        seen: inside.clone().unwrap_or_else(|| "nothing".into()),
        exposed: inside.is_some() && inside == host,
    };
    vec![
        probe("kernel", &inside.kernel, &host.kernel),
        probe("name", &inside.name, &host.name),
        probe("launcher", &inside.launcher, &host.launcher),
        probe("marker", &inside.marker, &host.marker),
    ]
}

pub(crate) fn judge(claim: &Claim, evidence: &Evidence) -> Judgement {
    let holds = match claim {
        Claim::Compares { hardware: true, .. } if carrier(&evidence.signs) != Carrier::Hardware => {
            None
        }
        Claim::Compares { metric, sandbox, base, relation, factor, .. } => {
            compare(&evidence.records, metric, sandbox, base).map(|(found, ratio)| {
                let size = if ratio < 1.0 { 1.0 / ratio } else { ratio };
                found == *relation && (found == Relation::Same || size >= *factor)
            })
        }
        Claim::Shows { probe, sandbox, exposed } => {
            let named = |one: &&Probe| one.probe == *probe && one.sandbox == *sandbox;
            evidence.records.probes.iter().find(named).map(|one| one.exposed == *exposed)
        }
    };
    match holds {
        Some(true) => Judgement::Supported,
        Some(false) => Judgement::Contradicted,
        None => Judgement::NotMeasured,
    }
}

/// The right answers; a wrong one is these but for what is wrong.
pub(crate) const ANSWER: Answer = Answer { carrier, sentence, probes, judge };

fn main() -> ExitCode {
    verdict::program(&ANSWER)
}
