//! The clients of a supervisor. None of them can block it.

use std::{
    collections::VecDeque,
    fs, io,
    io::{ErrorKind, Read as _, Write as _},
    os::{
        fd::{AsFd, AsRawFd as _, BorrowedFd},
        unix::{
            fs::PermissionsExt as _,
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::{frame::Frame, record::Stream};

/// The socket in a run's directory.
const SOCKET: &str = "attach";
/// The maximum number of clients.
const CLIENTS: usize = 64;
/// How much is buffered for a slow client before it is dropped.
const BEHIND: usize = 1 << 20;
/// How long to wait until the clients have received the end.
const FAREWELL: Duration = Duration::from_secs(1);

/// The socket's path through a descriptor of its directory, whose own path may be longer than an
/// address can be (unix(7)).
pub(crate) fn socket_path(directory: &fs::File) -> PathBuf {
    format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd()).into()
}

/// The socket and its clients.
pub(crate) struct Connections {
    listener: UnixListener,
    clients: Vec<Connection>,
}

struct Connection {
    stream: UnixStream,
    received: Vec<u8>,
    to_send: VecDeque<u8>,
    subscribed: bool,
    gone: bool,
}

impl Connections {
    pub(crate) fn listen(directory: &Path) -> io::Result<Self> {
        let directory = fs::File::open(directory)?;
        let path = socket_path(&directory);
        let listener = UnixListener::bind(&path)?;
        // No other user could connect before: only the caller may enter the directory.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, clients: Vec::new() })
    }

    /// What to poll(2): the socket, then the clients in order.
    pub(crate) fn watched(&self, receive: bool) -> impl Iterator<Item = PollFd<'_>> {
        let listener = std::iter::once(PollFd::new(self.listener.as_fd(), PollFlags::POLLIN));
        let clients = self.clients.iter().filter_map(move |client| {
            let mut events = PollFlags::empty();
            events.set(PollFlags::POLLIN, receive);
            events.set(PollFlags::POLLOUT, !client.to_send.is_empty());
            // A client polled for no event would still report its hang-up again and again
            // (poll(2)).
            (!events.is_empty()).then(|| PollFd::new(client.descriptor(), events))
        });
        listener.chain(clients)
    }

    /// Accepts new clients, reads what clients sent, and sends what is buffered for them.
    pub(crate) fn serve(&mut self, receive: bool) -> Vec<Frame> {
        let mut frames = Vec::new();
        for client in &mut self.clients {
            if receive {
                client.receive(&mut frames);
            }
            client.send();
        }
        while let Ok((stream, _)) = self.listener.accept() {
            if self.clients.len() < CLIENTS && stream.set_nonblocking(true).is_ok() {
                self.clients.push(Connection::new(stream));
            }
        }
        self.clients.retain(|client| !client.gone);
        frames
    }

    /// Sends output to the clients that follow it.
    pub(crate) fn broadcast(&mut self, stream: Stream, bytes: &[u8]) {
        if !self.clients.iter().any(|client| client.subscribed) {
            return;
        }
        let frame = Frame::Output(stream, bytes.into()).encode();
        for client in self.clients.iter_mut().filter(|client| client.subscribed) {
            if client.to_send.len() > BEHIND {
                client.to_send.extend(Frame::TooSlow.encode());
                client.subscribed = false;
            } else {
                client.to_send.extend(&frame);
                client.send();
            }
        }
    }

    /// Tells all clients about the end, and waits for them briefly.
    pub(crate) fn send_exit(mut self, code: u8) {
        // Connections that are not accepted yet wait for this too.
        self.serve(false);
        for client in &mut self.clients {
            client.to_send.extend(Frame::Exit(code).encode());
        }
        let began = Instant::now();
        loop {
            self.clients.iter_mut().for_each(Connection::send);
            self.clients.retain(|client| !client.gone && !client.to_send.is_empty());
            let left = FAREWELL.saturating_sub(began.elapsed());
            if self.clients.is_empty() || left.is_zero() {
                return;
            }
            let watch = |client| PollFd::new(Connection::descriptor(client), PollFlags::POLLOUT);
            let mut watched: Vec<PollFd<'_>> = self.clients.iter().map(watch).collect();
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
            let _ = poll(&mut watched, timeout); // after an interruption it is polled again
        }
    }
}

impl Connection {
    fn new(stream: UnixStream) -> Self {
        let (received, to_send) = (Vec::new(), VecDeque::new());
        Self { stream, received, to_send, subscribed: false, gone: false }
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// One read at a time, so that a client that sends endlessly does not starve the others.
    fn receive(&mut self, frames: &mut Vec<Frame>) {
        let mut chunk = [0; 16 << 10];
        match self.stream.read(&mut chunk) {
            // The other direction may still be open; a waiting client keeps both open.
            Ok(0) => self.gone = true,
            Ok(count) => self.received.extend(&chunk[..count]),
            Err(error) => self.failed(&error),
        }
        loop {
            match Frame::take(&mut self.received) {
                Ok(Some(Frame::Subscribe)) => self.subscribed = true,
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => return,
                Err(_) => return self.gone = true,
            }
        }
    }

    fn send(&mut self) {
        while !self.to_send.is_empty() && !self.gone {
            match self.stream.write(self.to_send.as_slices().0) {
                Ok(count) => drop(self.to_send.drain(..count)),
                Err(error) => {
                    self.failed(&error);
                    return;
                }
            }
        }
    }

    fn failed(&mut self, error: &io::Error) {
        let later = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted);
        self.gone |= !later;
    }
}
