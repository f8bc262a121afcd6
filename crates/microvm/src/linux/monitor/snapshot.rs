//! Saving a guest while it runs, for a client that has brought the files.
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

use super::{Machine, sessions::Sessions};
use crate::{
    control::{Handle, Hold},
    error::{Error, Result},
    linux::{Recipe, recipe::Unsaveable, saving::capture},
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

/// A snapshot that is being taken.
pub struct Taking {
    memory: File,
    captured: File,
    until: Instant,
    stops: bool,
    asked: bool,
}

/// Why there will be no snapshot, and what to do.
fn refused(why: &str, help: Option<&str>) -> Value {
    match help {
        Some(help) => json!({ "error": why, "help": help }),
        None => json!({ "error": why }),
    }
}

impl Taking {
    /// Begins one in these files: the first for the memory, the second for the rest.
    ///
    /// # Errors
    ///
    /// With the answer, when the guest cannot be saved, or not now.
    pub fn begin(
        files: Vec<OwnedFd>,
        sessions: &mut Sessions,
        machine: Machine<'_>,
    ) -> Result<Self, Value> {
        let no = |why, help| Err(refused(why, Some(help)));
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
        if !handle.hold_where_it_may() {
            return no("it is being saved already", "try again when that is done");
        }
        if !sessions.ask_to_freeze() {
            handle.release();
            return no("it does not take what is sent to it", "does its first process hang?");
        }
        let until = Instant::now() + COMES;
        let (memory, captured) = (memory.into(), captured.into());
        Ok(Self { memory, captured, until, stops: false, asked: false })
    }

    /// Does what can be done now; the answer for `client`, when there is one.
    pub fn go_on(&mut self, client: BorrowedFd<'_>, machine: Machine<'_>) -> Option<Value> {
        let handle = machine.handle;
        let hold = handle.hold();
        let answer = match hold {
            _ if handle.has_ended() => Some(refused("it ended meanwhile", None)),
            Hold::Shown => Some(self.write(client, machine)),
            Hold::Released => Some(refused("it was let go meanwhile", None)),
            _ if Instant::now() >= self.until => Some(late(hold)),
            Hold::Runs => None,
            Hold::Stops | Hold::Stands => {
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
            cancel(handle);
        }
        answer
    }

    fn write(&self, client: BorrowedFd<'_>, machine: Machine<'_>) -> Value {
        match self.capture(client, machine) {
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

    fn capture(&self, client: BorrowedFd<'_>, machine: Machine<'_>) -> Result<u64> {
        let Machine { handle, metrics, savable } = machine;
        let recipe = savable.recipe.expect("it was looked at when this began");
        let states = metrics.tallies.take_states()?;
        let go_on = || {
            let why = match handle.has_ended() {
                true => "the guest ended meanwhile",
                false if has_gone(client) => "who asked for it has gone",
                false => return Ok(()),
            };
            Err(io::Error::other(why))
        };
        let captured = capture(recipe, states, savable.machine, metrics.hardware, |memory| {
            let written = Content::write(memory, &self.memory, go_on);
            written.map_err(Error::system::<io::Error>("write the memory"))
        })?;
        let written = captured.write(&self.captured);
        written.map_err(Error::system::<io::Error>("write the state"))?;
        Ok(captured.memory.bytes)
    }
}

/// The guest goes on, and is not to be held.
pub fn cancel(handle: &Handle) {
    handle.release();
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
