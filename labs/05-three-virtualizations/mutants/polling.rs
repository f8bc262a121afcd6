//! The driver of the chip, where there is none any more.

use std::process::ExitCode;

use three_virtualizations::{Answer, Driver, SEND};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn para_driver() -> Driver {
    Driver::Polling { port: SEND }
}

fn main() -> ExitCode {
    three_virtualizations::program(&Answer { para_driver, ..solution::ANSWER })
}
