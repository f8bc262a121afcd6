//! The words of the command line, and the environment.

use core::ffi::CStr;

use super::calls::{Errno, Result};

/// The initial stack: argc, argv, null, the environment, null.
#[derive(Clone, Copy)]
pub struct Words(*const usize);

impl Words {
    /// The stack of this process.
    pub fn new(stack: *const usize) -> Self {
        Self(stack)
    }

    fn slot(self, index: usize) -> usize {
        // SAFETY: the kernel has laid out the stack this way, and the callers stay within argc.
        unsafe { self.0.add(index).read() }
    }

    fn count(self) -> usize {
        self.slot(0)
    }

    /// The bytes of a word.
    pub fn bytes(self, index: usize) -> Option<&'static [u8]> {
        if index >= self.count() {
            return None;
        }
        let start = self.slot(1 + index) as *const core::ffi::c_char;
        // SAFETY: the kernel ends every word with a null, and the stack stays as it is.
        Some(unsafe { CStr::from_ptr(start) }.to_bytes())
    }

    /// The decimal number that is a word.
    pub fn number(self, index: usize) -> Result<u64> {
        let digits = self.bytes(index).ok_or(Errno::INVALID)?;
        let text = core::str::from_utf8(digits).map_err(|_| Errno::INVALID)?;
        text.parse().map_err(|_| Errno::INVALID)
    }

    /// The address of the list of words from `index` on, as execve(2) takes it.
    pub fn from(self, index: usize) -> usize {
        self.0.wrapping_add(1 + index.min(self.count())) as usize
    }

    /// The address of the environment.
    pub fn environment(self) -> usize {
        self.0.wrapping_add(2 + self.count()) as usize
    }
}
