//! The host's end of a connection: how fast bytes come, by the host's own clock.

use std::{
    io::{self, Read as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use crate::Error;

/// So much is read by one system call.
const BLOCK: usize = 64 << 10;

/// What came behind the first read, and how long after it the last byte came.
#[derive(Debug, Clone, Copy)]
pub struct Received {
    bytes: u64,
    time: Duration,
}

impl Received {
    /// Bytes a second: the first ones, which start the clock, are not counted.
    pub fn rate(&self) -> f64 {
        self.bytes as f64 / self.time.as_secs_f64()
    }
}

/// Connects to the sender at `from`, and reads as many bytes from it.
///
/// # Errors
///
/// When it cannot be reached, ends before, or has not sent all by the deadline.
pub fn receive(from: SocketAddr, bytes: u64, deadline: Duration) -> Result<Received, Error> {
    let began = Instant::now();
    let mut sender = TcpStream::connect_timeout(&from, deadline)
        .map_err(|error| Error::new(format!("connect to the sender at {from}: {error}")))?;
    let mut block = vec![0; BLOCK];
    let mut count = 0;
    let mut first: Option<(u64, Instant)> = None;
    let mut last = began;
    while count < bytes {
        let left = deadline.saturating_sub(began.elapsed());
        if left.is_zero() {
            return Err(late(count, bytes, deadline));
        }
        sender.set_read_timeout(Some(left))?;
        let room = usize::try_from(bytes - count).map_or(BLOCK, |left| left.min(BLOCK));
        let length = match sender.read(&mut block[..room]) {
            Ok(0) => {
                return Err(Error::new(format!("the sender ended after {count} of {bytes} bytes")));
            }
            Ok(length) => length as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // The two that a timeout may be (socket(7)).
            Err(error) if is_timeout(&error) => return Err(late(count, bytes, deadline)),
            Err(error) => {
                return Err(Error::new(format!("receive {count} of {bytes} bytes: {error}")));
            }
        };
        last = Instant::now();
        count += length;
        first.get_or_insert((length, last));
    }
    match first {
        Some((length, first)) if last > first => {
            Ok(Received { bytes: count - length, time: last - first })
        }
        _ => {
            Err(Error::new("all of it came at once: there is no time between first and last byte"))
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn late(count: u64, bytes: u64, deadline: Duration) -> Error {
    Error::new(format!("{count} of {bytes} bytes had come after {deadline:?}"))
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write as _,
        net::TcpListener,
        thread::{self, JoinHandle},
    };

    use super::*;

    /// A sender that does this with the one who connects.
    fn sender(send: impl FnOnce(TcpStream) + Send + 'static) -> (SocketAddr, JoinHandle<()>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        (address, thread::spawn(move || send(listener.accept().unwrap().0)))
    }

    const DEADLINE: Duration = Duration::from_secs(10);

    #[test]
    fn the_clock_runs_from_the_first_byte_to_the_last() {
        let (address, sending) = sender(|mut stream| {
            // A sender that starts slowly is not a slow link.
            thread::sleep(Duration::from_millis(300));
            stream.write_all(&[0; 100]).unwrap();
            thread::sleep(Duration::from_millis(100));
            stream.write_all(&[0; 50]).unwrap();
        });
        let received = receive(address, 150, DEADLINE).unwrap();
        assert_eq!(received.bytes, 50);
        let time = received.time.as_millis();
        assert!((90..300).contains(&time), "{time}");
        assert!(received.rate() < 50.0 / 0.09);
        sending.join().unwrap();
    }

    #[test]
    fn a_sender_that_ends_early_is_an_error_that_counts() {
        let (address, sending) = sender(|mut stream| stream.write_all(&[0; 100]).unwrap());
        let error = receive(address, 150, DEADLINE).unwrap_err();
        assert!(error.reason.contains("ended after 100 of 150"), "{error}");
        sending.join().unwrap();
    }

    #[test]
    fn a_sender_that_stalls_has_a_deadline() {
        let (address, sending) = sender(|mut stream| {
            stream.write_all(&[0; 100]).unwrap();
            // Until the receiver has gone.
            let _ = io::copy(&mut stream, &mut io::sink());
        });
        let began = Instant::now();
        let error = receive(address, 150, Duration::from_millis(200)).unwrap_err();
        assert!(error.reason.contains("100 of 150 bytes had come after 200ms"), "{error}");
        assert!(began.elapsed() < DEADLINE);
        sending.join().unwrap();
    }

    #[test]
    fn nobody_at_the_address_is_an_error_with_the_address() {
        let gone = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        let error = receive(gone, 1, DEADLINE).unwrap_err();
        assert!(error.reason.contains(&gone.to_string()), "{error}");
    }
}
