//! A client's connection to a supervisor.

use std::{fs::File, io, os::fd::AsRawFd as _, path::Path};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use super::frame::{HEAD, MAX_INPUT, Message, Request, decode, decode_head};

/// A connection to the supervisor in a directory.
#[derive(Debug)]
pub struct Connection {
    reader: ConnectionReader,
    writer: ConnectionWriter,
}

impl Connection {
    /// Connects to the supervisor of the container, or of the command, with that directory.
    ///
    /// # Errors
    ///
    /// Those of open(2) and connect(2): there is no socket once the process has ended, and the
    /// connection is refused if its supervisor was killed.
    pub async fn open(directory: &Path) -> io::Result<Self> {
        // The path of a socket may have 107 bytes (unix(7)), and that of a directory more.
        let directory = File::open(directory)?;
        let path = format!("/proc/self/fd/{}/attach", directory.as_raw_fd());
        let (reader, writer) = UnixStream::connect(path).await?.into_split();
        let reader = ConnectionReader { stream: reader, head: [0; HEAD], content: None, filled: 0 };
        Ok(Self { reader, writer: ConnectionWriter { stream: writer } })
    }

    /// Subscribes to messages, with the output of these streams, a sum of [`STDOUT`](super::STDOUT)
    /// and [`STDERR`](super::STDERR), from now on. With [`STDIN`](super::STDIN) it may send input.
    /// If the process has started before, [`Message::Started`] comes at once.
    ///
    /// # Errors
    ///
    /// Those of write(2): the supervisor has ended.
    pub async fn subscribe(&mut self, streams: u32) -> io::Result<()> {
        self.writer.send(Request::Subscribe(streams)).await
    }

    /// Has the launcher started, unless it was before. The terminal, if there is one, gets this size;
    /// with 0 it keeps its own.
    ///
    /// # Errors
    ///
    /// Those of write(2): the supervisor has ended.
    pub async fn go(&mut self, rows: u16, columns: u16) -> io::Result<()> {
        self.writer.send(Request::Go { rows, columns }).await
    }

    /// Lets a process begin whose launcher waits for that, in its socket, for a byte.
    ///
    /// # Errors
    ///
    /// Those of write(2): the supervisor has ended.
    pub async fn proceed(&mut self) -> io::Result<()> {
        self.writer.send(Request::Proceed).await
    }

    /// Gives the terminal another size, also before it is there.
    ///
    /// # Errors
    ///
    /// Those of write(2): the supervisor has ended.
    pub async fn resize(&mut self, rows: u16, columns: u16) -> io::Result<()> {
        self.writer.send(Request::Resize { rows, columns }).await
    }

    /// Waits for the next message, as [`ConnectionReader::next`].
    ///
    /// # Errors
    ///
    /// Those of [`ConnectionReader::next`].
    pub async fn next(&mut self) -> io::Result<Option<Message>> {
        self.reader.next().await
    }

    /// The two directions. The supervisor takes it as the end of this client's input when the second
    /// one is dropped.
    pub fn split(self) -> (ConnectionReader, ConnectionWriter) {
        (self.reader, self.writer)
    }
}

/// What comes from a supervisor.
#[derive(Debug)]
pub struct ConnectionReader {
    stream: OwnedReadHalf,
    head: [u8; HEAD],
    /// The kind of the frame that is being received, and its content, once its head is there.
    content: Option<(u32, Vec<u8>)>,
    /// How many bytes of the head or the content are there.
    filled: usize,
}

impl ConnectionReader {
    /// Waits for the next message; `None` at the end of the connection. Without a last message before
    /// it, the supervisor was killed, or this client has subscribed to nothing, or has not read for so
    /// long that the supervisor has gone. While messages are not read the process is stalled, once it
    /// has filled its pipe.
    ///
    /// If this future is dropped nothing is lost: the next call continues.
    ///
    /// # Errors
    ///
    /// Those of read(2), and `InvalidData` for what is not a supervisor's message.
    pub async fn next(&mut self) -> io::Result<Option<Message>> {
        loop {
            let missing = match &mut self.content {
                None => &mut self.head[self.filled..],
                Some((_, content)) => &mut content[self.filled..],
            };
            if !missing.is_empty() {
                match self.stream.read(missing).await {
                    Ok(0) => return Ok(None),
                    Ok(count) => self.filled += count,
                    // It has ended before it has read all that this client sent.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                        return Ok(None);
                    }
                    Err(error) => return Err(error),
                }
                continue;
            }
            self.filled = 0;
            match self.content.take() {
                Some((kind, content)) => return Ok(Some(decode(kind, content))),
                None => {
                    let not_a_frame = || io::Error::new(io::ErrorKind::InvalidData, NOT_A_FRAME);
                    let (kind, length) = decode_head(self.head).ok_or_else(not_a_frame)?;
                    self.content = Some((kind, vec![0; length]));
                }
            }
        }
    }
}

const NOT_A_FRAME: &str = "not a message of a supervisor";

/// What goes to a supervisor.
#[derive(Debug)]
pub struct ConnectionWriter {
    stream: OwnedWriteHalf,
}

impl ConnectionWriter {
    /// Sends input for the process; waits while the process does not take it. Without a subscription
    /// to standard input, the supervisor closes the connection.
    ///
    /// # Errors
    ///
    /// Those of write(2): the supervisor has ended.
    pub async fn input(&mut self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(MAX_INPUT) {
            self.send(Request::Input(piece)).await?;
        }
        Ok(())
    }

    /// Says that there is no more input. If the options say so, and there is no terminal, the process
    /// reads the end of its input.
    ///
    /// # Errors
    ///
    /// Those of write(2): the supervisor has ended.
    pub async fn close_input(&mut self) -> io::Result<()> {
        self.send(Request::CloseInput).await
    }

    /// As [`Connection::resize`].
    ///
    /// # Errors
    ///
    /// Those of write(2): the supervisor has ended.
    pub async fn resize(&mut self, rows: u16, columns: u16) -> io::Result<()> {
        self.send(Request::Resize { rows, columns }).await
    }

    async fn send(&mut self, request: Request<'_>) -> io::Result<()> {
        self.stream.write_all(&request.encode()).await
    }
}
