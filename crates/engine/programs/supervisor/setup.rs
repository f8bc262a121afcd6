//! What has to be there before the daemon may connect, and what makes this process outlive it.

use core::ffi::CStr;

use crate::{
    calls::{self, Descriptor, Result, call},
    system::number,
};

/// The socket at which clients connect, in the working directory.
pub const SOCKET: &CStr = c"attach";

const AF_UNIX: usize = 1;
const SOCK_STREAM: usize = 1;
const SOCK_NONBLOCK: usize = 0o4000;
const SOCK_CLOEXEC: usize = 0o2_000_000;

/// Takes the launcher's program from descriptor 0. Descriptors 0 to 4 lead to `/dev/null` from now
/// on, so that no other descriptor has one of the numbers that the launcher's have.
pub fn take_program() -> Result<Descriptor> {
    const FIRST_OWN: usize = 5;
    call(number::CLOSE_RANGE, [1, u32::MAX as usize, 0])?;
    let program = core::mem::ManuallyDrop::new(Descriptor::new(0)).duplicate(FIRST_OWN)?;
    let null = calls::open(c"/dev/null", calls::O_RDWR)?.duplicate(FIRST_OWN)?;
    for descriptor in 0..FIRST_OWN {
        call(number::DUP2, [null.number(), descriptor])?;
    }
    Ok(program)
}

/// Binds the socket, which only this user may connect to.
pub fn listen() -> Result<Descriptor> {
    const BACKLOG: usize = 64;
    let kind = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    let socket = Descriptor::new(call(number::SOCKET, [AF_UNIX, kind, 0])?);
    let _ = calls::unlink(SOCKET); // of a supervisor that was killed
    // struct sockaddr_un: the family, and a path that ends with a NUL (unix(7)).
    let mut address = [0; 2 + SOCKET.count_bytes() + 1];
    address[0] = AF_UNIX as u8;
    address[2..].copy_from_slice(SOCKET.to_bytes_with_nul());
    let umask = call(number::UMASK, [0o077])?;
    let bound = call(number::BIND, [socket.number(), address.as_ptr() as usize, address.len()]);
    call(number::UMASK, [umask])?;
    bound?;
    call(number::LISTEN, [socket.number(), BACKLOG])?;
    Ok(socket)
}

/// The next client that has connected.
pub fn accept(socket: &Descriptor) -> Result<Descriptor> {
    let arguments = [socket.number(), 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC];
    call(number::ACCEPT4, arguments).map(Descriptor::new)
}

/// A pair of sockets that keep messages apart.
pub fn message_sockets() -> Result<[Descriptor; 2]> {
    const SOCK_SEQPACKET: usize = 5;
    let mut ends = [0u32; 2];
    let kind = SOCK_SEQPACKET | SOCK_CLOEXEC;
    call(number::SOCKETPAIR, [AF_UNIX, kind, 0, &raw mut ends as usize])?;
    Ok(ends.map(|end| Descriptor::new(end as usize)))
}

/// Makes this process independent of the one that has started it, and the parent of whatever loses
/// its own below it.
pub fn stand_alone() -> Result<()> {
    const PR_SET_NAME: usize = 15;
    const PR_SET_CHILD_SUBREAPER: usize = 36;
    call(number::SETSID, [])?;
    call(number::PRCTL, [PR_SET_CHILD_SUBREAPER, 1])?;
    call(number::PRCTL, [PR_SET_NAME, c"isolab-superv".as_ptr() as usize]).map(drop)
}

/// Blocks all signals, and gives a descriptor that can be read when a child has ended (signalfd(2)).
pub fn child_signals() -> Result<Descriptor> {
    const SIGCHLD: u64 = 17;
    let deaths = 1u64 << (SIGCHLD - 1);
    set_signal_mask(u64::MAX)?;
    let flags = SOCK_NONBLOCK | SOCK_CLOEXEC; // SFD_NONBLOCK and SFD_CLOEXEC have the same bits
    let arguments = [usize::MAX, &raw const deaths as usize, 8, flags];
    call(number::SIGNALFD4, arguments).map(Descriptor::new)
}

/// Blocks these signals, and no others.
pub fn set_signal_mask(mask: u64) -> Result<()> {
    const SIG_SETMASK: usize = 2;
    call(number::RT_SIGPROCMASK, [SIG_SETMASK, &raw const mask as usize, 0, 8]).map(drop)
}

/// How readily the kernel kills this process when memory runs out (proc_pid_oom_score_adj(5)), as it
/// was before [`Self::lower`].
#[derive(Clone, Copy)]
pub struct OutOfMemoryScore {
    text: [u8; 8],
    length: usize,
}

impl OutOfMemoryScore {
    const FILE: &CStr = c"/proc/self/oom_score_adj";

    /// Makes this process the last but one to be killed, if it may: it has a few kilobytes, and
    /// somebody has to record the end of the container.
    pub fn lower() -> Self {
        let mut text = [0; 8];
        let read = calls::open(Self::FILE, calls::O_RDONLY).and_then(|file| file.read(&mut text));
        Self::write(b"-999");
        Self { text, length: read.unwrap_or(0) }
    }

    /// Restores it, in the launcher.
    pub fn restore(self) {
        Self::write(&self.text[..self.length]);
    }

    fn write(text: &[u8]) {
        // Refused without CAP_SYS_RESOURCE: then it stays as it was.
        let _ = calls::open(Self::FILE, calls::O_WRONLY).and_then(|file| file.write(text));
    }
}
