//! Question 5: how does it reach the host? The container's answer, first part: inherited
//! descriptors and signals. The second part is [`network`](crate::network); the microVM's answer is
//! `microvm::exits` and `microvm::devices`.
//!
//! A container has no devices of its own for input and output: it makes system calls of the same
//! kernel, and its only connections to the outside are the three or four descriptors that it
//! inherits. All others are closed before it enters its root.

use std::{
    fs::File,
    io,
    ops::Range,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::{Component, Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use nix::{
    errno::Errno,
    fcntl::OFlag,
    sys::stat::fstat,
    unistd::{getpid, gettid, pipe2},
};
use sandbox::{Capture, Mailbox, Question::WayOut, Stdio};

use crate::{
    Begin, Error,
    child_descriptors::ChildDescriptors,
    descriptors::high,
    error::call,
    lookup,
    plan::{NO_CALL, SyscallPlan},
    spec::power::User,
    terminal::{Terminal, inside},
};

/// The launcher's and the child's ends of standard input and output.
#[derive(Debug)]
pub(crate) enum StdioEnds {
    /// Pipes; `stdin` is `None` if input is the launcher's own. The first of the child's ends is
    /// for output.
    Captured { capture: Capture, stdin: Option<[OwnedFd; 2]>, child: [OwnedFd; 2] },
    /// The launcher's own streams.
    Inherited,
    /// A new pseudo-terminal.
    Terminal { terminal: Terminal, child: OwnedFd, path: PathBuf },
    /// A pseudo-terminal that the child makes inside, and both ends of the socket by which it sends
    /// the master.
    TerminalInside { socket: OwnedFd, child: OwnedFd },
    /// `/dev/null`.
    Null { child: OwnedFd },
}

impl StdioEnds {
    pub(crate) fn new(stdio: Stdio) -> Result<Self, Error> {
        match stdio {
            Stdio::Capture | Stdio::CaptureOutput => {
                let pipe = || pipe2(OFlag::O_CLOEXEC).map_err(call("pipe2 for standard streams"));
                let stdin = match stdio {
                    Stdio::Capture => Some(<[OwnedFd; 2]>::from(pipe()?)),
                    _ => refuse_a_directory(&io::stdin(), "standard input").map(|()| None)?,
                };
                let (output, child_out) = pipe()?;
                let (errors, child_err) = pipe()?;
                let capture = Capture::of(output, errors)
                    .map_err(crate::error::file("make non-blocking", "pipe"))?;
                Ok(Self::Captured { capture, stdin, child: [child_out, child_err] })
            }
            Stdio::Inherit => refuse_directories().map(|()| Self::Inherited),
            Stdio::Terminal => {
                let (terminal, child, path) = Terminal::open()?;
                Ok(Self::Terminal { terminal, child, path })
            }
        }
    }

    /// The same for a container that may have a devpts of its own.
    pub(crate) fn within(stdio: Stdio, has_devpts: bool) -> Result<Self, Error> {
        if stdio != Stdio::Terminal || !has_devpts {
            return Self::new(stdio);
        }
        let (socket, child) = inside::pair()?;
        Ok(Self::TerminalInside { socket, child })
    }

    /// The child's end of a terminal's socket.
    pub(crate) fn socket(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::TerminalInside { child, .. } => Some(child.as_fd()),
            _ => None,
        }
    }

    /// The child's steps that make a terminal inside, once it is in its root. With `console` the
    /// terminal is also shown as `/dev/console`, which only the first process does.
    pub(crate) fn connect_inside(
        &self,
        plan: &mut SyscallPlan,
        user: &User,
        console: bool,
    ) -> Result<(), Error> {
        match self {
            Self::TerminalInside { .. } => inside::connect(plan, user, console),
            _ => Ok(()),
        }
    }

    /// `/dev/null` three times.
    pub(crate) fn null() -> Result<Self, Error> {
        let opened = File::options().read(true).write(true).open("/dev/null");
        let null = opened.map_err(crate::error::file("open", "/dev/null"))?;
        Ok(Self::Null { child: high(&null)? })
    }

    /// If it is a terminal: the slave's path on the host, and its device number.
    pub(crate) fn terminal(&self) -> Result<Option<(&Path, u64)>, Error> {
        let Self::Terminal { path, child, .. } = self else { return Ok(None) };
        let found = fstat(child).map_err(call("fstat of the pseudo-terminal"))?;
        Ok(Some((path, found.st_rdev)))
    }

    /// The child's steps: its ends become descriptors 0, 1 and 2, those it keeps follow, and all
    /// others of the launcher are closed.
    pub(crate) fn connect(&self, plan: &mut SyscallPlan, kept: &ChildDescriptors<'_>) {
        let duplicate =
            |plan: &mut SyscallPlan, descriptor: BorrowedFd<'_>, number: usize, flags: i32| {
                let words = format!("dup3 descriptor {number}");
                let arguments = [descriptor.as_raw_fd() as usize, number, flags as usize];
                plan.step(WayOut, words, libc::SYS_dup3, arguments);
            };
        // A session of its own: signals of the launcher's terminal do not reach it.
        let new_session = |plan: &mut SyscallPlan| {
            plan.step(WayOut, "setsid", libc::SYS_setsid, []);
        };
        match self {
            Self::Captured { stdin, child, .. } => {
                new_session(plan);
                if let Some([end, _]) = stdin {
                    duplicate(plan, end.as_fd(), 0, 0);
                }
                for (number, end) in (1..).zip(child) {
                    duplicate(plan, end.as_fd(), number, 0);
                }
            }
            Self::Null { child } => {
                new_session(plan);
                for number in 0..3 {
                    duplicate(plan, child.as_fd(), number, 0);
                }
            }
            // Also with the launcher's own streams: a signal to the child's process group would
            // reach the launcher and everything else in its pipeline.
            Self::Inherited | Self::TerminalInside { .. } => new_session(plan),
            Self::Terminal { child, .. } => {
                new_session(plan);
                for number in 0..3 {
                    duplicate(plan, child.as_fd(), number, 0);
                }
                let arguments = [0, libc::TIOCSCTTY as usize, 0];
                plan.step(WayOut, "ioctl TIOCSCTTY: its terminal", libc::SYS_ioctl, arguments);
            }
        }
        for (descriptor, number, flags) in kept.all() {
            duplicate(plan, descriptor, number, flags);
        }
        kept.close_others(plan, "close all other descriptors of the launcher");
    }
}

