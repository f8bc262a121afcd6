//! The shell of a workload in 64-bit ring 3 of a machine without a kernel.
//!
//! It is entered with `rdi` = end of memory and the memory map of `abi::map`. Its only interface is
//! the host, at one I/O port.
#![no_std]
#![no_main]

#[path = "../src/abi.rs"]
#[allow(dead_code, reason = "each program uses a part of the interface")]
mod abi;
#[allow(dead_code, reason = "each program uses a part of it")]
mod host;
mod memory;
mod programs;

use core::arch::{asm, naked_asm};

use abi::{ARGUMENTS, CONSOLE_BYTES, DOORBELL, Request, map};
use host::{Host, Mailbox};

/// The first instruction. The stack is aligned as if `_start` had been called.
#[unsafe(no_mangle)]
#[unsafe(naked)]
#[unsafe(link_section = ".text.start")]
extern "C" fn _start() -> ! {
    naked_asm!("and rsp, -16", "call {main}", main = sym main)
}

extern "C" fn main(memory_end: u64) -> ! {
    let mut host = Bare { free: map::HEAP, memory_end };
    let code = programs::run(&mut host);
    exit(code)
}

const PAGE: u64 = 2 << 20;
const NO_MEMORY: u8 = 12;

fn call(request: Request, operand: u32) {
    // SAFETY: a write to the doorbell's port; the host reads or writes guest memory meanwhile, so
    // the compiler must not keep any of it in registers (no `nomem`).
    unsafe {
        asm!("out dx, eax", in("dx") DOORBELL, in("eax") request as u32 | operand << 8,
            options(nostack, preserves_flags));
    }
}

fn exit(code: u8) -> ! {
    loop {
        call(Request::Exit, code.into());
    }
}

struct Bare {
    free: u64,
    memory_end: u64,
}

impl Host for Bare {
    fn write(&mut self, text: &[u8]) {
        for chunk in text.chunks(CONSOLE_BYTES) {
            // SAFETY: the console buffer is mapped at this address, and a chunk fits in it.
            unsafe {
                core::ptr::copy_nonoverlapping(
                    chunk.as_ptr(),
                    map::CONSOLE as *mut u8,
                    chunk.len(),
                );
            }
            call(Request::Write, chunk.len() as u32);
        }
    }

    fn cross(&mut self) {
        call(Request::Nothing, 0);
    }

    fn wait_for_stop(&mut self) {
        call(Request::WaitForStop, 0);
    }

    fn is_abandoned(&mut self) -> bool {
        // The machine ends with its host.
        false
    }

    fn memory(&mut self, words: usize, _large: bool) -> &'static mut [u64] {
        let start = self.free.next_multiple_of(PAGE);
        let bytes = (words as u64).saturating_mul(8);
        if start.saturating_add(bytes) > self.memory_end {
            self.write(b"not enough memory\n");
            exit(NO_MEMORY);
        }
        self.free = start + bytes;
        // SAFETY: the heap is mapped to the end of memory, and `free` moves past what is given.
        unsafe { core::slice::from_raw_parts_mut(start as *mut u64, words) }
    }

    fn mailbox(&mut self) -> Mailbox {
        // SAFETY: the mailbox is mapped at this address as long as the machine exists.
        unsafe { Mailbox::at(map::MAILBOX as *mut u64) }
    }

    fn nanoseconds(&mut self) -> u64 {
        0
    }

    fn argument(&mut self, index: usize, _default: u64) -> u64 {
        // The host has filled in the defaults.
        self.mailbox().get(ARGUMENTS + index)
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(101)
}
