//! What data say of a claim, computed once more.

use lab::check::{Checked, Finding, ensure, fail};
use report::Probe;
use verdict::{Carrier, Claim, Judgement, Relation, Signs};

use super::{
    carriers::{carrier, in_words},
    reference::{Found, Reference, word},
};

/// A claim, the host on which it was judged, and what the student says of it.
pub struct Judged<'a> {
    pub claim: &'a Claim,
    pub signs: &'a Signs,
    pub said: Judgement,
}

/// What the data say of a claim.
struct Truth {
    judgement: Judgement,
    /// What they compare, and whether it is so near to the border that the opposite may be said.
    found: Option<Found>,
    border: bool,
    /// In words.
    data: String,
}

/// Whether all judgements are those that the data give.
pub fn ensure_judgements(reference: &mut Reference<'_>, all: &[Judged<'_>]) -> Checked<()> {
    let truths: Vec<Truth> = all.iter().map(|it| truth(reference, it)).collect();
    // A judge that never says no is not wrong about any claim in particular.
    let mut denied = all.iter().zip(&truths).filter(|(it, truth)| {
        truth.judgement == Judgement::Contradicted && !truth.border && it.is_judged_as_any()
    });
    let several = denied.clone().count() > 2;
    if several
        && denied.clone().all(|(it, _)| it.said == Judgement::Supported)
        && let Some((it, truth)) = denied.next()
    {
        return Err(it.about("L20-contradiction-accepted", truth));
    }
    all.iter().zip(&truths).try_for_each(|(it, truth)| {
        let right = it.said == truth.judgement
            || (truth.border && ![it.said, truth.judgement].contains(&Judgement::NotMeasured));
        ensure(right, || it.about(it.mistake(reference, truth), truth))
    })
}

impl Judged<'_> {
    /// Whether it is no claim of hardware on a host without.
    fn is_judged_as_any(&self) -> bool {
        let of_hardware = matches!(self.claim, Claim::Compares { hardware: true, .. });
        !of_hardware || carrier(self.signs) == Carrier::Hardware
    }

    fn about(&self, id: &str, truth: &Truth) -> Finding {
        let finding = fail(id).fact("claim", words(self.claim)).fact("data", &truth.data);
        let finding = finding.fact("said", format!("{:?}", self.said));
        let finding = finding.fact("wanted", format!("{:?}", truth.judgement));
        finding.fact("signs", in_words(self.signs))
    }

    /// The message of the mistake that this judgement looks like.
    fn mistake(&self, reference: &mut Reference<'_>, truth: &Truth) -> &'static str {
        match (truth.judgement, self.said) {
            _ if !self.is_judged_as_any() => return "L20-hardware-claim",
            (Judgement::NotMeasured, _) => return "L20-judged-unmeasured",
            (_, Judgement::NotMeasured) => return "L20-not-judged",
            _ => {}
        }
        let (Claim::Compares { metric, sandbox, base, relation, factor, .. }, Some(found)) =
            (self.claim, &truth.found)
        else {
            return "L20-shows";
        };
        let usual = reference.compare(metric, "microvm", "container");
        let by_usual = usual.is_some_and(|usual| {
            holds(&usual, *relation, *factor) == (self.said == Judgement::Supported)
        });
        match (relation, found.relation) {
            _ if [sandbox, base] != ["microvm", "container"] && by_usual => "L20-other-pair",
            (Relation::Same, Relation::Same) => "L20-same",
            (_, Relation::Same) => "L20-not-shown",
            (one, other) if *one != other => "L20-direction",
            (Relation::Less, _) if self.said == Judgement::Supported => "L20-less",
            (Relation::Less, _) => "L20-half",
            _ if self.said == Judgement::Supported => "L20-factor",
            _ => "L20-judged",
        }
    }
}

fn size(found: &Found) -> f64 {
    found.ratio.max(1.0 / found.ratio)
}

fn holds(found: &Found, relation: Relation, factor: f64) -> bool {
    found.relation == relation && (relation == Relation::Same || size(found) >= factor)
}

fn truth(reference: &mut Reference<'_>, judged: &Judged<'_>) -> Truth {
    let unmeasured = |data: &str| Truth {
        judgement: Judgement::NotMeasured,
        found: None,
        border: false,
        data: data.to_owned(),
    };
    if !judged.is_judged_as_any() {
        return unmeasured("of another kind of machine");
    }
    let of = |holds| if holds { Judgement::Supported } else { Judgement::Contradicted };
    match judged.claim {
        Claim::Shows { probe, sandbox, exposed } => {
            let named = |one: &&Probe| one.probe == *probe && one.sandbox == *sandbox;
            let Some(found) = reference.records.probes.iter().find(named) else {
                return unmeasured("no such probe");
            };
            let says = if found.exposed { "exposed" } else { "not exposed" };
            let data = format!("the probe `{probe}` in the {sandbox} says: {says}");
            Truth { judgement: of(found.exposed == *exposed), found: None, border: false, data }
        }
        Claim::Compares { metric, sandbox, base, relation, factor, .. } => {
            let Some(found) = reference.compare(metric, sandbox, base) else {
                return unmeasured("a series is missing, or too short");
            };
            let is_made_up = metric.starts_with("made-up");
            let near = (size(&found) / factor).ln().abs() < 0.05;
            Truth {
                judgement: of(holds(&found, *relation, *factor)),
                border: !is_made_up && (found.border || near),
                data: format!("{}, with a ratio of {:.3}", word(found.relation), found.ratio),
                found: Some(found),
            }
        }
    }
}

fn words(claim: &Claim) -> String {
    match claim {
        Claim::Compares { metric, sandbox, base, relation: Relation::Same, .. } => {
            format!("{metric}: {sandbox} and {base} are the same")
        }
        Claim::Compares { metric, sandbox, base, relation, factor, hardware } => {
            let whose = if *hardware { ", with hardware virtualization" } else { "" };
            let relation = word(*relation);
            format!("{metric}: {sandbox} is {relation} than {base}, by {factor} at least{whose}")
        }
        Claim::Shows { probe, sandbox, exposed: true } => {
            format!("the host's {probe} shows in a {sandbox}")
        }
        Claim::Shows { probe, sandbox, exposed: false } => {
            format!("the host's {probe} does not show in a {sandbox}")
        }
    }
}
