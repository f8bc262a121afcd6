//! Clients: the daemon, and those that it connects. All of them speak in frames of eight bytes, a type
//! and a length, and what belongs to them.

use super::{
    calls::{self, Descriptor, Errno, Result, call},
    entry::Stream,
    launch::{LOWEST, is_for_now},
    system::number,
};

/// Bits of a subscription.
const STDOUT: u32 = 1;
const STDERR: u32 = 2;
pub const STDIN: u32 = 4;

/// Types of frames from a client.
const SUBSCRIBE: u32 = 1;
const INPUT: u32 = 2;
const CLOSE_INPUT: u32 = 3;
const RESIZE: u32 = 4;
const GO: u32 = 5;
const PROCEED: u32 = 6;

/// Types of frames to a client; 1 and 2 are output.
const STARTED: u32 = 3;
const FAILED: u32 = 4;
const ENDED: u32 = 5;
const MADE: u32 = 6;

/// More than any frame of a client holds.
const MAX_FRAME: u32 = 32 << 10;

/// What a client asks for.
pub enum Request {
    /// Input of that many bytes follows.
    Input(u32),
    CloseInput,
    Resize([u16; 2]),
    Go([u16; 2]),
    Proceed,
    /// The client has no more to say.
    Silent,
}

/// A connected client.
pub struct Client {
    socket: Descriptor,
    pub streams: u32,
    /// A frame that is not complete: its head, and up to four bytes.
    begun: [u8; 12],
    length: usize,
    /// How much input is still to come.
    pub input: u32,
    /// Whether it may still say something.
    pub speaks: bool,
    /// How much of the current output it has, with the frame's head; `None` if it has all.
    sent: Option<usize>,
    /// Whether it has said what it wants: only then it listens.
    subscribed: bool,
    told_made: bool,
    told_start: bool,
}

impl Client {
    /// The next client that waits at the listener.
    pub fn accept(listener: &Descriptor) -> Result<Self> {
        const NONBLOCK_CLOEXEC: usize = 0o4000 | 0o2_000_000;
        let accepted = call(number::ACCEPT4, [listener.number(), 0, 0, NONBLOCK_CLOEXEC])?;
        let socket = Descriptor::new(accepted).duplicate(LOWEST)?;
        Ok(Self {
            socket,
            streams: 0,
            begun: [0; 12],
            length: 0,
            input: 0,
            speaks: true,
            sent: None,
            subscribed: false,
            told_made: false,
            told_start: false,
        })
    }

    pub fn socket(&self) -> &Descriptor {
        &self.socket
    }

