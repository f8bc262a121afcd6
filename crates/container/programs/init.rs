//! The first process of a container that runs a command: it starts the command, passes signals on,
//! reaps orphans, and reports how the command ended.
//!
//! The kernel gives every orphan of a process-id namespace to its first process, which must wait
//! for it, and keeps signals from that process unless it handles them (pid_namespaces(7)). Most
//! commands do neither, so they are not the first process; this one is. It is a program of its own,
//! not a fork of the launcher, so that nothing of the launcher's memory is in the container.
//!
//! Command line: `init MODE REPORT GATE COUNT CANDIDATE... WORD...`: its mode (see `mode`), the
//! numbers of two descriptors, the number of candidates, the paths at which the command may be
//! found (none if its first word is its path), and the command's own words.
//!
//! Into REPORT go numbers of 32 bits each: with a GATE a 0 when it waits there, then 0 or the errno
//! of the command's `execve`, and at the end the command's wait status. The launcher trusts the
//! exit status of this process, which it has from the kernel, more than that number.
//!
//! No process inside, not even root, can read its memory or write to its descriptors: it is not
//! dumpable (PR_SET_DUMPABLE(2const)). When a container is joined, it stays outside, in the
//! launcher's pid namespace, so the command has a copy of its memory, never the memory itself.
#![no_std]
#![no_main]

#[path = "../../guest/programs/system.rs"]
mod system;

use core::{
    arch::{asm, naked_asm},
    mem::MaybeUninit,
};

use system::{exit, number, system_call};

#[unsafe(no_mangle)]
#[unsafe(naked)]
extern "C" fn _start() -> ! {
    naked_asm!("mov rdi, rsp", "and rsp, -16", "call {main}", main = sym main)
}

/// What it should do.
#[cfg_attr(becomes, expect(dead_code, reason = "it has only one mode"))]
mod mode {
    /// Be the first process of a container, with the command as its child.
    pub const INIT: usize = 0;
    /// Be the parent of a command in a container that was joined, from outside.
    pub const JOIN: usize = 1;
    /// Become the command.
    pub const BECOME: usize = 2;
}

/// Whether it is compiled only for that mode: this program is written to a memfd, and the caller's
/// limit of file sizes may be very low (`build.rs`).
const BECOMES: bool = cfg!(becomes);

const SIGKILL: usize = 9;
const SIGCHLD: usize = 17;
const ENOENT: isize = -2;
const EACCES: isize = -13;
const ENOTDIR: isize = -20;

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
    // An untrusted command line: a script inside may name /proc/self/exe as its interpreter.
    const FIXED_WORDS: usize = 5;
    if stack.word(0) < FIXED_WORDS {
        exit(127);
    }
    let (mode, report, gate) = (stack.number(1), stack.number(2), stack.number(3));
    const PR_SET_DUMPABLE: usize = 4;
    system_call(number::PRCTL, [PR_SET_DUMPABLE, 0, 0, 0, 0, 0]);
    const F_SETFD: usize = 2;
    const F_SETFL: usize = 4;
    const FD_CLOEXEC: usize = 1;
    const O_NONBLOCK: usize = 0o4000;
    // The command does not inherit the report, and a full pipe does not block this process.
    system_call(number::FCNTL, [report, F_SETFD, FD_CLOEXEC, 0, 0, 0]);
    system_call(number::FCNTL, [report, F_SETFL, O_NONBLOCK, 0, 0, 0]);
    // All signals are blocked and taken in turn by sigtimedwait: no handler, no race.
    let all = u64::MAX;
    system_call(number::RT_SIGPROCMASK, [2, &raw const all as usize, 0, 8, 0, 0]);
    if gate != 0 {
        wait_at(gate, report);
    }
    if BECOMES || mode == mode::BECOME {
        let errno = execute(stack);
        tell(report, -errno as i32);
        exit(code_of(errno));
    }
    let (child, errno) = start(stack, mode);
    tell(report, (-errno) as i32);
    if errno != 0 {
        exit(code_of(errno));
    }
    // This process must not keep pipes open longer than the command: only the report stays.
    system_call(number::CLOSE_RANGE, [0, report.wrapping_sub(1), 0, 0, 0, 0]);
    let status = serve(child);
    tell(report, status);
    exit(if status & 0x7f == 0 { (status >> 8) as u8 } else { 128 + (status & 0x7f) as u8 });
}

/// Reports that everything is ready, and waits for a byte; end of file means that no one can send
/// it any more.
fn wait_at(gate: usize, report: usize) {
    tell(report, 0);
    let mut byte = 0u8;
    if system_call(number::READ, [gate, &raw mut byte as usize, 1, 0, 0, 0]) != 1 {
        exit(125);
    }
    system_call(number::CLOSE, [gate, 0, 0, 0, 0, 0]);
}

/// What the child of [`start`] needs.
struct Start {
    stack: Stack,
    mode: usize,
    /// Where it stores the error of its `execve`: memory that both share.
    errno: *mut isize,
}

