//! Running a built-in program, and what counts as a successful run.

use std::time::Duration;

use sandbox::{Builtin, Outcome, Workload};

use crate::Error;

/// A program that takes longer than this has failed.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// The program that writes one line and ends.
pub fn hello() -> Workload {
    Workload::builtin(Builtin::Hello, &[]).deadline(TIMEOUT)
}

/// The outcome, if the program succeeded.
///
/// # Errors
///
/// When the program ended with another status than success; the message has its standard error.
pub fn ensure_success(outcome: Outcome) -> Result<Outcome, Error> {
    if outcome.status.is_success() {
        return Ok(outcome);
    }
    let errors = String::from_utf8_lossy(&outcome.errors).trim().to_owned();
    Err(Error::new(format!("the program ended with {:?} {errors}", outcome.status)))
}

#[cfg(test)]
mod tests {
    use sandbox::{Native, Sandbox as _};

    use super::*;

    #[test]
    fn a_program_that_fails_is_an_error_with_what_it_wrote() {
        let run = |script| Native.run(&Workload::command(["/bin/sh", "-c", script])).unwrap();
        assert!(ensure_success(run("exit 0")).is_ok());
        let error = ensure_success(run("echo no disk >&2; exit 3")).unwrap_err();
        assert!(error.reason.contains('3') && error.reason.ends_with("no disk"), "{error}");
    }
}
