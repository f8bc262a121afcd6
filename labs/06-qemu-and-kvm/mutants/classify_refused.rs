//! The folder is read as if it were a file.

use std::{fs, io, process::ExitCode};

use qemu_and_kvm::{Answer, Runs};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn classify(pid: u32) -> io::Result<Runs> {
    let targets = fs::read_to_string(format!("/proc/{pid}/fd"))?;
    let has_one = targets.contains("anon_inode:kvm-vm");
    Ok(if has_one { Runs::WithKvm } else { Runs::WithoutKvm })
}

fn main() -> ExitCode {
    qemu_and_kvm::program(&Answer { classify, ..solution::ANSWER })
}
