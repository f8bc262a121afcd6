//! The client's end of a supervisor's socket.

use std::{
    fs::File,
    io::{self, ErrorKind, Read as _, Write as _},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    path::Path,
};

use crate::{
    connections::socket_path,
    frame::{Frame, NotAFrame},
};

/// Why a client cannot continue.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The supervisor has closed the connection without a last frame: it was killed.
    #[error("the supervisor has exited")]
    Gone,
    /// It does not speak the supervisor's protocol.
    #[error(transparent)]
    NotAFrame(#[from] NotAFrame),
    /// Reading or writing failed.
    #[error("use the supervisor's socket")]
    Io(#[from] io::Error),
}

/// A connection to the supervisor of a run.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    received: Vec<u8>,
}

impl Client {
    /// Connects to the supervisor of the run with that directory.
    ///
    /// # Errors
    ///
    /// Those of connect(2): refused when it has ended.
    pub fn connect(directory: &Path) -> io::Result<Self> {
        let directory = File::open(directory)?;
        let stream = UnixStream::connect(socket_path(&directory))?;
        Ok(Self { stream, received: Vec::new() })
    }

    /// Sends a frame; blocks while the supervisor does not read.
    ///
    /// # Errors
    ///
    /// Those of write(2).
    pub fn send(&mut self, frame: &Frame) -> io::Result<()> {
        self.stream.write_all(&frame.encode())
    }

    /// Waits for the next frame.
    ///
    /// # Errors
    ///
    /// [`ClientError::Gone`] at the end of the connection.
    pub fn receive(&mut self) -> Result<Frame, ClientError> {
        loop {
            if let Some(frame) = Frame::take(&mut self.received)? {
                return Ok(frame);
            }
            let mut chunk = [0; 16 << 10];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(ClientError::Gone),
                Ok(count) => self.received.extend(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    return Err(ClientError::Gone);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether [`Client::receive`] has a frame without reading.
    ///
    /// # Errors
    ///
    /// When the bytes are not a frame.
    pub fn take(&mut self) -> Result<Option<Frame>, ClientError> {
        Ok(Frame::take(&mut self.received)?)
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
