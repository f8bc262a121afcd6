//! A terminal of the container's own: made inside, in its devpts, so that its programs find it by
//! its name (ttyname(3)). The master is sent out through a socket (unix(7), `SCM_RIGHTS`).
//!
//! A running container is hostile, and its programs may have changed `/dev`. So `ptmx` is opened
//! only in a directory that is verified to be a devpts, in which no process can make files; and its
//! slave is opened by the master (`TIOCGPTPEER`), not by a path.

use std::{
    fs::File,
    io::IoSliceMut,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    path::Path,
};

use nix::{
    cmsg_space,
    errno::Errno,
    sys::socket::{
        AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, socketpair,
    },
};
use sandbox::Question::WayOut;

use super::Terminal;
use crate::{
    Error,
    child_descriptors::TERMINAL,
    descriptors::high,
    error::call,
    lookup::{self, Links},
    mount_calls,
    mounts::MountInfo,
    plan::SyscallPlan,
    spec::power::User,
};

/// Its mount point: the kernel's documentation names no other (devpts.rst).
const PTS: &str = "/dev/pts";

/// Whether a container with these mounts has a devpts of its own.
pub(crate) fn is_among(mounts: &[MountInfo]) -> bool {
    let last = mounts.iter().rfind(|mount| mount.point == Path::new(PTS));
    last.is_some_and(|mount| mount.kind == "devpts")
}

/// The launcher's end of the socket, and the child's.
pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd), Error> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let made = socketpair(AddressFamily::Unix, SockType::Stream, None, flags);
    let (own, childs) = made.map_err(call("socketpair for the terminal"))?;
    Ok((own, high(&childs)?))
}

/// The child's steps, in its root: a new terminal becomes its standard streams and its controlling
/// terminal, and the launcher gets the other side.
pub(crate) fn connect(plan: &mut SyscallPlan, user: &User, console: bool) -> Result<(), Error> {
    lookup::open_directory_here(plan, Path::new(PTS))?;
    let pts = plan.result();
    let words = format!("{PTS} is a devpts");
    lookup::same_type(plan, words, pts, libc::DEVPTS_SUPER_MAGIC);
    lookup::open_terminal(plan, pts)?;
    let master = plan.result();
    let request = |plan: &mut SyscallPlan, name: &str, request: libc::Ioctl, argument: usize| {
        let arguments = [master.operand(), request as usize, argument];
        plan.step(WayOut, format!("ioctl {name} of {PTS}/ptmx"), libc::SYS_ioctl, arguments);
    };
    let unlocked = plan.keep(0i32.to_ne_bytes());
    request(plan, "TIOCSPTLCK", libc::TIOCSPTLCK, unlocked);
    if let Some(size) = super::window() {
        let size = plan.keep(size.map(u16::to_ne_bytes).as_flattened());
        request(plan, "TIOCSWINSZ", libc::TIOCSWINSZ, size);
    }
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    request(plan, "TIOCGPTPEER", libc::TIOCGPTPEER, flags as usize);
    let slave = plan.result();
    if user.uid != 0 {
        // Its user may open it by its name (console_codes(4) and tty(1) do).
        let arguments = [slave.operand(), user.uid as usize, usize::MAX];
        plan.step(WayOut, "fchown of the terminal", libc::SYS_fchown, arguments);
    }
    if console {
        show_as_console(plan, slave)?;
    }
    // Number 0 is replaced by the slave below.
    plan.step(WayOut, "dup3 of the master", libc::SYS_dup3, [master.operand(), 0, 0]);
    send_out(plan, 0);
    for number in 0..3 {
        plan.step(WayOut, "dup3 of the slave", libc::SYS_dup3, [slave.operand(), number, 0]);
    }
    let arguments = [0, libc::TIOCSCTTY as usize, 0];
    plan.step(WayOut, "ioctl TIOCSCTTY: its terminal", libc::SYS_ioctl, arguments);
    for (slot, words) in [(pts, "close devpts"), (master, "close ptmx"), (slave, "close the slave")]
    {
        plan.step(WayOut, words, libc::SYS_close, [slot.operand()]);
    }
    plan.step(WayOut, "close the socket", libc::SYS_close, [TERMINAL]);
    Ok(())
}

/// Docker shows it there too.
fn show_as_console(plan: &mut SyscallPlan, slave: crate::plan::Slot) -> Result<(), Error> {
    let console = Path::new("/dev/console");
    lookup::open_of_host(plan, Path::new("/"))?;
    let root = plan.result();
    let dev = lookup::directory(plan, root, Path::new("/dev"), Links::Refused)?;
    let file = plan.slot();
    lookup::make_file(plan, dev, Path::new("console"))?;
    plan.result_into(file);
    plan.if_failed(&[Errno::EEXIST], |plan| {
        lookup::open(plan, dev, Path::new("console"), Links::Refused)?;
        plan.result_into(file);
        Ok::<_, Error>(())
    })?;
    let copy = mount_calls::copy(plan, console, slave, false);
    mount_calls::attach(plan, console, copy, file);
    Ok(())
}

/// Sends the descriptor of that number, with one byte, which a stream needs (unix(7)).
fn send_out(plan: &mut SyscallPlan, number: RawFd) {
    let byte = plan.keep([0]);
    let parts = plan.keep([byte, 1].map(usize::to_ne_bytes).as_flattened()); // struct iovec
    // struct cmsghdr, and its data.
    const LENGTH: usize = size_of::<libc::cmsghdr>() + size_of::<RawFd>();
    let header = [libc::SOL_SOCKET, libc::SCM_RIGHTS, number, 0].map(i32::to_ne_bytes);
    let control = [&LENGTH.to_ne_bytes()[..], header.as_flattened()].concat();
    let control_length = control.len();
    let control = plan.keep(control);
    // struct msghdr: no name, one part, the control message, no flags.
    let message = [0, 0, parts, 1, control, control_length, 0].map(usize::to_ne_bytes);
    let message = plan.keep(message.as_flattened());
    plan.step(WayOut, "sendmsg: the master", libc::SYS_sendmsg, [TERMINAL, message, 0]);
}

impl Terminal {
    /// Receives the terminal from a child that has executed its program.
    pub(crate) fn receive(socket: &OwnedFd) -> Result<Self, Error> {
        let mut byte = [0];
        let mut parts = [IoSliceMut::new(&mut byte)];
        let mut room = cmsg_space!(RawFd);
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut room), flags);
        let message = message.map_err(call("recvmsg: the terminal's master"))?;
        let mut controls = message.cmsgs().map_err(call("recvmsg: the terminal's master"))?;
        let Some(ControlMessageOwned::ScmRights(sent)) = controls.next() else {
            return Err(call("recvmsg: the terminal's master")(Errno::ENOMSG));
        };
        let [master] = sent[..] else {
            return Err(call("recvmsg: the terminal's master")(Errno::EBADMSG));
        };
        // SAFETY: the call has just made this descriptor.
        let master = unsafe { OwnedFd::from_raw_fd(master) };
        Self::of(File::from(master))
    }
}
