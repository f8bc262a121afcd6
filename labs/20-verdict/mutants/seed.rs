//! A seed of its own: nobody else gets the same interval.

use std::process::ExitCode;

use report::Records;
use verdict::{Answer, Sentence};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn sentence(records: &Records, metric: &str) -> Option<Sentence> {
    let mut records = records.clone();
    records.provenance.seed = 0;
    solution::sentence(&records, metric)
}

fn main() -> ExitCode {
    verdict::program(&Answer { sentence, ..solution::ANSWER })
}
