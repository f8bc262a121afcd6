//! Memory allocation by mappings (mmap(2)).

use core::ffi::CStr;

use crate::{
    calls::{Errno, O_RDONLY, O_RDWR, Result, call, close, open},
    system::number,
};

/// New memory that is never freed: a plan is short, and so is the life of this program.
fn map(length: usize, descriptor: usize) -> Result<*mut u8> {
    const PROT_READ_WRITE: usize = 3;
    const MAP_PRIVATE: usize = 2;
    const MAP_ANONYMOUS: usize = 0x20;
    let flags = MAP_PRIVATE | if descriptor == usize::MAX { MAP_ANONYMOUS } else { 0 };
    Ok(call(number::MMAP, [0, length, PROT_READ_WRITE, flags, descriptor, 0])? as *mut u8)
}

/// The content of a file, in private memory.
pub fn read_file(path: &CStr) -> Result<&'static mut [u8]> {
    const SEEK_END: usize = 2;
    let descriptor = open(path, O_RDONLY)?;
    let length = call(number::LSEEK, [descriptor, 0, SEEK_END])?;
    let bytes = map(length, descriptor)?;
    close(descriptor);
    // SAFETY: the mapping is fresh and private, of that length, and never unmapped.
    Ok(unsafe { core::slice::from_raw_parts_mut(bytes, length) })
}

/// A list of `length` nulls.
pub fn list(length: usize) -> Result<&'static mut [usize]> {
    let bytes = length.checked_mul(8).ok_or(Errno::NO_MEMORY)?;
    let words = map(bytes, usize::MAX)?.cast::<usize>();
    // SAFETY: the mapping is fresh, zeroed, page-aligned, of that length, and never unmapped.
    Ok(unsafe { core::slice::from_raw_parts_mut(words, length) })
}

/// Fresh bytes, all zero.
pub fn buffer(length: usize) -> Result<&'static mut [u8]> {
    let bytes = map(length, usize::MAX)?;
    // SAFETY: the mapping is fresh, zeroed, of that length, and never unmapped.
    Ok(unsafe { core::slice::from_raw_parts_mut(bytes, length) })
}

/// Frees the memory of a list, which may not be used any more.
pub fn forget(list: &'static mut [usize]) {
    let bytes = size_of_val(list);
    let _ = call(number::MUNMAP, [list.as_mut_ptr() as usize, bytes]); // at worst it stays
}

/// The bytes of a list.
pub fn bytes_of(list: &mut [usize]) -> &mut [u8] {
    let length = size_of_val(list);
    // SAFETY: any bytes are words and any words are bytes; the list is borrowed for as long.
    unsafe { core::slice::from_raw_parts_mut(list.as_mut_ptr().cast(), length) }
}

/// Maps physical memory that is shared with the host (mem(4)).
pub fn map_physical(address: usize, length: usize) -> Result<*mut u8> {
    const PROT_READ_WRITE: usize = 3;
    const MAP_SHARED: usize = 1;
    let descriptor = open(c"/dev/mem", O_RDWR)?;
    let mapped = call(number::MMAP, [0, length, PROT_READ_WRITE, MAP_SHARED, descriptor, address]);
    close(descriptor);
    Ok(mapped? as *mut u8)
}
