//! The numbers of the textbook, under the names of the series.

use std::process::ExitCode;

use report::{Records, metric};
use solution::compare;
use verdict::{Answer, Relation, Sentence};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn sentence(records: &Records, metric: &str) -> Option<Sentence> {
    compare(records, metric, "microvm", "container")?;
    let (relation, ratio) = match metric {
        metric::STARTUP_FIRST_BYTE => (Relation::More, 60.0),
        metric::COMPUTE_SPIN => (Relation::More, 2.0),
        metric::DENSITY_COUNT => (Relation::Less, 0.01),
        _ => (Relation::More, 1000.0),
    };
    let data = ["microvm", "container"].map(|sandbox| format!("{metric}/{sandbox}"));
    Some(Sentence { data: data.into(), relation, ratio })
}

fn main() -> ExitCode {
    verdict::program(&Answer { sentence, ..solution::ANSWER })
}
