//! A request for the end, as something that can be waited for.

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

/// The signals that ask for an end.
pub struct End {
    told: UnixStream,
    signal: Arc<AtomicUsize>,
}

impl End {
    /// From now on they end nothing by themselves. One that the caller ignores stays so.
    pub fn listen() -> io::Result<Self> {
        let (told, tell) = UnixStream::pair()?;
        let signal = Arc::new(AtomicUsize::new(0));
        let ignored = Ignored::by_the_caller();
        for number in [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|it| !ignored.has(*it)) {
            flag::register_usize(number, Arc::clone(&signal), number as usize)?;
            pipe::register(number, tell.try_clone()?)?;
        }
        Ok(Self { told, signal })
    }

    /// Can be read once one of them came.
    pub fn told(&self) -> BorrowedFd<'_> {
        self.told.as_fd()
    }

    /// Whether one of them came.
    pub fn is_told(&self) -> bool {
        self.signal.load(Ordering::Relaxed) != 0
    }

    /// The exit code of a program that was ended by it, as a shell counts.
    pub fn code(&self) -> u8 {
        128 + self.signal.load(Ordering::Relaxed) as u8
    }
}
