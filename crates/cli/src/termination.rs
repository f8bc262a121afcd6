//! A request to terminate, as a descriptor that can be polled.

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

use crate::relay::Ignored;

/// The signals that ask isolab to terminate.
pub struct Termination {
    receiver: UnixStream,
    signal: Arc<AtomicUsize>,
}

impl Termination {
    /// Handles them from now on. One that the caller ignores stays ignored.
    pub fn listen() -> io::Result<Self> {
        let (receiver, sender) = UnixStream::pair()?;
        let signal = Arc::new(AtomicUsize::new(0));
        let ignored = Ignored::by_the_caller();
        for number in [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|it| !ignored.has(*it)) {
            flag::register_usize(number, Arc::clone(&signal), number as usize)?;
            pipe::register(number, sender.try_clone()?)?;
        }
        Ok(Self { receiver, signal })
    }

    /// Readable once one of them has come.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.receiver.as_fd()
    }

    /// Whether one of them has come.
    pub fn is_requested(&self) -> bool {
        self.signal.load(Ordering::Relaxed) != 0
    }

    /// The exit code that a shell gives to a program that it has terminated.
    pub fn exit_code(&self) -> u8 {
        128 + self.signal.load(Ordering::Relaxed) as u8
    }
}
