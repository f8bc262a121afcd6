//! The files of a log: making, repairing and replacing them.

use core::ffi::CStr;

use crate::{
    calls::{self, Descriptor, Errno, Result, call},
    decimal::decimal,
    system::number,
};

const NEWEST: &CStr = c"log";

/// Opens the newest file, to append to it; makes it if there is none.
pub fn open() -> Result<Descriptor> {
    calls::open(NEWEST, calls::O_RDWR | calls::O_CREAT | calls::O_APPEND)
}

/// The length of a file, and where the next line is appended.
pub fn end(file: &Descriptor) -> Result<usize> {
    const SEEK_END: usize = 2;
    call(number::LSEEK, [file.number(), 0, SEEK_END])
}

/// Removes a last line that is not whole, which is no longer than `space`. Returns the length.
pub fn repair(file: &Descriptor, space: &mut [u8]) -> Result<u64> {
    let end = end(file)?;
    let longest = space.len();
    let mut tail = |length: usize| {
        let arguments = [file.number(), space.as_mut_ptr() as usize, length, end - length];
        let count = call(number::PREAD64, arguments)?;
        Ok(space[..count].iter().rposition(|byte| *byte == b'\n').map(|at| end - length + at + 1))
    };
    let whole = match tail(end.min(1))? {
        None if end > 0 => tail(end.min(longest))?.unwrap_or(0),
        _ => end,
    };
    if whole < end {
        call(number::FTRUNCATE, [file.number(), whole])?;
    }
    Ok(whole as u64)
}

/// Renames `log` to `log.1`, `log.1` to `log.2` and so on, so that there are at most `files` with the
/// new one, and opens a new `log`.
pub fn rotate(files: u64) -> Result<Descriptor> {
    if files <= 1 {
        // A reader still has the old one.
        calls::unlink(NEWEST)?;
        return open();
    }
    // The first number that is free, or the last one that there may be, which is replaced.
    let mut last = 1;
    while last + 1 < files && exists(&name(last)) {
        last += 1;
    }
    for number in (1..=last).rev() {
        match calls::rename(text(&name(number - 1)), text(&name(number))) {
            Ok(()) | Err(Errno::NO_ENTRY) => {}
            Err(errno) => return Err(errno),
        }
    }
    open()
}

fn exists(name: &[u8; 32]) -> bool {
    const F_OK: usize = 0;
    call(number::ACCESS, [name.as_ptr() as usize, F_OK]).is_ok()
}

/// The name of a file with a NUL at its end; number 0 is the newest.
fn name(number: u64) -> [u8; 32] {
    let mut name = [0; 32];
    name[..3].copy_from_slice(NEWEST.to_bytes());
    if number > 0 {
        name[3] = b'.';
        decimal(&mut name[4..], number);
    }
    name
}

fn text(name: &[u8; 32]) -> &CStr {
    CStr::from_bytes_until_nul(name).unwrap_or(NEWEST)
}
