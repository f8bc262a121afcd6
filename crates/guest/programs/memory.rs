//! The functions that the compiler calls on its own and that a libc would bring.

use core::arch::asm;

#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    // SAFETY: the caller promises `count` bytes at both ends (C11 7.24.2.1).
    unsafe {
        asm!("rep movsb", inout("rcx") count => _, inout("rdi") to => _, inout("rsi") from => _,
            options(nostack, preserves_flags));
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, value: i32, count: usize) -> *mut u8 {
    // SAFETY: the caller promises `count` bytes there (C11 7.24.6.1).
    unsafe {
        asm!("rep stosb", inout("rcx") count => _, inout("rdi") to => _, in("al") value as u8,
            options(nostack, preserves_flags));
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let rest: usize;
    // SAFETY: the caller promises a null at the end (C11 7.24.6.3).
    unsafe {
        asm!("repne scasb", inout("rcx") usize::MAX => rest, inout("rdi") text => _, in("al") 0u8,
            options(nostack, readonly));
    }
    // `scasb` counted down once for each byte and once for the null.
    usize::MAX - 1 - rest
}

/// Named by the unwinding tables of the precompiled `core`; nothing unwinds here.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
