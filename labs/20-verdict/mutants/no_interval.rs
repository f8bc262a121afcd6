//! Whatever is beyond the noise floor is a difference, however unsure.

use std::process::ExitCode;

use report::{Records, noise_floor};
use solution::ratio_of;
use verdict::{Answer, Relation, Sentence};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn sentence(records: &Records, metric: &str) -> Option<Sentence> {
    let again = ratio_of(records, metric, "process (again)", "process");
    let found = ratio_of(records, metric, "microvm", "container")?;
    found.interval?;
    let (ratio, floor) = (found.value, again.as_ref().map_or(1.0, noise_floor));
    let relation = if ratio > floor {
        Relation::More
    } else if ratio < 1.0 / floor {
        Relation::Less
    } else {
        Relation::Same
    };
    let data = ["microvm", "container"].map(|sandbox| format!("{metric}/{sandbox}"));
    Some(Sentence { data: data.into(), relation, ratio })
}

fn main() -> ExitCode {
    verdict::program(&Answer { sentence, ..solution::ANSWER })
}
