//! What a workload needs from its environment. Each shell implements it.

use crate::abi::{MAILBOX_WORDS, RECORD_PAIRS, RECORDS, Word};

/// The environment of a workload.
pub trait Host {
    /// Writes to standard output, or to the machine's console.
    fn write(&mut self, text: &[u8]);

    /// Crosses the boundary to the host and back, in the cheapest way.
    fn cross(&mut self);

    /// Returns when the host wants the program to end.
    fn wait_for_stop(&mut self);

    /// Whether the host is gone, so that no one can tell the program to end.
    fn is_abandoned(&mut self) -> bool;

    /// Zeroed memory for `words` words at a multiple of 2 MiB, in pages of 2 MiB where the host can
    /// (`large`), or in pages of 4 KiB. Ends the program if there is not enough.
    fn memory(&mut self, words: usize, large: bool) -> &'static mut [u64];

    /// The mailbox.
    fn mailbox(&mut self) -> Mailbox;

    /// Nanoseconds of a clock that the host shares; 0 if there is none.
    fn nanoseconds(&mut self) -> u64;

    /// The argument at `index`, or `default`.
    fn argument(&mut self, index: usize, default: u64) -> u64;

    /// Does `work` as the measured part of the program and reports its begin, end and result.
    fn measure(&mut self, work: impl FnOnce(&mut Self) -> u64) -> u64
    where
        Self: Sized,
    {
        let begin_time = self.nanoseconds();
        let begin = ticks();
        let result = work(self);
        let end = ticks();
        let end_time = self.nanoseconds();
        let mailbox = self.mailbox();
        mailbox.set(Word::BeginTicks as usize, begin);
        mailbox.set(Word::EndTicks as usize, end);
        mailbox.set(Word::BeginNanoseconds as usize, begin_time);
        mailbox.set(Word::EndNanoseconds as usize, end_time);
        mailbox.set(Word::Result as usize, result);
        end - begin
    }

    /// Writes `text` and `number` in one line.
    fn say(&mut self, text: &str, number: u64, unit: &str) {
        let mut line = [0u8; 128];
        let mut length = 0;
        let mut digits = [0u8; 20];
        let mut put = |bytes: &[u8]| {
            for byte in bytes {
                if length < line.len() {
                    line[length] = *byte;
                    length += 1;
                }
            }
        };
        put(text.as_bytes());
        let mut rest = number;
        let mut first = digits.len();
        loop {
            first -= 1;
            digits[first] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 || first == 0 {
                break;
            }
        }
        put(&digits[first..]);
        put(unit.as_bytes());
        put(b"\n");
        self.write(&line[..length]);
    }
}

/// The shared words, by index; see `abi::Word`.
#[derive(Clone, Copy)]
pub struct Mailbox(*mut u64);

impl Mailbox {
    /// # Safety
    ///
    /// `words` must point to `MAILBOX_WORDS` words that stay mapped while the program runs.
    pub unsafe fn at(words: *mut u64) -> Self {
        Self(words)
    }

    /// Reads a word.
    pub fn get(self, index: usize) -> u64 {
        assert!(index < MAILBOX_WORDS);
        // SAFETY: the index is inside of the mailbox, whose maker promised that it stays mapped.
        unsafe { self.0.add(index).read_volatile() }
    }

    /// Writes a word.
    pub fn set(self, index: usize, value: u64) {
        assert!(index < MAILBOX_WORDS);
        // SAFETY: as in `get`.
        unsafe { self.0.add(index).write_volatile(value) };
    }

    /// Appends a record; beyond the available space it is only counted.
    pub fn record(self, first: u64, second: u64) {
        let count = self.get(Word::Count as usize) as usize;
        if count < RECORD_PAIRS {
            self.set(RECORDS + 2 * count, first);
            self.set(RECORDS + 2 * count + 1, second);
        }
        self.set(Word::Count as usize, count as u64 + 1);
    }
}

/// The time stamp counter, read after all earlier instructions.
pub fn ticks() -> u64 {
    // SAFETY: both instructions exist on every x86_64 and touch no memory.
    unsafe {
        core::arch::x86_64::_mm_lfence();
        core::arch::x86_64::_rdtsc()
    }
}
