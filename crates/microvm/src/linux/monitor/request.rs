//! What can be asked of a running guest, and the answers.

use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Machine, checkpoint::Checkpoint, sessions::Sessions};

/// So long a pause may take: a processor that waits for somebody to read what it wrote stands
/// still only afterwards.
const PAUSE_TIMEOUT: Duration = Duration::from_secs(2);
/// So often it is looked whether the processors stand still.
pub const LOOK: Duration = Duration::from_millis(2);

/// A request, as its line says it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    request: Request,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Request {
    /// Let the processors stand still.
    Pause,
    /// Let them go on.
    Resume,
    /// Tell the machine's figures.
    Inspect,
    /// Write its memory and its registers to the file that came along.
    Dump,
    /// Save it, in the two files that came along.
    Snapshot,
    /// Run a second command; frames follow.
    Exec,
}

/// How it is answered.
pub enum Answer {
    /// With this.
    Now(Value),
    /// When the processors stand still, or at this time.
    WhenPaused(Instant),
    /// When the checkpoint is written.
    WhenCheckpointed(Checkpoint),
    /// By a session.
    Session(u16),
}

/// Answers the request in `line`, with which `files` came.
pub fn of(
    line: &[u8],
    files: &mut Vec<OwnedFd>,
    sessions: &mut Sessions,
    machine: Machine<'_>,
) -> Answer {
    let files = std::mem::take(files);
    let request = match serde_json::from_slice(line) {
        Ok(Line { request }) => request,
        Err(error) => return refused(&format!("it does not know this request: {error}")),
    };
    match request {
        Request::Pause => {
            machine.handle.pause();
            match paused(machine, false) {
                Some(answer) => Answer::Now(answer),
                None => Answer::WhenPaused(Instant::now() + PAUSE_TIMEOUT),
            }
        }
        Request::Resume => {
            machine.handle.resume();
            Answer::Now(json!({ "done": true }))
        }
        Request::Inspect => {
            Answer::Now(json!({ "done": true, "machine": machine.metrics.tell(machine.handle) }))
        }
        Request::Dump => checkpoint(Checkpoint::dump(files, machine.handle)),
        Request::Snapshot => checkpoint(Checkpoint::snapshot(files, sessions, machine)),
        Request::Exec if !sessions.are_open() => refused(
            "nobody inside waits for a second command: its first process is not isolab's, or does \
             not work as that does",
        ),
        Request::Exec if !machine.handle.is_started_up() => refused("it has not started up yet"),
        Request::Exec if machine.handle.is_to_be_saved() => refused("it is being saved"),
        Request::Exec if machine.handle.pausing().0 => refused("it is paused"),
        Request::Exec => match sessions.open() {
            Ok(number) => Answer::Session(number),
            Err(why) => refused(why),
        },
    }
}

fn checkpoint(begun: Result<Checkpoint, Value>) -> Answer {
    match begun {
        Ok(checkpoint) => Answer::WhenCheckpointed(checkpoint),
        Err(answer) => Answer::Now(answer),
    }
}

fn refused(why: &str) -> Answer {
    Answer::Now(json!({ "error": why }))
}

/// The answer to one who waits for all processors to stand still: none while they may still do so.
pub fn paused(machine: Machine<'_>, is_late: bool) -> Option<Value> {
    match machine.handle.pausing() {
        (true, resting, all) if resting == all => Some(json!({ "done": true })),
        (true, resting, all) if is_late => Some(json!({
            "error": format!(
                "{resting} of {all} processors stand still so far: one waits for somebody to read what \
                 the guest wrote, and pauses then"
            )
        })),
        (true, ..) => None,
        (false, ..) => Some(json!({ "error": "it was resumed meanwhile" })),
    }
}
