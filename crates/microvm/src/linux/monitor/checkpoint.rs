//! What is done with a guest while it is held, for a client that has brought the files: a snapshot,
//! or a dump.
//!
//! ```text
//!   client: {"request":"snapshot"}, two descriptors
//!     Runs      the first process is asked to come to its freeze point      frames: Freeze
//!     Stops     it writes to its port; the processors are kicked            devices::freeze
//!     Stands    all stand still: each is asked for its state
//!     Shown     chips, devices and memory are written
//!     Released  the guest goes on; the client is answered
//! ```
//!
//! A dump needs no freeze point: it begins at Stops and is written at Stands.
//!
//! The guest is held by this thread, not by the client: one who is killed, or whose disk is full,
//! holds it no longer than until that is noticed. Whatever fails, the guest goes on.

use std::{
    error::Error as _,
    fs::File,
    io,
    os::fd::{BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::{Value, json};

use super::{Machine, dump, sessions::Sessions};
use crate::{
    control::{Handle, Hold},
    error::{Error, Result},
    linux::{Recipe, capture::capture, recipe::Unsaveable},
    machine,
    snapshot::memory::Content,
};

/// A first process that has not come to its freeze point by then is not isolab's, or does not run.
const COMES: Duration = Duration::from_secs(5);
/// A processor that waits for somebody to read what it wrote stands still only afterwards.
const STOPS: Duration = Duration::from_secs(2);

/// What there is to save beside what the figures are of.
#[derive(Clone, Copy)]
pub struct Savable<'a> {
    /// How to build the machine again, or why the guest cannot be saved.
    pub recipe: Result<&'a Recipe, &'a Unsaveable>,
    /// The machine.
    pub machine: &'a machine::Machine,
}

/// What is written, and where.
enum Work {
    Snapshot { memory: File, captured: File },
    Dump(File),
}

/// Work that is to be done when the guest stands still.
pub struct Checkpoint {
    work: Work,
    until: Instant,
    stops: bool,
    asked: bool,
}

/// Why it is not done, and what to do about that.
fn refused(why: &str, help: Option<&str>) -> Value {
    match help {
        Some(help) => json!({ "error": why, "help": help }),
        None => json!({ "error": why }),
    }
}

impl Checkpoint {
    /// Begins a snapshot in these files: the first for the memory, the second for the rest.
    ///
    /// # Errors
    ///
    /// With the answer, when the guest cannot be saved, or not now.
    pub fn snapshot(
        files: Vec<OwnedFd>,
        sessions: &mut Sessions,
        machine: Machine<'_>,
    ) -> Result<Self, Value> {
        let no = |why: &str, help| Err(refused(why, Some(help)));
        let Ok([memory, captured]) = <[OwnedFd; 2]>::try_from(files) else {
            return Err(refused("two files have to come with it", None));
        };
        if let Err(Unsaveable { what, fix }) = machine.savable.recipe {
            return no(&format!("it has {what}"), fix);
        }
        if !sessions.are_open() {
            return no(
                "its first process does not answer: it could not be asked for a point at which it can \
                 be frozen",
                "save it before its command begins: `isolab snapshot save NAME -- PROGRAM`",
            );
        }
        if sessions.any() {
            return no(
                "a second command runs in it, whose streams lead to a client of the host's",
                "end that `isolab exec`, then save it",
            );
        }
        let handle = machine.handle;
        if !handle.is_started_up() {
            return no("it has not started up yet", "save it when its command runs");
        }
        if handle.pausing().0 {
            return no(
                "it is paused, and cannot come to a point at which it can be frozen",
                "let it go on first: `isolab unpause NAME`",
            );
        }
        if !handle.request_hold() {
            return no("it is being saved already", "try again when that is done");
        }
        if !sessions.ask_to_freeze() {
            handle.release();
            return no("it does not take what is sent to it", "does its first process hang?");
        }
        let work = Work::Snapshot { memory: memory.into(), captured: captured.into() };
        Ok(Self { work, until: Instant::now() + COMES, stops: false, asked: false })
    }

    /// Begins a dump in the file.
    ///
    /// # Errors
    ///
    /// With the answer, when there is no file, or the guest is held already.
    pub fn dump(mut files: Vec<OwnedFd>, handle: &Handle) -> Result<Self, Value> {
        let Some(file) = files.pop() else { return Err(refused("no file came with it", None)) };
        if !handle.hold_now() {
            return Err(refused("it is being saved", Some("try again when that is done")));
        }
        let work = Work::Dump(file.into());
        Ok(Self { work, until: Instant::now() + STOPS, stops: true, asked: false })
    }

    /// Does what can be done now; the answer for `client`, when there is one.
    pub fn advance(&mut self, client: BorrowedFd<'_>, machine: Machine<'_>) -> Option<Value> {
        let handle = machine.handle;
        let hold = handle.hold();
        let answer = match (hold, &self.work) {
            _ if handle.has_ended() => Some(refused("it ended meanwhile", None)),
            (Hold::Shown, _) | (Hold::Stands, Work::Dump(_)) => Some(self.write(client, machine)),
            (Hold::Released, _) => Some(refused("it was let go meanwhile", None)),
            _ if Instant::now() >= self.until => Some(late(hold)),
            (Hold::Runs, _) => None,
            (Hold::Stops | Hold::Stands, _) => {
                if !std::mem::replace(&mut self.stops, true) {
                    self.until = Instant::now() + STOPS;
                }
                if hold == Hold::Stands && !std::mem::replace(&mut self.asked, true) {
                    handle.ask_for_states();
                }
                None
            }
        };
        if answer.is_some() {
            handle.release();
        }
        answer
    }

    fn write(&self, client: BorrowedFd<'_>, machine: Machine<'_>) -> Value {
        let check_cancelled = || {
            let why = match machine.handle.has_ended() {
                true => "the guest has ended",
                false if has_gone(client) => "the caller is gone",
                false => return Ok(()),
            };
            Err(io::Error::other(why))
        };
        let written = match &self.work {
            Work::Snapshot { memory, captured } => save(memory, captured, machine, check_cancelled),
            Work::Dump(file) => write_dump(file, machine, check_cancelled),
        };
        match written {
            Ok(bytes) => json!({ "done": true, "bytes": bytes }),
            Err(error) => {
                let mut why = error.to_string();
                let mut source = error.source();
                while let Some(cause) = source {
                    why = format!("{why}: {cause}");
                    source = cause.source();
                }
                refused(&why, error.fix().as_deref())
            }
        }
    }
}

fn save(
    memory: &File,
    captured: &File,
    Machine { metrics, savable, .. }: Machine<'_>,
    check_cancelled: impl Fn() -> io::Result<()>,
) -> Result<u64> {
    let recipe = savable.recipe.expect("it was looked at when this began");
    let states = metrics.tallies.take_states()?;
    let all = capture(recipe, states, savable.machine, metrics.hardware, |all| {
        let written = Content::write(all, memory, check_cancelled);
        written.map_err(Error::system::<io::Error>("write the memory"))
    })?;
    all.write(captured).map_err(Error::system::<io::Error>("write the state"))?;
    Ok(all.memory.bytes)
}

fn write_dump(
    file: &File,
    Machine { metrics, savable, .. }: Machine<'_>,
    check_cancelled: impl Fn() -> io::Result<()>,
) -> Result<u64> {
    let memory = savable.machine.memory().expect("a guest that ran has memory");
    let written = dump::write(file, memory, &metrics.tallies.registers(), check_cancelled);
    written.map_err(Error::system::<io::Error>("write the dump"))
}

/// Why it has taken too long.
fn late(hold: Hold) -> Value {
    match hold {
        Hold::Runs => refused(
            "it has not come to a point at which it can be frozen: its first process or its kernel \
             hangs, or a processor waits for somebody to read what the guest wrote",
            Some("read its output; `isolab inspect NAME` says what it does"),
        ),
        _ => refused(
            "not all of its processors stand still: one waits for somebody to read what the guest \
             wrote",
            Some("read its output, then try again"),
        ),
    }
}

/// Whether nobody has the other end of this connection any more.
fn has_gone(client: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::new(client, PollFlags::empty())];
    let gone = PollFlags::POLLHUP | PollFlags::POLLERR;
    matches!(poll(&mut polled, PollTimeout::ZERO), Ok(1..))
        && polled[0].revents().is_some_and(|found| found.intersects(gone))
}
