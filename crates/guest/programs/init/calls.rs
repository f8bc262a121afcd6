//! A system call with an error number, and the calls on open files that all steps need.

use core::ffi::CStr;

use crate::system::{number, system_call};

/// An error number of Linux.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    /// A line of the plan is malformed: EINVAL.
    pub const MALFORMED: Self = Self(22);
    /// There is no such step: ENOSYS.
    pub const UNKNOWN_STEP: Self = Self(38);
    /// There is no such file: ENOENT.
    pub const NOT_THERE: Self = Self(2);
    const NO_SUCH: Self = Self(6);
    const NO_DEVICE: Self = Self(19);
    /// A part of the path is not a directory: ENOTDIR.
    pub const NO_DIRECTORY: Self = Self(20);
    /// It is a directory: EISDIR.
    pub const IS_DIRECTORY: Self = Self(21);
    /// Too many symbolic links: ELOOP.
    pub const LOOP: Self = Self(40);
    /// A path or a nesting of directories is too long: ENAMETOOLONG.
    pub const TOO_LONG: Self = Self(36);
    /// A file is too large: EFBIG.
    pub const TOO_LARGE: Self = Self(27);
    /// Nothing available now, or no space: EAGAIN.
    pub const AGAIN: Self = Self(11);
    /// The maximum number is reached: EBUSY.
    pub const BUSY: Self = Self(16);
    /// Too many words, or too long: E2BIG.
    pub const TOO_MANY_WORDS: Self = Self(7);
    /// It exists already: EEXIST.
    pub const EXISTS: Self = Self(17);
    /// ENOMEM.
    pub const NO_MEMORY: Self = Self(12);
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

pub fn address(text: &CStr) -> usize {
    text.as_ptr() as usize
}

/// Writes, possibly only a part.
pub fn write(descriptor: usize, bytes: &[u8]) -> Result<usize> {
    call(number::WRITE, [descriptor, bytes.as_ptr() as usize, bytes.len()])
}

/// Reads into `bytes`; 0 at the end.
pub fn read(descriptor: usize, bytes: &mut [u8]) -> Result<usize> {
    call(number::READ, [descriptor, bytes.as_mut_ptr() as usize, bytes.len()])
}

/// Closes a descriptor.
pub fn close(descriptor: usize) {
    let _ = call(number::CLOSE, [descriptor]); // the descriptor is gone either way
}

pub const O_RDONLY: usize = 0;
pub const O_WRONLY: usize = 1;
pub const O_RDWR: usize = 2;
pub const O_CREAT: usize = 0o100;
pub const O_NOCTTY: usize = 0o400;
pub const O_TRUNC: usize = 0o1000;
pub const O_CLOEXEC: usize = 0o2_000_000;

/// Opens a file for reading.
pub fn open_to_read(path: &CStr) -> Result<usize> {
    open(path, O_RDONLY)
}

pub fn open(path: &CStr, flags: usize) -> Result<usize> {
    call(number::OPEN, [address(path), flags | O_CLOEXEC, 0o644])
}

/// Opens a device for reading and writing. It waits for a device whose driver is still making it: a
/// virtio port appears once the host has sent its name.
pub fn open_device(path: &CStr) -> Result<usize> {
    wait_for_device(|| open(path, O_RDWR | O_NOCTTY))
}

/// Retries until the device exists, for at most five seconds.
pub fn wait_for_device(mut find: impl FnMut() -> Result<usize>) -> Result<usize> {
    const TRIES: usize = 10_000;
    for _ in 1..TRIES {
        match find() {
            Err(Errno::NOT_THERE | Errno::NO_SUCH | Errno::NO_DEVICE) => sleep_a_moment(),
            found => return found,
        }
    }
    find()
}

/// Sleeps for half a millisecond.
pub fn sleep_a_moment() {
    let time: [usize; 2] = [0, 500_000];
    let _ = call(number::NANOSLEEP, [&raw const time as usize, 0]); // waking early only retries early
}

/// Opens descriptors 0 to 2 if the kernel had no console for them, so that no later descriptor gets
/// one of these numbers.
pub fn fill_standard_streams() {
    while let Ok(descriptor) = open(c"/", O_RDONLY) {
        if descriptor > 2 {
            return close(descriptor);
        }
    }
}

/// Makes reads and writes of this open file non-blocking.
pub fn do_not_wait(descriptor: usize) -> Result<()> {
    const F_GETFL: usize = 3;
    const F_SETFL: usize = 4;
    const O_NONBLOCK: usize = 0o4000;
    let flags = call(number::FCNTL, [descriptor, F_GETFL])?;
    call(number::FCNTL, [descriptor, F_SETFL, flags | O_NONBLOCK]).map(drop)
}
