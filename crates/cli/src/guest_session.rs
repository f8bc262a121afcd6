//! `isolab exec` in a Linux guest: a second command, through the guest's launcher.

use std::io;

use microvm::guest_session::{GuestCommand, SessionOutcome};
use sandbox::LedgerEntry;

use crate::{failure::Failure, guest_control};

/// What a signal would end a command by, if it were killed with its guest.
const KILLED: u8 = 137;

/// Runs `command` in the guest `entry`, and gives its exit code.
pub fn run(entry: &LedgerEntry, command: &GuestCommand) -> Result<u8, Failure> {
    if let Some(why) = command.refusal() {
        return Err(Failure::usage(why));
    }
    let stream = guest_control::ask(entry, "exec")?.0;
    let failed = format!("run a command in {} through its launcher", entry.name);
    match command.run(stream).map_err(Failure::at(failed))? {
        SessionOutcome::Code(code) => Ok(code),
        SessionOutcome::Failed(libc) => Err(not_run(entry, command, libc)),
        SessionOutcome::Mute => {
            let failure = Failure::refused(format!("{} does not answer", entry.name));
            Err(failure.help(format!(
                "its first process or its kernel hangs, or it is paused (`isolab unpause {0}`); \
                 `isolab stop {0}` ends it",
                entry.name
            )))
        }
        SessionOutcome::Closed => {
            Err(Failure::refused(format!("{} ended, and the command with it", entry.name))
                .code(KILLED))
        }
    }
}

/// Why it could not be run, as a shell says it.
fn not_run(entry: &LedgerEntry, command: &GuestCommand, errno: i32) -> Failure {
    const NOT_FOUND: u8 = 127;
    const NOT_EXECUTABLE: u8 = 126;
    const ENOENT: i32 = 2;
    const ENOTDIR: i32 = 20;
    let program = command.words.first().cloned().unwrap_or_default();
    let error = io::Error::from_raw_os_error(errno);
    let failure = Failure::refused(format!("run {program:?} in {}: {error}", entry.name));
    match errno {
        ENOENT | ENOTDIR => failure
            .code(NOT_FOUND)
            .help("the program, its interpreter, or the directory is not in the guest's root"),
        _ => failure.code(NOT_EXECUTABLE),
    }
}
