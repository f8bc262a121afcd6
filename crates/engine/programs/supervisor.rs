//! The supervisor of a container: it holds the terminal or the pipes, keeps the log, knows how the
//! first process ended, and outlives the daemon.
//!
//! One of them runs for each container and for each command that joins one. It has no libc and no
//! heap, and costs some ten kilobytes of memory while nothing happens.
//!
//! Command line: `isolab-supervisor FLAGS LOG_BYTES LOG_FILES WORD..`: a minus and letters (`i`:
//! standard input stays open, `1`: until the first client that has it goes, `t`: a terminal, `l`: keep
//! a log), how the log is rotated, and the words of the launcher, whose program is descriptor 0. The
//! working directory is the container's.
//!
//! ```text
//!   daemon ──frames──> attach ─┐                        ┌─ pipes or terminal ── the first process
//!   client ──frames──> attach ─┴── this process ────────┤
//!                                    │     │            └─ launcher, which makes it and ends
//!                                   log   exit
//! ```
//!
//! The first process to run here binds the socket, forks, and ends: with 0, or with the error number
//! of what failed. So the caller knows when it may connect, and the other one is nobody's child but
//! init's.
#![no_std]
#![no_main]

#[path = "supervisor/buffer.rs"]
mod buffer;
#[path = "supervisor/calls.rs"]
mod calls;
#[path = "supervisor/client.rs"]
mod client;
#[path = "supervisor/clock.rs"]
mod clock;
#[path = "supervisor/entry.rs"]
mod entry;
#[path = "supervisor/launch.rs"]
mod launch;
#[path = "supervisor/lines.rs"]
mod lines;
#[path = "supervisor/log.rs"]
mod log;
#[path = "../../guest/programs/init/memory.rs"]
mod memory;
#[path = "supervisor/output.rs"]
mod output;
#[path = "supervisor/pages.rs"]
mod pages;
#[path = "supervisor/supervise.rs"]
mod supervise;
#[path = "../../guest/programs/system.rs"]
mod system;
#[path = "supervisor/words.rs"]
mod words;

use core::arch::naked_asm;

use calls::{Descriptor, Errno, Result, call};
use launch::Launcher;
use supervise::Supervisor;
use system::{exit, number};
use words::Words;

#[unsafe(no_mangle)]
#[unsafe(naked)]
extern "C" fn _start() -> ! {
    naked_asm!("mov rdi, rsp", "and rsp, -16", "call {main}", main = sym main)
}

extern "C" fn main(stack: *const usize) -> ! {
    match prepare(Words::new(stack)) {
        Ok(None) => exit(0),
        Ok(Some(mut supervisor)) => {
            supervisor.run();
            exit(0)
        }
        Err(Errno(errno)) => exit(errno as u8),
    }
}

/// Everything up to the fork; the parent gets `None`.
fn prepare(words: Words) -> Result<Option<Supervisor>> {
    let flags = words.bytes(1).ok_or(Errno::INVALID)?;
    let (log_bytes, log_files) = (words.number(2)?, words.number(3)?);
    let has = |letter: u8| flags.contains(&letter);
    // Whoever waits for the end of a pipe of the caller's does not wait for this process.
    call(number::CLOSE_RANGE, [3, u32::MAX as usize, 0])?;
    const PR_SET_NAME: usize = 15;
    let _ = call(number::PRCTL, [PR_SET_NAME, c"isolab-superv".as_ptr() as usize]);
    let all = u64::MAX;
    call(number::RT_SIGPROCMASK, [2, &raw const all as usize, 0, 8])?;
    call(number::UMASK, [0o077])?;
    // It fails for the leader of a process group, which the caller's child is not.
    let _ = call(number::SETSID, []);
    const PR_SET_CHILD_SUBREAPER: usize = 36;
    call(number::PRCTL, [PR_SET_CHILD_SUBREAPER, 1])?;
    let program = Descriptor::new(0).duplicate(launch::LOWEST)?;
    let null = calls::open(c"/dev/null", calls::O_RDWR)?;
    for number in 0..3 {
        call(number::DUP2, [null.number(), number])?;
    }
    let listener = client::listen()?;
    let log = match has(b'l') {
        true => Some(log::Log::open(log_bytes, log_files)?),
        false => None,
    };
    if call(number::FORK, [])? != 0 {
        return Ok(None);
    }
    // Subreaping is not inherited by a fork's child (PR_SET_CHILD_SUBREAPER(2const)).
    call(number::PRCTL, [PR_SET_CHILD_SUBREAPER, 1])?;
    let launcher = Launcher {
        program,
        words,
        stdin: has(b'i'),
        tty: has(b't'),
        oom_score_adj: launch::survive_lack_of_memory(),
    };
    Supervisor::new(launcher, listener, log, has(b'1')).map(Some)
}
