//! The first process of a container that runs a command: it starts the command, passes signals on,
//! buries the dead, and reports how the command ended.
//!
//! The kernel gives every orphan of a process-id namespace to its first process, which must wait
//! for it, and keeps signals from that process unless it handles them (pid_namespaces(7)). Most
//! commands do neither, so they are not the first process; this one is. It is a program of its own,
//! not a fork of the launcher, so that nothing of the launcher's memory is in the container.
//!
//! Command line: `init REPORT COUNT CANDIDATE... WORD...`: the number of a descriptor, the number
//! of candidates, the paths at which the command may be found (none if its first word is its path),
//! and the command's own words.
//! Into the descriptor go two numbers of 32 bits each: 0 or the errno of the command's `execve`,
//! and at the end the command's wait status.
#![no_std]
#![no_main]

use core::{
    arch::{asm, naked_asm},
    mem::MaybeUninit,
};

#[unsafe(no_mangle)]
#[unsafe(naked)]
extern "C" fn _start() -> ! {
    naked_asm!("mov rdi, rsp", "and rsp, -16", "call {main}", main = sym main)
}

/// Numbers of the system calls used here (arch/x86/entry/syscalls/syscall_64.tbl).
mod number {
    pub const WRITE: usize = 1;
    pub const STAT: usize = 4;
    pub const RT_SIGPROCMASK: usize = 14;
    pub const IOCTL: usize = 16;
    pub const CLONE: usize = 56;
    pub const EXECVE: usize = 59;
    pub const EXIT_GROUP: usize = 231;
    pub const WAIT4: usize = 61;
    pub const KILL: usize = 62;
    pub const GETPID: usize = 39;
    pub const FCNTL: usize = 72;
    pub const SETPGID: usize = 109;
    pub const GETPPID: usize = 110;
    pub const GETSID: usize = 124;
    pub const RT_SIGTIMEDWAIT: usize = 128;
    pub const CLOSE_RANGE: usize = 436;
}

const SIGCHLD: usize = 17;
const ENOENT: isize = -2;
const EACCES: isize = -13;
const ENOTDIR: isize = -20;

fn system_call(number: usize, arguments: [usize; 5]) -> isize {
    let [a, b, c, d, e] = arguments;
    let result;
    // SAFETY: the callers pass pointers to live memory of the length they name; the kernel
    // clobbers rcx and r11 and nothing else.
    unsafe {
        asm!("syscall", inlateout("rax") number => result, in("rdi") a, in("rsi") b, in("rdx") c,
            in("r10") d, in("r8") e, in("r9") 0, out("rcx") _, out("r11") _);
    }
    result
}

/// The words on the initial stack: argc, argv, null, the environment, null.
#[derive(Clone, Copy)]
struct Stack(*const usize);

impl Stack {
    fn word(self, index: usize) -> usize {
        // SAFETY: the launcher made this command line, and the callers stay within its count.
        unsafe { self.0.add(index).read() }
    }

    fn argument_address(self, index: usize) -> usize {
        self.0.wrapping_add(1 + index) as usize
    }

    /// The decimal number that is argument `index`.
    fn number(self, index: usize) -> usize {
        let mut text = self.word(1 + index) as *const u8;
        let mut number = 0usize;
        loop {
            // SAFETY: the kernel ends every argument with a null, at which this stops.
            let digit = unsafe { text.read() };
            if !digit.is_ascii_digit() {
                return number;
            }
            number = number.wrapping_mul(10).wrapping_add((digit - b'0') as usize);
            text = text.wrapping_add(1);
        }
    }
}

extern "C" fn main(stack: *const usize) -> ! {
    let stack = Stack(stack);
    let report = stack.number(1);
    // The command does not inherit the report: F_SETFD, FD_CLOEXEC.
    system_call(number::FCNTL, [report, 2, 1, 0, 0]);
    // All signals are blocked and taken in turn by sigtimedwait: no handler, no race.
    let all = u64::MAX;
    system_call(number::RT_SIGPROCMASK, [2, &raw const all as usize, 0, 8, 0]);
    let (child, errno) = start(stack);
    tell(report, (-errno) as i32);
    if errno != 0 {
        exit(127);
    }
    // Nobody may hold a pipe open for longer than the command does: only the report stays.
    system_call(number::CLOSE_RANGE, [0, report.wrapping_sub(1), 0, 0, 0]);
    let status = serve(child);
    tell(report, status);
    exit(if status & 0x7f == 0 { (status >> 8) as u8 } else { 128 + (status & 0x7f) as u8 });
}

