//! The connection of a client of this host, which can be looked at while it is served.

use std::{
    io::{self, ErrorKind, IoSlice},
    os::fd::{AsFd as _, AsRawFd as _},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use nix::sys::socket::{Shutdown, shutdown};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::UnixStream,
};

/// How often it is looked whether a client is gone.
const LOOK: Duration = Duration::from_secs(2);

/// A stream, and whoever wants to know whether its other end is there.
#[derive(Debug, Clone)]
pub struct LocalStream(Arc<UnixStream>);

impl LocalStream {
    /// That of a client who was accepted.
    pub fn new(stream: UnixStream) -> Self {
        Self(Arc::new(stream))
    }

    /// Ready when both directions are closed (poll(2), `POLLHUP`): `docker run -d` goes without waiting
    /// for the answer to its `wait`. A client that has closed only its own half waits for one.
    pub async fn hung_up(self) {
        let is_open = || {
            let mut polled = [PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::empty())];
            let found = poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
            found.is_err() || !polled[0].revents().contains(PollFlags::HUP)
        };
        while is_open() {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What `write` returns once the other end takes bytes.
    fn write(
        &self,
        context: &mut Context<'_>,
        write: impl Fn(&UnixStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(context))?;
            match write(&self.0) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }
}

impl AsyncRead for LocalStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(context))?;
            match self.0.try_read(buffer.initialize_unfilled()) {
                Ok(length) => {
                    buffer.advance(length);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for LocalStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(context, |stream| stream.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(context, |stream| stream.try_write_vectored(pieces))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(shutdown(self.0.as_raw_fd(), Shutdown::Write).map_err(Into::into))
    }
}
