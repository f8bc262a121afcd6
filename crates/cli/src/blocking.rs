//! Reading and writing streams that somebody may have made non-blocking.

use std::{
    io::{self, ErrorKind, Read, Write},
    os::fd::AsFd,
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Writes all of `text`, however slowly it is read.
pub fn write(stream: impl Write + AsFd, text: &str) -> io::Result<()> {
    let mut stream = Blocking(stream);
    stream.write_all(text.as_bytes())?;
    stream.flush()
}

/// A stream that blocks: where the stream inside is non-blocking and not ready, it waits.
pub struct Blocking<T>(pub T);

impl<T: AsFd> Blocking<T> {
    fn until_ready<N>(
        &mut self,
        events: PollFlags,
        mut attempt: impl FnMut(&mut T) -> io::Result<N>,
    ) -> io::Result<N> {
        loop {
            match attempt(&mut self.0) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let mut watched = [PollFd::new(self.0.as_fd(), events)];
                    let _ = poll(&mut watched, PollTimeout::NONE); // it is tried again in any case
                }
                done => return done,
            }
        }
    }
}

impl<T: Write + AsFd> Write for Blocking<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.until_ready(PollFlags::POLLOUT, |stream| stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.until_ready(PollFlags::POLLOUT, T::flush)
    }
}

impl<T: Read + AsFd> Read for Blocking<T> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.until_ready(PollFlags::POLLIN, |stream| stream.read(room))
    }
}