/// Starts the command as `vfork(2)` does: the child borrows this memory until it has executed.
fn start(stack: Stack) -> (isize, isize) {
    const CLONE_VM_VFORK: usize = 0x100 | 0x4000;
    let errno: isize;
    let child: isize;
    // SAFETY: with CLONE_VFORK this process sleeps until the child has executed or ended, and the
    // child calls one function that never returns, below this frame and its red zone, so that
    // nothing that this process will look at is overwritten but `errno`.
    unsafe {
        asm!(
            "sub rsp, 256",
            "xor r12d, r12d",
            "push r12",
            "mov rsi, 0",
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov rdi, r13",
            "mov rsi, rsp",
            "and rsp, -16",
            "call {command}",
            "ud2",
            "2:",
            "pop r12",
            "add rsp, 256",
            command = sym command,
            in("r13") stack.0,
            inlateout("rax") number::CLONE => child,
            in("rdi") CLONE_VM_VFORK | SIGCHLD,
            in("rdx") 0, in("r10") 0, in("r8") 0,
            out("r12") errno, out("rsi") _, out("rcx") _, out("r11") _,
        );
    }
    if child < 0 { (child, child) } else { (child, errno) }
}

/// The child of [`start`]: becomes the command, or leaves the reason and ends.
extern "C" fn command(stack: *const usize, errno: *mut isize) -> ! {
    let stack = Stack(stack);
    let count = stack.number(2);
    let argv = stack.argument_address(3 + count);
    let envp = stack.argument_address(stack.word(0) + 1);
    if leads_session() {
        // A process group of its own, in front on the terminal if there is one: TIOCSPGRP.
        system_call(number::SETPGID, [0, 0, 0, 0, 0]);
        let group = own_pid() as i32;
        system_call(number::IOCTL, [0, 0x5410, &raw const group as usize, 0, 0]);
    }
    let none = 0u64;
    system_call(number::RT_SIGPROCMASK, [2, &raw const none as usize, 0, 8, 0]);
    let execute = |index| system_call(number::EXECVE, [stack.word(4 + index), argv, envp, 0, 0]);
    // Without candidates the word behind them is the path.
    let mut reason = if count == 0 { execute(0) } else { ENOENT };
    for index in 0..count {
        match execute(index) {
            // As a shell: a file that may not be executed is remembered, and the search goes on; a
            // folder that may not be searched has no file to show.
            EACCES if is_file(stack.word(4 + index)) => reason = EACCES,
            EACCES | ENOENT | ENOTDIR => {}
            other => {
                reason = other;
                break;
            }
        }
    }
    // SAFETY: `start` points to the word that it pushed for this.
    unsafe { errno.write(reason) };
    exit(127)
}

/// Whether there is a file at `path`.
fn is_file(path: usize) -> bool {
    // struct stat has 36 words of 32 bits; the seventh is the mode (arch/x86/include/uapi/asm/stat.h).
    let mut stat = MaybeUninit::<[u32; 36]>::uninit();
    if system_call(number::STAT, [path, stat.as_mut_ptr() as usize, 0, 0, 0]) != 0 {
        return false;
    }
    // SAFETY: the call has succeeded, so the kernel has written all of it.
    let mode = unsafe { stat.assume_init_ref() }[6];
    mode & 0o170_000 == 0o100_000
}

fn own_pid() -> isize {
    system_call(number::GETPID, [0; 5])
}

/// Whether init leads a session. It does not where the command shares the launcher's own terminal:
/// there the command stays in the launcher's process group, in the foreground.
fn leads_session() -> bool {
    // Of the calling process and of its parent: this is asked on both sides of the clone.
    let session = system_call(number::GETSID, [0; 5]);
    session == own_pid() || (session != 0 && session == system_call(number::GETPPID, [0; 5]))
}

/// Passes signals on to the command and buries the dead, until the command is among them.
fn serve(child: isize) -> i32 {
    // To the whole process group of the command, as a terminal would.
    let whom = if leads_session() { -child } else { child };
    loop {
        let mut status = 0i32;
        const WNOHANG: usize = 1;
        // -1 is any child.
        let dead = system_call(number::WAIT4, [usize::MAX, &raw mut status as usize, WNOHANG, 0, 0]);
        if dead == child {
            return status;
        }
        if dead > 0 {
            continue;
        }
        let all = u64::MAX;
        let signal = system_call(number::RT_SIGTIMEDWAIT, [&raw const all as usize, 0, 0, 8, 0]);
        if signal > 0 && signal as usize != SIGCHLD {
            system_call(number::KILL, [whom as usize, signal as usize, 0, 0, 0]);
        }
    }
}

fn tell(report: usize, number: i32) {
    system_call(number::WRITE, [report, &raw const number as usize, 4, 0, 0]);
}

fn exit(code: u8) -> ! {
    loop {
        system_call(number::EXIT_GROUP, [code as usize, 0, 0, 0, 0]);
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(101)
}
