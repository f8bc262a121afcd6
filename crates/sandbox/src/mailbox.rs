//! The memory that a built-in program shares with its host.
//!
//! A program that is being measured must not print, because each print crosses the boundary to the
//! host. It writes to its mailbox instead. The mailbox is a `memfd` in every sandbox: a process and
//! a container map the descriptor, a microVM finds the same pages in its physical memory.

use std::{fs::File, io, os::unix::fs::FileExt, sync::Arc, time::Duration};

use guest::abi::{self, Word};
use nix::sys::memfd::{MFdFlags, memfd_create};
use serde::{Deserialize, Serialize};

/// The host's end of a mailbox. The program at the other end is untrusted: whatever it writes,
/// reading only returns some number.
#[derive(Debug, Clone)]
pub struct Mailbox {
    file: Arc<File>,
}

impl Mailbox {
    /// A new mailbox, all zero, of [`abi::MAILBOX_BYTES`].
    ///
    /// # Errors
    ///
    /// Those of `memfd_create(2)` and `ftruncate(2)`.
    pub fn create() -> io::Result<Self> {
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let file = File::from(memfd_create(c"isolab-mailbox", flags)?);
        file.set_len(abi::MAILBOX_BYTES as u64)?;
        // A program that could shrink the file could kill its host with SIGBUS.
        use nix::fcntl::{FcntlArg, SealFlag, fcntl};
        fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW))?;
        Ok(Self { file: Arc::new(file) })
    }

    /// The file behind it, to be mapped or inherited by the program.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The word at `index`; 0 beyond the end.
    pub fn word(&self, index: usize) -> u64 {
        self.words(index, 1).first().copied().unwrap_or(0)
    }

    /// `count` words from `index` on, fewer at the end.
    fn words(&self, index: usize, count: usize) -> Vec<u64> {
        let room = abi::MAILBOX_WORDS.saturating_sub(index);
        let mut bytes = vec![0; count.min(room) * 8];
        match self.file.read_exact_at(&mut bytes, index as u64 * 8) {
            Ok(()) => bytes.as_chunks().0.iter().copied().map(u64::from_ne_bytes).collect(),
            Err(_) => Vec::new(),
        }
    }

    /// Writes `value` to the word at `index`.
    ///
    /// # Errors
    ///
    /// Those of `pwrite(2)`.
    pub fn set_word(&self, index: usize, value: u64) -> io::Result<()> {
        self.file.write_all_at(&value.to_ne_bytes(), index as u64 * 8)
    }

    /// Tells a program that polls its mailbox to end.
    ///
    /// # Errors
    ///
    /// Those of `pwrite(2)`.
    pub fn stop(&self) -> io::Result<()> {
        self.set_word(Word::Stop as usize, 1)
    }

    /// What the program has reported so far.
    pub fn report(&self) -> Report {
        let count = usize::try_from(self.word(Word::Count as usize)).unwrap_or(usize::MAX);
        let pairs = count.min(abi::RECORD_PAIRS);
        let records = self.words(abi::RECORDS, pairs * 2);
        let nanoseconds = |word| Duration::from_nanos(self.word(word as usize));
        Report {
            begin_ticks: self.word(Word::BeginTicks as usize),
            end_ticks: self.word(Word::EndTicks as usize),
            begin_time: nanoseconds(Word::BeginNanoseconds),
            end_time: nanoseconds(Word::EndNanoseconds),
            result: self.word(Word::Result as usize),
            records: records.as_chunks().0.iter().map(|&[first, second]| (first, second)).collect(),
        }
    }
}

/// What a built-in program reports. Ticks are those of the time stamp counter (`rdtsc`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The tick at which the measured part of the program began.
    pub begin_ticks: u64,
    /// The tick at which it ended.
    pub end_ticks: u64,
    /// The same instant as `begin_ticks` on the clock of [`monotonic_now`](crate::monotonic_now);
    /// zero in a microVM, which has no such clock.
    pub begin_time: Duration,
    /// The same instant as `end_ticks`, likewise.
    pub end_time: Duration,
    /// The program's result, by which different sandboxes can be compared.
    pub result: u64,
    /// Pairs of ticks: for `slices` the last tick before a gap and the first after it.
    pub records: Vec<(u64, u64)>,
}

impl Report {
    /// How long the measured part took, in ticks.
    pub fn ticks(&self) -> u64 {
        self.end_ticks.saturating_sub(self.begin_ticks)
    }

    /// Ticks a second, from the two clocks; `None` in a microVM and for runs under 10 ms.
    pub fn tick_rate(&self) -> Option<f64> {
        let time = self.end_time.checked_sub(self.begin_time)?;
        (time > Duration::from_millis(10)).then(|| self.ticks() as f64 / time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lying_count_of_records_is_cut_at_the_end_of_the_mailbox() {
        let mailbox = Mailbox::create().unwrap();
        mailbox.set_word(Word::Count as usize, u64::MAX).unwrap();
        assert_eq!(mailbox.report().records.len(), abi::RECORD_PAIRS);
    }

    #[test]
    fn a_mailbox_cannot_be_shrunk_by_its_program() {
        let mailbox = Mailbox::create().unwrap();
        assert!(mailbox.file().set_len(0).is_err());
    }
}
