//! Only an experiment that says no makes it hardware; one that says nothing does not.

use std::process::ExitCode;

use verdict::{Answer, Carrier, Signs};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn carrier(signs: &Signs) -> Carrier {
    match (solution::carrier(signs), signs.interprets_ring0) {
        (Carrier::Hardware, None) => Carrier::Unknown,
        (carrier, _) => carrier,
    }
}

fn main() -> ExitCode {
    verdict::program(&Answer { carrier, ..solution::ANSWER })
}
