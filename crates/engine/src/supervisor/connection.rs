//! A connection to a supervisor: frames of eight bytes, a type and a length, and what belongs to them.

use std::{io, os::fd::AsRawFd as _, path::Path};

use axum::body::Bytes;
use rustix::fs::{Mode, OFlags};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// A bit of [`Connection::subscribe`]: the client gets what the process writes to standard output.
pub const STDOUT: u32 = 1;
/// The same for standard error.
pub const STDERR: u32 = 2;
/// The client's input is the process's.
pub const STDIN: u32 = 4;

/// Types of frames to a supervisor.
const SUBSCRIBE: u32 = 1;
const INPUT: u32 = 2;
const CLOSE_INPUT: u32 = 3;
const RESIZE: u32 = 4;
const GO: u32 = 5;
const PROCEED: u32 = 6;

/// How much a frame to a supervisor may hold.
const MAX_INPUT: usize = 16 << 10;
/// How much a frame from one may hold.
const MAX_FRAME: usize = 1 << 20;

/// What a supervisor says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The process wrote this to standard output, or to its terminal.
    Stdout(Bytes),
    /// The process wrote this to standard error.
    Stderr(Bytes),
    /// The process with this id has begun its program.
    Started(u32),
    /// The launcher has made the process with this id, which may wait for [`Connection::proceed`].
    Made(u32),
    /// The launcher has failed, and said why.
    Failed(Bytes),
    /// The process has ended: its exit code, or 128 and the signal that killed it.
    Exited(u32),
}

/// A connection to a supervisor.
#[derive(Debug)]
pub struct Connection {
    receiver: MessageReceiver,
    sender: InputSender,
}

/// The side of a connection that receives.
#[derive(Debug)]
pub struct MessageReceiver(BufReader<OwnedReadHalf>);

/// The side of a connection that sends.
#[derive(Debug)]
pub struct InputSender(OwnedWriteHalf);

impl Connection {
    /// Connects to the supervisor in `directory`.
    ///
    /// # Errors
    ///
    /// When there is none, or it has ended.
    pub async fn open(directory: &Path) -> io::Result<Self> {
        // By a descriptor: the path of a socket has 107 bytes at most (unix(7)).
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(directory, flags, Mode::empty())?;
        let path = format!("/proc/self/fd/{}/attach", opened.as_raw_fd());
        let (read, write) = UnixStream::connect(path).await?.into_split();
        let receiver = MessageReceiver(BufReader::with_capacity(4096, read));
        Ok(Self { receiver, sender: InputSender(write) })
    }

    /// Asks for what `streams` names from now on, and for how it goes on.
    ///
    /// # Errors
    ///
    /// When the supervisor has ended.
    pub async fn subscribe(&mut self, streams: u32) -> io::Result<()> {
        self.sender.frame(SUBSCRIBE, &streams.to_le_bytes()).await
    }

    /// Has the launcher started; a terminal gets that many rows and columns, unless they are 0.
    ///
    /// # Errors
    ///
    /// When the supervisor has ended.
    pub async fn go(&mut self, rows: u16, columns: u16) -> io::Result<()> {
        let size = [rows, columns].map(u16::to_le_bytes);
        self.sender.frame(GO, size.as_flattened()).await
    }

    /// Lets a process begin whose launcher waits for that.
    ///
    /// # Errors
    ///
    /// When the supervisor has ended.
    pub async fn proceed(&mut self) -> io::Result<()> {
        self.sender.frame(PROCEED, &[]).await
    }

    /// Gives the terminal another size.
    ///
    /// # Errors
    ///
    /// When the supervisor has ended.
    pub async fn resize(&mut self, rows: u16, columns: u16) -> io::Result<()> {
        let size = [rows, columns].map(u16::to_le_bytes);
        self.sender.frame(RESIZE, size.as_flattened()).await
    }

    /// The next message; `None` when the supervisor has ended.
    ///
    /// # Errors
    ///
    /// When the connection breaks, or what comes is no frame.
    pub async fn next(&mut self) -> io::Result<Option<Message>> {
        self.receiver.next().await
    }

    /// Its two sides.
    pub fn split(self) -> (MessageReceiver, InputSender) {
        (self.receiver, self.sender)
    }
}

impl MessageReceiver {
    /// The next message; `None` when the supervisor has ended.
    ///
    /// # Errors
    ///
    /// When the connection breaks, or what comes is no frame.
    pub async fn next(&mut self) -> io::Result<Option<Message>> {
        let mut head = [0; 8];
        match self.0.read_exact(&mut head).await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        };
        let [a, b, c, d, e, f, g, h] = head;
        let (kind, length) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        let length = length as usize;
        let bad = || io::Error::new(io::ErrorKind::InvalidData, "not a frame of a supervisor");
        if length > MAX_FRAME {
            return Err(bad());
        }
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).await?;
        let number = || {
            let bytes = <[u8; 4]>::try_from(&*payload);
            bytes.map(u32::from_le_bytes).map_err(|_| bad())
        };
        Ok(Some(match kind {
            1 => Message::Stdout(payload.into()),
            2 => Message::Stderr(payload.into()),
            3 => Message::Started(number()?),
            4 => Message::Failed(payload.into()),
            5 => Message::Exited(number()?),
            6 => Message::Made(number()?),
            _ => return Err(bad()),
        }))
    }
}

impl InputSender {
    /// Gives the process input.
    ///
    /// # Errors
    ///
    /// When the supervisor has ended.
    pub async fn input(&mut self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(MAX_INPUT) {
            self.frame(INPUT, piece).await?;
        }
        Ok(())
    }

    /// Tells the process that there is no more input.
    ///
    /// # Errors
    ///
    /// When the supervisor has ended.
    pub async fn close_input(&mut self) -> io::Result<()> {
        self.frame(CLOSE_INPUT, &[]).await
    }

    async fn frame(&mut self, kind: u32, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
        let head = [kind, length].map(u32::to_le_bytes);
        self.0.write_all(&[head.as_flattened(), payload].concat()).await
    }
}
