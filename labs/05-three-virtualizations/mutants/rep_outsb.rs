//! One instruction for all bytes: `rep outsb` is still an exit for each of them.

use std::process::ExitCode;

use three_virtualizations::{Answer, Driver, SEND};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn para_driver() -> Driver {
    Driver::Repeated { port: SEND }
}

fn main() -> ExitCode {
    three_virtualizations::program(&Answer { para_driver, ..solution::ANSWER })
}
