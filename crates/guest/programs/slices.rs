//! CPU time slices, seen by the program itself: it reads the clock all the time, and if two
//! readings are far apart, another program had the processor in between.

use crate::{
    abi::Word,
    host::{Host, ticks},
};

/// After this many clock readings, some tenths of a second, it checks whether its host is alive.
const LOOKS: u32 = 1 << 23;

pub fn run(host: &mut impl Host) -> u8 {
    let length = host.argument(0, 2_000_000_000);
    let threshold = host.argument(1, 200_000).max(1);
    let mailbox = host.mailbox();
    host.measure(|host| {
        let begin = ticks();
        // An observer needs the value of its clock at the beginning.
        mailbox.set(Word::BeginTicks as usize, begin);
        let mut last = begin;
        let mut ran = 0;
        let mut looks = 0u32;
        loop {
            // Read before the clock: a program that is told to stop while it does not run has to
            // see that gap as well.
            let stop = mailbox.get(Word::Stop as usize) != 0;
            let now = ticks();
            if now - last > threshold {
                mailbox.record(last, now);
            } else {
                ran += now - last;
            }
            last = now;
            // An observer sees since when it has not run, before the gap is over and a record.
            mailbox.set(Word::EndTicks as usize, now);
            looks = looks.wrapping_add(1);
            let is_alone = looks.is_multiple_of(LOOKS) && host.is_abandoned();
            if stop || is_alone || last - begin >= length {
                break;
            }
        }
        ran
    });
    host.say("slices saw ", mailbox.get(Word::Count as usize), " gaps");
    0
}
