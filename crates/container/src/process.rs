//! Question 5: how does it reach the host? The container's answer, first part: inherited
//! descriptors and signals. The second part is [`network`](crate::network); the microVM's answer is
//! `microvm::exits` and `microvm::devices`.
//!
//! A container has no devices of its own to speak through: it makes system calls of the same
//! kernel, and the only doors to the outside are the descriptors that it has inherited, three or
//! four. All others are closed by its `execve`.

use std::{
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use nix::{errno::Errno, fcntl::OFlag, unistd::pipe2};
use sandbox::{Capture, Mailbox, Question::WayOut, Stdio};

use crate::{Error, error::call, plan::Plan, terminal::Terminal};

/// The number of the descriptor that a program inherits besides the three standard ones: the
/// mailbox of a built-in program, the report of init.
pub(crate) const INHERITED: usize = 3;

/// The launcher's and the child's ends of standard input and output.
#[derive(Debug)]
pub(crate) enum Ends {
    /// Pipes.
    Captured { capture: Capture, stdin: OwnedFd, child: [OwnedFd; 3] },
    /// The launcher's own: nothing to do.
    Inherited,
    /// A new pseudo-terminal.
    Terminal { terminal: Terminal, child: OwnedFd, path: PathBuf },
}

impl Ends {
    pub(crate) fn new(stdio: Stdio) -> Result<Self, Error> {
        match stdio {
            Stdio::Capture => {
                let pipe = || pipe2(OFlag::O_CLOEXEC).map_err(call("pipe2 for standard streams"));
                let (child_in, stdin) = pipe()?;
                let (output, child_out) = pipe()?;
                let (errors, child_err) = pipe()?;
                let capture = Capture::of(output, errors)
                    .map_err(crate::error::file("make non-blocking", "pipe"))?;
                Ok(Self::Captured { capture, stdin, child: [child_in, child_out, child_err] })
            }
            Stdio::Inherit => Ok(Self::Inherited),
            Stdio::Terminal => {
                let (terminal, child, path) = Terminal::open()?;
                Ok(Self::Terminal { terminal, child, path })
            }
        }
    }

    /// The slave's path on the host, of a terminal.
    pub(crate) fn terminal(&self) -> Option<&Path> {
        match self {
            Self::Terminal { path, .. } => Some(path),
            _ => None,
        }
    }

    /// The child's steps: its ends become 0, 1 and 2, `inherited` becomes 3, all others close.
    pub(crate) fn connect(&self, plan: &mut Plan, inherited: Option<BorrowedFd<'_>>) {
        let duplicate = |plan: &mut Plan, descriptor: BorrowedFd<'_>, number: usize| {
            let words = format!("dup2 descriptor {number}");
            let arguments = [descriptor.as_raw_fd() as usize, number];
            plan.step(WayOut, words, libc::SYS_dup2, arguments);
        };
        // A session of its own: signals of the launcher's terminal do not reach it.
        let new_session = |plan: &mut Plan| {
            plan.step(WayOut, "setsid", libc::SYS_setsid, []);
        };
        match self {
            Self::Captured { child, .. } => {
                new_session(plan);
                for (number, end) in child.iter().enumerate() {
                    duplicate(plan, end.as_fd(), number);
                }
            }
            Self::Inherited => {}
            Self::Terminal { child, .. } => {
                new_session(plan);
                for number in 0..3 {
                    duplicate(plan, child.as_fd(), number);
                }
                let arguments = [0, libc::TIOCSCTTY as usize, 0];
                plan.step(WayOut, "ioctl TIOCSCTTY: its terminal", libc::SYS_ioctl, arguments);
            }
        }
        let mut first_closed = INHERITED;
        if let Some(inherited) = inherited {
            duplicate(plan, inherited, INHERITED);
            first_closed += 1;
        }
        const CLOEXEC: usize = libc::CLOSE_RANGE_CLOEXEC as usize;
        let range = [first_closed, u32::MAX as usize, CLOEXEC];
        plan.step(WayOut, "close all others at execve", libc::SYS_close_range, range);
    }
}

/// The child's signals as a fresh program expects them: none blocked, none ignored.
pub(crate) fn reset_signals(plan: &mut Plan) {
    // struct kernel_sigaction, all zero: SIG_DFL. Rust programs ignore SIGPIPE; others may ignore
    // more, and execve keeps that.
    let default = plan.keep([0; 32]);
    for signal in [libc::SIGPIPE, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGHUP] {
        let arguments = [signal as usize, default, 0, 8];
        plan.step(
            WayOut,
            format!("default for signal {signal}"),
            libc::SYS_rt_sigaction,
            arguments,
        );
    }
    let none = plan.keep([0; 8]);
    let arguments = [libc::SIG_SETMASK as usize, none, 0, 8];
    plan.step(WayOut, "unblock all signals", libc::SYS_rt_sigprocmask, arguments);
}

/// A copy of the mailbox's descriptor that the child inherits, out of the way of 0 to 3.
pub(crate) fn mailbox_end(mailbox: &Mailbox) -> Result<OwnedFd, Error> {
    crate::namespaces::high(mailbox.file())
}

/// Why a program could not be executed, as the contract has it.
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
