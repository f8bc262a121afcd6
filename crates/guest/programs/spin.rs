//! Integer work of a fixed count: what the processor alone can do.

use core::hint::black_box;

use crate::host::Host;

pub fn run(host: &mut impl Host) -> u8 {
    let iterations = host.argument(0, 100_000_000);
    let ticks = host.measure(|_| {
        // Marsaglia's xorshift: each step needs the one before, so no iteration can be optimized
        // away.
        let mut state = black_box(0x9e37_79b9_7f4a_7c15_u64);
        for _ in 0..iterations {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
        }
        black_box(state)
    });
    host.say("spin took ", ticks, " ticks");
    0
}
