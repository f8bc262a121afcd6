//! The footprint of one instance: memory of its launcher once that stands still, and disk.

use std::{
    io::{self, Write},
    mem,
    path::Path,
    thread,
    time::Duration,
};

use report::{Unit, metric};

use crate::{
    Error, MeasureOptions, Part, Session,
    idle::{Idle, Idler},
    message::Message,
    peers::Peer,
    session::Labelled as _,
    settling::{Settling, Verdict},
};

/// How often memory is read while it is not yet known to stand still.
const PAUSE: Duration = Duration::from_millis(100);

/// Measures memory and disk of one idle instance, in every sandbox.
///
/// In each round one instance of every sandbox and of every peer is started, and all of them are read
/// until each stands still: so they wait for their launchers together. No two of isolab's share a
/// page.
pub fn measure<W: Write>(
    session: &mut Session<W>,
    isolab: &Path,
    options: &MeasureOptions,
) -> io::Result<()> {
    let counted = [
        (
            metric::FOOTPRINT_MEMORY,
            "PSS of `isolab run --in X idle` and all its descendants, the guest's RAM left out; \
             started from a copy, so that no page of the program is shared with others",
        ),
        (
            metric::FOOTPRINT_DISK,
            "blocks (st_blocks) of what has to be stored for `hello` besides isolab itself, which \
             all share: the program, in a file of its own; its root directory is made in memory",
        ),
    ];
    for (name, value) in counted {
        session.writer.write(&Message::Fact(name.into(), value.into()))?;
    }
    let own = mem::take(&mut session.subjects);
    let mut idlers: Vec<_> = own.iter().map(Idler::Isolab).collect();
    for definition in options.peers.iter() {
        match Peer::prepare_idle(definition) {
            Ok(peer) => {
                session.writer.write(&Message::Subject(peer.name().into(), peer.subject()))?;
                let none = Error::new("what it is made of is installed on the host, for all");
                session.writer.gaps(&[metric::FOOTPRINT_DISK], peer.name(), &none)?;
                idlers.push(Idler::Peer(Box::new(peer)));
            }
            Err(error) => {
                session.writer.gaps(Part::Footprint.metrics(), definition.name, &error)?;
            }
        }
    }
    let mut failed = vec![false; idlers.len()];
    let mut settled = Vec::new();
    for round in session.rounds_that_count() {
        let order = session.turns(round, idlers.len());
        let order: Vec<_> = order.into_iter().filter(|index| !failed[*index]).collect();
        for (index, memory) in memory_of(&idlers, isolab, &order) {
            let idler = &idlers[index];
            match memory.and_then(|memory| Ok((memory, idler.disk_bytes()?))) {
                Ok((Settled { bytes, after }, disk)) => {
                    settled.push(after);
                    let memory = Some((metric::FOOTPRINT_MEMORY, bytes as f64));
                    let disk = disk.map(|bytes| (metric::FOOTPRINT_DISK, bytes));
                    for (metric, value) in [memory, disk].into_iter().flatten() {
                        session.write_of(idler, (metric, Unit::Bytes, value), round)?;
                    }
                }
                Err(error) => {
                    failed[index] = true;
                    session.writer.gaps(idler.metrics(), idler.label(), &error)?;
                }
            }
        }
        session.writer.write(&Message::Round)?;
    }
    session.writer.write(&Message::Fact("footprint.memory.moment".into(), moments(&settled)))
}

/// When memory was read, in words.
fn moments(settled: &[Option<Duration>]) -> String {
    let seconds = || settled.iter().flatten().map(Duration::as_secs_f64);
    let (first, last) = (seconds().fold(f64::MAX, f64::min), seconds().fold(0.0, f64::max));
    let restless = settled.iter().filter(|after| after.is_none()).count();
    let mut text = format!(
        "once it had moved by no more than 1 % for {} s: {first:.1} to {last:.1} s after the \
         program spoke",
        Settling::STILL.as_secs_f64()
    );
    if restless > 0 {
        text += &format!(
            "; {restless} of {} never stood still and were read after {} s",
            settled.len(),
            Settling::MOST.as_secs_f64()
        );
    }
    text
}

/// The memory of an idle instance.
struct Settled {
    bytes: u64,
    /// How long after its first line; `None` if it never stood still.
    after: Option<Duration>,
}

/// Starts an instance of each of these, in this order, and reads the memory of each once that stands
/// still.
fn memory_of(
    idlers: &[Idler<'_>],
    isolab: &Path,
    order: &[usize],
) -> Vec<(usize, Result<Settled, Error>)> {
    let mut waiting = Vec::new();
    let mut found = Vec::new();
    for &index in order {
        match Idle::start(&idlers[index], isolab) {
            Ok(idle) => waiting.push((index, idle, Settling::begin())),
            Err(error) => found.push((index, Err(error))),
        }
    }
    while !waiting.is_empty() {
        thread::sleep(PAUSE);
        let mut left = Vec::new();
        for (index, launcher, mut settling) in waiting {
            let read = launcher.bytes().map(|bytes| (settling.take(bytes), bytes));
            match read {
                Ok((Verdict::Moves, _)) => left.push((index, launcher, settling)),
                Ok((Verdict::Settled(after), bytes)) => {
                    found.push((index, launcher.stop().map(|()| Settled { bytes, after })));
                }
                Err(error) => found.push((index, Err(launcher.why(error)))),
            }
        }
        waiting = left;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_stood_still_is_said() {
        let text = moments(&[Some(Duration::from_millis(2300)), None]);
        assert!(text.contains("2.3 to 2.3 s") && text.contains("1 of 2 never"), "{text}");
        assert!(!moments(&[Some(Duration::from_secs(3))]).contains("never"));
    }
}
