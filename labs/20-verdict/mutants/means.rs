//! Means, which one disturbed round moves.

use std::process::ExitCode;

use report::{Probe, Ratio, Records, Series, noise_floor, ratio};
use solution::carrier;
use verdict::{Answer, Carrier, Claim, Evidence, Judgement, Relation, Sentence};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn sentence(records: &Records, metric: &str) -> Option<Sentence> {
    let (relation, ratio) = compare(records, metric, "microvm", "container")?;
    let data = ["microvm", "container"].map(|sandbox| format!("{metric}/{sandbox}"));
    Some(Sentence { data: data.into(), relation, ratio })
}

/// How `sandbox` is to `base`, if both were measured often enough to say.
fn compare(records: &Records, metric: &str, sandbox: &str, base: &str) -> Option<(Relation, f64)> {
    let floor = ratio_of(records, metric, "process (again)", "process");
    let found = ratio_of(records, metric, sandbox, base)?;
    match report::Verdict::of(&found, floor.as_ref().map(noise_floor)) {
        report::Verdict::Less(value) => Some((Relation::Less, value)),
        report::Verdict::More(value) => Some((Relation::More, value)),
        report::Verdict::NoDifferenceShown => Some((Relation::Same, found.value)),
        report::Verdict::TooFewSamples(_) => None,
    }
}

fn ratio_of(records: &Records, metric: &str, sandbox: &str, base: &str) -> Option<Ratio> {
    let series = |name: &str| {
        let named = |series: &&Series| series.metric == metric && series.sandbox == name;
        records.series.iter().find(named).map(|series| &series.samples[..])
    };
    let mean = |name: &str| {
        let samples = series(name)?;
        Some(samples.iter().map(|sample| sample.value).sum::<f64>() / samples.len() as f64)
    };
    let found = ratio(series(sandbox)?, series(base)?, records.provenance.seed)?;
    Some(Ratio { value: mean(sandbox)? / mean(base)?, ..found })
}

fn judge(claim: &Claim, evidence: &Evidence) -> Judgement {
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

fn main() -> ExitCode {
    verdict::program(&Answer { sentence, judge, ..solution::ANSWER })
}
