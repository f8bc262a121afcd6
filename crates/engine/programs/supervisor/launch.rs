//! The launcher: a program of the daemon that makes the container's first process and ends, so that
//! this process, a subreaper, becomes the first process's parent.
//!
//! ```text
//!   0-2   its standard streams, which are to be the container's: pipes, or /dev/null
//!   3     a socket, over which it sends the first process's id and the terminal, if there is one
//!   4     a pipe, into which it writes why it has failed
//! ```

use core::convert::Infallible;

use crate::{
    arguments::{Arguments, Options},
    calls::{Descriptor, Errno, Result, call, pipe},
    decimal::decimal,
    setup::{self, OutOfMemoryScore},
    system::{self, number},
};

/// The longest reason of a failure, in bytes.
pub const MAX_REASON: usize = 4096;

/// What it takes to start the launcher.
pub struct Launcher {
    pub program: Descriptor,
    pub arguments: Arguments,
    pub score: OutOfMemoryScore,
}

/// A launcher at work.
pub struct Launch {
    pub pid: usize,
    socket: Descriptor,
    reason: Descriptor,
    /// What it has made, once it has said so.
    launched: Option<Launched>,
}

/// This process's ends of the container's streams; `None` where there is nothing to carry.
pub struct StreamEnds {
    pub input: Option<Descriptor>,
    pub outputs: [Option<Descriptor>; 2],
}

/// What a launcher has made.
pub struct Launched {
    pub pid: u32,
    pub terminal: Option<Descriptor>,
}

impl Launcher {
    /// Starts the launcher.
    pub fn start(&self, options: Options) -> Result<(Launch, StreamEnds)> {
        let wants = |wanted: bool| if wanted { pipe().map(Some) } else { Ok(None) };
        let has_output = !options.has_terminal;
        let input = wants(options.has_input && has_output)?;
        let (output, error) = (wants(has_output)?, wants(has_output)?);
        let [socket, its_socket] = setup::message_sockets()?;
        let [reason, its_reason] = pipe()?;
        let pid = call(number::FORK, [])?;
        if pid == 0 {
            let its_ends = [&input, &output, &error];
            let mut its_ends = its_ends.into_iter().enumerate().filter_map(|(number, pipe)| {
                let [read, write] = pipe.as_ref()?;
                Some((if number == 0 { read } else { write }, number))
            });
            let others = [(&its_socket, 3), (&its_reason, 4)];
            let Err(errno) = self.execute(&mut its_ends, others);
            let mut text = [0; 128];
            let length = self::reason(&mut text, "execute the launcher", errno);
            let _ = its_reason.write(&text[..length]); // without a reason it has failed too
            system::exit(127);
        }
        let ours = |pipe: Option<[Descriptor; 2]>, end: usize| {
            let end = pipe?.into_iter().nth(end)?;
            end.do_not_block().ok()?;
            Some(end)
        };
        let outputs = [ours(output, 0), ours(error, 0)];
        Ok((
            Launch { pid, socket, reason, launched: None },
            StreamEnds { input: ours(input, 1), outputs },
        ))
    }

