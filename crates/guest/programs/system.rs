//! What every program without a libc needs of Linux: the system call itself, and how to end.
//! The first process of a container (`crates/container/programs/init.rs`) shares this file.

#[path = "number.rs"]
#[allow(dead_code, reason = "each program makes its own calls")]
pub mod number;

use core::arch::asm;

/// Makes a system call. A result from -4095 to -1 is an error number, negated.
pub fn system_call(number: usize, arguments: [usize; 6]) -> isize {
    let [a, b, c, d, e, f] = arguments;
    let result;
    // SAFETY: the callers pass pointers to live memory of the length they name; the kernel
    // clobbers rcx and r11 and nothing else.
    unsafe {
        asm!("syscall", inlateout("rax") number => result, in("rdi") a, in("rsi") b, in("rdx") c,
            in("r10") d, in("r8") e, in("r9") f, out("rcx") _, out("r11") _);
    }
    result
}

/// Ends the program.
pub fn exit(code: u8) -> ! {
    loop {
        system_call(number::EXIT_GROUP, [code.into(), 0, 0, 0, 0, 0]);
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(101)
}
