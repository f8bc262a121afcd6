//! Start and end: the milestones of a `hello`, warm, and the first byte of a whole fresh process, by
//! itself or through a daemon.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use report::{Unit, metric};
use sandbox::{Milestone, Timeline};

use crate::{
    Error, Session, Subject, Value,
    engine::{self, Daemon, Dockerd},
    outcome::{ensure_success, hello},
    session::Task,
    subjects::AGAIN,
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

/// A way to start a whole `hello`, each of them a fresh process of this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// `isolab run --in X hello`.
    Run,
    /// `isolab run --image`.
    Image,
    /// A client of isolab's daemon.
    Engine,
    /// A client of Docker's.
    Dockerd,
}

impl Task for Way {
    fn metric(&self) -> &'static str {
        match self {
            Self::Run => metric::STARTUP_COLD_FIRST_BYTE,
            Self::Image => metric::STARTUP_IMAGE_FIRST_BYTE,
            Self::Engine => metric::STARTUP_ENGINE_FIRST_BYTE,
            Self::Dockerd => metric::STARTUP_DOCKERD_FIRST_BYTE,
        }
    }
}

impl Way {
    /// Why a sandbox is not started in this way; `None` if it is.
    fn why_not(self, label: &str) -> Option<&'static str> {
        match (self, label) {
            (Self::Run, _) | (_, "container") => None,
            (Self::Engine, "process" | AGAIN) => None,
            (Self::Image, "microvm") => Some("a bare program has no image"),
            (Self::Engine, "microvm") => {
                Some("its runtime microvm boots a Linux guest: the last question is of that")
            }
            (Self::Image, _) => Some("an image is the root of a container"),
            (Self::Dockerd, _) => Some("dockerd has containers only"),
            (Self::Engine, _) => Some("the engine has no such runtime"),
        }
    }
}

/// Of what takes several times as long as `isolab run`, a quick comparison takes so many in a process,
/// the warm-up included: both of its processes together have enough for an interval.
const FEW: u32 = 4;

/// From the start of a fresh command to its first byte on our pipe: `isolab run`, and clients of
/// daemons.
pub fn cold<W: Write>(session: &mut Session<W>, isolab: &Path, quick: bool) -> io::Result<()> {
    let labels: Vec<&str> = session.subjects.iter().map(|subject| subject.label).collect();
    let ways = [Way::Run, Way::Image, Way::Engine, Way::Dockerd];
    for label in labels.iter().filter(|label| **label != AGAIN) {
        for way in ways {
            if let Some(why) = way.why_not(label) {
                session.writer.gaps(&[way.metric()], label, &Error::new(why))?;
            }
        }
    }
    let daemons = Daemons { isolab, engine: Daemon::start(isolab), dockerd: Dockerd::find() };
    let mut asked: BTreeMap<_, u32> = BTreeMap::new();
    session.rounds_of(&ways, |subject, way| {
        if way.why_not(subject.label).is_some() {
            return Ok(Vec::new());
        }
        let asked = asked.entry((way.metric(), subject.label)).or_default();
        *asked += 1;
        if quick && *asked > FEW && *way != Way::Run {
            return Ok(Vec::new());
        }
        let time = first_byte(daemons.command(*way, subject)?)?;
        Ok(vec![(way.metric(), Unit::Nanoseconds, time)])
    })
}

/// The program that is started, and the daemons that its clients ask.
struct Daemons<'a> {
    isolab: &'a Path,
    engine: Result<Daemon, Error>,
    dockerd: Result<Dockerd, Error>,
}

impl Daemons<'_> {
    /// The command to measure.
    fn command(&self, way: Way, subject: &Subject) -> Result<Command, Error> {
        let mut command = Command::new(self.isolab);
        let kind = subject.sandbox.name();
        match way {
            Way::Run => {
                command.args(["run", "--in", kind, "hello"]);
            }
            Way::Image => {
                let (variable, images) = known(&self.engine)?.images();
                command.env(variable, images);
                command.args(["run", "--in", kind, "--image", engine::IMAGE, engine::PROGRAM]);
            }
            Way::Engine => {
                let network = if kind == "process" { "host" } else { "none" };
                command.arg("measure-client").arg(known(&self.engine)?.socket());
                command.args(["--network", network, "--runtime", kind]);
            }
            Way::Dockerd => {
                command.arg("measure-client").arg(known(&self.dockerd)?.socket());
                command.args(["--network", "none"]);
            }
        }
        Ok(command)
    }
}

/// A daemon, or once more why there is none.
fn known<T>(daemon: &Result<T, Error>) -> Result<&T, Error> {
    daemon
        .as_ref()
        .map_err(|Error { reason, fix }| Error { reason: reason.clone(), fix: fix.clone() })
}

/// The time from the start of `command` to its first byte, in nanoseconds.
fn first_byte(mut command: Command) -> Result<f64, Error> {
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
        let words: Vec<_> = command.get_args().take(1).map(|word| word.to_string_lossy()).collect();
        let words = format!("isolab {}", words.join(" "));
        return Err(Error::of_command(&words, ended.status, &ended.stderr));
    }
    Ok(first_byte.as_nanos() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_starts_a_container() {
        for way in [Way::Run, Way::Image, Way::Engine, Way::Dockerd] {
            assert!(way.why_not("container").is_none(), "{way:?}");
        }
        assert!(Way::Engine.why_not(AGAIN).is_none(), "or there is no noise floor");
    }
}
