//! A whole fresh command, by itself or through a daemon: its first byte and its end, of isolab and of
//! its peers in the same rounds; and a machine of a peer's that boots a whole distribution.

use std::{
    io::{self, Write},
    mem,
    path::Path,
    process::Command,
    time::Duration,
};

use report::Unit;

use crate::{
    Error, MeasureOptions, Session, Subject, Value,
    command_time::{CommandTime, Expected, command_time},
    engine::{self, Daemon, Dockerd},
    error::known,
    message::{Message, MessageWriter},
    outcome::TIMEOUT,
    participant::Participant,
    peers::Peer,
    session::{Labelled, Task as _},
    subjects::{AGAIN, LABELS, LINUX, linux_guest},
    turns::Turns,
    ways::{NO_DISTRIBUTION, Way},
};

/// Who starts it.
type Starter<'a> = Participant<'a, Peer>;

impl Starter<'_> {
    fn why_not(&self, way: Way) -> Option<&'static str> {
        match self {
            Self::Peer(peer) => way.why_no_peer(peer.boots()),
            Self::Isolab(subject) => way.why_not(subject.label),
        }
    }

    /// Whether it takes this turn: each of them, unless it is a peer that would need more than its
    /// share of the time, or a quick comparison has enough of it.
    fn takes_turn(&self, way: Way, turn: u32, turns: &Turns) -> bool {
        match self {
            Self::Isolab(subject) if subject.label == LINUX => turns.of_slow(LINUX_PACE, turn),
            Self::Isolab(_) => way == Way::Run || turn < turns.of_daemons,
            Self::Peer(_) if way == Way::Login => turns.of_slowest(turn),
            Self::Peer(peer) => turns.of_slow(peer.pace(), turn),
        }
    }
}

/// A Linux guest boots about as long.
const LINUX_PACE: Duration = Duration::from_millis(600);

/// From the start of a fresh command to its first byte on our pipe and to its end: `isolab run`,
/// clients of daemons, and peers.
pub fn measure<W: Write>(
    session: &mut Session<W>,
    isolab: &Path,
    options: &MeasureOptions,
) -> io::Result<()> {
    let mut own = mem::take(&mut session.subjects);
    own.extend(linux_guest());
    let mut starters: Vec<_> = own.iter().map(Starter::Isolab).collect();
    for definition in options.peers.iter() {
        match Peer::prepare(definition) {
            Ok(peer) => {
                session.writer.write(&Message::Subject(peer.name().into(), peer.subject()))?;
                starters.push(Starter::Peer(Box::new(peer)));
            }
            Err(error) => {
                let way = Way::of_peer(definition.boots.is_some());
                session.writer.gaps(&way.metrics(), definition.name, &error)?;
            }
        }
    }
    let ways = Way::all(options.peers);
    if ways.contains(&Way::Login) {
        // Also of those that this host cannot show.
        for label in LABELS.into_iter().chain([LINUX]) {
            let why = Error::new(NO_DISTRIBUTION);
            session.writer.gaps(&Way::Login.metrics(), label, &why)?;
        }
    }
    for starter in starters.iter().filter(|starter| starter.label() != AGAIN) {
        for &way in &ways {
            if let Some(why) = starter.why_not(way) {
                session.writer.gaps(&way.metrics(), starter.label(), &Error::new(why))?;
            }
        }
    }
    let daemons = Daemons { isolab, engine: Daemon::start(isolab), dockerd: Dockerd::find() };
    let turns = Turns::of(options, session.warm_up_and_rounds());
    session.rounds_among(&starters, &ways, |starter, way, turn| {
        match starter.why_not(*way).is_none() && starter.takes_turn(*way, turn, &turns) {
            true => daemons.values(*way, starter),
            false => Ok(Vec::new()),
        }
    })?;
    for starter in starters {
        if let Starter::Peer(peer) = starter {
            write_end(&mut session.writer, &peer)?;
        }
    }
    Ok(())
}

/// Writes what a peer has left behind, which is removed, and its version as it is now.
fn write_end<W: Write>(writer: &mut MessageWriter<W>, peer: &Peer) -> io::Result<()> {
    let left = peer.left_behind();
    if left > 0 {
        let text = format!("{left} containers after its commands had ended; removed");
        writer.write(&Message::Fact(format!("left by {}", peer.name()), text))?;
    }
    match peer.subject_now() {
        Ok(subject) => writer.write(&Message::Subject(peer.name().into(), subject)),
        Err(error) => writer.gaps(&Way::of_peer(peer.boots()).metrics(), peer.name(), &error),
    }
}

/// The program that is started, and the daemons that its clients ask.
struct Daemons<'a> {
    isolab: &'a Path,
    engine: Result<Daemon, Error>,
    dockerd: Result<Dockerd, Error>,
}

impl Daemons<'_> {
    /// Starts it once.
    fn values(&self, way: Way, starter: &Starter) -> Result<Vec<Value>, Error> {
        const HELLO: Expected = Expected::Exactly(b"hello\n");
        let both = |time: CommandTime| vec![time.first_byte, time.exited];
        let times = match starter {
            Starter::Peer(peer) if way == Way::Login => vec![peer.log_in()?],
            Starter::Peer(peer) => both(peer.run()?),
            Starter::Isolab(subject) => {
                let mut command = self.command(way, subject)?;
                let word = command.get_args().next().unwrap_or_default().to_string_lossy();
                let name = format!("isolab {word}");
                both(command_time(&name, &mut command, HELLO, TIMEOUT)?)
            }
        };
        let times = times.into_iter().map(|time| time.as_nanos() as f64);
        let values = way.metrics().into_iter().zip(times);
        Ok(values.map(|(metric, time)| (metric, Unit::Nanoseconds, time)).collect())
    }

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
            Way::Login => {
                return Err(Error::new("isolab boots no distribution to its login prompt"));
            }
        }
        Ok(command)
    }
}
