//! A program that confines itself and then tries to get out. It prints a line for each system call,
//! with the kernel's answer.
//!
//! Command line: `breakout WALL CELL ATTEMPT OPERAND...`
//!
//! ```text
//!   WALL     chroot, pivot_root    confine itself to the directory CELL
//!            none                  it is confined already
//!   ATTEMPT  file PATH             walk out of the root, and read PATH
//!            process PID           kill that process
//!            memory PID ADDRESS    read 16 bytes of that process's memory
//! ```
//!
//! A line is the call, a tab, and its result: a number, which is an errno if it is negative, or the
//! bytes read, in quotes. It reads and kills only what it is told to.
#![no_std]
#![no_main]
// Keeps the compiler from replacing a loop by a call of strlen, which does not exist here.
#![no_builtins]

mod system;

use core::{arch::naked_asm, ffi::CStr};

use system::{exit, number, system_call};

/// The first instruction. The kernel leaves argc and argv on the stack (System V ABI, "Initial
/// Stack and Register State").
#[unsafe(no_mangle)]
#[unsafe(naked)]
extern "C" fn _start() -> ! {
    naked_asm!("mov rdi, rsp", "and rsp, -16", "call {main}", main = sym main)
}

extern "C" fn main(stack: *const usize) -> ! {
    let words = Words(stack);
    let built = match words.at(1).to_bytes() {
        b"chroot" => enter_by_chroot(words.at(2)),
        b"pivot_root" => enter_by_pivot_root(words.at(2)),
        _ => Some(()),
    };
    if built.is_none() {
        exit(NO_WALL);
    }
    match words.at(3).to_bytes() {
        b"file" => walk_out(words.at(4)),
        b"process" => kill(words.number(4)),
        b"memory" => read_memory(words.number(4), words.number(5)),
        _ => exit(NOT_UNDERSTOOD),
    }
    exit(0)
}

/// The exit code if it could not confine itself.
const NO_WALL: u8 = 3;
const NOT_UNDERSTOOD: u8 = 2;

const CLONE_NEWNS: usize = 0x2_0000;
const CLONE_NEWUSER: usize = 0x1000_0000;

/// Root may do that; an ordinary user must become root of a user namespace first.
fn become_root() -> Option<()> {
    if call(number::GETEUID, [0; 6]) == 0 {
        return Some(());
    }
    report(&[b"unshare(CLONE_NEWUSER)"], call(number::UNSHARE, [CLONE_NEWUSER, 0, 0, 0, 0, 0]))
}

fn enter_by_chroot(cell: &CStr) -> Option<()> {
    become_root()?;
    report(&[b"chroot(\"cell\")"], call(number::CHROOT, [address(cell), 0, 0, 0, 0, 0]))?;
    report_if_failed(b"chdir(\"/\")", call(number::CHDIR, [address(c"/"), 0, 0, 0, 0, 0]))
}

/// The steps of `container::rootfs`, without the other barriers of a container.
fn enter_by_pivot_root(cell: &CStr) -> Option<()> {
    const PRIVATE: usize = 1 << 18 | RECURSIVE;
    const BIND: usize = 1 << 12 | RECURSIVE;
    const RECURSIVE: usize = 1 << 14;
    const DETACH: usize = 2;
    become_root()?;
    let unshared = call(number::UNSHARE, [CLONE_NEWNS, 0, 0, 0, 0, 0]);
    report_if_failed(b"unshare(CLONE_NEWNS)", unshared)?;
    let (cell, here, root) = (address(cell), address(c"."), address(c"/"));
    report_if_failed(b"mount(MS_PRIVATE)", call(number::MOUNT, [0, root, 0, PRIVATE, 0, 0]))?;
    report_if_failed(b"mount(MS_BIND)", call(number::MOUNT, [cell, cell, 0, BIND, 0, 0]))?;
    report_if_failed(b"chdir(\"cell\")", call(number::CHDIR, [cell, 0, 0, 0, 0, 0]))?;
    let pivoted = call(number::PIVOT_ROOT, [here, here, 0, 0, 0, 0]);
    report(&[b"pivot_root(\".\", \".\")"], pivoted)?;
    let detached = call(number::UMOUNT2, [here, DETACH, 0, 0, 0, 0]);
    report(&[b"umount2(\".\", MNT_DETACH)"], detached)?;
    report_if_failed(b"chdir(\"/\")", call(number::CHDIR, [root, 0, 0, 0, 0, 0]))
}

