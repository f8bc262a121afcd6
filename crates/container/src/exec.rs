//! A second command in a container that runs.
//!
//! Joining is the reverse of making: instead of new tables the process gets those of another, with
//! one `setns(2)` on that process's pidfd. The joined pid namespace is that of children only, so
//! there are two processes:
//!
//! ```text
//!   launcher ── clone3 ──> joins all namespaces, drops all power, executes init    stays outside the
//!                            └─ fork ──> the command                     inside    pid namespace
//! ```
//!
//! What can be seen inside is the second one alone. It has a copy of a few kilobytes that know only
//! the command line, none of the launcher's descriptors, and no more power than any other process
//! inside from its first instruction: whoever takes it over has gained nothing.

use std::{
    ffi::OsString,
    fs::File,
    io::Write as _,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    path::PathBuf,
    time::Duration,
};

use sandbox::{
    Entry, Instance, Ledger, Milestone, Outcome, Process, Program, Question, Resource, Stdio,
    Story, Timeline,
};

use crate::{
    Begin, Error,
    cgroup::Cgroup,
    child::{self, Child, Gate},
    error::{NAME, Result},
    hooks::Hook,
    joined::Joined,
    life::State,
    namespaces::Namespaces,
    plan::Plan,
    privileges,
    process::{self, Kept, StdioEnds},
    program::{self, First},
    running::{self, Running, Started, Walls},
    spec, sys,
};

/// The running container of that name.
///
/// # Errors
///
/// When there is none, or the ledger cannot be read.
pub fn find(name: &str) -> Result<Entry> {
    let found = Ledger::open().and_then(|ledger| ledger.find(name)).map_err(Error::from)?;
    let running = found.filter(is_running);
    Ok(running.ok_or_else(|| Error::NotRunning { name: name.to_owned() })?)
}

/// All running containers that the ledger knows: those with a name or a limit.
///
/// # Errors
///
/// When the ledger cannot be read.
pub fn all_running() -> Result<Vec<Entry>> {
    let mut entries = Ledger::open().and_then(|ledger| ledger.entries()).map_err(Error::from)?;
    entries.retain(is_running);
    Ok(entries)
}

fn is_running(entry: &Entry) -> bool {
    entry.sandbox == NAME && entry.first.is_some_and(|first| first.is_alive())
}

/// Runs the command `words` in the container of `entry`, with the same walls around it.
///
/// # Errors
///
/// Those of [`Sandbox::run`](sandbox::Sandbox::run), and when the container has ended.
pub fn exec<S: Into<OsString>>(
    entry: &Entry,
    words: impl IntoIterator<Item = S>,
    stdio: Stdio,
) -> Result<Outcome> {
    let state = state_of(entry)?;
    let environment = state.environment.clone();
    let words = words.into_iter().map(Into::into).collect();
    join(&state, Joining { words, environment, stdio, input: None, deadline: None })
}

/// A command for a container that runs.
pub(crate) struct Joining {
    words: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    stdio: Stdio,
    /// What it finds on standard input, where that is captured; `None` leaves it open and empty.
    input: Option<Vec<u8>>,
    deadline: Option<Duration>,
}

impl Joining {
    /// A hook, which is run inside and told this.
    pub(crate) fn hook(hook: &Hook, told: Vec<u8>) -> Self {
        Self {
            words: hook.words(),
            environment: hook
                .variables()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            stdio: Stdio::Capture,
            input: Some(told),
            deadline: hook.timeout.map(Duration::from_secs),
        }
    }
}

