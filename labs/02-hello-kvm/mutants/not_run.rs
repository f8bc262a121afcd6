//! The host computes the answer; the guest never runs.

use std::process::ExitCode;

use hello_kvm::{Answer, Result};
use kvm_ioctls::VcpuFd;
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn run(cpu: &mut VcpuFd, memory: &GuestMemoryMmap, answer: u64) -> Result<u32> {
    // What the guest would do, step by step, as an interpreter of its machine code.
    let mut at = cpu.get_regs()?.rip;
    let mut value = 0u32;
    let mut code = [0; 8];
    loop {
        memory.read_slice(&mut code, GuestAddress(at))?;
        let number = u32::from_le_bytes([code[2], code[3], code[4], code[5]]);
        let place = GuestAddress(u64::from(number & 0xffff));
        at += match code {
            [0x66, 0xa1, ..] => {
                value = memory.read_obj(place)?;
                4
            }
            [0x66, 0x05, ..] => {
                value = value.wrapping_add(number);
                6
            }
            [0x66, 0x35, ..] => {
                value ^= number;
                6
            }
            [0x66, 0xc1, 0xc0, bits, ..] => {
                value = value.rotate_left(bits.into());
                4
            }
            [0xe6, ..] => 2,
            _ => break,
        };
    }
    memory.write_obj(value, GuestAddress(answer))?;
    Ok(value)
}

fn main() -> ExitCode {
    hello_kvm::program(&Answer { run, ..solution::ANSWER })
}
