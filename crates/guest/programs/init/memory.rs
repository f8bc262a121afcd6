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

/// The same, where only equality is asked for.
///
/// # Safety
///
/// As of [`memcmp`].
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(first: *const u8, second: *const u8, count: usize) -> i32 {
    // SAFETY: the caller promises the same.
    unsafe { memcmp(first, second, count) }
}
