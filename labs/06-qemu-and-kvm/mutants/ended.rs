//! Options and their values in one argument, as in a shell's line.

use std::{path::Path, process::ExitCode};

use qemu_and_kvm::{Accel, Answer};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn qemu_args(accel: Accel, image: &Path, serial: &Path) -> Vec<String> {
    let accel = match accel {
        Accel::Tcg => "tcg",
        Accel::Kvm => "kvm",
    };
    vec![
        format!("-accel {accel}"),
        "-drive".into(),
        format!("file={},format=raw", image.display()),
        "-serial".into(),
        format!("file:{}", serial.display()),
    ]
}

fn main() -> ExitCode {
    qemu_and_kvm::program(&Answer { qemu_args, ..solution::ANSWER })
}
