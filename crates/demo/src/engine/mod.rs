//! What `docker run` really does: a client asks, the daemon answers, the kernel makes a container, and
//! all of it is on one time line.
//!
//! The daemon is this demonstration's own, in a directory and a network of its own. The client is the
//! docker command where there is one, and otherwise this program with the same requests.

mod calls;
mod client;
mod commands;
mod daemon;
mod draw;
mod keeper;
mod notes;
mod page;
mod recorder;
mod rows;
mod source;

use engine::watch::WatchRecord;
use sandbox::Question;
use serde::{Deserialize, Serialize};

pub use client::ClientKind;
pub use draw::{draw, summary};
pub use keeper::keep;
pub use notes::SCRIPT;
pub use source::EngineDemo;

use crate::Language;

/// All that is known at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EngineScene {
    /// Who asks.
    pub client: ClientKind,
    /// The command of the client, as a shell's line; empty before the first one.
    pub command: String,
    /// Whether it has not ended yet.
    pub is_busy: bool,
    /// What it printed last.
    pub output: Vec<String>,
    /// Requests, answers, bytes and exits since it began.
    pub records: Vec<WatchRecord>,
    /// The calls of launchers since then.
    pub calls: Vec<Call>,
    /// The daemon.
    pub daemon: ProcessState,
    /// The first process of the container that stays, if it was started.
    pub container: Option<ProcessState>,
    /// The question whose calls are shown; `None` means the time line.
    pub question: Option<Question>,
    /// What went wrong.
    pub note: Option<String>,
}

/// A process of the host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessState {
    /// Its id; 0 of one that is still to be started.
    pub pid: u32,
    /// Whether it runs.
    pub is_alive: bool,
}

/// A call of a launcher, or of what it makes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The question that it helps to answer.
    pub question: Question,
    /// When, in seconds of CLOCK_MONOTONIC.
    pub time: f64,
    /// How long it took, in microseconds.
    pub microseconds: u32,
    /// The call and its operands.
    pub call: String,
}

/// The key for the time line.
const TIME_LINE: char = '0';

impl EngineScene {
    pub(crate) fn page(&self, language: Language) -> String {
        page::page(self, language)
    }

    pub(crate) fn is_on(&self, key: char) -> bool {
        match self.question {
            None => key == TIME_LINE,
            Some(question) => question_of(key) == Some(question),
        }
    }
}

/// The question of a key: `1` to `5`.
fn question_of(key: char) -> Option<Question> {
    let number = key.to_digit(10)? as usize;
    Question::ALL.into_iter().find(|question| question.number() == number)
}
