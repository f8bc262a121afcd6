//! A client with a time by which it must be done.
//!
//! A timeout of the socket counts from one byte to the next: who sends, or reads, a byte now and
//! then would never be late.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

/// A connection that may be used until then.
pub(super) struct Timed<'a> {
    client: &'a TcpStream,
    until: Instant,
}

impl<'a> Timed<'a> {
    pub(super) fn new(client: &'a TcpStream, time: Duration) -> Self {
        Self { client, until: Instant::now() + time }
    }

    /// What is left of the time.
    fn left(&self) -> io::Result<Option<Duration>> {
        match self.until.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
            left => Ok(Some(left)),
        }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.client.set_read_timeout(self.left()?)?;
        self.client.read(buffer)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.client.set_write_timeout(self.left()?)?;
        self.client.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.client.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;

    const TIME: Duration = Duration::from_millis(300);

    /// Two ends of a connection.
    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (listener.accept().unwrap().0, client)
    }

    #[test]
    fn who_sends_a_byte_now_and_then_is_late() {
        let (ours, mut theirs) = pair();
        let drip = thread::spawn(move || {
            while theirs.write_all(b"x").is_ok() {
                thread::sleep(TIME / 20);
            }
        });
        let read = Timed::new(&ours, TIME).read_to_end(&mut Vec::new());
        assert!(read.is_err());
        drop(ours);
        drip.join().unwrap();
    }

    #[test]
    fn who_reads_a_byte_now_and_then_is_late() {
        let (ours, mut theirs) = pair();
        let sip = thread::spawn(move || {
            while theirs.read(&mut [0; 64 << 10]).is_ok_and(|count| count > 0) {
                thread::sleep(TIME / 20);
            }
        });
        // More than is read in that time, and than the kernel keeps.
        let written = Timed::new(&ours, TIME).write_all(&vec![0; 64 << 20]);
        assert!(written.is_err());
        drop(ours);
        sip.join().unwrap();
    }
}
