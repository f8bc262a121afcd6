//! The check's payload: a program to be contained, which does what its arguments say.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    process::ExitCode,
    thread::sleep,
    time::Duration,
};

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// Does step after step: `print=TEXT`, `mark=FILE` creates a file, `await=FILE` waits for one,
/// `exit=CODE` ends, and `crash` is ended by the processor.
pub(crate) fn payload(steps: &[&str]) -> ExitCode {
    for step in steps {
        match step.split_once('=').unwrap_or((step, "")) {
            // A log that is broken is for the check to see.
            ("print", text) => drop(io::stdout().write_all(format!("{text}\n").as_bytes())),
            ("mark", file) => drop(fs::write(file, "")),
            ("await", file) => {
                while !Path::new(file).exists() {
                    sleep(Duration::from_millis(2));
                }
            }
            ("crash", _) => crash(),
            ("exit", code) => return ExitCode::from(code.parse::<u8>().unwrap_or(1)),
            _ => return ExitCode::FAILURE,
        }
    }
    ExitCode::SUCCESS
}

/// Executes an undefined instruction. The first process of a PID namespace ignores signals that it
/// has no handler for, but not what it has done itself: SIGILL ends it (pid_namespaces(7)).
fn crash() -> ! {
    // Nobody needs a core file of this.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    // SAFETY: the process ends here.
    #[expect(unsafe_code, reason = "an undefined instruction is what is wanted")]
    unsafe {
        std::arch::asm!("ud2", options(noreturn));
    }
}
