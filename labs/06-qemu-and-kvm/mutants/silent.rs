//! The serial port leads nowhere: nobody reads what the guest says.

use std::{path::Path, process::ExitCode};

use qemu_and_kvm::{Accel, Answer};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn qemu_args(accel: Accel, image: &Path, _serial: &Path) -> Vec<String> {
    let accel = match accel {
        Accel::Tcg => "tcg",
        Accel::Kvm => "kvm",
    };
    vec![
        "-accel".into(),
        accel.into(),
        "-drive".into(),
        format!("file={},format=raw", image.display()),
    ]
}

fn main() -> ExitCode {
    qemu_and_kvm::program(&Answer { qemu_args, ..solution::ANSWER })
}
