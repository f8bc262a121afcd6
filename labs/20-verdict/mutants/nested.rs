//! A host that is a virtual machine itself has no hardware virtualization.

use std::process::ExitCode;

use verdict::{Answer, Carrier, Signs};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn carrier(signs: &Signs) -> Carrier {
    match (solution::carrier(signs), &signs.hypervisor) {
        (Carrier::Hardware, Some(_)) => Carrier::EmulatedProcessor,
        (carrier, _) => carrier,
    }
}

fn main() -> ExitCode {
    verdict::program(&Answer { carrier, ..solution::ANSWER })
}