/// A directory as a standard stream of the launcher would let the container escape: `..` leads from
/// it to the host's root.
fn refuse_directories() -> Result<(), Error> {
    refuse_a_directory(&io::stdin(), "standard input")?;
    refuse_a_directory(&io::stdout(), "standard output")?;
    refuse_a_directory(&io::stderr(), "standard error")
}

fn refuse_a_directory(descriptor: &impl AsFd, stream: &'static str) -> Result<(), Error> {
    let is_directory = |found: libc::stat| found.st_mode & libc::S_IFMT == libc::S_IFDIR;
    match fstat(descriptor).is_ok_and(is_directory) {
        true => Err(Error::OpenDirectory { stream }),
        false => Ok(()),
    }
}

/// The child's working directory: looked up inside, through no link of procfs, and checked to be
/// below the root (getcwd(3): otherwise its path would begin with "(unreachable)").
pub(crate) fn change_directory(plan: &mut SyscallPlan, directory: &Path) -> Result<(), Error> {
    let root = plan.text("/")?;
    plan.step(WayOut, "chdir /", libc::SYS_chdir, [root]);
    if directory != Path::new("/") {
        let found = plan.slot();
        lookup::open_directory_here(plan, directory)?;
        plan.result_into(found);
        // If it was missing, it has been made by its text alone, with `..` resolved.
        let made = lookup::without_steps_up(directory);
        if directory.components().any(|part| part == Component::ParentDir) {
            plan.if_failed(&[Errno::ENOENT], |plan| {
                lookup::open_directory_here(plan, &made)?;
                plan.result_into(found);
                Ok::<_, Error>(())
            })?;
        }
        let words = format!("fchdir {}", directory.display());
        plan.step(WayOut, words, libc::SYS_fchdir, [found.operand()]);
        plan.step(WayOut, NO_CALL, libc::SYS_close, [found.operand()]);
    }
    const FIRST_LETTER: Range<usize> = 0..1;
    let room = plan.keep([0; libc::PATH_MAX as usize]);
    plan.step(WayOut, "getcwd", libc::SYS_getcwd, [room, libc::PATH_MAX as usize]);
    let words = "the working directory lies within the root";
    plan.compare(WayOut, words, (room, root), &[FIRST_LETTER], true);
    Ok(())
}

