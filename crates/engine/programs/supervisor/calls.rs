//! System calls with an error number, and descriptors that close themselves.

use core::ffi::CStr;

use crate::{
    clock::Instant,
    system::{number, system_call},
};

/// An error number of Linux (errno(3)).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    pub const NO_ENTRY: Self = Self(2);
    pub const INTERRUPTED: Self = Self(4);
    pub const IO: Self = Self(5);
    pub const AGAIN: Self = Self(11);
    pub const INVALID: Self = Self(22);
    pub const NO_SPACE: Self = Self(28);
}

pub type Result<T> = core::result::Result<T, Errno>;

/// Makes a system call with these arguments; missing ones are 0.
pub fn call<const COUNT: usize>(number: usize, given: [usize; COUNT]) -> Result<usize> {
    let mut arguments = [0; 6];
    for (argument, given) in arguments.iter_mut().zip(given) {
        *argument = given;
    }
    match system_call(number, arguments) {
        result @ -4095..0 => Err(Errno(-result as i32)),
        result => Ok(result as usize),
    }
}

/// An open file of this process; dropping it closes it.
pub struct Descriptor(usize);

impl Descriptor {
    /// Takes what a system call has returned.
    pub fn new(number: usize) -> Self {
        Self(number)
    }

    pub fn number(&self) -> usize {
        self.0
    }

    /// Reads into `bytes`; 0 at the end of the file.
    pub fn read(&self, bytes: &mut [u8]) -> Result<usize> {
        call(number::READ, [self.0, bytes.as_mut_ptr() as usize, bytes.len()])
    }

    /// Writes, possibly only a part.
    pub fn write(&self, bytes: &[u8]) -> Result<usize> {
        call(number::WRITE, [self.0, bytes.as_ptr() as usize, bytes.len()])
    }

    /// Writes two pieces at once (writev(2)), possibly only a part.
    pub fn write_both(&self, first: &[u8], second: &[u8]) -> Result<usize> {
        let pieces = [first, second].map(|piece| [piece.as_ptr() as usize, piece.len()]);
        call(number::WRITEV, [self.0, pieces.as_ptr() as usize, pieces.len()])
    }

    /// Another descriptor of the same open file, closed by an `execve`, with a number of at least
    /// `least`.
    pub fn duplicate(&self, least: usize) -> Result<Self> {
        const F_DUPFD_CLOEXEC: usize = 1030;
        call(number::FCNTL, [self.0, F_DUPFD_CLOEXEC, least]).map(Self)
    }

    /// Makes reads and writes of this open file non-blocking.
    pub fn do_not_block(&self) -> Result<()> {
        const F_GETFL: usize = 3;
        const F_SETFL: usize = 4;
        const O_NONBLOCK: usize = 0o4000;
        let flags = call(number::FCNTL, [self.0, F_GETFL])?;
        call(number::FCNTL, [self.0, F_SETFL, flags | O_NONBLOCK]).map(drop)
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        let _ = call(number::CLOSE, [self.0]); // the descriptor is gone either way
    }
}

pub const O_RDONLY: usize = 0;
pub const O_WRONLY: usize = 1;
pub const O_RDWR: usize = 2;
pub const O_CREAT: usize = 0o100;
pub const O_TRUNC: usize = 0o1000;
pub const O_APPEND: usize = 0o2000;
const O_NOFOLLOW: usize = 0o400_000;
pub const O_CLOEXEC: usize = 0o2_000_000;

/// Opens a file; one that is made is its owner's alone.
pub fn open(path: &CStr, flags: usize) -> Result<Descriptor> {
    let flags = flags | O_CLOEXEC | O_NOFOLLOW;
    call(number::OPEN, [path.as_ptr() as usize, flags, 0o600]).map(Descriptor)
}

pub fn unlink(path: &CStr) -> Result<()> {
    call(number::UNLINK, [path.as_ptr() as usize]).map(drop)
}

pub fn rename(from: &CStr, to: &CStr) -> Result<()> {
    call(number::RENAME, [from.as_ptr() as usize, to.as_ptr() as usize]).map(drop)
}

/// A pipe: the reading end and the writing end.
pub fn pipe() -> Result<[Descriptor; 2]> {
    let mut ends = [0u32; 2];
    call(number::PIPE2, [&raw mut ends as usize, O_CLOEXEC])?;
    Ok(ends.map(|end| Descriptor(end as usize)))
}

/// `struct pollfd` of poll(2).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Polled {
    descriptor: i32,
    events: i16,
    returned: i16,
}

impl Polled {
    /// Nothing to wait for.
    pub const NONE: Self = Self { descriptor: -1, events: 0, returned: 0 };
    pub const READ: i16 = 1;
    pub const WRITE: i16 = 4;

    /// Waits for some of [`Self::READ`] and [`Self::WRITE`], and for a hang-up in any case.
    pub fn of(descriptor: &Descriptor, events: i16) -> Self {
        Self { descriptor: descriptor.0 as i32, events, returned: 0 }
    }

    /// Whether a read or a write would not block, if only to fail.
    pub fn is_ready(&self) -> bool {
        self.returned != 0
    }

    /// Whether the other end is closed.
    pub fn has_hung_up(&self) -> bool {
        const POLLERR: i16 = 8;
        const POLLHUP: i16 = 16;
        self.returned & (POLLERR | POLLHUP) != 0
    }
}

/// Waits until something is ready, or for that many milliseconds; without end if it is negative.
pub fn poll(polled: &mut [Polled], milliseconds: isize) {
    // Interrupted by a stop and a continuation: then nothing is ready, and the caller polls again.
    let arguments = [polled.as_mut_ptr() as usize, polled.len(), milliseconds as usize];
    let _ = call(number::POLL, arguments);
}

/// The time of day (clock_gettime(2)).
pub fn now() -> Instant {
    const CLOCK_REALTIME: usize = 0;
    clock(CLOCK_REALTIME)
}

/// Milliseconds since some point in the past.
pub fn milliseconds() -> u64 {
    const CLOCK_MONOTONIC: usize = 1;
    let instant = clock(CLOCK_MONOTONIC);
    instant.seconds * 1000 + u64::from(instant.nanoseconds / 1_000_000)
}

fn clock(which: usize) -> Instant {
    let mut time = [0u64; 2];
    let _ = call(number::CLOCK_GETTIME, [which, &raw mut time as usize]); // these two always exist
    Instant { seconds: time[0], nanoseconds: time[1] as u32 }
}
