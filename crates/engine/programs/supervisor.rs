//! The supervisor of a container: the process that starts its launcher, is the parent of its first
//! process, carries and logs its output, and records its end. It outlives the daemon.
//!
//! ```text
//!   daemon ──> first process ── ready: exits with 0
//!     :           └─ fork ──> supervisor ──> launcher ── makes the container's first process, exits
//!     :                        │  ^ │
//!     └─── socket `attach` ────┘  │ └─> files `log`, `exit`
//!                                 └── pipes or terminal ── the container's first process, its child now
//! ```
//!
//! One runs for every container, so it has a few kilobytes: no libc, no heap, and buffers that are
//! returned to the kernel when there is no output. Its command line is in `arguments`, its frames are
//! in `client`. If it cannot begin it exits with the errno.
#![no_std]
#![no_main]

#[path = "supervisor/arguments.rs"]
mod arguments;
#[path = "supervisor/buffer.rs"]
mod buffer;
#[path = "supervisor/calls.rs"]
mod calls;
#[path = "supervisor/children.rs"]
mod children;
#[path = "supervisor/client.rs"]
mod client;
#[path = "supervisor/clients.rs"]
mod clients;
#[path = "supervisor/clock.rs"]
mod clock;
#[path = "supervisor/container.rs"]
mod container;
#[path = "supervisor/decimal.rs"]
mod decimal;
#[path = "supervisor/entry.rs"]
mod entry;
#[path = "supervisor/exit_record.rs"]
mod exit_record;
#[path = "supervisor/input.rs"]
mod input;
#[path = "supervisor/launch.rs"]
mod launch;
#[path = "supervisor/lines.rs"]
mod lines;
#[path = "supervisor/log.rs"]
mod log;
#[path = "supervisor/log_files.rs"]
mod log_files;
#[path = "../../guest/programs/init/memory.rs"]
mod memory;
#[path = "supervisor/messages.rs"]
mod messages;
#[path = "supervisor/output.rs"]
mod output;
#[path = "supervisor/pages.rs"]
mod pages;
#[path = "supervisor/record.rs"]
mod record;
#[path = "supervisor/serve.rs"]
mod serve;
#[path = "supervisor/setup.rs"]
mod setup;
#[path = "../../guest/programs/system.rs"]
mod system;
#[path = "supervisor/terminal.rs"]
mod terminal;

use core::arch::naked_asm;

use arguments::Arguments;
use calls::{Errno, Result, call};
use container::Container;
use exit_record::ExitRecord;
use launch::Launcher;
use log::Log;
use serve::Supervisor;
use setup::OutOfMemoryScore;
use system::{exit, number};

#[unsafe(no_mangle)]
#[unsafe(naked)]
extern "C" fn _start() -> ! {
    naked_asm!("mov rdi, rsp", "and rsp, -16", "call {main}", main = sym main)
}

extern "C" fn main(stack: *const usize) -> ! {
    // SAFETY: `_start` passes the stack pointer as it was.
    let arguments = unsafe { Arguments::new(stack) };
    exit(match supervise(arguments) {
        Ok(()) => 0,
        Err(Errno(errno)) => errno as u8,
    })
}

/// Becomes two processes: the first ends when the second is ready, which returns at its end.
fn supervise(arguments: Arguments) -> Result<()> {
    let options = arguments.options().ok_or(Errno::INVALID)?;
    let program = setup::take_program()?;
    let signals = setup::child_signals()?;
    let log = options.log.map(Log::open).transpose()?;
    let exit_record = ExitRecord::prepare()?;
    let socket = setup::listen()?;
    if call(number::FORK, [])? > 0 {
        return Ok(());
    }
    setup::stand_alone()?;
    let launcher = Launcher { program, arguments, score: OutOfMemoryScore::lower() };
    let container = Container::new(options, launcher, exit_record, log)?;
    Supervisor::new(container, socket, signals).run();
    Ok(())
}