/// Whether programs inherit this process's SIGPIPE setting; otherwise they start with the default.
static BROKEN_PIPES_KEPT: AtomicBool = AtomicBool::new(false);

/// For a program whose own caller ignores SIGPIPE: from now on, programs inside ignore it too. The
/// setting of this process does not tell, because every Rust program ignores it.
pub fn keep_broken_pipes() {
    BROKEN_PIPES_KEPT.store(true, Relaxed);
}

/// Whether [`keep_broken_pipes`] was called.
pub fn broken_pipes_are_kept() -> bool {
    BROKEN_PIPES_KEPT.load(Relaxed)
}

/// Sets the child's signals as a new program expects them: none blocked, and only those ignored
/// that the launcher's caller ignores, as with nohup(1) or a background job of a shell (execve(2)
/// keeps them; `clone3` has removed all handlers). SIGCHLD is never ignored: no program could wait
/// for its children.
///
/// A program that begins immediately ends with its launcher (PR_SET_PDEATHSIG(2const)). The signal
/// is sent when the thread that made the child ends, so this works only for the main thread.
pub(crate) fn reset_signals(plan: &mut SyscallPlan, begin: Begin<'_>) {
    if matches!(begin, Begin::AtOnce) && gettid() == getpid() {
        let arguments = [libc::PR_SET_PDEATHSIG as usize, libc::SIGKILL as usize];
        let words = "prctl PR_SET_PDEATHSIG: end with the launcher";
        plan.step(WayOut, words, libc::SYS_prctl, arguments);
    }
    // struct kernel_sigaction, all zero: SIG_DFL.
    let default = plan.keep([0; 32]);
    let mut reset = |signal: i32, words| {
        plan.step(WayOut, words, libc::SYS_rt_sigaction, [signal as usize, default, 0, 8]);
    };
    reset(libc::SIGCHLD, "default for SIGCHLD");
    if !broken_pipes_are_kept() {
        reset(libc::SIGPIPE, "default for SIGPIPE");
    }
    let none = plan.keep([0; 8]);
    let arguments = [libc::SIG_SETMASK as usize, none, 0, 8];
    plan.step(WayOut, "unblock all signals", libc::SYS_rt_sigprocmask, arguments);
}

/// A copy of the mailbox's descriptor for the child to inherit, with a number above 3.
pub(crate) fn mailbox_end(mailbox: &Mailbox) -> Result<OwnedFd, Error> {
    high(mailbox.file())
}

/// The contract's error for a program that could not be executed.
pub(crate) fn not_executed(program: PathBuf, errno: Errno) -> sandbox::Error {
    let sandbox = crate::error::NAME;
    match errno {
        Errno::ENOENT | Errno::ENOTDIR => sandbox::Error::NotFound {
            sandbox,
            program,
            fix: "it is looked for in the container's root, not the host's: check the root and \
                  the spelling; a script or a dynamic program also needs its interpreter there"
                .into(),
        },
        errno => sandbox::Error::NotExecutable { sandbox, program, source: errno.into() },
    }
}