/// Starts the command. Returns its pid and 0, or the error.
fn start(stack: Stack, mode: usize) -> (isize, isize) {
    // PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, no file: a page of zeros.
    let shared = system_call(number::MMAP, [0, 4096, 3, 0x21, usize::MAX, 0]);
    if shared < 0 {
        return (shared, shared);
    }
    let start = Start { stack, mode, errno: shared as *mut isize };
    // This process sleeps until the child has executed or ended. Inside, the child shares its
    // memory, as with vfork(2), which saves a copy; from outside, the child gets a copy.
    const CLONE_VM: usize = 0x100;
    const CLONE_VFORK: usize = 0x4000;
    let memory = if mode == mode::JOIN { 0 } else { CLONE_VM };
    let child: isize;
    // SAFETY: the child calls one function that never returns, below this frame and its red zone, so
    // that nothing that this process will look at is overwritten.
    unsafe {
        asm!(
            "sub rsp, 256",
            "xor esi, esi",
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov rdi, r13",
            "and rsp, -16",
            "call {command}",
            "ud2",
            "2:",
            "add rsp, 256",
            command = sym command,
            in("r13") &raw const start,
            inlateout("rax") number::CLONE => child,
            in("rdi") memory | CLONE_VFORK | SIGCHLD,
            in("rdx") 0, in("r10") 0, in("r8") 0,
            out("rsi") _, out("rcx") _, out("r11") _,
        );
    }
    // SAFETY: the page is mapped, and the child that could write to it has executed or ended.
    let errno = unsafe { start.errno.read_volatile() };
    if child < 0 { (child, child) } else { (child, errno) }
}

/// The child of [`start`]: becomes the command, or stores the error and ends.
extern "C" fn command(start: *const Start) -> ! {
    // SAFETY: `start` is alive: its process sleeps, or this is a copy of its memory.
    let start = unsafe { &*start };
    lead_group();
    if start.mode == mode::JOIN {
        // The command ends with the launcher that joined, because it ends with this process, its
        // parent.
        const PR_SET_PDEATHSIG: usize = 1;
        system_call(number::PRCTL, [PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0, 0]);
    }
    let reason = execute(start.stack);
    // SAFETY: the page is mapped in both.
    unsafe { start.errno.write_volatile(reason) };
    exit(127)
}

/// Makes a process group of its own, in the foreground of the terminal if there is one: TIOCSPGRP.
fn lead_group() {
    system_call(number::SETPGID, [0; 6]);
    let group = own_pid() as i32;
    system_call(number::IOCTL, [0, 0x5410, &raw const group as usize, 0, 0, 0]);
}

/// Becomes the command; returns only if that fails, with the error.
fn execute(stack: Stack) -> isize {
    let count = stack.number(4);
    let argv = stack.argument_address(5 + count);
    let envp = stack.argument_address(stack.word(0) + 1);
    let none = 0u64;
    system_call(number::RT_SIGPROCMASK, [2, &raw const none as usize, 0, 8, 0, 0]);
    let attempt = |index| system_call(number::EXECVE, [stack.word(6 + index), argv, envp, 0, 0, 0]);
    // Without candidates, the next word is the path.
    let mut reason = if count == 0 { attempt(0) } else { ENOENT };
    for index in 0..count {
        match attempt(index) {
            // Like a shell: a file that may not be executed is remembered, and the search
            // continues; a directory that may not be searched counts as empty.
            EACCES if is_file(stack.word(6 + index)) => reason = EACCES,
            EACCES | ENOENT | ENOTDIR => {}
            other => {
                reason = other;
                break;
            }
        }
    }
    reason
}

/// A shell's exit code for a command that was not executed: not found, or not executable.
fn code_of(errno: isize) -> u8 {
    if matches!(errno, ENOENT | ENOTDIR) { 127 } else { 126 }
}

/// Whether there is a file at `path`.
fn is_file(path: usize) -> bool {
    // struct stat has 36 words of 32 bits; the seventh is the mode (arch/x86/include/uapi/asm/stat.h).
    let mut stat = MaybeUninit::<[u32; 36]>::uninit();
    if system_call(number::STAT, [path, stat.as_mut_ptr() as usize, 0, 0, 0, 0]) != 0 {
        return false;
    }
    // SAFETY: the call has succeeded, so the kernel has written all of it.
    let mode = unsafe { stat.assume_init_ref() }[6];
    mode & 0o170_000 == 0o100_000
}

fn own_pid() -> isize {
    system_call(number::GETPID, [0; 6])
}

/// Passes signals on to the command and reaps children, until the command is among them.
fn serve(child: isize) -> i32 {
    // To the whole process group of the command, like a terminal.
    let whom = -child;
    loop {
        let mut status = 0i32;
        const WNOHANG: usize = 1;
        // -1 is any child.
        let dead =
            system_call(number::WAIT4, [usize::MAX, &raw mut status as usize, WNOHANG, 0, 0, 0]);
        if dead == child {
            return status;
        }
        if dead > 0 {
            continue;
        }
        let all = u64::MAX;
        let signal = system_call(number::RT_SIGTIMEDWAIT, [&raw const all as usize, 0, 0, 8, 0, 0]);
        if signal > 0 && signal as usize != SIGCHLD {
            system_call(number::KILL, [whom as usize, signal as usize, 0, 0, 0, 0]);
        }
    }
}

fn tell(report: usize, number: i32) {
    system_call(number::WRITE, [report, &raw const number as usize, 4, 0, 0, 0]);
}
