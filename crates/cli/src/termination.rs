//! The signals that ask for termination, as something that can be polled.

use std::{
    io,
    os::{fd::AsFd as _, fd::BorrowedFd, unix::net::UnixStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
    low_level::pipe,
};

use crate::relay::ignored;

/// `SIGINT`, `SIGTERM` and `SIGHUP`, caught.
pub struct TerminationSignals {
    readable: UnixStream,
    signal: Arc<AtomicUsize>,
}

impl TerminationSignals {
    /// Catches them from now on. One that the caller of isolab ignores stays ignored.
    pub fn listen() -> io::Result<Self> {
        let (readable, writable) = UnixStream::pair()?;
        let signal = Arc::new(AtomicUsize::new(0));
        let ignored = ignored();
        for number in [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|it| !ignored.has(*it)) {
            flag::register_usize(number, Arc::clone(&signal), number as usize)?;
            pipe::register(number, writable.try_clone()?)?;
        }
        Ok(Self { readable, signal })
    }

    /// Can be read once one of them has arrived.
    pub fn readable(&self) -> BorrowedFd<'_> {
        self.readable.as_fd()
    }

    /// Whether one of them has arrived.
    pub fn have_arrived(&self) -> bool {
        self.signal.load(Ordering::Relaxed) != 0
    }

    /// The exit code of a program that the signal has killed, as a shell reports it.
    pub fn exit_code(&self) -> u8 {
        128 + self.signal.load(Ordering::Relaxed) as u8
    }
}
