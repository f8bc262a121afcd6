//! Start and end: the milestones of a `hello`, warm.

use std::io::{self, Write};

use report::{Unit, metric};
use sandbox::{Milestone, Timeline};

use crate::{
    Session, Value,
    outcome::{ensure_success, hello},
};

/// Spawns `hello` again and again in this process and takes the time from the call to each
/// milestone; what the launcher does before its first `spawn` is not in it, see [`cold`](crate::cold).
pub fn warm<W: Write>(session: &mut Session<W>) -> io::Result<()> {
    let hello = hello();
    session.rounds(|subject| {
        let outcome = ensure_success(subject.sandbox.run(&hello)?)?;
        Ok(milestones(&outcome.timeline))
    })
}

fn milestones(timeline: &Timeline) -> Vec<Value> {
    let since = |milestone| timeline.since_start(milestone);
    let teardown = || since(Milestone::Cleaned)?.checked_sub(since(Milestone::Exited)?);
    let times = [
        (metric::STARTUP_CREATED, since(Milestone::Created)),
        (metric::STARTUP_ENTERED, since(Milestone::Entered)),
        (metric::STARTUP_FIRST_BYTE, since(Milestone::FirstByte)),
        (metric::STARTUP_EXITED, since(Milestone::Exited)),
        (metric::TEARDOWN, teardown()),
    ];
    let reached = times.into_iter().filter_map(|(metric, time)| Some((metric, time?)));
    reached.map(|(metric, time)| (metric, Unit::Nanoseconds, time.as_nanos() as f64)).collect()
}
