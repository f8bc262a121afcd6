//! Which process is killed first when the host runs out of memory: `oom_score_adj` (proc(5)).
//!
//! The kernel applies a change to all processes that share their memory, except children of
//! vfork(2), which are about to execute another program. The usual child is one of those, and
//! writes its own value. A child that waits for its launcher is not: the launcher gets the same
//! value, and restores its own when the child has executed its program. A child that another thread
//! starts in these milliseconds has the value too.

use std::fs;

use crate::{
    error::{Error, call, file},
    lookup,
    plan::SyscallPlan,
};
use nix::errno::Errno;
use sandbox::Question::Power;

const LAUNCHER: &str = "/proc/self/oom_score_adj";

/// The smallest and the largest value (linux/oom.h): never, and before all others.
const VALUES: std::ops::RangeInclusive<i32> = -1000..=1000;

/// Checks the range of the value.
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

/// Sets the value of a child that waits.
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

/// Lives while launcher and child share their memory, and with it the child's value.
#[derive(Debug)]
#[must_use]
pub(crate) struct Shared {
    /// The launcher's own.
    own: Option<String>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The kernel always allows going back to a previous value.
        if let Some(own) = &self.own {
            let _ = fs::write(LAUNCHER, own.trim());
        }
    }
}
