//! Whatever the guest comes out for, it is let in again.

use std::process::ExitCode;

use hello_kvm::{Answer, Result};
use kvm_ioctls::{VcpuExit, VcpuFd};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn run(cpu: &mut VcpuFd, memory: &GuestMemoryMmap, answer: u64) -> Result<u32> {
    loop {
        match cpu.run()? {
            VcpuExit::IoOut(..) => {}
            VcpuExit::Hlt => break,
            _ => {}
        }
    }
    Ok(memory.read_obj(GuestAddress(answer))?)
}

fn main() -> ExitCode {
    hello_kvm::program(&Answer { run, ..solution::ANSWER })
}
