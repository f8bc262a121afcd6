//! Who is killed first when the host has no memory left: `oom_score_adj` (proc(5)).
//!
//! The value belongs to a process, but the kernel gives it to all that share their memory with it,
//! those of vfork(2) excepted: they are about to execute something else. Such is the usual child, and
//! writes its own. A child that waits for its launcher is not, so that the launcher changes with it,
//! and takes its value back when the child has executed its program. A start of another thread's that
//! falls into these milliseconds has the value too.

use std::fs;

use crate::{
    error::{Error, call, file},
    lookup,
    plan::SyscallPlan,
};
use nix::errno::Errno;
use sandbox::Question::Power;

const LAUNCHER: &str = "/proc/self/oom_score_adj";

/// The first and the last value (linux/oom.h): never, and before all others.
const VALUES: std::ops::RangeInclusive<i32> = -1000..=1000;

/// Whether there is such a value.
pub(crate) fn check(score: Option<i32>) -> Result<(), Error> {
    match score {
        Some(score) if !VALUES.contains(&score) => {
            let why = format!("{score} is not from -1000 to 1000");
            Err(Error::Resource { option: "oom-score-adj", why })
        }
        _ => Ok(()),
    }
}

/// The step of a child that does not wait for its launcher, before it enters the root.
pub(crate) fn set_own(
    plan: &mut SyscallPlan,
    score: Option<i32>,
    waits: bool,
) -> Result<(), Error> {
    let Some(score) = score.filter(|_| !waits) else { return Ok(()) };
    lookup::open_own_proc_to_write(plan, "oom_score_adj".as_ref())?;
    let opened = plan.result();
    let text = score.to_string();
    let arguments = [opened.operand(), plan.keep(&text), text.len()];
    plan.step(Power, words(score), libc::SYS_write, arguments);
    Ok(())
}

/// Gives a child that waits its value.
pub(crate) fn give(pid: i32, score: Option<i32>, waits: bool) -> Result<Shared, Error> {
    let Some(score) = score.filter(|_| waits) else { return Ok(Shared { own: None }) };
    let own = fs::read_to_string(LAUNCHER).map_err(file("read", LAUNCHER))?;
    let written = fs::write(format!("/proc/{pid}/oom_score_adj"), score.to_string());
    let errno = |error: std::io::Error| Errno::from_raw(error.raw_os_error().unwrap_or_default());
    written.map_err(|error| call(words(score))(errno(error)))?;
    Ok(Shared { own: Some(own) })
}

fn words(score: i32) -> String {
    format!("write {score} to oom_score_adj")
}

/// As long as launcher and child share their memory, and with it the child's value.
#[derive(Debug)]
#[must_use]
pub(crate) struct Shared {
    /// The launcher's own.
    own: Option<String>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Back to a value that it was allowed to have, which the kernel grants.
        if let Some(own) = &self.own {
            let _ = fs::write(LAUNCHER, own.trim());
        }
    }
}
