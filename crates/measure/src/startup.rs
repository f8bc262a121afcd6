//! Start and end: the milestones of a `hello`, warm, and the first byte of a whole fresh process.

use std::{
    io::{self, Read, Write},
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use report::{Unit, metric};
use sandbox::{Milestone, Timeline};

use crate::{
    Error, Session, Value,
    outcome::{ensure_success, hello},
};

/// Spawns `hello` again and again in this process and takes the time from the call to each
/// milestone; what the launcher does before its first `spawn` is not in it, see [`cold`].
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

/// From the start of a fresh `isolab run --in X hello` to its first byte on our pipe.
pub fn cold<W: Write>(session: &mut Session<W>, isolab: &Path) -> io::Result<()> {
    session.rounds(|subject| {
        let mut command = Command::new(isolab);
        command.args(["run", "--in", subject.sandbox.name(), "hello"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let began = Instant::now();
        let mut child = command.spawn()?;
        let mut output = child.stdout.take().expect("it was asked for");
        let mut byte = [0];
        let count = output.read(&mut byte)?;
        let first_byte = began.elapsed();
        let mut rest = Vec::new();
        output.read_to_end(&mut rest)?;
        let ended = child.wait_with_output()?;
        if count == 0 || !ended.status.success() {
            return Err(Error::of_command("isolab run", ended.status, &ended.stderr));
        }
        let time = first_byte.as_nanos() as f64;
        Ok(vec![(metric::STARTUP_COLD_FIRST_BYTE, Unit::Nanoseconds, time)])
    })
}
