//! The command line is believed: it says what somebody wanted, and only if it is QEMU's.

use std::{fs, io, process::ExitCode};

use qemu_and_kvm::{Answer, Runs};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn classify(pid: u32) -> io::Result<Runs> {
    let words = fs::read(format!("/proc/{pid}/cmdline"))?;
    let words = String::from_utf8_lossy(&words).into_owned();
    Ok(if words.contains("-accel\0kvm") { Runs::WithKvm } else { Runs::WithoutKvm })
}

fn main() -> ExitCode {
    qemu_and_kvm::program(&Answer { classify, ..solution::ANSWER })
}
