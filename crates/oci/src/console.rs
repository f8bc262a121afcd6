//! The terminal of a container: its master goes to the engine, through a Unix socket (`--console-socket`).

use std::{
    io::{self, IoSlice},
    os::fd::{AsRawFd as _, OwnedFd},
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, sendmsg, socket,
    },
};

use crate::error::{Result, file};

/// An engine that does not take connections has this long.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Sends the master to whoever listens at the socket, with the name of the terminal as runc does.
pub(crate) fn send(master: &OwnedFd, socket: &Path) -> Result<()> {
    let stream = connect(socket).map_err(file("connect to the console socket", socket))?;
    let descriptors = [master.as_raw_fd()];
    let message = [ControlMessage::ScmRights(&descriptors)];
    let name = [IoSlice::new(b"/dev/ptmx")];
    sendmsg::<()>(stream.as_raw_fd(), &name, &message, MsgFlags::MSG_NOSIGNAL, None)
        .map(drop)
        .map_err(|errno| file("send the terminal to", socket)(errno.into()))
}

/// Without waiting in the call: it has no time-out for a listener that accepts nothing (unix(7)).
fn connect(path: &Path) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    let address = UnixAddr::new(path)?;
    let end = Instant::now() + TIMEOUT;
    loop {
        match nix::sys::socket::connect(socket.as_raw_fd(), &address) {
            Err(Errno::EAGAIN) if Instant::now() < end => sleep(Duration::from_millis(10)),
            Err(Errno::EAGAIN) => return Err(io::ErrorKind::TimedOut.into()),
            connected => return Ok(connected.map(|()| socket)?),
        }
    }
}
