//! The extension is looked at first; whether KVM uses it is not.

use std::process::ExitCode;

use verdict::{Answer, Carrier, Signs};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn carrier(signs: &Signs) -> Carrier {
    match (solution::carrier(signs), &signs.extension) {
        (Carrier::Interpreter, Some(_)) => Carrier::Hardware,
        (carrier, _) => carrier,
    }
}

fn main() -> ExitCode {
    verdict::program(&Answer { carrier, ..solution::ANSWER })
}
