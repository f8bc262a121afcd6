//! One client: its frames in both directions.
//!
//! A frame is a kind and a length, 32 bits each and little-endian, and that many bytes.
//! `engine::supervisor::frame` is the other side.

use crate::{
    calls::{Descriptor, Errno, Polled},
    input::{Input, MAX_INPUT},
};

/// What a client is told, in the order in which it is told if there are several.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Message {
    Made = 0,
    Started = 1,
    Failed = 2,
    Stdout = 3,
    Stderr = 4,
    Exited = 5,
}

impl Message {
    const ALL: [Self; 6] =
        [Self::Made, Self::Started, Self::Failed, Self::Stdout, Self::Stderr, Self::Exited];

    /// Its kind in a frame.
    fn kind(self) -> u32 {
        match self {
            Self::Stdout => 1,
            Self::Stderr => 2,
            Self::Started => 3,
            Self::Failed => 4,
            Self::Exited => 5,
            Self::Made => 6,
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// What a client asks for.
pub enum Request {
    /// To be told of what happens from now on.
    Subscribe,
    /// To start the launcher, with a terminal of that size.
    Go { rows: u16, columns: u16 },
    /// To give the terminal another size.
    Resize { rows: u16, columns: u16 },
    /// To let a process begin whose launcher waits for that.
    Proceed,
}

/// Why there is no request from a client.
pub enum NoRequest {
    /// It has not sent a whole frame, or only input.
    Incomplete,
    /// It will send nothing more, but may still read.
    EndOfFile,
    /// It has sent what is not a frame.
    Malformed,
}

const HEAD: usize = 8;
/// The longest content of a frame that is not input.
const CONTENT: usize = 4;

/// The kind of a frame with input.
const INPUT: u32 = 2;

/// Streams in a subscription.
const STDIN: u32 = 4;

/// A connection.
pub struct Client {
    socket: Descriptor,
    /// The streams that it has subscribed to; `None` before.
    streams: Option<u32>,
    /// What it is still to be told: a set of [`Message::bit`]s.
    pending: u8,
    /// What it is being told, and how many bytes of that frame are sent.
    sending: Option<(Message, usize)>,
    /// A frame from it, as far as it was received.
    frame: [u8; HEAD + CONTENT],
    received: usize,
    /// How many bytes of a frame of input are still to come.
    input_left: usize,
    has_ended: bool,
    has_hung_up: bool,
}

impl Client {
    pub fn new(socket: Descriptor) -> Self {
        Self {
            socket,
            streams: None,
            pending: 0,
            sending: None,
            frame: [0; HEAD + CONTENT],
            received: 0,
            input_left: 0,
            has_ended: false,
            has_hung_up: false,
        }
    }

    /// Whether it wants to be told this.
    pub fn wants(&self, message: Message) -> bool {
        self.streams.is_some_and(|streams| match message {
            Message::Stdout => streams & 1 != 0,
            Message::Stderr => streams & 2 != 0,
            _ => true,
        })
    }

    /// Whether its input is the container's.
    pub fn has_input(&self) -> bool {
        self.streams.is_some_and(|streams| streams & STDIN != 0)
    }

    /// It is to be told this.
    pub fn add(&mut self, message: Message) {
        self.pending |= message.bit();
    }

    /// Whether this was not told completely.
    pub fn is_pending(&self, message: Message) -> bool {
        self.pending & message.bit() != 0
    }

    /// Whether anything was not told completely.
    pub fn is_behind(&self) -> bool {
        self.pending != 0
    }

    /// Sends what it is to be told, without blocking. `content` gives the bytes of a message.
    /// Returns whether it has taken any; an error means that it takes no more.
    pub fn send<'a>(&mut self, content: impl Fn(Message) -> &'a [u8]) -> Result<bool, Errno> {
        let mut has_progress = false;
        loop {
            let next = || Message::ALL.into_iter().find(|message| self.is_pending(*message));
            let Some((message, sent)) = self.sending.or_else(|| Some((next()?, 0))) else {
                return Ok(has_progress);
            };
            let content = content(message);
            let mut head = [0; HEAD];
            head[..4].copy_from_slice(&message.kind().to_le_bytes());
            head[4..].copy_from_slice(&(content.len() as u32).to_le_bytes());
            let rest = (&head[sent.min(HEAD)..], &content[sent.saturating_sub(HEAD)..]);
            match self.socket.write_both(rest.0, rest.1) {
                Ok(count) => {
                    has_progress = true;
                    self.sending = Some((message, sent + count));
                    if sent + count == HEAD + content.len() {
                        self.pending &= !message.bit();
                        self.sending = None;
                    }
                }
                Err(Errno::INTERRUPTED) => {}
                Err(Errno::AGAIN) => return Ok(has_progress),
                Err(errno) => return Err(errno),
            }
        }
    }

    /// It takes no more, but may have sent something before.
    pub fn stop_sending(&mut self) {
        (self.pending, self.sending) = (0, None);
        self.streams = self.streams.map(|streams| streams & STDIN);
    }

    /// Receives a frame, without blocking. Input goes to `input`.
    pub fn receive(&mut self, input: &mut Input) -> Result<Request, NoRequest> {
        while self.input_left == 0 {
            let length = self.frame_length()?;
            if self.received == length {
                self.received = 0;
                return self.request(input);
            }
            self.received += match self.socket.read(&mut self.frame[self.received..length]) {
                Ok(count @ 1..) => count,
                Err(Errno::AGAIN | Errno::INTERRUPTED) => return Err(NoRequest::Incomplete),
                _ => return Err(self.end(input)),
            };
            if self.received == HEAD && self.word(0) == INPUT && self.has_input() {
                self.input_left = self.word(4) as usize;
                self.received = 0;
                if self.input_left > MAX_INPUT {
                    return Err(NoRequest::Malformed);
                }
            }
        }
        if input.has_space() {
            self.input_left -= match input.read_from(&self.socket, self.input_left) {
                Ok(count @ 1..) => count,
                Err(Errno::AGAIN | Errno::INTERRUPTED) => return Err(NoRequest::Incomplete),
                _ => return Err(self.end(input)),
            };
        }
        Err(NoRequest::Incomplete)
    }

    /// It sends nothing more, and so has no more input.
    pub fn end(&mut self, input: &mut Input) -> NoRequest {
        if !self.has_ended && self.has_input() {
            input.end_of_client();
        }
        self.has_ended = true;
        NoRequest::EndOfFile
    }

    /// How long the frame is that is being received: input is received by itself.
    fn frame_length(&self) -> Result<usize, NoRequest> {
        if self.received < HEAD {
            return Ok(HEAD);
        }
        match (self.word(0), self.word(4)) {
            (1 | 4 | 5, 4) => Ok(HEAD + CONTENT),
            (3, 0) if self.has_input() => Ok(HEAD),
            (6, 0) => Ok(HEAD),
            _ => Err(NoRequest::Malformed),
        }
    }

    /// What the frame means that was received.
    fn request(&mut self, input: &mut Input) -> Result<Request, NoRequest> {
        let [a, b, c, d] = [0, 1, 2, 3].map(|index| self.frame[HEAD + index]);
        let (rows, columns) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
        match self.word(0) {
            1 => {
                self.streams = Some(self.word(HEAD));
                Ok(Request::Subscribe)
            }
            4 => Ok(Request::Resize { rows, columns }),
            5 => Ok(Request::Go { rows, columns }),
            6 => Ok(Request::Proceed),
            _ => {
                input.end_of_client();
                Err(NoRequest::Incomplete)
            }
        }
    }

    fn word(&self, at: usize) -> u32 {
        let [a, b, c, d] = [0, 1, 2, 3].map(|index| self.frame[at + index]);
        u32::from_le_bytes([a, b, c, d])
    }

    /// What to wait for.
    pub fn polled(&self, input: &Input) -> Polled {
        let receives = !self.has_ended && (input.has_space() || self.input_left == 0);
        if self.has_hung_up && !receives {
            return Polled::NONE; // its input waits, and a hang-up is always ready
        }
        let read = if receives { Polled::READ } else { 0 };
        let write = if self.is_behind() { Polled::WRITE } else { 0 };
        Polled::of(&self.socket, read | write)
    }

    /// Takes note of what poll(2) has found. Returns whether the connection is closed and everything
    /// was received.
    pub fn has_left(&mut self, polled: Polled) -> bool {
        self.has_hung_up |= polled.has_hung_up();
        self.has_hung_up && self.has_ended
    }
}
