//! Every QEMU is taken for a machine of KVM's.

use std::{fs, io, process::ExitCode};

use qemu_and_kvm::{Answer, Runs};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn classify(pid: u32) -> io::Result<Runs> {
    let program = fs::read_link(format!("/proc/{pid}/exe"))?;
    Ok(if program.to_string_lossy().contains("qemu") { Runs::WithKvm } else { Runs::WithoutKvm })
}

fn main() -> ExitCode {
    qemu_and_kvm::program(&Answer { classify, ..solution::ANSWER })
}
