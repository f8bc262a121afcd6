//! How long until a saved Linux guest goes on?
//!
//! From the call of `spawn` to the first byte of `hello` at the host, of a guest that was saved
//! before its command began; `process` is beside it. Its memory was checked before, as it is at the
//! first use of a snapshot. Not measured: saving it, and freeing its memory.

mod common;

use std::path::PathBuf;

use common::{Scale, sandboxes, until};
use microvm::{LinuxVm, kernels, linux::SavedVm};
use report::metric;
use sandbox::{Builtin, Milestone, Sandbox, Workload};

const METRIC: &str = metric::LINUX_RESTORE;

fn main() {
    common::main(&[(METRIC, Scale::Each(1.0))], |criterion| {
        let folder = tempfile::tempdir().expect("a folder for a snapshot");
        let measured = |sandbox: Box<dyn Sandbox>| match sandbox.name() {
            "process" => Some(sandbox),
            "linux" => Some(Box::new(saved(folder.path().join("hello"))) as Box<dyn Sandbox>),
            _ => None,
        };
        let sandboxes: Vec<_> = sandboxes().into_iter().filter_map(measured).collect();
        until(criterion, METRIC, Milestone::FirstByte, &sandboxes);
    });
}

/// A guest that was saved before its `hello`.
fn saved(folder: PathBuf) -> SavedVm {
    let kernel = kernels::chosen().expect("a Linux guest is available");
    let hello = Workload::builtin(Builtin::Hello, &[]);
    LinuxVm::of(&kernel).save(&hello, &folder).expect("a Linux guest can be saved");
    SavedVm::new(folder)
}
