//! First touch of memory: the host finds a page for each.

use core::hint::black_box;

use crate::host::Host;

/// Words in a page.
const PAGE: usize = 512;

pub fn run(host: &mut impl Host) -> u8 {
    let pages = host.argument(0, 4096) as usize;
    let memory = host.memory(pages * PAGE, false);
    let ticks = host.measure(|_| {
        for page in 0..pages {
            *black_box(&mut memory[page * PAGE]) = page as u64;
        }
        pages as u64
    });
    host.say("touch took ", ticks, " ticks");
    0
}
