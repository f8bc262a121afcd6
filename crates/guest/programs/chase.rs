//! Memory latency: a walk through cache lines in which each step's address is read by the step
//! before. Where the lines do not fit in the caches and their pages not in the TLB, every step is a
//! page walk, of two dimensions in a virtual machine.

use core::hint::black_box;

use crate::host::Host;

/// Words in a cache line.
const LINE: usize = 8;

pub fn run(host: &mut impl Host) -> u8 {
    let mebibytes = host.argument(0, 64);
    let steps = host.argument(1, 1_000_000);
    let lines = ((mebibytes as usize) * (1 << 20) / 64).max(1);
    let memory = host.memory(lines * LINE, true);
    one_cycle(memory, lines);
    let ticks = host.measure(|_| {
        let mut at = 0;
        for _ in 0..steps {
            at = memory[at] as usize;
        }
        black_box(at as u64)
    });
    host.say("chase took ", ticks, " ticks");
    0
}

/// Sattolo's shuffle: a random permutation of the lines that is one single cycle.
fn one_cycle(memory: &mut [u64], lines: usize) {
    for line in 0..lines {
        memory[line * LINE] = (line * LINE) as u64;
    }
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for line in (1..lines).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let other = (state % line as u64) as usize;
        memory.swap(line * LINE, other * LINE);
    }
}
