//! Two of the four bytes.

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
            other => return Err(format!("an exit that nobody expected: {other:?}").into()),
        }
    }
    let half: u16 = memory.read_obj(GuestAddress(answer))?;
    Ok(half.into())
}

fn main() -> ExitCode {
    hello_kvm::program(&Answer { run, ..solution::ANSWER })
}