    /// Reads the next request; `None` if it has not come yet.
    pub fn request(&mut self) -> Result<Option<Request>> {
        loop {
            let wanted = match self.length {
                0..8 => 8,
                _ => match self.head() {
                    (INPUT, _) => 8,
                    (_, size) => 8 + size as usize,
                },
            };
            if self.length < wanted {
                match self.socket.read(&mut self.begun[self.length..wanted]) {
                    Ok(0) => return Ok(Some(Request::Silent)),
                    Ok(count) => self.length += count,
                    Err(errno) if is_for_now(errno) => return Ok(None),
                    Err(errno) => return Err(errno),
                }
            }
            if self.length < 8 {
                continue;
            }
            let (kind, size) = self.head();
            let is_known = matches!(
                (kind, size),
                (SUBSCRIBE | RESIZE | GO, 4) | (CLOSE_INPUT | PROCEED, 0) | (INPUT, 0..=MAX_FRAME)
            );
            if !is_known {
                return Err(Errno::INVALID);
            }
            if kind != INPUT && self.length < 8 + size as usize {
                continue;
            }
            self.length = 0;
            let [a, b, c, d] = [8, 9, 10, 11].map(|index| self.begun[index]);
            let size_of_terminal = [u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])];
            return Ok(Some(match kind {
                SUBSCRIBE => {
                    self.streams = u32::from_le_bytes([a, b, c, d]);
                    self.subscribed = true;
                    continue;
                }
                INPUT => {
                    self.input = size;
                    Request::Input(size)
                }
                CLOSE_INPUT => Request::CloseInput,
                RESIZE => Request::Resize(size_of_terminal),
                PROCEED => Request::Proceed,
                _ => Request::Go(size_of_terminal),
            }));
        }
    }

    fn head(&self) -> (u32, u32) {
        let [a, b, c, d, e, f, g, h, ..] = self.begun;
        (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
    }

    /// Whether it wants what is read from this stream.
    fn wants(&self, stream: Stream) -> bool {
        let bit = match stream {
            Stream::Stdout => STDOUT,
            Stream::Stderr => STDERR,
        };
        self.streams & bit != 0
    }

    /// A new piece of output is there.
    pub fn offer(&mut self, stream: Stream) {
        self.sent = self.wants(stream).then_some(0);
    }

    /// Whether it has still to get a part of the current output.
    pub fn is_behind(&self) -> bool {
        self.sent.is_some()
    }

    /// Sends it what it has not got of the current output.
    pub fn send(&mut self, stream: Stream, output: &[u8]) -> Result<()> {
        let kind = match stream {
            Stream::Stdout => 1,
            Stream::Stderr => 2,
        };
        let head = frame(kind, output.len());
        while let Some(sent) = self.sent {
            let rest = match sent {
                0..8 => (&head[sent..], output),
                _ => (&head[8..], &output[sent - 8..]),
            };
            match self.socket.write_both(rest.0, rest.1) {
                Ok(count) => {
                    let all = sent + count;
                    self.sent = (all < 8 + output.len()).then_some(all);
                }
                Err(errno) if is_for_now(errno) => return Ok(()),
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// Tells it once that the process has been made, and waits.
    pub fn tell_made(&mut self, pid: usize) -> Result<()> {
        if !self.told_made && self.subscribed {
            self.told_made = self.tell(MADE, &(pid as u32).to_le_bytes())?;
        }
        Ok(())
    }

    /// Tells it once of the start, when it has no output half.
    pub fn tell_start(&mut self, pid: usize) -> Result<()> {
        if self.told_start || !self.subscribed || self.is_behind() {
            return Ok(());
        }
        self.told_start = self.tell(STARTED, &(pid as u32).to_le_bytes())?;
        Ok(())
    }

    /// Tells it of the end; whether that is done.
    pub fn tell_end(&mut self, status: u32) -> Result<bool> {
        if self.is_behind() {
            return Ok(false);
        }
        self.tell(ENDED, &status.to_le_bytes())
    }

    /// Tells it why there was no start; whether that is done.
    pub fn tell_failure(&mut self, reason: &[u8]) -> Result<bool> {
        self.tell(FAILED, reason)
    }

    /// Whether all of it went: a few kilobytes go at once or not at all (unix(7), SOCK_STREAM).
    fn tell(&self, kind: u32, payload: &[u8]) -> Result<bool> {
        match self.socket.write_both(&frame(kind, payload.len()), payload) {
            Ok(count) if count == 8 + payload.len() => Ok(true),
            Ok(_) => Err(Errno::IO),
            Err(errno) if is_for_now(errno) => Ok(false),
            Err(errno) => Err(errno),
        }
    }
}

/// The head of a frame.
fn frame(kind: u32, length: usize) -> [u8; 8] {
    let [a, b, c, d] = kind.to_le_bytes();
    let [e, f, g, h] = (length as u32).to_le_bytes();
    [a, b, c, d, e, f, g, h]
}

/// Listens at the socket `attach` in the working directory.
pub fn listen() -> Result<Descriptor> {
    const AF_UNIX: u16 = 1;
    const SOCK_STREAM_NONBLOCK_CLOEXEC: usize = 1 | 0o4000 | 0o2_000_000;
    let made = call(number::SOCKET, [AF_UNIX.into(), SOCK_STREAM_NONBLOCK_CLOEXEC, 0])?;
    let socket = Descriptor::new(made).duplicate(LOWEST)?;
    let _ = calls::unlink(c"attach"); // of an earlier run that was killed
    // struct sockaddr_un: the family and the path.
    let mut address = [0u8; 9];
    address[..2].copy_from_slice(&AF_UNIX.to_ne_bytes());
    address[2..8].copy_from_slice(b"attach");
    call(number::BIND, [socket.number(), address.as_ptr() as usize, address.len()])?;
    const BACKLOG: usize = 64;
    call(number::LISTEN, [socket.number(), BACKLOG])?;
    Ok(socket)
}
