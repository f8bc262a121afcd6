//! Where bytes of the guest go: into a device of Linux, or out of an I/O port of the machine.

use core::arch::asm;

use crate::calls;

/// A way out of the guest.
#[derive(Clone, Copy)]
pub enum Sink {
    /// A descriptor.
    Device(usize),
    /// A port that takes bytes, one after the other.
    Port(u16),
}

impl Sink {
    /// Writes all of `bytes`; a device that takes no more loses the rest.
    pub fn write(self, mut bytes: &[u8]) {
        match self {
            Self::Port(port) => output(port, bytes),
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
