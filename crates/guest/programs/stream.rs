//! Memory bandwidth: McCalpin's triad over three arrays.

use core::hint::black_box;

use crate::host::Host;

pub fn run(host: &mut impl Host) -> u8 {
    let mebibytes = host.argument(0, 48);
    let rounds = host.argument(1, 5);
    let length = (mebibytes as usize) * (1 << 20) / 8 / 3;
    let [a, b, c] = core::array::from_fn(|_| host.memory(length, true));
    // First touch is not part of the measurement; `touch` is for that.
    a.fill(0);
    b.fill(1f64.to_bits());
    c.fill(2f64.to_bits());
    let ticks = host.measure(|_| {
        for _ in 0..rounds {
            for ((a, b), c) in a.iter_mut().zip(&*b).zip(&*c) {
                *a = (f64::from_bits(*b) + 3.0 * f64::from_bits(*c)).to_bits();
            }
            black_box(&mut *a);
        }
        f64::from_bits(*a.last().unwrap_or(&0)) as u64
    });
    host.say("stream took ", ticks, " ticks");
    0
}
