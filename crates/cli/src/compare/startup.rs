//! Start and end: the milestones of a `hello`, warm, and the first byte of a whole fresh process.

use std::{
    env,
    io::{self, Read, Write},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use report::Unit;
use sandbox::{Builtin, Milestone, Outcome, Timeline, Workload};

use super::measure::{Failure, Session};

/// After so long a `hello` has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Spawns `hello` again and again in this process and takes the time from the call to each
/// milestone; what the launcher does before its first `spawn` is not in it, see [`cold`].
pub fn warm<W: Write>(session: &mut Session<W>) -> io::Result<()> {
    let hello = Workload::builtin(Builtin::Hello, &[]).deadline(PATIENCE);
    session.rounds(|subject| {
        let outcome = well(subject.sandbox.run(&hello)?)?;
        Ok(milestones(&outcome.timeline))
    })
}

/// An outcome, unless the program failed.
pub fn well(outcome: Outcome) -> Result<Outcome, Failure> {
    if outcome.status.is_success() {
        return Ok(outcome);
    }
    let errors = String::from_utf8_lossy(&outcome.errors).trim().to_owned();
    Err(Failure::new(format!("the program ended with {:?} {errors}", outcome.status)))
}

fn milestones(timeline: &Timeline) -> Vec<(&'static str, Unit, f64)> {
    let since = |milestone| timeline.since_start(milestone);
    let teardown = || since(Milestone::Cleaned)?.checked_sub(since(Milestone::Exited)?);
    let times = [
        ("startup.created", since(Milestone::Created)),
        ("startup.entered", since(Milestone::Entered)),
        ("startup.first_byte", since(Milestone::FirstByte)),
        ("startup.exited", since(Milestone::Exited)),
        ("teardown", teardown()),
    ];
    let reached = times.into_iter().filter_map(|(metric, time)| Some((metric, time?)));
    reached.map(|(metric, time)| (metric, Unit::Nanoseconds, time.as_nanos() as f64)).collect()
}

/// From the start of a fresh `isolab run --in X hello` to its first byte on our pipe.
pub fn cold<W: Write>(session: &mut Session<W>) -> io::Result<()> {
    let program = env::current_exe()?;
    session.rounds(|subject| {
        let mut command = Command::new(&program);
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
            return Err(Failure::of_run(ended.status, &ended.stderr));
        }
        let metric = "startup.cold.first_byte";
        Ok(vec![(metric, Unit::Nanoseconds, first_byte.as_nanos() as f64)])
    })
}
