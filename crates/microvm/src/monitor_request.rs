//! Requests to the monitor of a running guest, at the socket where it listens.
//!
//! A request is a line of JSON, and so is its answer; [`crate::linux`] has the other end.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, IoSlice, Read as _},
    os::{fd::AsRawFd as _, unix::net::UnixStream},
    time::Duration,
};

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use serde_json::{Value, json};

/// The monitor answers without asking the guest, so it answers soon.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// No answer is longer.
const LONGEST: u64 = 1 << 20;

/// Sends a request with files of the caller's, and gives the answer: `done` is true in it, or `error`
/// says why not; null if it was none. What follows the answer on the connection is not read. To write
/// to files takes as long as it takes; without any, the time-out is [`TIMEOUT`].
///
/// # Errors
///
/// `WouldBlock` when there is no answer in time (socket(7), `SO_RCVTIMEO`), and when the connection
/// fails.
pub fn ask(monitor: &UnixStream, request: &str, files: &[&File]) -> io::Result<Value> {
    monitor.set_read_timeout(files.is_empty().then_some(TIMEOUT))?;
    send(monitor, &format!("{}\n", json!({ "request": request })), files)?;
    let mut answer = String::new();
    // Without more than the line: what follows it belongs to others.
    BufReader::with_capacity(1, monitor.take(LONGEST)).read_line(&mut answer)?;
    monitor.set_read_timeout(None)?;
    Ok(serde_json::from_str(&answer).unwrap_or_default())
}

/// Sends a line, and descriptors with it (unix(7), `SCM_RIGHTS`).
fn send(monitor: &UnixStream, line: &str, files: &[&File]) -> io::Result<()> {
    let descriptors: Vec<i32> = files.iter().map(|file| file.as_raw_fd()).collect();
    let rights = [ControlMessage::ScmRights(&descriptors)];
    let messages = if files.is_empty() { &[] } else { &rights[..] };
    let text = [IoSlice::new(line.as_bytes())];
    // A line fits into the socket whole.
    sendmsg::<()>(monitor.as_raw_fd(), &text, messages, MsgFlags::MSG_NOSIGNAL, None)?;
    Ok(())
}
