//! How the first process has ended, in the file `exit`: `STATUS SECONDS NANOSECONDS OOM\n`.
//!
//! STATUS is the exit code, or 128 and the number of the signal that killed it; the time is UTC since
//! 1970. OOM is 0: only the daemon knows whether the kernel killed something for lack of memory.

use core::ffi::CStr;

use crate::{
    calls::{self, Descriptor, Result, call},
    clock::Instant,
    decimal::decimal,
    system::number,
};

const FILE: &CStr = c"exit";
const DRAFT: &CStr = c"exit.draft";

/// More than the record takes.
const SPACE: usize = 64;

/// A file that has space for the record, which must be there also when the disk is full.
pub struct ExitRecord(Descriptor);

impl ExitRecord {
    /// Removes the record of an earlier process, and makes space for this one's.
    pub fn prepare() -> Result<Self> {
        let _ = calls::unlink(FILE);
        let file = calls::open(DRAFT, calls::O_RDWR | calls::O_CREAT | calls::O_TRUNC)?;
        let _ = file.write(&[b' '; SPACE]); // a full disk may have space by then
        Ok(Self(file))
    }

    /// Writes the record; it appears whole or not at all.
    pub fn write(self, status: u8, time: Instant) -> Result<()> {
        let mut text = [0; SPACE];
        let mut length = 0;
        for number in [status.into(), time.seconds, time.nanoseconds.into(), 0] {
            length += decimal(&mut text[length..], number);
            text[length] = b' ';
            length += 1;
        }
        text[length - 1] = b'\n';
        call(number::PWRITE64, [self.0.number(), text.as_ptr() as usize, length, 0])?;
        call(number::FTRUNCATE, [self.0.number(), length])?;
        calls::rename(DRAFT, FILE)
    }
}
