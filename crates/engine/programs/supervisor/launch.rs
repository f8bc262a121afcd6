//! The launcher: the program that makes the first process, and ends.
//!
//! It gets the streams as 0, 1 and 2. Through descriptor 3, a socket, it sends the id of the first
//! process, and with it the terminal if there is one. Into descriptor 4, a pipe, it writes why it has
//! failed.

use super::{
    calls::{self, Descriptor, Errno, Result, call, pipe},
    system::{exit, number},
    words::Words,
};

/// Descriptors of this process have at least this number: none is in the way of the launcher's.
pub const LOWEST: usize = 10;

/// Where the words of the launcher begin.
const FIRST_WORD: usize = 4;

/// What is launched, and how.
pub struct Launcher {
    /// The program, open.
    pub program: Descriptor,
    pub words: Words,
    /// Whether its standard input is a pipe.
    pub stdin: bool,
    /// Whether it makes a terminal.
    pub tty: bool,
    /// What this process had before it was made the last to be killed.
    pub oom_score_adj: OomScore,
}

/// This side's ends of a launch.
pub struct Launched {
    pub pid: usize,
    pub stdin: Option<Descriptor>,
    pub stdout: Option<Descriptor>,
    pub stderr: Option<Descriptor>,
    pub socket: Descriptor,
    pub reason: Descriptor,
}

/// The text of an `oom_score_adj`.
#[derive(Clone, Copy)]
pub struct OomScore([u8; 16], usize);

const OOM_SCORE: &core::ffi::CStr = c"/proc/self/oom_score_adj";

/// Makes this process one of the last that the kernel kills for lack of memory, if it may; what it was
/// before is for the launcher.
pub fn survive_lack_of_memory() -> OomScore {
    let mut score = OomScore([0; 16], 0);
    if let Ok(file) = calls::open(OOM_SCORE, calls::O_RDONLY) {
        score.1 = file.read(&mut score.0).unwrap_or(0);
    }
    if let Ok(file) = calls::open(OOM_SCORE, calls::O_WRONLY) {
        let _ = file.write(b"-999"); // only root may
    }
    score
}

impl Launcher {
    /// Starts it.
    pub fn launch(&self) -> Result<Launched> {
        let null = || calls::open(c"/dev/null", calls::O_RDWR)?.duplicate(LOWEST);
        let both = || -> Result<[Descriptor; 2]> {
            let [read, write] = pipe()?;
            Ok([read.duplicate(LOWEST)?, write.duplicate(LOWEST)?])
        };
        let (its_stdin, stdin) = match self.stdin && !self.tty {
            true => both().map(|[read, write]| (read, Some(write)))?,
            false => (null()?, None),
        };
        let output = || -> Result<(Option<Descriptor>, Descriptor)> {
            match self.tty {
                true => Ok((None, null()?)),
                false => both().map(|[read, write]| (Some(read), write)),
            }
        };
        let ((stdout, its_stdout), (stderr, its_stderr)) = (output()?, output()?);
        let [socket, its_socket] = socket_pair()?;
        let [reason, its_reason] = both()?;
        let its = [&its_stdin, &its_stdout, &its_stderr, &its_socket, &its_reason];
        let pid = call(number::FORK, [])?;
        if pid == 0 {
            self.become_launcher(its);
        }
        for end in [&stdin, &stdout, &stderr].into_iter().flatten() {
            end.do_not_block()?;
        }
        socket.do_not_block()?;
        reason.do_not_block()?;
        Ok(Launched { pid, stdin, stdout, stderr, socket, reason })
    }

    /// In the child: everything else is closed by the `execveat`.
    fn become_launcher(&self, its: [&Descriptor; 5]) -> ! {
        for (number, end) in its.into_iter().enumerate() {
            let _ = call(number::DUP2, [end.number(), number]); // both are valid
        }
        if let Ok(file) = calls::open(OOM_SCORE, calls::O_WRONLY) {
            let OomScore(text, length) = self.oom_score_adj;
            let _ = file.write(&text[..length]);
        }
        let none = 0u64;
        let _ = call(number::RT_SIGPROCMASK, [2, &raw const none as usize, 0, 8]);
        const AT_EMPTY_PATH: usize = 0x1000;
        let (argv, envp) = (self.words.from(FIRST_WORD), self.words.environment());
        let path = c"".as_ptr() as usize;
        let _ = call(number::EXECVEAT, [self.program.number(), path, argv, envp, AT_EMPTY_PATH]);
        let reason = Descriptor::new(4);
        let _ = reason.write(b"{\"message\":\"execute the launcher\",\"code\":128}");
        exit(127)
    }
}