    /// In the child: becomes the launcher; these descriptors get these numbers.
    fn execute<'a>(
        &self,
        streams: &mut dyn Iterator<Item = (&'a Descriptor, usize)>,
        others: [(&'a Descriptor, usize); 2],
    ) -> Result<Infallible> {
        const AT_EMPTY_PATH: usize = 0x1000;
        for (descriptor, number) in streams.chain(others) {
            call(number::DUP2, [descriptor.number(), number])?;
        }
        self.score.restore();
        setup::set_signal_mask(0)?;
        let (words, environment) = (self.arguments.launcher_words(), self.arguments.environment());
        let path = c"".as_ptr() as usize;
        let program = self.program.number();
        call(number::EXECVEAT, [program, path, words, environment, AT_EMPTY_PATH])?;
        Err(Errno::INVALID)
    }
}

/// Writes why there was no launcher, in a launcher's own words. Returns the length.
pub fn reason(to: &mut [u8], action: &str, errno: Errno) -> usize {
    let mut digits = [0; 10];
    let count = decimal(&mut digits, errno.0 as u64);
    let words = [b"{\"code\":128,\"message\":\"", action.as_bytes(), b": error "];
    let mut length = 0;
    for bytes in words.into_iter().chain([&digits[..count], b"\"}"]) {
        to[length..length + bytes.len()].copy_from_slice(bytes);
        length += bytes.len();
    }
    length
}

impl Launch {
    /// The socket, while the launcher has not said what it has made.
    pub fn socket(&self) -> Option<&Descriptor> {
        self.launched.is_none().then_some(&self.socket)
    }

    /// Receives what the launcher has made, if it has said so just now: the process's id.
    pub fn receive(&mut self) -> Option<u32> {
        let received = self.socket().and_then(|socket| receive(socket).ok())?;
        let pid = received.pid;
        self.launched = Some(received);
        Some(pid)
    }

    /// Tells the launcher that the process may begin.
    pub fn proceed(&self) {
        let _ = self.socket.write(&[1]); // it may have ended
    }

    /// What the launcher has made, now that it has ended; the reason in `text` if it has failed.
    /// It has failed if it gives a reason or no process, or if it was killed.
    pub fn finish(mut self, status: i32, text: &mut [u8]) -> core::result::Result<Launched, usize> {
        self.receive();
        let reason = match self.reason.do_not_block() {
            Ok(()) => self.reason.read(&mut text[..MAX_REASON]).unwrap_or(0),
            Err(_) => 0,
        };
        match self.launched {
            Some(launched) if reason == 0 && status == 0 && is_child(launched.pid) => Ok(launched),
            launched => {
                if let Some(launched) = launched {
                    kill_child(launched.pid);
                }
                Err(reason)
            }
        }
    }
}

/// Kills a process if it is a child of this one: then its id cannot be another's.
fn kill_child(pid: u32) {
    const SIGKILL: usize = 9;
    if is_child(pid) {
        let _ = call(number::KILL, [pid as usize, SIGKILL]); // it may have ended
    }
}

/// Whether that is the id of a child of this process, which may have ended (waitid(2)).
pub fn is_child(pid: u32) -> bool {
    const P_PID: usize = 1;
    const WNOHANG: usize = 1;
    const WEXITED: usize = 4;
    const WNOWAIT: usize = 0x100_0000;
    call(number::WAITID, [P_PID, pid as usize, 0, WNOHANG | WEXITED | WNOWAIT]).is_ok()
}

/// Receives the id of a process, and perhaps a descriptor, without blocking (unix(7), SCM_RIGHTS).
fn receive(socket: &Descriptor) -> Result<Launched> {
    const MSG_DONTWAIT: usize = 0x40;
    const MSG_CMSG_CLOEXEC: usize = 0x4000_0000;
    let mut pid = 0u32;
    let piece = [&raw mut pid as usize, size_of::<u32>()];
    // struct cmsghdr: a length, level and kind in one word, and then one descriptor.
    let mut control = [0usize; 3];
    // struct msghdr: no address, one piece, the control message, flags.
    let mut message: [usize; 7] = [0; 7];
    message[2] = piece.as_ptr() as usize;
    message[3] = 1;
    message[4] = control.as_mut_ptr() as usize;
    message[5] = size_of_val(&control);
    let flags = MSG_DONTWAIT | MSG_CMSG_CLOEXEC;
    let length = call(number::RECVMSG, [socket.number(), message.as_mut_ptr() as usize, flags])?;
    const SOL_SOCKET: usize = 1;
    const SCM_RIGHTS: usize = 1;
    const WITH_ONE_DESCRIPTOR: usize = 20;
    let has_terminal = control[..2] == [WITH_ONE_DESCRIPTOR, SCM_RIGHTS << 32 | SOL_SOCKET];
    let terminal = has_terminal.then(|| Descriptor::new(control[2] as u32 as usize));
    if length == size_of::<u32>() { Ok(Launched { pid, terminal }) } else { Err(Errno::INVALID) }
}
