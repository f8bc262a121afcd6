//! The microVM is compared with a process.

use std::process::ExitCode;

use report::Records;
use solution::compare;
use verdict::{Answer, Sentence};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn sentence(records: &Records, metric: &str) -> Option<Sentence> {
    compare(records, metric, "microvm", "container")?;
    let (relation, ratio) = compare(records, metric, "microvm", "process")?;
    let data = ["microvm", "container"].map(|sandbox| format!("{metric}/{sandbox}"));
    Some(Sentence { data: data.into(), relation, ratio })
}

fn main() -> ExitCode {
    verdict::program(&Answer { sentence, ..solution::ANSWER })
}
