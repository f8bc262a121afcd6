//! How long does a whole Linux guest take to start?
//!
//! From the call of `spawn` to the moment at which the guest's `hello` may run, and to its first
//! byte at the host: building the machine, the kernel's boot, and its first process. The process
//! beside it has no kernel to boot. Not measured: freeing the guest's memory.

mod common;

use std::time::Duration;

use common::{Scale, run, sandboxes};
use sandbox::{Builtin, Milestone};

const STEPS: [(&str, Milestone); 2] =
    [("linux.entered", Milestone::Entered), ("linux.first_byte", Milestone::FirstByte)];

fn main() {
    common::main(&STEPS.map(|(metric, _)| (metric, Scale::Each(1.0))), |criterion| {
        let mut sandboxes = sandboxes();
        sandboxes.retain(|sandbox| ["process", "linux"].contains(&sandbox.name()));
        for (metric, milestone) in STEPS {
            let mut group = criterion.benchmark_group(metric);
            for sandbox in &sandboxes {
                group.bench_function(sandbox.name(), |bencher| {
                    bencher.iter_custom(|iterations| {
                        let reached = |_| {
                            let timeline = run(&**sandbox, Builtin::Hello, &[]).timeline;
                            timeline.since_start(milestone).expect("`hello` says hello")
                        };
                        (0..iterations).map(reached).sum::<Duration>()
                    });
                });
            }
            group.finish();
        }
    });
}
