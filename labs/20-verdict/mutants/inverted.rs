//! The container's value divided by the microVM's.

use std::process::ExitCode;

use report::Records;
use solution::compare;
use verdict::{Answer, Sentence};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn sentence(records: &Records, metric: &str) -> Option<Sentence> {
    let (relation, ratio) = compare(records, metric, "container", "microvm")?;
    let data = ["microvm", "container"].map(|sandbox| format!("{metric}/{sandbox}"));
    Some(Sentence { data: data.into(), relation, ratio })
}

fn main() -> ExitCode {
    verdict::program(&Answer { sentence, ..solution::ANSWER })
}
