//! All bytes, then the doorbell: the ring is overwritten before anybody has looked.

use std::process::ExitCode;

use three_virtualizations::{Answer, Driver};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn para_driver() -> Driver {
    Driver::Ring { bytes_per_doorbell: 1000 }
}

fn main() -> ExitCode {
    three_virtualizations::program(&Answer { para_driver, ..solution::ANSWER })
}
