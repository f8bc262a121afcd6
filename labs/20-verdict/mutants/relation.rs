//! Less and more, the other way round.

use std::process::ExitCode;

use report::Records;
use verdict::{Answer, Relation, Sentence};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn sentence(records: &Records, metric: &str) -> Option<Sentence> {
    let right = solution::sentence(records, metric)?;
    let relation = match right.relation {
        Relation::Less => Relation::More,
        Relation::More => Relation::Less,
        Relation::Same => Relation::Same,
    };
    Some(Sentence { relation, ..right })
}

fn main() -> ExitCode {
    verdict::program(&Answer { sentence, ..solution::ANSWER })
}
