//! QEMU is not told by whom, and takes what it has.

use std::{path::Path, process::ExitCode};

use qemu_and_kvm::{Accel, Answer};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn qemu_args(_accel: Accel, image: &Path, serial: &Path) -> Vec<String> {
    vec![
        "-drive".into(),
        format!("file={},format=raw", image.display()),
        "-serial".into(),
        format!("file:{}", serial.display()),
    ]
}

fn main() -> ExitCode {
    qemu_and_kvm::program(&Answer { qemu_args, ..solution::ANSWER })
}
