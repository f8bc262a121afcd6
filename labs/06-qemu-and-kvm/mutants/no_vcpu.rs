//! A virtual CPU is taken for the machine.

use std::{fs, io, process::ExitCode};

use qemu_and_kvm::{Answer, Runs};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn classify(pid: u32) -> io::Result<Runs> {
    for descriptor in fs::read_dir(format!("/proc/{pid}/fd"))? {
        // One that is closed at this moment leads nowhere.
        let Ok(target) = fs::read_link(descriptor?.path()) else { continue };
        if target.to_string_lossy().starts_with("anon_inode:kvm-vcpu") {
            return Ok(Runs::WithKvm);
        }
    }
    Ok(Runs::WithoutKvm)
}

fn main() -> ExitCode {
    qemu_and_kvm::program(&Answer { classify, ..solution::ANSWER })
}
