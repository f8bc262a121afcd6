//! Boundary crossings: a system call from a process, a VM exit from a virtual machine.

use crate::host::Host;

pub fn run(host: &mut impl Host) -> u8 {
    let trips = host.argument(0, 10_000);
    let ticks = host.measure(|host| {
        for _ in 0..trips {
            host.cross();
        }
        trips
    });
    host.say("cross took ", ticks, " ticks");
    0
}
