//! System calls without a library: the only ones that a child may make between `clone3` and
//! `execve`.
//!
//! The child shares its parent's memory until it executes the program, as with `posix_spawn(3)`.
//! So it may touch neither the heap nor `errno`, which is the parent's; these functions touch
//! nothing but registers.

use std::{arch::asm, ffi::c_long};

use nix::errno::Errno;

/// Makes the system call `number` and returns its result or the error.
///
/// # Safety
///
/// That of the system call: pointers among the arguments must be what it expects.
pub(crate) unsafe fn call(number: c_long, arguments: [usize; 6]) -> Result<usize, Errno> {
    let [a, b, c, d, e, f] = arguments;
    let result: isize;
    // SAFETY: the caller vouches for the arguments; the kernel clobbers rcx and r11, nothing else.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => result, in("rdi") a, in("rsi") b,
            in("rdx") c, in("r10") d, in("r8") e, in("r9") f, out("rcx") _, out("r11") _,
            options(nostack));
    }
    // The last 4095 values are errors (arch/x86/entry, "IS_ERR_VALUE").
    if (-4095..0).contains(&result) {
        Err(Errno::from_raw(-result as i32))
    } else {
        Ok(result as usize)
    }
}

/// The clock of [`sandbox::monotonic_now`], in nanoseconds.
pub(crate) fn nanoseconds() -> u64 {
    let mut time = [0u64; 2];
    let arguments = [libc::CLOCK_MONOTONIC as usize, &raw mut time as usize, 0, 0, 0, 0];
    // SAFETY: `time` is laid out as a timespec of 64-bit Linux and outlives the call.
    let _ = unsafe { call(libc::SYS_clock_gettime, arguments) };
    time[0].wrapping_mul(1_000_000_000).wrapping_add(time[1])
}

/// Ends the calling process. A filter of the caller's may forbid even that: then an undefined
/// instruction does, which the kernel answers by SIGILL whatever is blocked or ignored.
pub(crate) fn exit(code: u8) -> ! {
    // SAFETY: exit_group takes a number.
    let _ = unsafe { call(libc::SYS_exit_group, [code.into(), 0, 0, 0, 0, 0]) };
    // SAFETY: it ends the process.
    unsafe { std::arch::asm!("ud2", options(noreturn)) }
}

/// `clone3(2)` with `request`; the child runs `entry(argument)` on the stack named in the request.
///
/// # Safety
///
/// The stack, and what `argument` points to, must live until the child has executed a program or
/// ended, and `entry` must use this module only.
pub(crate) unsafe fn clone_onto(
    request: &libc::clone_args,
    entry: extern "C" fn(usize) -> !,
    argument: usize,
) -> Result<usize, Errno> {
    let result: isize;
    // SAFETY: the child starts on its own stack, 16-byte aligned by the caller, so nothing of this
    // frame is touched by it; it gets its operands in registers, which clone copies, and never
    // returns.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, {argument}",
            "call {entry}",
            "ud2",
            "2:",
            argument = in(reg) argument,
            entry = in(reg) entry,
            inlateout("rax") libc::SYS_clone3 as isize => result,
            in("rdi") &raw const *request,
            in("rsi") size_of::<libc::clone_args>(),
            out("rcx") _, out("r11") _,
        );
    }
    if result < 0 { Err(Errno::from_raw(-result as i32)) } else { Ok(result as usize) }
}
