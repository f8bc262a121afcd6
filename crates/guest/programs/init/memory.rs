//! What the compiler calls to fill and copy memory, which a program without a libc brings itself.

use core::arch::asm;

/// memset(3).
///
/// # Safety
///
/// As the C standard has it: `count` bytes at `to` are the caller's.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, count: usize) -> *mut u8 {
    // SAFETY: the caller owns these bytes, and the ABI keeps the direction flag clear.
    unsafe {
        asm!("rep stosb", inout("rdi") to => _, inout("rcx") count => _, in("al") byte as u8,
            options(nostack, preserves_flags));
    }
    to
}

/// memcpy(3).
///
/// # Safety
///
/// As the C standard has it: `count` bytes at `to` are the caller's, and as many at `from` are
/// readable; they do not overlap.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    // SAFETY: as in `memset`, and the caller may read as many at `from`.
    unsafe {
        asm!("rep movsb", inout("rdi") to => _, inout("rsi") from => _, inout("rcx") count => _,
            options(nostack, preserves_flags));
    }
    to
}

/// memcmp(3).
///
/// # Safety
///
/// As the C standard has it: `count` bytes are readable at each.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(first: *const u8, second: *const u8, count: usize) -> i32 {
    for index in 0..count {
        // SAFETY: the caller may read `count` bytes here.
        let one = unsafe { first.add(index).read() };
        // SAFETY: and here.
        let other = unsafe { second.add(index).read() };
        if one != other {
            return i32::from(one) - i32::from(other);
        }
    }
    0
}

/// The same, for a comparison for equality only.
///
/// # Safety
///
/// As of [`memcmp`].
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(first: *const u8, second: *const u8, count: usize) -> i32 {
    // SAFETY: the caller promises the same.
    unsafe { memcmp(first, second, count) }
}

/// memmove(3).
///
/// # Safety
///
/// As the C standard has it: `count` bytes at `to` are the caller's, and as many at `from` are
/// readable; they may overlap.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    if (to as usize).wrapping_sub(from as usize) >= count {
        // SAFETY: upwards, no byte is written before it is read.
        return unsafe { memcpy(to, from, count) };
    }
    // SAFETY: as in `memcpy`, but downwards from the last byte, for the same reason; the direction
    // flag is cleared again, as the ABI wants it.
    unsafe {
        asm!("std", "rep movsb", "cld", inout("rdi") to.wrapping_add(count).wrapping_sub(1) => _,
            inout("rsi") from.wrapping_add(count).wrapping_sub(1) => _, inout("rcx") count => _,
            options(nostack));
    }
    to
}

/// strlen(3).
///
/// # Safety
///
/// As the C standard has it: there is a NUL at `text` or behind it, and all bytes up to it are
/// readable.
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let left: usize;
    // SAFETY: reads up to the NUL that the caller promises, upwards, because the ABI keeps the
    // direction flag clear.
    unsafe {
        asm!("repne scasb", inout("rdi") text => _, inout("rcx") usize::MAX => left, in("al") 0u8,
            options(nostack, readonly));
    }
    usize::MAX - left - 1
}