/// Runs a command in the container of that state, with the same walls around it.
pub(crate) fn join(state: &State, joining: Joining) -> Result<Outcome> {
    let Joining { words, environment, stdio, input, deadline } = joining;
    let program = Program::Command(words);
    let mut timeline = Timeline::start();
    let target = pidfd(&state.first).ok_or(Error::NotWaiting)?;
    let namespaces = Foreign::of(state.first.pid);
    let paths: Vec<PathBuf> = state.resources.iter().filter_map(cgroup_of).collect();
    let cgroup = Cgroup::open(&paths)?;
    let stdio = StdioEnds::new(stdio)?;
    let gate = Gate::new()?;
    let first = First::Join;
    let inherited = Some(gate.report());
    let image = Some(first.image(&program)?);
    let kept = Kept { inherited, program: image, ..Kept::default() };
    let way_out = spec::WayOut { program, environment, ..spec::WayOut::default() };
    let mut plan = Box::new(Plan::default());
    cgroup.join(&mut plan);
    namespaces.enter(&mut plan, &target);
    stdio.connect(&mut plan, &kept);
    process::change_directory(&mut plan, &state.directory)?;
    privileges::drop_all(&mut plan, &state.power, namespaces.has_user())?;
    process::reset_signals(&mut plan, Begin::AtOnce);
    program::end_with(&mut plan, &way_out, first, Begin::AtOnce)?;
    plan.finish(false);
    let (shared, none) = (Namespaces::shared(), Joined::default());
    let child = child::clone_into(&shared, &none, cgroup.clone_target(), plan, gate, false)?;
    let mut walls = Walls { child, cgroup, veth: None };
    let mut streams = stdio.of_the_launcher();
    if let Some(input) = input {
        // One that does not care may have closed it.
        let _ = streams.1.take().map(|stdin| File::from(stdin).write_all(&input));
    }
    let (progress, plan) = walls.child.wait_for_exec(true)?;
    timeline.reach_at(Milestone::Created, plan.began());
    timeline.reach(Milestone::Entered);
    running::check_progress(progress, &way_out.program)?;
    let (story, init) = (Story::default(), true);
    let started = Started { walls, streams, mailbox: None, init, timeline, story };
    Box::new(Running::new(started, deadline, None)?).wait()
}

/// What the ledger knows of a container that runs.
fn state_of(entry: &Entry) -> Result<State, Error> {
    let state = entry.state.clone().and_then(|state| serde_json::from_value(state).ok());
    state.ok_or_else(not_running(entry))
}

fn not_running(entry: &Entry) -> impl Fn() -> Error {
    || Error::NotRunning { name: entry.name.clone() }
}

/// Kills that very process, if it still lives.
pub(crate) fn kill(process: &Process) {
    if let Some(pidfd) = pidfd(process) {
        Child::signal(std::os::fd::AsFd::as_fd(&pidfd), libc::SIGKILL);
    }
}

/// A descriptor of that very process, not of a later one with its number.
pub(crate) fn pidfd(process: &Process) -> Option<OwnedFd> {
    let arguments = [process.pid as usize, 0, 0, 0, 0, 0];
    // SAFETY: pidfd_open takes numbers.
    let descriptor = unsafe { sys::call(libc::SYS_pidfd_open, arguments) }.ok()?;
    // SAFETY: the call has just made this descriptor.
    let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor as i32) };
    process.is_alive().then_some(descriptor)
}

fn cgroup_of(resource: &Resource) -> Option<PathBuf> {
    match resource {
        Resource::Cgroup(path) => Some(path.clone()),
        _ => None,
    }
}

/// The namespaces of a process that are not the caller's.
pub(crate) struct Foreign {
    flags: i32,
}

impl Foreign {
    pub(crate) fn of(pid: u32) -> Self {
        let all = [
            ("user", libc::CLONE_NEWUSER),
            ("mnt", libc::CLONE_NEWNS),
            ("uts", libc::CLONE_NEWUTS),
            ("ipc", libc::CLONE_NEWIPC),
            ("pid", libc::CLONE_NEWPID),
            ("net", libc::CLONE_NEWNET),
            ("cgroup", libc::CLONE_NEWCGROUP),
        ];
        let of = |pid: &str, name: &str| std::fs::read_link(format!("/proc/{pid}/ns/{name}")).ok();
        let theirs = pid.to_string();
        let foreign = |name: &str| of("self", name) != of(&theirs, name);
        let foreign = all.into_iter().filter(|(name, _)| foreign(name));
        Self { flags: foreign.fold(0, |all, (_, flag)| all | flag) }
    }

    /// As setns(2) takes them.
    pub(crate) fn flags(&self) -> i32 {
        self.flags
    }

    /// Whether the user namespace, which may not be joined twice, is among them.
    fn has_user(&self) -> bool {
        self.flags & libc::CLONE_NEWUSER != 0
    }

    /// The child's steps: into all at once, the kernel takes the user namespace first (setns(2)).
    fn enter(&self, plan: &mut Plan, target: &OwnedFd) {
        let arguments = [target.as_raw_fd() as usize, self.flags as usize];
        plan.step(Question::Boundary, "setns into the container", libc::SYS_setns, arguments);
        if self.has_user() {
            privileges::become_root(plan);
        }
    }
}
