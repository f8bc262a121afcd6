//! System calls by their numbers: attempts ask for what no library offers.

use std::{ffi::CStr, os::fd::AsRawFd};

use nix::errno::Errno;

/// What a system call takes: a number, or the address of something that lives until it returns.
pub trait Operand {
    fn raw(&self) -> usize;
}

macro_rules! numbers {
    ($($kind:ty)*) => {$(
        impl Operand for $kind {
            fn raw(&self) -> usize {
                *self as usize
            }
        }
    )*};
}

numbers!(i32 u32 i64 u64 usize);

impl Operand for &CStr {
    fn raw(&self) -> usize {
        self.as_ptr() as usize
    }
}

impl Operand for &[u8] {
    fn raw(&self) -> usize {
        self.as_ptr() as usize
    }
}

impl Operand for &mut [u8] {
    fn raw(&self) -> usize {
        self.as_ptr() as usize
    }
}

impl Operand for &std::fs::File {
    fn raw(&self) -> usize {
        self.as_raw_fd() as usize
    }
}

/// Makes the call `number`. Use [`call!`], whose operands outlive it.
pub fn make(number: i64, operands: &[usize]) -> Result<usize, Errno> {
    let operand = |index: usize| operands.get(index).copied().unwrap_or(0);
    // SAFETY: `call!` passes numbers and addresses of slices and strings that live until it returns.
    // Every attempt gives the kernel room of the size that it names, and none asks for a change of
    // this process's own memory.
    let result = unsafe {
        libc::syscall(
            number,
            operand(0),
            operand(1),
            operand(2),
            operand(3),
            operand(4),
            operand(5),
        )
    };
    Errno::result(result).map(|result| result as usize)
}

/// `call!(SYS_mount, c"none", c"/tmp", c"tmpfs", 0, 0)`
macro_rules! call {
    ($number:ident $(, $operand:expr)* $(,)?) => {
        $crate::call::make(libc::$number, &[$($crate::call::Operand::raw(&$operand)),*])
    };
}
pub(crate) use call;
