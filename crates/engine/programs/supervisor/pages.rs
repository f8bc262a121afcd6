//! Memory from the kernel. There is no heap: every buffer is mapped once, and costs memory only while
//! something is in it.

use crate::{
    buffer::Buffer,
    calls::{Result, call},
    system::number,
};

/// An empty buffer of that many bytes, a multiple of the page size.
pub fn buffer(bytes: usize) -> Result<Buffer> {
    const PROT_READ_WRITE: usize = 3;
    const MAP_PRIVATE_ANONYMOUS: usize = 0x22;
    const NO_FILE: usize = usize::MAX;
    let arguments = [0, bytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, NO_FILE, 0];
    let start = call(number::MMAP, arguments)? as *mut u8;
    // SAFETY: a new mapping of that many bytes, filled with zeros, that is never unmapped.
    Ok(Buffer::new(unsafe { core::slice::from_raw_parts_mut(start, bytes) }))
}

/// Returns the memory of a buffer that holds nothing (madvise(2)).
pub fn release(buffer: &mut Buffer) {
    const MADV_DONTNEED: usize = 4;
    if let Some(memory) = buffer.unused() {
        // It reads as zeros from now on, which no one looks at.
        let _ = call(number::MADVISE, [memory.as_mut_ptr() as usize, memory.len(), MADV_DONTNEED]);
    }
}
