//! The connection to a debugger: bytes in and out, and the signal when some come.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read as _, Write as _},
    net::TcpListener,
    os::{
        fd::{AsFd as _, AsRawFd as _, OwnedFd},
        unix::net::UnixListener,
    },
    path::PathBuf,
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::packet::{self, Received};
use crate::{
    control::Handle,
    error::{Error, Result},
    kick,
};

/// Where a debugger may come.
#[derive(Debug)]
pub enum Listener {
    /// A port of this host alone.
    Tcp(TcpListener),
    /// A socket in its file system, at this path.
    Unix(UnixListener, PathBuf),
}

impl Listener {
    /// Waits for a debugger; nobody, if the guest is to end before.
    ///
    /// # Errors
    ///
    /// When nobody can be listened to.
    pub(super) fn accept(&self, handle: &Handle) -> Result<Option<Wire>> {
        let accepted = self.accept_one(handle);
        if let Self::Unix(_, path) = self {
            // Nobody comes after the first. It fails only if somebody else has removed it.
            let _ = fs::remove_file(path);
        }
        accepted
    }

    fn accept_one(&self, handle: &Handle) -> Result<Option<Wire>> {
        let file = match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener, _) => listener.as_fd(),
        };
        // The signal that comes with its first byte has to mean something here.
        kick::listen();
        while !handle.has_ended() {
            let mut ready = [PollFd::new(file, PollFlags::POLLIN)];
            if !matches!(poll(&mut ready, PollTimeout::from(LOOK)), Ok(1..)) {
                continue;
            }
            let accepted: io::Result<OwnedFd> = match self {
                Self::Tcp(listener) => listener.accept().and_then(|(stream, _)| {
                    stream.set_nodelay(true)?;
                    Ok(stream.into())
                }),
                Self::Unix(listener, _) => listener.accept().map(|(stream, _)| stream.into()),
            };
            let accepted = accepted.and_then(|stream| {
                signal_this_thread(&stream)?;
                Ok(File::from(stream))
            });
            let stream = accepted.map_err(Error::system::<io::Error>("accept a debugger"))?;
            return Ok(Some(Wire { stream, input: Vec::new(), acknowledges: true }));
        }
        Ok(None)
    }
}

/// So many milliseconds a wait is, before the end is looked for.
const LOOK: u8 = 100;

/// Has the kernel kick this thread out of `KVM_RUN` whenever something comes over `stream`
/// (fcntl(2), "Managing signals").
fn signal_this_thread(stream: &OwnedFd) -> io::Result<()> {
    /// `F_SETOWN_EX` and `F_OWNER_TID` (Linux, `include/uapi/asm-generic/fcntl.h`).
    const SET_OWNER: libc::c_int = 15;
    const THREAD: libc::c_int = 0;
    const SET_SIGNAL: libc::c_int = 10;
    let owner = [THREAD, nix::unistd::gettid().as_raw()];
    let file = stream.as_raw_fd();
    let done = |result: libc::c_int| match result {
        -1 => Err(io::Error::last_os_error()),
        flags => Ok(flags),
    };
    // SAFETY: the kernel reads a `struct f_owner_ex`, two integers, of this function's.
    done(unsafe { libc::fcntl(file, SET_OWNER, owner.as_ptr()) })?;
    // SAFETY: sets a number of an open file.
    done(unsafe { libc::fcntl(file, SET_SIGNAL, libc::SIGRTMIN()) })?;
    // SAFETY: reads the flags of an open file.
    let flags = done(unsafe { libc::fcntl(file, libc::F_GETFL) })?;
    // SAFETY: sets them. Reads of it do not wait from here on.
    done(unsafe { libc::fcntl(file, libc::F_SETFL, flags | libc::O_ASYNC | libc::O_NONBLOCK) })?;
    Ok(())
}

/// A connection.
pub struct Wire {
    stream: File,
    input: Vec<u8>,
    acknowledges: bool,
}

impl Wire {
    /// Says that a packet came well.
    pub fn acknowledge(&mut self) {
        if self.acknowledges {
            self.send(b"+");
        }
    }

    /// That is not said any more.
    pub fn acknowledge_no_more(&mut self) {
        self.acknowledges = false;
    }

    /// Sends all of `bytes`, to a debugger that reads them: else it finds its connection silent.
    pub fn send(&mut self, mut bytes: &[u8]) {
        const TRIES: usize = 20;
        let mut tries = 0;
        while !bytes.is_empty() && tries < TRIES {
            match self.stream.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let mut ready = [PollFd::new(self.stream.as_fd(), PollFlags::POLLOUT)];
                    let _ = poll(&mut ready, PollTimeout::from(LOOK)); // it is tried again in any case
                    tries += 1;
                }
                Err(_) => return,
            }
        }
    }

    /// The next thing that the debugger says; nothing if it has gone, or the guest is to end.
    pub fn next(&mut self, handle: &Handle) -> Option<Received> {
        loop {
            if let Some(received) = packet::take(&mut self.input) {
                return Some(received);
            }
            if handle.has_ended() {
                return None;
            }
            let mut ready = [PollFd::new(self.stream.as_fd(), PollFlags::POLLIN)];
            if matches!(poll(&mut ready, PollTimeout::from(LOOK)), Ok(1..)) && !self.read() {
                return None;
            }
        }
    }

    /// Whether the debugger has interrupted the guest meanwhile: `false` if it has gone.
    pub fn interrupted(&mut self) -> Option<bool> {
        if !self.read() {
            return Some(false);
        }
        let received = std::iter::from_fn(|| packet::take(&mut self.input));
        received.into_iter().any(|received| received == Received::Interrupt).then_some(true)
    }

    /// Reads what has come; whether the debugger is still there.
    fn read(&mut self) -> bool {
        let mut piece = [0; packet::LONGEST];
        match self.stream.read(&mut piece) {
            Ok(0) => false,
            Ok(count) => {
                self.input.extend_from_slice(&piece[..count]);
                true
            }
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
    }
}
