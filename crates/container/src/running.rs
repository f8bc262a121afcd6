//! A running container, and how it ends.

use std::{
    mem,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sandbox::{
    Capture, CaptureOutcome, Claim, Control, Instance, Mailbox, Milestone, Outcome, Program,
    Timeline, Trace, Written,
};

use crate::{
    Error,
    cgroup::{Cgroup, MemoryWatch},
    child::Child,
    error::{NAME, Result},
    links::Links,
    pidfd,
    plan::Progress,
    process,
    terminal::Terminal,
};

/// Everything that isolates the program. Fields are dropped in this order, the reverse of their
/// creation: the processes first.
pub(crate) struct Walls {
    pub(crate) child: Child,
    pub(crate) cgroup: Cgroup,
    pub(crate) links: Links,
}

/// A container whose program runs or waits to be started.
pub(crate) struct Started {
    pub(crate) walls: Walls,
    /// The launcher's ends of standard streams, and the writing end of captured input.
    pub(crate) streams: (Streams, Option<OwnedFd>),
    pub(crate) mailbox: Option<Mailbox>,
    /// Counts out-of-memory kills in a cgroup that existed before.
    pub(crate) memory: Option<MemoryWatch>,
    /// Whether the first process reports how the command ended.
    pub(crate) init: bool,
    pub(crate) timeline: Timeline,
    pub(crate) trace: Trace,
}

impl Started {
    /// The master of its terminal, which is no longer served here.
    pub(crate) fn take_terminal(&mut self) -> Result<Option<OwnedFd>, Error> {
        match mem::replace(&mut self.streams.0, Streams::Inherited) {
            Streams::Terminal(terminal) => Ok(Some(terminal.into_master())),
            Streams::TerminalInside(socket) => Ok(Some(Terminal::receive(&socket)?.into_master())),
            others => {
                self.streams.0 = others;
                Ok(None)
            }
        }
    }
}

/// The launcher's ends of standard input and output.
pub(crate) enum Streams {
    Captured(Capture),
    Inherited,
    Terminal(Terminal),
    /// A terminal made inside: its master can be received from this socket.
    TerminalInside(OwnedFd),
}

impl Streams {
    /// What was captured.
    fn into_written(self) -> Written {
        match self {
            Self::Captured(capture) => capture.into_written(),
            Self::Inherited | Self::Terminal(_) | Self::TerminalInside(_) => Written::default(),
        }
    }
}

impl process::StdioEnds {
    /// Closes the child's ends, so that end of file is seen when the program closes its own: the
    /// launcher's, and the writing end of standard input if it is captured.
    pub(crate) fn of_the_launcher(self) -> (Streams, Option<OwnedFd>) {
        match self {
            Self::Captured { capture, stdin, .. } => {
                (Streams::Captured(capture), stdin.map(|[_, write]| write))
            }
            Self::Inherited | Self::Null { .. } => (Streams::Inherited, None),
            Self::Terminal { terminal, .. } => (Streams::Terminal(terminal), None),
            Self::TerminalInside { socket, .. } => (Streams::TerminalInside(socket), None),
        }
    }
}

/// A running container.
pub(crate) struct RunningContainer {
    walls: Walls,
    control: Arc<ContainerControl>,
    streams: Streams,
    mailbox: Option<Mailbox>,
    deadline: Option<Duration>,
    memory: Option<MemoryWatch>,
    /// Whether the first process is init, which reports how the command ended.
    init: bool,
    timeline: Timeline,
    trace: Trace,
    /// The ledger entry, removed when everything else is gone.
    claim: Option<Claim>,
}

/// The error of a child that did not reach its program.
pub(crate) fn check_progress(progress: Progress, program: &Program) -> Result<()> {
    match progress {
        Progress::Executed => Ok(()),
        Progress::NotExecuted(errno) => {
            let path = match program {
                Program::Command(words) => words.first().map(PathBuf::from).unwrap_or_default(),
                Program::Builtin(builtin, _) => builtin.name().into(),
            };
            Err(process::not_executed(path, errno))
        }
        Progress::Refused { check } => Err(Error::Refused { check }.into()),
        Progress::Stuck { step, errno: Some(errno) } => Err(Error::Child { step, errno }.into()),
        Progress::Stuck { step, errno: None } => Err(Error::KilledInside { step }.into()),
    }
}

impl RunningContainer {
    pub(crate) fn new(
        started: Started,
        deadline: Option<Duration>,
        claim: Option<Claim>,
    ) -> Result<Self, Error> {
        let Started { walls, streams: (streams, stdin), mailbox, memory, init, timeline, trace } =
            started;
        let pidfd = walls.child.pidfd().try_clone_to_owned();
        let pidfd = pidfd.map_err(crate::error::file("duplicate", "pidfd"))?;
        let stdin = Mutex::new(stdin);
        let control = Arc::new(ContainerControl { pidfd, stdin, mailbox: mailbox.clone() });
        Ok(Self {
            walls,
            control,
            streams,
            mailbox,
            deadline,
            memory,
            init,
            timeline,
            trace,
            claim,
        })
    }

    /// Waits for the end with captured streams: closes the input, and hands all output to `take` when it
    /// comes, and nothing now and then. `None` if `take` says false: then the container is killed.
    pub(crate) fn wait_passing_on(
        mut self,
        take: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<Option<Outcome>> {
        self.control.close_input();
        if let Streams::Captured(capture) = &mut self.streams {
            let passed = capture.pass_on(self.walls.child.pidfd(), &mut self.timeline, take);
            if !passed.map_err(crate::error::file("wait for the end of", "container"))? {
                return Ok(None);
            }
        }
        self.end_of_workload().map(Some)
    }

    /// Reaps the first process, and removes what is left of the container.
    fn end_of_workload(mut self) -> Result<Outcome> {
        let ended = self.walls.child.reap()?;
        let reported = match self.init {
            true => self.walls.child.reported_status(ended.status),
            false => None,
        };
        let mut usage = self.walls.cgroup.usage();
        usage.cpu_time = usage.cpu_time.or(Some(ended.cpu_time));
        usage.out_of_memory = match &mut self.memory {
            Some(watch) => watch.killed(),
            None => self.walls.cgroup.out_of_memory(),
        };
        let Self { mut walls, streams, mailbox, mut timeline, trace, claim, .. } = self;
        walls.cgroup.remove()?;
        drop(walls);
        drop(claim);
        timeline.reach(Milestone::Cleaned);
        let Written { output, errors } = streams.into_written();
        let report = mailbox.as_ref().map(Mailbox::report);
        let status = reported.unwrap_or(ended.status);
        let machine_end = None;
        Ok(Outcome { status, machine_end, output, errors, timeline, usage, report, trace })
    }

    /// Forwards output until the first process has ended.
    fn until_exit(&mut self) -> Result<()> {
        let (pidfd, deadline) = (self.walls.child.pidfd(), self.deadline);
        if let Streams::TerminalInside(socket) = &self.streams {
            self.streams = Streams::Terminal(Terminal::receive(socket)?);
        }
        let mut uncaptured = Capture::default();
        let capture = match &mut self.streams {
            Streams::Captured(capture) => capture,
            Streams::Inherited | Streams::TerminalInside(_) => &mut uncaptured,
            Streams::Terminal(terminal) => {
                return match terminal.until_exit(pidfd, deadline, &mut self.timeline)? {
                    true => Ok(()),
                    false => Err(too_late(deadline)),
                };
            }
        };
        let ended = capture.until_exit(pidfd, deadline, &mut self.timeline);
        match ended.map_err(crate::error::file("wait for the end of", "container"))? {
            CaptureOutcome::Exited => Ok(()),
            CaptureOutcome::Deadline => Err(too_late(deadline)),
            CaptureOutcome::TooMuchOutput => {
                Err(sandbox::Error::TooMuchOutput { sandbox: NAME, limit: Capture::LIMIT })
            }
        }
    }
}

fn too_late(deadline: Option<Duration>) -> sandbox::Error {
    let (after, written) = (deadline.unwrap_or_default(), Written::default());
    sandbox::Error::Deadline { sandbox: NAME, after, source: None, written }
}

impl Instance for RunningContainer {
    fn processes(&self) -> Vec<u32> {
        u32::try_from(self.walls.child.pid()).into_iter().collect()
    }

    fn control(&self) -> Arc<dyn Control> {
        self.control.clone()
    }

    fn mailbox(&self) -> Option<&Mailbox> {
        self.mailbox.as_ref()
    }

    fn timeline(&self) -> Timeline {
        self.timeline
    }

    fn end(&self) -> Option<BorrowedFd<'_>> {
        let waits_alone = matches!(self.streams, Streams::Inherited) && self.deadline.is_none();
        waits_alone.then(|| self.walls.child.pidfd())
    }

    fn wait(mut self: Box<Self>) -> Result<Outcome> {
        if let Err(error) = self.until_exit() {
            return Err(error.after(self.streams.into_written()));
        }
        self.end_of_workload()
    }
}

/// Ends a container from another thread. Killing the first process of a pid namespace kills all
/// processes in it.
struct ContainerControl {
    pidfd: OwnedFd,
    stdin: Mutex<Option<OwnedFd>>,
    mailbox: Option<Mailbox>,
}

impl ContainerControl {
    fn close_input(&self) {
        self.stdin.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Control for ContainerControl {
    fn stop(&self) {
        self.close_input();
        match &self.mailbox {
            // It fails only if the mailbox is gone, and the program with it.
            Some(mailbox) => drop(mailbox.stop()),
            None => self.signal(libc::SIGTERM),
        }
    }

    fn kill(&self) {
        self.signal(libc::SIGKILL);
    }

    fn signal(&self, signal: i32) {
        pidfd::signal(self.pidfd.as_fd(), signal);
    }
}
