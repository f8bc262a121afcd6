//! How long from nothing to a program's first byte?
//!
//! From the call of `spawn` to the first byte of `hello` at the host, in a process that has
//! spawned before. Not measured: the launcher's own start, and freeing what the sandbox held.

mod common;

use std::time::Duration;

use common::{Scale, run, sandboxes};
use sandbox::{Builtin, Milestone};

const METRIC: &str = "startup.first_byte";

fn main() {
    common::main(&[(METRIC, Scale::Each(1.0))], |criterion| {
        let mut group = criterion.benchmark_group(METRIC);
        for sandbox in sandboxes() {
            group.bench_function(sandbox.name(), |bencher| {
                bencher.iter_custom(|iterations| {
                    let first_byte = |_| {
                        let timeline = run(&*sandbox, Builtin::Hello, &[]).timeline;
                        timeline.since_start(Milestone::FirstByte).expect("`hello` says hello")
                    };
                    (0..iterations).map(first_byte).sum::<Duration>()
                });
            });
        }
        group.finish();
    });
}
