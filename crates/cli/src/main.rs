//! Where the process of `isolab` begins.
//!
//! Rust's own start-up code lays out an alternate signal stack and reads `/proc/self/maps`, which
//! costs a short command a tenth of a millisecond. So the C library calls [`main`] directly, and
//! what else that code does is done here and in [`cli::main`].
#![no_main]
#![deny(unsafe_code)]

use std::ffi::{c_char, c_int};

use nix::sys::signal::{SigHandler, Signal, signal};

/// Called by the C library. The words of the command line are in [`std::env::args_os`] by then:
/// glibc hands them to `.init_array`.
#[expect(unsafe_code, reason = "the symbol that the C library calls")]
// SAFETY: nothing else that is linked defines `main`, and this is its C signature.
#[unsafe(no_mangle)]
pub extern "C" fn main(_count: c_int, _words: *const *const c_char) -> c_int {
    let broken_pipes_were_ignored = ignore_broken_pipes();
    wait_for_children();
    cli::main(broken_pipes_were_ignored)
}

/// A write to a pipe that nobody reads is an error then, not the end (pipe(7)). Says whether the
/// caller had chosen the same.
#[expect(unsafe_code, reason = "signal(2)")]
fn ignore_broken_pipes() -> bool {
    // SAFETY: no handler runs, and nothing else has chosen a disposition: this is the first call.
    let before = unsafe { signal(Signal::SIGPIPE, SigHandler::SigIgn) };
    matches!(before, Ok(SigHandler::SigIgn))
}

/// Whoever ignores SIGCHLD, as a caller may have chosen, is never told how a child ended (wait(2)).
#[expect(unsafe_code, reason = "signal(2)")]
fn wait_for_children() {
    // SAFETY: no handler runs, and nothing else has chosen what becomes of this signal.
    let _ = unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) };
}
