//! The terminal of a container: its master goes to the engine, through a Unix socket (`--console-socket`).

use std::{
    io::IoSlice,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    time::Duration,
};

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use crate::error::{Result, file};

/// An engine that does not read has this long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends the master to whoever listens at the socket, with the name of the terminal as runc does.
pub(crate) fn send(master: &OwnedFd, socket: &Path) -> Result<()> {
    let stream =
        UnixStream::connect(socket).map_err(file("connect to the console socket", socket))?;
    let timed = stream.set_write_timeout(Some(PATIENCE));
    timed.map_err(file("set a time-out of the console socket", socket))?;
    let descriptors = [master.as_raw_fd()];
    let message = [ControlMessage::ScmRights(&descriptors)];
    let name = [IoSlice::new(b"/dev/ptmx")];
    sendmsg::<()>(stream.as_raw_fd(), &name, &message, MsgFlags::MSG_NOSIGNAL, None)
        .map(drop)
        .map_err(|errno| file("send the terminal to", socket)(errno.into()))
}
