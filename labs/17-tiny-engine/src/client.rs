//! The check's client: one request a connection, over the daemon's socket.

use std::{
    io::{self, Read, Write},
    os::{
        fd::{AsRawFd, BorrowedFd},
        unix::net::UnixStream,
    },
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;

/// No answer of a daemon is longer.
const LONGEST: usize = 1 << 20;

/// How often somebody who waits looks, at least.
const STEP: Duration = Duration::from_millis(20);
/// How many times its usual length a wait may take on a busy machine.
const BUSY: u32 = 6;

/// A deadline that a busy machine puts off: what counts is the time in which whoever waits was
/// running when it was due, which it finds out by looking every 20 ms or more often.
#[derive(Debug)]
pub struct Deadline {
    left: Duration,
    last: Instant,
    latest: Instant,
}

impl Deadline {
    /// This long from now on a quiet machine, and at most six times as long.
    pub fn after(timeout: Duration) -> Self {
        let now = Instant::now();
        Self { left: timeout, last: now, latest: now + timeout * BUSY }
    }

    /// Whether it has passed.
    pub fn has_passed(&mut self) -> bool {
        let now = Instant::now();
        let step = now - std::mem::replace(&mut self.last, now);
        self.left = self.left.saturating_sub(step.min(STEP * 2));
        self.left.is_zero() || now >= self.latest
    }
}

/// A client that is connected.
#[derive(Debug)]
pub struct Client(UnixStream);

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// 200 and the like.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// The body as JSON; null if it is not.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    /// Connects to the socket that this descriptor refers to (open(2), `O_PATH`): it is in a directory
    /// whose path means something else here.
    ///
    /// # Errors
    ///
    /// When nobody listens.
    pub fn connect(socket: BorrowedFd<'_>) -> io::Result<Self> {
        UnixStream::connect(format!("/proc/self/fd/{}", socket.as_raw_fd())).map(Self)
    }

    /// Sends a request. A daemon that is gone is noticed by who waits for the answer.
    pub fn send(&self, method: &str, path: &str, body: &str) {
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: engine\r\nContent-Length: {length}");
        self.send_part(&format!("{head}\r\n\r\n{body}"));
    }

    /// Sends a part of one.
    pub fn send_part(&self, text: &str) {
        let _ = (&self.0).write_all(text.as_bytes());
    }

    /// Whether an answer begins within this time, or the connection is closed.
    pub fn is_answered(&self, timeout: Duration) -> bool {
        let timeout = Timespec::try_from(timeout).ok();
        let mut sockets = [PollFd::new(&self.0, PollFlags::IN)];
        poll(&mut sockets, timeout.as_ref()).is_ok_and(|ready| ready > 0)
    }

    /// Waits for the answer, this long on a quiet machine.
    ///
    /// # Errors
    ///
    /// `TimedOut`; when the daemon closes the connection before, and when it does not speak HTTP.
    pub fn reply(&self, timeout: Duration) -> io::Result<Reply> {
        let mut deadline = Deadline::after(timeout);
        let mut answer = Vec::new();
        self.0.set_read_timeout(Some(STEP))?;
        let mut buffer = [0; 4096];
        loop {
            if deadline.has_passed() || answer.len() > LONGEST {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match (&self.0).read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => answer.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        parsed(&answer).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// An answer that ends with its connection.
fn parsed(answer: &[u8]) -> Option<Reply> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    Some(Reply { status, body: answer[end + 4..].to_vec() })
}
