//! Ten processes compute on one processor, and each keeps looking at the clock.
//!
//! ```text
//!   parent     fork x 10, all are ready:   the gate opens           all have ended
//!   process 1    line_up | asleep at the gate | ###...............### | asleep, to be looked at
//!   process 2    line_up | asleep at the gate | ...###............... | asleep
//!   ...
//! ```

use std::{
    cell::Cell,
    fs::File,
    io::{self, PipeReader, PipeWriter, Read, Write, pipe},
    net::Shutdown,
    os::unix::{fs::FileExt, net::UnixStream},
    time::Duration,
};

use lab::program::{Host, Trouble};
use nix::{
    sys::{
        memfd::{MFdFlags, memfd_create},
        wait::waitpid,
    },
    time::{ClockId, clock_gettime},
};

use super::{Answer, EQUALS, Policy, child, in_words, picture};

/// A process that computes writes down the clock as often as this.
const PACE: Duration = Duration::from_micros(50);

/// How far apart the processes leave their readings in the common file. It begins with the moment
/// at which all of them stop.
const ROOM: u64 = 4 << 20;

/// The start line: ten processes wait at it for each other.
#[derive(Debug)]
pub struct Start {
    pub(super) ready: PipeWriter,
    pub(super) gate: UnixStream,
    pub(super) is_ready: Cell<bool>,
}

impl Start {
    /// Says that the caller is ready, and sleeps until everybody is. Then the gate opens for all at
    /// once.
    ///
    /// # Errors
    ///
    /// Those of read(2) and write(2).
    pub fn wait(&self) -> io::Result<()> {
        self.say_ready(b'r')?;
        end_of(&self.gate)
    }

    /// Once, or the ten would be counted wrongly.
    pub(super) fn say_ready(&self, word: u8) -> io::Result<()> {
        if self.is_ready.replace(true) { Ok(()) } else { (&self.ready).write_all(&[word]) }
    }
}

/// One race: on which processor, by which policy, how long.
pub(super) fn run(
    host: &Host,
    answer: &Answer,
    (cpu, policy, length): (usize, Policy, Duration),
) -> Result<(), Trouble> {
    let name = if policy == Policy::Normal { "normal" } else { "in-turn" };
    let paper = host.step("memfd_create", || memfd_create(c"readings", MFdFlags::MFD_CLOEXEC))?;
    let paper = File::from(paper);
    let (ready, starters) = host.step("pipe", pipe)?;
    let (finished, finishers) = host.step("pipe", pipe)?;
    let (opener, gate) = host.step("socketpair", UnixStream::pair)?;
    let (closer, exit) = host.step("socketpair", UnixStream::pair)?;
    let start = Start { ready: starters, gate, is_ready: Cell::new(false) };

    let mut children = Vec::new();
    for number in 0..EQUALS {
        let life = || {
            let raced = host
                .step("line_up", || (answer.line_up)(cpu, policy, &start))
                .and_then(|()| host.step("start", || start.say_ready(b'r')))
                .and_then(|()| host.step("compute", || compute(&paper, number, length)));
            let word = match &raced {
                Ok(()) => b'f',
                Err(trouble) => {
                    host.fail(trouble);
                    b'!'
                }
            };
            // If the parent is gone nobody needs to know.
            let _ = start.say_ready(word);
            let _ = (&finishers).write_all(&[word]);
            let _ = end_of(&exit);
            i32::from(raced.is_err())
        };
        let pid = host.step("fork", || child(life))?;
        host.say(&format!("{name}-pid-{number}"), pid);
        children.push(pid);
    }
    host.step("wait for all to be ready", || all_of(ready))?;
    host.meet(&format!("{name}-ready"));
    let begin = now();
    let end = (begin + length).as_nanos() as u64;
    host.step("write the end down", || paper.write_all_at(&end.to_le_bytes(), 0))?;
    host.step("open the gate", || opener.shutdown(Shutdown::Write))?;
    host.step("wait for all to finish", || all_of(finished))?;

    let mut lanes = Vec::new();
    for number in 0..EQUALS {
        let readings = host.step("read the readings", || readings(&paper, number, begin))?;
        let slices = (answer.find_slices)(&readings);
        host.say(&format!("{name}-slices-{number}"), in_words(&slices));
        lanes.push(slices);
    }
    host.meet(&format!("{name}-ran"));
    if !host.is_checked() {
        picture::draw(name, &lanes);
    }
    host.step("let all go", || closer.shutdown(Shutdown::Write))?;
    for pid in children {
        host.step("wait for a child", || waitpid(pid, None))?;
    }
    Ok(())
}

/// Sleeps until the other end is closed.
fn end_of(line: &UnixStream) -> io::Result<()> {
    let mut line = line;
    line.read(&mut [0]).map(drop)
}

/// A word from each of the ten.
fn all_of(mut words: PipeReader) -> io::Result<()> {
    let mut heard = [0; EQUALS];
    words.read_exact(&mut heard)?;
    if heard.contains(&b'!') {
        return Err(io::Error::other("a process gave up; its own words are above"));
    }
    Ok(())
}

/// Looks at the clock until the end, and then leaves the readings on the common paper.
fn compute(paper: &File, number: usize, length: Duration) -> io::Result<()> {
    let mut last = now();
    let mut end = [0; 8];
    let written = paper.read_at(&mut end, 0)?;
    let end = Duration::from_nanos(u64::from_le_bytes(end));
    // Who did not wait for the gate finds no end.
    let end = if written == 0 { last + length } else { end };
    let mut kept = vec![last];
    loop {
        let now = now();
        if now >= end {
            break;
        }
        if now - last >= PACE {
            kept.push(now);
            last = now;
        }
    }
    kept.truncate(ROOM as usize / 8 - 1);
    let mut bytes = (kept.len() as u64).to_le_bytes().to_vec();
    bytes.extend(kept.iter().flat_map(|reading| (reading.as_nanos() as u64).to_le_bytes()));
    paper.write_all_at(&bytes, ROOM * (1 + number as u64))
}

/// What a process has left there, counted from the opening of the gate.
fn readings(paper: &File, number: usize, begin: Duration) -> io::Result<Vec<Duration>> {
    let at = ROOM * (1 + number as u64);
    let mut count = [0; 8];
    paper.read_exact_at(&mut count, at)?;
    let mut bytes = vec![0; 8 * u64::from_le_bytes(count) as usize];
    paper.read_exact_at(&mut bytes, at + 8)?;
    let nanoseconds = bytes
        .chunks_exact(8)
        .map(|word| word.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)));
    Ok(nanoseconds.map(|time| Duration::from_nanos(time).saturating_sub(begin)).collect())
}

fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
}
