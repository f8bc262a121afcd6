//! Sentences that do not say what they rest on.

use std::process::ExitCode;

use report::Records;
use solution::compare;
use verdict::{Answer, Sentence};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn sentence(records: &Records, metric: &str) -> Option<Sentence> {
    let (relation, ratio) = compare(records, metric, "microvm", "container")?;
    Some(Sentence { data: Vec::new(), relation, ratio })
}

fn main() -> ExitCode {
    verdict::program(&Answer { sentence, ..solution::ANSWER })
}
