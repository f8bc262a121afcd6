//! Destinations of output: a device, an I/O port of the machine, or shared memory.

use core::arch::asm;

use crate::{
    calls,
    ring::{BYTES_AT, TAKEN, WRITTEN},
};

/// A destination of output.
#[derive(Clone, Copy)]
pub enum Sink {
    /// A descriptor.
    Device(usize),
    /// A port that takes bytes, one after the other.
    Port(u16),
    /// Memory that is shared with the host.
    Page(Page),
}

/// A ring buffer in shared memory, mapped for the lifetime of this program.
#[derive(Clone, Copy)]
pub struct Page {
    pub start: *mut u8,
    pub bytes: usize,
}

impl Page {
    fn write(self, bytes: &[u8]) {
        let counts = self.start.cast::<u64>();
        let room = (self.bytes - BYTES_AT) as u64;
        for byte in bytes {
            // SAFETY: the counts lie at the start of the mapping, which is aligned to pages.
            let written = unsafe { counts.add(WRITTEN).read_volatile() };
            // SAFETY: as above; the host changes this one.
            while written - unsafe { counts.add(TAKEN).read_volatile() } >= room {
                calls::sleep_a_moment();
            }
            let place = BYTES_AT + (written % room) as usize;
            // SAFETY: the place lies between the counts and the end of the mapping.
            unsafe { self.start.add(place).write_volatile(*byte) };
            // SAFETY: as above. The processor keeps the order of two writes (SDM volume 3, 9.2.2).
            unsafe { counts.add(WRITTEN).write_volatile(written + 1) };
        }
    }
}

impl Sink {
    /// Writes all of `bytes`; after an error of a device the rest is lost.
    pub fn write(self, mut bytes: &[u8]) {
        match self {
            Self::Port(port) => output(port, bytes),
            Self::Page(page) => page.write(bytes),
            Self::Device(descriptor) => {
                while let Ok(count @ 1..) = calls::write(descriptor, bytes) {
                    bytes = bytes.get(count..).unwrap_or_default();
                }
            }
        }
    }

    /// Writes `word` and the numbers in one line.
    pub fn line(self, word: &str, numbers: &[usize]) {
        self.write(word.as_bytes());
        for number in numbers {
            let mut digits = [b' '; 21];
            let mut first = digits.len();
            let mut rest = *number;
            loop {
                first -= 1;
                digits[first] = b'0' + (rest % 10) as u8;
                rest /= 10;
                if rest == 0 {
                    break;
                }
            }
            self.write(&digits[first - 1..]);
        }
        self.write(b"\n");
    }
}

/// Writes all of `bytes` to an I/O port in one instruction.
fn output(port: u16, bytes: &[u8]) {
    // SAFETY: `rep outsb` reads just these bytes, upwards, because the ABI keeps the direction
    // flag clear; `allow_port` has permitted the port, or the processor refuses it.
    unsafe {
        asm!("rep outsb", inout("rsi") bytes.as_ptr() => _, inout("rcx") bytes.len() => _,
            in("dx") port, options(nostack, preserves_flags, readonly));
    }
}

/// Writes one byte to an I/O port.
pub fn output_byte(port: u16, byte: u8) {
    output(port, &[byte]);
}
