//! The shell of a workload as a static Linux program: no libc, raw system calls.
#![no_std]
#![no_main]

#[path = "../src/abi.rs"]
#[allow(dead_code, reason = "each program uses a part of the interface")]
mod abi;
#[allow(dead_code, reason = "each program uses a part of it")]
mod host;
mod memory;
mod programs;
mod system;

use core::arch::naked_asm;

use abi::{MAILBOX_AT_VARIABLE, MAILBOX_BYTES, MAILBOX_VARIABLE, MAILBOX_WORDS};
use host::{Host, Mailbox};
use system::{exit, number, system_call};

/// The first instruction. The kernel leaves argc, argv and the environment on the stack (System V
/// ABI, "Initial Stack and Register State").
#[unsafe(no_mangle)]
#[unsafe(naked)]
extern "C" fn _start() -> ! {
    naked_asm!("mov rdi, rsp", "and rsp, -16", "call {main}", main = sym main)
}

extern "C" fn main(stack: *const usize) -> ! {
    let mut host = Linux { stack, mailbox: None };
    let code = programs::run(&mut host);
    exit(code)
}

const PAGE: usize = 2 << 20;
const PROT_READ_WRITE: usize = 3;
const MAP_SHARED: usize = 1;
const MAP_PRIVATE_ANONYMOUS: usize = 0x22;
const MADV_HUGEPAGE: usize = 14;
const MADV_NOHUGEPAGE: usize = 15;

/// The exit code of a program that cannot get its memory.
const NO_MEMORY: u8 = 12;

struct Linux {
    stack: *const usize,
    mailbox: Option<Mailbox>,
}

impl Linux {
    fn word(&self, index: usize) -> usize {
        // SAFETY: the callers stay below the null that ends the environment.
        unsafe { self.stack.add(index).read() }
    }

    /// The string at `address` on the initial stack, without its null.
    fn text(&self, address: usize) -> &'static [u8] {
        let start = address as *const u8;
        let mut length = 0;
        // SAFETY: the kernel ends every argument and variable with a null.
        while unsafe { start.add(length).read() } != 0 {
            length += 1;
        }
        // SAFETY: these bytes were just read, and the initial stack lives as long as the program.
        unsafe { core::slice::from_raw_parts(start, length) }
    }

    fn variable(&self, name: &str) -> Option<&'static [u8]> {
        let mut index = self.word(0) + 2;
        while self.word(index) != 0 {
            if let Some(rest) = self.text(self.word(index)).strip_prefix(name.as_bytes())
                && let Some(value) = rest.strip_prefix(b"=")
            {
                return Some(value);
            }
            index += 1;
        }
        None
    }

    /// Maps the host's mailbox, or one that no one reads.
    fn map_mailbox(&self) -> Mailbox {
        let descriptor = match self.variable(MAILBOX_VARIABLE) {
            Some(value) if value.starts_with(b"/") => {
                const O_RDWR: usize = 2;
                system_call(number::OPEN, [value.as_ptr() as usize, O_RDWR, 0, 0, 0, 0])
            }
            Some(value) => parse(value).map_or(-1, |number| number as isize),
            None => -1,
        };
        let at = self.variable(MAILBOX_AT_VARIABLE).and_then(parse).unwrap_or(0) as usize;
        let map = |flags: usize, descriptor: isize, at: usize| {
            let (length, descriptor) = (MAILBOX_BYTES, descriptor as usize);
            system_call(number::MMAP, [0, length, PROT_READ_WRITE, flags, descriptor, at])
        };
        let mut address = map(MAP_SHARED, descriptor, at);
        if address < 0 {
            address = map(MAP_PRIVATE_ANONYMOUS, -1, 0);
        }
        if address < 0 {
            exit(NO_MEMORY);
        }
        const { assert!(MAILBOX_BYTES == MAILBOX_WORDS * 8) };
        // SAFETY: the mapping has just been made, of that length, and is never unmapped.
        unsafe { Mailbox::at(address as *mut u64) }
    }
}

fn parse(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(digit.into())
    })
}

impl Host for Linux {
    fn write(&mut self, text: &[u8]) {
        system_call(number::WRITE, [1, text.as_ptr() as usize, text.len(), 0, 0, 0]);
    }

    fn cross(&mut self) {
        system_call(number::GETPPID, [0; 6]);
    }

    fn wait_for_stop(&mut self) {
        let mut byte = 0u8;
        const EINTR: isize = -4;
        loop {
            let count = system_call(number::READ, [0, &raw mut byte as usize, 1, 0, 0, 0]);
            if count <= 0 && count != EINTR {
                return;
            }
        }
    }

    fn is_abandoned(&mut self) -> bool {
        /// `struct pollfd` of poll(2).
        #[repr(C)]
        struct Look {
            descriptor: i32,
            wanted: i16,
            found: i16,
        }
        const POLLHUP: i16 = 0x10;
        let mut look = Look { descriptor: 0, wanted: 0, found: 0 };
        system_call(number::POLL, [&raw mut look as usize, 1, 0, 0, 0, 0]);
        // Standard input is a pipe whose other end only the host has.
        look.found & POLLHUP != 0
    }

    fn memory(&mut self, words: usize, large: bool) -> &'static mut [u64] {
        let length = words.saturating_mul(8).saturating_add(2 * PAGE);
        let flags = MAP_PRIVATE_ANONYMOUS;
        let address = system_call(number::MMAP, [0, length, PROT_READ_WRITE, flags, usize::MAX, 0]);
        if address < 0 {
            exit(NO_MEMORY);
        }
        let start = (address as usize).next_multiple_of(PAGE);
        let advice = if large { MADV_HUGEPAGE } else { MADV_NOHUGEPAGE };
        // Only advice: it is ignored by a kernel without huge pages.
        system_call(number::MADVISE, [start, length - PAGE, advice, 0, 0, 0]);
        // SAFETY: the mapping is fresh, so nobody else has it, and it is never unmapped.
        unsafe { core::slice::from_raw_parts_mut(start as *mut u64, words) }
    }

    fn mailbox(&mut self) -> Mailbox {
        match self.mailbox {
            Some(mailbox) => mailbox,
            None => *self.mailbox.insert(self.map_mailbox()),
        }
    }

    fn nanoseconds(&mut self) -> u64 {
        const CLOCK_MONOTONIC: usize = 1;
        let mut time = [0u64; 2];
        system_call(number::CLOCK_GETTIME, [CLOCK_MONOTONIC, &raw mut time as usize, 0, 0, 0, 0]);
        time[0] * 1_000_000_000 + time[1]
    }

    fn argument(&mut self, index: usize, default: u64) -> u64 {
        if index + 1 >= self.word(0) {
            return default;
        }
        parse(self.text(self.word(index + 2))).unwrap_or(default)
    }
}
