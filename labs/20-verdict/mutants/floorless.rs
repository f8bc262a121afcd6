//! No sentence where no second series of the same thing was measured.

use std::process::ExitCode;

use report::{Records, noise_floor};
use solution::ratio_of;
use verdict::{Answer, Relation, Sentence};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn sentence(records: &Records, metric: &str) -> Option<Sentence> {
    let again = ratio_of(records, metric, "process (again)", "process")?;
    let found = ratio_of(records, metric, "microvm", "container")?;
    let verdict = report::Verdict::of(&found, Some(noise_floor(&again)));
    let relation = match verdict {
        report::Verdict::Less(_) => Relation::Less,
        report::Verdict::More(_) => Relation::More,
        report::Verdict::NoDifferenceShown => Relation::Same,
        report::Verdict::TooFewSamples(_) => return None,
    };
    let ratio = found.value;
    let data = ["microvm", "container"].map(|sandbox| format!("{metric}/{sandbox}"));
    Some(Sentence { data: data.into(), relation, ratio })
}

fn main() -> ExitCode {
    verdict::program(&Answer { sentence, ..solution::ANSWER })
}