/// Two connected sockets (unix(7)).
fn socket_pair() -> Result<[Descriptor; 2]> {
    const AF_UNIX: usize = 1;
    const SOCK_STREAM_CLOEXEC: usize = 1 | 0o2_000_000;
    let mut ends = [0u32; 2];
    call(number::SOCKETPAIR, [AF_UNIX, SOCK_STREAM_CLOEXEC, 0, &raw mut ends as usize])?;
    let [own, its] = ends.map(|end| Descriptor::new(end as usize));
    Ok([own.duplicate(LOWEST)?, its.duplicate(LOWEST)?])
}

/// The id of the first process, and its terminal; `None` if nothing has been sent yet.
pub fn receive(socket: &Descriptor) -> Option<(usize, Option<Descriptor>)> {
    let mut pid = 0u32;
    // struct iovec; struct cmsghdr with a descriptor: length, level, type, and its number.
    let mut part = [&raw mut pid as usize, 4];
    let mut control = [0usize; 3];
    // struct msghdr: no name, one part, the control message, flags.
    let mut message =
        [0, 0, &raw mut part as usize, 1, &raw mut control as usize, size_of_val(&control), 0];
    const MSG_CMSG_CLOEXEC: usize = 0x4000_0000;
    let arguments = [socket.number(), &raw mut message as usize, MSG_CMSG_CLOEXEC];
    let received = call(number::RECVMSG, arguments);
    if received != Ok(4) {
        return None;
    }
    const SOL_SOCKET_SCM_RIGHTS: usize = 1 | 1 << 32;
    let has_terminal = message[5] >= 20 && control[1] == SOL_SOCKET_SCM_RIGHTS;
    let terminal = has_terminal.then(|| Descriptor::new(control[2] & 0xffff_ffff));
    Some((pid as usize, terminal))
}

/// A process that has ended, and its wait status (wait(2)).
pub fn reap() -> Option<(usize, i32)> {
    const ANY: usize = usize::MAX;
    const WNOHANG: usize = 1;
    let mut status = 0i32;
    let reaped = call(number::WAIT4, [ANY, &raw mut status as usize, WNOHANG]);
    reaped.ok().filter(|pid| *pid != 0).map(|pid| (pid, status))
}

/// Kills a process.
pub fn kill(pid: usize) {
    const SIGKILL: usize = 9;
    let _ = call(number::KILL, [pid, SIGKILL]); // it may have ended
}

/// The exit code of a wait status: 128 and the signal that killed it.
pub fn code(status: i32) -> u32 {
    match status & 0x7f {
        0 => (status >> 8 & 0xff) as u32,
        signal => 128 + signal as u32,
    }
}

/// A descriptor that is ready when a child has ended (signalfd(2)).
pub fn children() -> Result<Descriptor> {
    const SIGCHLD: u32 = 17;
    const NONBLOCK_CLOEXEC: usize = 0o4000 | 0o2_000_000;
    let set = 1u64 << (SIGCHLD - 1);
    let arguments = [usize::MAX, &raw const set as usize, 8, NONBLOCK_CLOEXEC];
    call(number::SIGNALFD4, arguments).map(Descriptor::new)?.duplicate(LOWEST)
}

/// Gives a terminal its size: TIOCSWINSZ (ioctl_tty(2)).
pub fn resize(terminal: &Descriptor, [rows, columns]: [u16; 2]) {
    const TIOCSWINSZ: usize = 0x5414;
    let size = [rows, columns, 0, 0];
    let _ = call(number::IOCTL, [terminal.number(), TIOCSWINSZ, size.as_ptr() as usize]);
}

/// Whether reading has failed only for now.
pub fn is_for_now(errno: Errno) -> bool {
    errno == Errno::AGAIN || errno == Errno::INTERRUPTED
}
