//! The point at which a guest may be frozen and copied, and what each copy then needs.

use core::arch::asm;

use crate::{calls::Result, machine, sink::output_byte};

/// Announces that the guest may be frozen, then asks for a seed and the time. Until it has both,
/// all copies behave alike, so this process does nothing in between.
pub fn freeze(port: u16) -> Result<()> {
    output_byte(port, 0);
    let seed = [(); 8].map(|()| input(port));
    let nanoseconds = [(); 2].map(|()| u64::from(input(port)));
    // A host that has no random numbers gives zeros.
    if seed != [0; 8] {
        machine::seed_random_numbers(seed)?;
    }
    machine::set_clock(nanoseconds[1] << 32 | nanoseconds[0])
}

/// Reads 32 bits from an I/O port.
fn input(port: u16) -> u32 {
    let value: u32;
    // SAFETY: `allow_ports` has permitted the port and the three behind it, or the processor
    // refuses it; nothing in memory is touched.
    unsafe {
        asm!("in eax, dx", in("dx") port, out("eax") value,
            options(nomem, nostack, preserves_flags));
    }
    value
}
