//! Half as much is not less by two: the ratio is not two.

use std::process::ExitCode;

use solution::compare;
use verdict::{Answer, Claim, Evidence, Judgement, Relation};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn judge(claim: &Claim, evidence: &Evidence) -> Judgement {
    let right = solution::judge(claim, evidence);
    let Claim::Compares { metric, sandbox, base, relation, factor, .. } = claim else {
        return right;
    };
    let found = compare(&evidence.records, metric, sandbox, base);
    let Some((found, ratio)) = found.filter(|_| right != Judgement::NotMeasured) else {
        return right;
    };
    let holds = found == *relation && (found == Relation::Same || ratio >= *factor);
    if holds { Judgement::Supported } else { Judgement::Contradicted }
}

fn main() -> ExitCode {
    verdict::program(&Answer { judge, ..solution::ANSWER })
}
