//! How long until a saved Linux guest goes on?
//!
//! From the call of `spawn` to the first byte of `hello` at the host, of a guest that was saved
//! before its command began; `process` is beside it. Its memory was checked before, as it is at the
//! first use of a snapshot. Not measured: saving it, and freeing its memory.

mod common;

use std::time::Duration;

use common::{Scale, run, sandboxes};
use microvm::{LinuxVm, kernels, linux::SavedVm};
use sandbox::{Builtin, Milestone, Sandbox, Workload};

const METRIC: &str = "linux.restore";

fn main() {
    common::main(&[(METRIC, Scale::Each(1.0))], |criterion| {
        let folder = tempfile::tempdir().expect("a folder for a snapshot");
        let mut group = criterion.benchmark_group(METRIC);
        for sandbox in sandboxes() {
            let sandbox: Box<dyn Sandbox> = match sandbox.name() {
                "process" => sandbox,
                "linux" => Box::new(saved(folder.path().join("hello"))),
                _ => continue,
            };
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

/// A guest that was saved before its `hello`.
fn saved(folder: std::path::PathBuf) -> SavedVm {
    let kernel = kernels::chosen().expect("a Linux guest is available");
    let hello = Workload::builtin(Builtin::Hello, &[]);
    LinuxVm::of(&kernel).save(&hello, &folder).expect("a Linux guest can be saved");
    SavedVm::new(folder)
}
