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

    /// Sends a request.
    ///
    /// # Errors
    ///
    /// When the daemon is gone.
    pub fn send(&self, method: &str, path: &str, body: &str) -> io::Result<()> {
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: engine\r\nContent-Length: {length}");
        self.send_part(&format!("{head}\r\n\r\n{body}"))
    }

    /// Sends a part of one.
    ///
    /// # Errors
    ///
    /// When the daemon is gone.
    pub fn send_part(&self, text: &str) -> io::Result<()> {
        (&self.0).write_all(text.as_bytes())
    }

    /// Whether an answer begins within this time, or the connection is closed.
    pub fn is_answered(&self, timeout: Duration) -> bool {
        let timeout = Timespec::try_from(timeout).ok();
        let mut sockets = [PollFd::new(&self.0, PollFlags::IN)];
        poll(&mut sockets, timeout.as_ref()).is_ok_and(|ready| ready > 0)
    }

    /// Waits for the answer.
    ///
    /// # Errors
    ///
    /// `TimedOut`; when the daemon closes the connection before, and when it does not speak HTTP.
    pub fn reply(&self, timeout: Duration) -> io::Result<Reply> {
        let deadline = Instant::now() + timeout;
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || answer.len() > LONGEST {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.0.set_read_timeout(Some(left))?;
            match (&self.0).read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => answer.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(io::ErrorKind::TimedOut.into());
                }
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
