//! How long does a whole Linux guest take to start?
//!
//! From the call of `spawn` to the moment at which the guest's `hello` may run, and to its first
//! byte at the host: building the machine, the kernel's boot, and its first process. The process
//! beside it has no kernel to boot. Not measured: freeing the guest's memory.

mod common;

use common::{Scale, sandboxes, until};
use report::metric;
use sandbox::Milestone;

const STEPS: [(&str, Milestone); 2] =
    [(metric::LINUX_ENTERED, Milestone::Entered), (metric::LINUX_FIRST_BYTE, Milestone::FirstByte)];

fn main() {
    common::main(&STEPS.map(|(metric, _)| (metric, Scale::Each(1.0))), |criterion| {
        let mut sandboxes = sandboxes();
        sandboxes.retain(|sandbox| ["process", "linux"].contains(&sandbox.name()));
        for (metric, milestone) in STEPS {
            until(criterion, metric, milestone, &sandboxes);
        }
    });
}
