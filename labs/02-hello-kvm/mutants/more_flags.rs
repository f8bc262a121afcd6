//! Interrupts on as well: nobody has written a handler for any.

use std::process::ExitCode;

use hello_kvm::Answer;
use kvm_bindings::kvm_regs;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn entry_registers(entry: u64) -> kvm_regs {
    kvm_regs { rip: entry, rflags: 1 << 9 | 1 << 1, ..kvm_regs::default() }
}

fn main() -> ExitCode {
    hello_kvm::program(&Answer { entry_registers, ..solution::ANSWER })
}
