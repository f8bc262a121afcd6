//! Signals to the launcher are meant for the workload.
//!
//! They are blocked and taken in turn from a descriptor (signalfd(2)), so none ends the
//! launcher and leaves its workload behind, and no handler costs a start anything. What becomes of
//! each:
//!
//! | Signal | |
//! |---|---|
//! | one that the caller ignores (nohup(1), a background job of a script) | nothing: the workload ignores it, too |
//! | SIGTSTP | to the workload; then the launcher stops, as the shell's job that it is |
//! | SIGTTIN, SIGTTOU | stop the launcher alone: it is the one that used the terminal |
//! | SIGPIPE by a write of the launcher's own | nothing: the write has failed |
//! | SIGWINCH where the workload has a terminal of its own | nothing: that terminal tells it, once it has the new size |
//! | SIGCHLD | the launcher's own |
//! | all others | to the workload |
//!
//! A launcher with `-t` does not stop: Ctrl-Z is the container's there, and so is SIGTSTP. The program
//! inside begins with no signal blocked, and ignores what the caller ignores (but SIGCHLD, without
//! which no program can wait).
//!
//! A plain process would inherit what is blocked (posix_spawn(3)), so there handlers note the
//! signals. They leave out what a handler is wrong for: faults and SIGPIPE, which a launcher can
//! cause itself; and real-time signals, which safe code cannot pass on.

use std::{
    fs::File,
    io,
    os::fd::{AsFd as _, BorrowedFd},
    thread,
    time::{Duration, Instant},
};

use microvm::cell::{Role, enter};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
    },
};
use sandbox::{Instance, Trace};
use signal_hook::{consts, iterator::Signals};

use crate::{cell, failure, kinds::Kind, stderr};

mod target;

pub use target::ignored;
use target::{Received, Target};

/// After this long a workload is one that stays, and its launcher's start is past.
const SETTLED: Duration = Duration::from_secs(1);

/// Holds signals back from its creation on, so that none ends the launcher before it has cleaned up.
pub struct Relay {
    source: Source,
    own_terminal: bool,
    is_process_1: bool,
}

enum Source {
    Blocked(SignalFd),
    Noted(Signals),
}

/// What handlers note.
const NOTED: [i32; 19] = [
    consts::SIGHUP,
    consts::SIGINT,
    consts::SIGQUIT,
    consts::SIGUSR1,
    consts::SIGUSR2,
    consts::SIGALRM,
    consts::SIGTERM,
    16, // SIGSTKFLT, which has no use (signal(7))
    consts::SIGCONT,
    consts::SIGTSTP,
    consts::SIGURG,
    consts::SIGXCPU,
    consts::SIGXFSZ,
    consts::SIGVTALRM,
    consts::SIGPROF,
    consts::SIGWINCH,
    consts::SIGIO,
    30, // SIGPWR
    consts::SIGSYS,
];

impl Relay {
    /// Blocks them, or sets handlers; a child has neither when it begins its program.
    pub fn listen(kind: Kind) -> io::Result<Self> {
        let own_terminal = false;
        if kind == Kind::Process {
            let ignored = ignored();
            let noted = NOTED.into_iter().filter(|number| !ignored.has(*number));
            let source = Source::Noted(Signals::new(noted)?);
            // What the caller has blocked would be blocked in the program, too.
            SigSet::empty().thread_set_mask()?;
            return Ok(Self { source, own_terminal, is_process_1: false });
        }
        let mut signals = SigSet::all();
        for own in [Signal::SIGCHLD, Signal::SIGTTIN, Signal::SIGTTOU] {
            signals.remove(own);
        }
        signals.thread_block()?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let source = Source::Blocked(SignalFd::with_flags(&signals, flags)?);
        Ok(Self { source, own_terminal, is_process_1: false })
    }

    /// The same for a workload that may have a terminal of its own.
    #[must_use]
    pub fn with_terminal(self, own_terminal: bool) -> Self {
        Self { own_terminal, ..self }
    }

    /// The same for a container whose command may be process 1.
    #[must_use]
    pub fn with_process_1(self, is_process_1: bool) -> Self {
        Self { is_process_1, ..self }
    }

    /// Passes on what came since and what comes, from a thread of its own. That thread also sees
    /// to it that a launcher that has waited for a while does so in little memory.
    pub fn pass_to(self, instance: &dyn Instance, kind: Kind) -> io::Result<()> {
        let mut target = Target::new(instance, kind, self.own_terminal, self.is_process_1);
        let signals = match self.source {
            Source::Blocked(signals) => signals,
            Source::Noted(mut noted) => {
                thread("settled", || {
                    thread::sleep(SETTLED);
                    drop(container::drop_clean_pages());
                })?;
                return thread("relay", move || {
                    noted.forever().for_each(|number| target.receive(Received::noted(number)));
                });
            }
        };
        if let Some(end) = instance.end()
            && until_end(&signals, end, &mut target)?
        {
            return Ok(());
        }
        thread("relay", move || {
            // Opened and read while it may; and whoever cannot wait in little memory waits in more.
            let smaps = File::open(container::SMAPS).ok();
            target.look_up_ignored();
            if cell::is_needed(kind)
                && let Err(error) = enter(Role::Monitor, &mut Trace::default())
            {
                stderr::remark(&format!("isolab: {}\n", failure::chain(&error)));
                return target.kill();
            }
            for_ever(&signals, &mut target, smaps.as_ref());
        })
    }
}

/// A thread that needs next to no stack; the default would be 2 MiB of address space.
fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.into()).stack_size(64 << 10).spawn(work).map(drop)
}

/// Passes on what has come.
fn pass_on(signals: &SignalFd, target: &mut Target) {
    // It fails only if the descriptor is none of signalfd(2).
    while let Ok(Some(signal)) = signals.read_signal() {
        target.receive(Received::read(&signal));
    }
}

/// Passes signals on for a moment, and says whether `end` could be read in that time: most programs
/// end soon, and a thread for their signals would take longer than some of them.
fn until_end(signals: &SignalFd, end: BorrowedFd<'_>, target: &mut Target) -> io::Result<bool> {
    const MOMENT: Duration = Duration::from_millis(50);
    let began = Instant::now();
    loop {
        let left = MOMENT.saturating_sub(began.elapsed());
        let mut watched =
            [PollFd::new(end, PollFlags::POLLIN), PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        match poll(&mut watched, timeout(left)) {
            Ok(_) if watched[0].any() == Some(true) => return Ok(true),
            Ok(_) if watched[1].any() == Some(true) => pass_on(signals, target),
            Ok(_) | Err(Errno::EINTR) if left.is_zero() => return Ok(false),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Passes signals on as long as the process lives, and gives its clean pages back once it waits.
fn for_ever(signals: &SignalFd, target: &mut Target, smaps: Option<&File>) {
    let mut until = timeout(SETTLED);
    loop {
        let mut watched = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        match poll(&mut watched, until) {
            Ok(0) => {
                drop(smaps.map(container::drop_clean_pages_with));
                until = PollTimeout::NONE;
            }
            Ok(_) => pass_on(signals, target),
            Err(Errno::EINTR) => {}
            Err(_) => return, // no memory: signals wait then until the workload has ended
        }
    }
}

/// `duration` as poll(2) takes it, rounded up.
fn timeout(duration: Duration) -> PollTimeout {
    PollTimeout::try_from(duration.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX)
}
