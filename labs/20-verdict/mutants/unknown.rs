//! Without an extension it must be an interpreter.

use std::process::ExitCode;

use verdict::{Answer, Carrier, Signs};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn carrier(signs: &Signs) -> Carrier {
    match solution::carrier(signs) {
        Carrier::Unknown => Carrier::Interpreter,
        carrier => carrier,
    }
}

fn main() -> ExitCode {
    verdict::program(&Answer { carrier, ..solution::ANSWER })
}