/// The classic escape from chroot(2): move the root deeper, and keep a directory that is no longer
/// below it, from which `..` leads up to the real root. Each step is tried even if the previous one
/// failed.
fn walk_out(target: &CStr) {
    const O_RDONLY_DIRECTORY: usize = 0o200_000;
    let here = call(number::OPEN, [address(c"."), O_RDONLY_DIRECTORY, 0, 0, 0, 0]);
    report(&[b"open(\".\")"], here);
    report(&[b"chroot(\"deeper\")"], call(number::CHROOT, [address(c"deeper"), 0, 0, 0, 0, 0]));
    let mut digits = [0; 20];
    let shown = decimal(here.unsigned_abs(), &mut digits);
    report(&[b"fchdir(", shown, b")"], call(number::FCHDIR, [here as usize, 0, 0, 0, 0, 0]));
    for _ in 0..64 {
        report_if_failed(b"chdir(\"..\")", call(number::CHDIR, [address(c".."), 0, 0, 0, 0, 0]));
    }
    let top = call(number::CHROOT, [address(c"."), 0, 0, 0, 0, 0]);
    report(&[b"chdir(\"..\") x 64, chroot(\".\")"], top);
    let file = call(number::OPEN, [address(target), 0, 0, 0, 0, 0]);
    if report_if_failed(b"read(target)", file).is_some() {
        let mut text = [0; TARGET_BYTES];
        let to = text.as_mut_ptr() as usize;
        let count = call(number::READ, [file as usize, to, TARGET_BYTES, 0, 0, 0]);
        report_text(b"read(target)", &text, count);
    }
}

/// The maximum length of the file to read.
const TARGET_BYTES: usize = 16;

fn kill(pid: usize) {
    const SIGKILL: usize = 9;
    report(&[b"getpid()"], call(number::GETPID, [0; 6]));
    let mut digits = [0; 20];
    let shown = decimal(pid, &mut digits);
    report(&[b"kill(", shown, b", SIGKILL)"], call(number::KILL, [pid, SIGKILL, 0, 0, 0, 0]));
}

fn read_memory(pid: usize, from: usize) {
    let mut text = [0; TARGET_BYTES];
    let local = [text.as_mut_ptr() as usize, TARGET_BYTES];
    let remote = [from, TARGET_BYTES];
    let (local, remote) = (&raw const local as usize, &raw const remote as usize);
    let count = call(number::PROCESS_VM_READV, [pid, local, 1, remote, 1, 0]);
    report_text(b"process_vm_readv", &text, count);
    if count < 0 {
        // Signal 0 checks whether the process exists and may be signalled.
        let mut digits = [0; 20];
        let shown = decimal(pid, &mut digits);
        report(&[b"kill(", shown, b", 0)"], call(number::KILL, [pid, 0, 0, 0, 0, 0]));
    }
}

fn call(number: usize, arguments: [usize; 6]) -> isize {
    system_call(number, arguments)
}

fn address(text: &CStr) -> usize {
    text.as_ptr() as usize
}

/// Writes a line; `None` if the call failed.
fn report(words: &[&[u8]], result: isize) -> Option<()> {
    words.iter().for_each(|word| write(word));
    write(if result < 0 { b"\t-" } else { b"\t" });
    write(decimal(result.unsigned_abs(), &mut [0; 20]));
    write(b"\n");
    (result >= 0).then_some(())
}

/// A step that is printed only if it fails.
fn report_if_failed(word: &[u8], result: isize) -> Option<()> {
    if result < 0 { report(&[word], result) } else { Some(()) }
}

/// Writes a line with the first line of the bytes read.
fn report_text(word: &[u8], text: &[u8], count: isize) {
    if report_if_failed(word, count).is_some() {
        let end = text.iter().take(count as usize).take_while(|byte| **byte >= b' ').count();
        [word, b"\t\"", &text[..end], b"\"\n"].into_iter().for_each(write);
    }
}

fn write(text: &[u8]) {
    // If the launcher no longer reads, it is gone.
    system_call(number::WRITE, [1, text.as_ptr() as usize, text.len(), 0, 0, 0]);
}

fn decimal(mut number: usize, digits: &mut [u8; 20]) -> &[u8] {
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[first..];
        }
    }
}

/// The words of the command line, on the initial stack.
struct Words(*const usize);

impl Words {
    /// The word at `index`; empty if there are fewer.
    fn at(&self, index: usize) -> &'static CStr {
        // SAFETY: the first thing on the stack is the number of words.
        if index >= unsafe { self.0.read() } {
            return c"";
        }
        // SAFETY: it is one of the addresses that follow it.
        let start = unsafe { self.0.add(index + 1).read() } as *const u8;
        let mut length = 0;
        // SAFETY: the kernel ends every argument with a null.
        while unsafe { start.add(length).read() } != 0 {
            length += 1;
        }
        // SAFETY: these bytes were just read, and the initial stack lives as long as the program.
        let bytes = unsafe { core::slice::from_raw_parts(start, length + 1) };
        CStr::from_bytes_with_nul(bytes).unwrap_or_default()
    }

    fn number(&self, index: usize) -> usize {
        let digits = core::str::from_utf8(self.at(index).to_bytes());
        match digits.ok().and_then(|digits| digits.parse().ok()) {
            Some(number) => number,
            None => exit(NOT_UNDERSTOOD),
        }
    }
}
