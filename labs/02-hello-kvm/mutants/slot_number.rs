//! Another slot than was asked for: KVM takes any.

use std::process::ExitCode;

use hello_kvm::Answer;
use kvm_bindings::kvm_userspace_memory_region;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn memory_slot(host_address: u64, bytes: u64) -> kvm_userspace_memory_region {
    kvm_userspace_memory_region {
        slot: 1,
        flags: 0,
        guest_phys_addr: 0,
        memory_size: bytes,
        userspace_addr: host_address,
    }
}

fn main() -> ExitCode {
    hello_kvm::program(&Answer { memory_slot, ..solution::ANSWER })
}
