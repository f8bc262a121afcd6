//! A second command in a running container.
//!
//! Joining is the reverse of making: instead of new namespaces the process enters those of another,
//! with one `setns(2)` on that process's pidfd. A joined pid namespace applies only to children, so
//! there are two processes:
//!
//! ```text
//!   launcher ── clone3 ──> joins all namespaces, drops all power, executes init    stays outside the
//!                            └─ fork ──> the command                     inside    pid namespace
//! ```
//!
//! Only the second process can be seen inside. It has a copy of a few kilobytes of memory with the
//! command line, none of the launcher's descriptors, and from its first instruction no more power
//! than any other process inside: whoever takes it over gains nothing.

use std::{
    ffi::OsString,
    fs::File,
    io::Write as _,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};

use sandbox::{
    Instance, Ledger, LedgerEntry, Milestone, Outcome, Process, Program, Question, Stdio, Timeline,
    Trace, environment,
};

use crate::{
    Begin, Error,
    cgroup::{Cgroup, MemoryWatch},
    child,
    child_descriptors::ChildDescriptors,
    error::{self, NAME, Result},
    foreign::Foreign,
    gate::Gate,
    hooks::Hook,
    inherited,
    joined::Joined,
    links::Links,
    listener::Listening,
    mounts, pidfd,
    plan::SyscallPlan,
    preserved::{self, Preserved},
    privileges::{self, Capabilities, CapabilitySet},
    process::{self, StdioEnds},
    program::{self, First},
    running::{self, RunningContainer, Started, Walls},
    scheduling::{self, CpuAffinity},
    spec::{self, namespaces::Namespaces, power::User, root::Root},
    state::State,
    terminal::inside,
    users::{self, Found},
};

/// The running container of that name.
///
/// # Errors
///
/// When there is none, or the ledger cannot be read.
pub fn find(name: &str) -> Result<LedgerEntry> {
    let found = Ledger::open().and_then(|ledger| ledger.find(name)).map_err(Error::from)?;
    let running = found.filter(is_running);
    Ok(running.ok_or_else(|| Error::NotRunning { name: name.to_owned() })?)
}

/// All running containers in the ledger: those with a name or a limit.
///
/// # Errors
///
/// When the ledger cannot be read.
pub fn all_running() -> Result<Vec<LedgerEntry>> {
    let mut entries = Ledger::open().and_then(|ledger| ledger.entries()).map_err(Error::from)?;
    entries.retain(is_running);
    Ok(entries)
}

/// The namespaces of a running container, for another container that shares some of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamespacesOf {
    /// Its first process.
    pub process: Process,
    /// Whether its user namespace is not the caller's.
    pub has_own_user: bool,
}

/// The namespaces of the running container of that name.
///
/// # Errors
///
/// Those of [`find`].
pub fn namespaces_of(name: &str) -> Result<NamespacesOf> {
    let entry = find(name)?;
    let process = entry.first.ok_or_else(not_running(&entry))?;
    let has_own_user = Foreign::of(process.pid).has_user();
    Ok(NamespacesOf { process, has_own_user })
}

fn is_running(entry: &LedgerEntry) -> bool {
    entry.sandbox == NAME && entry.first.is_some_and(|first| first.is_alive())
}

/// Resolves `--user` in the container of `entry`, by its own files.
///
/// # Errors
///
/// Those of [`users::find`], and when the container has ended.
pub fn user_in(entry: &LedgerEntry, words: &str) -> Result<Found> {
    let first = state_of(entry)?.first;
    // The kernel's own link to the root of that process, which nobody inside can change.
    let root = Root::Directory(format!("/proc/{}/root/.", first.pid).into());
    let found = users::find(&root, words, &[]);
    // Otherwise the number may belong to another process by now.
    match first.is_alive() {
        true => Ok(found?),
        false => Err(not_running(entry)().into()),
    }
}

/// A second command for a running container, and how it differs from the first one.
#[derive(Debug, Clone, Default)]
pub struct Command {
    /// The command and its arguments.
    pub words: Vec<OsString>,
    /// Variables in addition to the container's own; the last value of a name counts.
    pub environment: Vec<(OsString, OsString)>,
    /// Its working directory; `None` means the container's.
    pub directory: Option<PathBuf>,
    /// Its user and groups; `None` means the container's.
    pub user: Option<User>,
    /// What it may do, its user included; `None` means as the container's first program, or what that
    /// is for `user`.
    pub power: Option<spec::Power>,
    /// Where it runs; by default where the container's cgroup lets it.
    pub affinity: CpuAffinity,
    /// Whether `environment` is all of it.
    pub has_own_environment: bool,
    /// Where its standard streams lead.
    pub stdio: Stdio,
    /// How many of the caller's descriptors it has, from number 3 on.
    pub preserved: u32,
    /// Whether to record the calls with which it joins.
    pub is_traced: bool,
}

impl Command {
    /// A command with these words.
    pub fn new<S: Into<OsString>>(words: impl IntoIterator<Item = S>) -> Self {
        Self { words: words.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Starts it in the container of `entry`, with the same isolation. It ends with the calling
    /// process.
    ///
    /// # Errors
    ///
    /// Those of [`Sandbox::spawn`](sandbox::Sandbox::spawn), and when the container has ended.
    pub fn start(self, entry: &LedgerEntry) -> Result<Box<dyn Instance>> {
        self.start_in(&state_of(entry)?)
    }

    /// The same in the container of that state.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn start_in(self, state: &State) -> Result<Box<dyn Instance>> {
        let has_devpts = inside::is_among(&mounts::of(state.first.pid)?);
        let streams = StdioEnds::within(self.stdio, has_devpts)?;
        let joining = self.joining(state);
        let started = join(&joining, state, streams, Begin::AtOnce)?;
        Ok(Box::new(RunningContainer::new(started, None, None)?))
    }

    /// Starts it with `/dev/null` as its streams, and leaves it running: it ends with the
    /// container.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn detach(self, entry: &LedgerEntry) -> Result<()> {
        let state = state_of(entry)?;
        let joining = self.joining(&state);
        let started = join(&joining, &state, StdioEnds::null()?, Begin::Detached)?;
        // Dropping it would kill it.
        std::mem::forget(started);
        Ok(())
    }

    /// Starts it in the container of `entry` with its streams, and leaves it running. It becomes a
    /// child of the nearest subreaper when the calling process ends (PR_SET_CHILD_SUBREAPER(2const)),
    /// and exits as the command does.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn leave(self, entry: &LedgerEntry) -> Result<LeftRunning> {
        self.leave_in(&state_of(entry)?)
    }

    /// The same in the container of that state.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn leave_in(self, state: &State) -> Result<LeftRunning> {
        let has_devpts = inside::is_among(&mounts::of(state.first.pid)?);
        let streams = StdioEnds::within(self.stdio, has_devpts)?;
        let joining = self.joining(state);
        let mut started = join(&joining, state, streams, Begin::Detached)?;
        let terminal = started.take_terminal()?;
        let pid = u32::try_from(started.walls.child.pid()).unwrap_or_default();
        let trace = std::mem::take(&mut started.trace);
        // Dropping it would kill it.
        std::mem::forget(started);
        Ok(LeftRunning { pid, terminal, trace })
    }

    fn joining(self, state: &State) -> Joining {
        let Self { words, environment: added, directory, user, power, preserved, .. } = self;
        let (affinity, is_traced) = (self.affinity, self.is_traced);
        let mut environment = match self.has_own_environment {
            true => Vec::new(),
            false => state.environment.clone(),
        };
        environment::add(&mut environment, &added);
        let directory = directory.unwrap_or_else(|| state.directory.clone());
        let power = match (power, user) {
            (Some(power), _) => power,
            (None, Some(user)) => power_of(&state.power, user),
            (None, None) => state.power.clone(),
        };
        Joining { words, environment, directory, power, affinity, preserved, is_traced }
    }
}

/// A command that was left running in a container.
#[derive(Debug)]
pub struct LeftRunning {
    /// The process outside that is its parent and ends as it does.
    pub pid: u32,
    /// The master of its terminal, if it has one.
    pub terminal: Option<OwnedFd>,
    /// The calls with which it has joined; none unless they were asked for.
    pub trace: Trace,
}

/// The power of another user in the same container: root has the capabilities of the container's
/// bounding set, any other user has none, as after an execve(2) by a user who is not root
/// (capabilities(7)).
fn power_of(power: &spec::Power, user: User) -> spec::Power {
    let none = CapabilitySet::NONE;
    let bounding = power.capabilities.bounding;
    let kept = if user.uid == 0 { bounding } else { none };
    let (effective, permitted) = (kept, kept);
    let capabilities =
        Capabilities { bounding, effective, permitted, inheritable: none, ambient: none };
    spec::Power { user, capabilities, ..power.clone() }
}

/// Runs the command `words` in the container of `entry`, with the same isolation.
///
/// # Errors
///
/// Those of [`Sandbox::run`](sandbox::Sandbox::run), and when the container has ended.
pub fn exec<S: Into<OsString>>(
    entry: &LedgerEntry,
    words: impl IntoIterator<Item = S>,
    stdio: Stdio,
) -> Result<Outcome> {
    Command { stdio, ..Command::new(words) }.start(entry)?.wait()
}

/// Runs a hook inside a container, with `input` as its standard input.
pub(crate) fn hook(state: &State, hook: &Hook, input: &[u8]) -> Result<Outcome> {
    let joining = Joining {
        words: hook.words(),
        environment: hook.variables().map(|(name, value)| (name.into(), value.into())).collect(),
        directory: state.directory.clone(),
        power: state.power.clone(),
        preserved: 0,
        affinity: CpuAffinity::default(),
        is_traced: false,
    };
    let streams = StdioEnds::new(Stdio::Capture)?;
    let mut started = join(&joining, state, streams, Begin::AtOnce)?;
    // By a thread: a hook that reads nothing does not hold up its own timeout.
    let (stdin, input) = (started.streams.1.take(), input.to_vec());
    std::thread::spawn(move || {
        // A hook that does not read it may have closed it.
        let _ = stdin.map(|stdin| File::from(stdin).write_all(&input));
    });
    let deadline = hook.timeout.map(Duration::from_secs);
    Box::new(RunningContainer::new(started, deadline, None)?).wait()
}

/// A command for a running container.
struct Joining {
    words: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    directory: PathBuf,
    power: spec::Power,
    preserved: u32,
    affinity: CpuAffinity,
    is_traced: bool,
}

/// Starts a command in the container of that state.
fn join(joining: &Joining, state: &State, stdio: StdioEnds, begin: Begin<'_>) -> Result<Started> {
    let program = Program::Command(joining.words.clone());
    let mut timeline = Timeline::start();
    inherited::lift_file_size().map_err(error::call("setrlimit of file sizes"))?;
    let target = pidfd::open(&state.first).ok_or(Error::NotWaiting)?;
    let namespaces = Foreign::of(state.first.pid);
    let paths: Vec<PathBuf> = state.cgroups().map(Path::to_owned).collect();
    let cgroup = Cgroup::open(&paths)?;
    let memory = paths.iter().find_map(|path| MemoryWatch::of(path));
    let gate = Gate::new()?;
    let first = First::Join;
    let inherited = Some(gate.report());
    let image = Some(first.image(&program)?);
    let terminal = stdio.socket();
    let copies = Preserved::copy(joining.preserved as usize)?;
    let preserved = copies.descriptors();
    let listening = Listening::of(&joining.power)?;
    let listener = listening.as_ref().map(Listening::wait);
    let mut kept = ChildDescriptors {
        inherited,
        program: image,
        terminal,
        listener,
        preserved,
        ..ChildDescriptors::default()
    };
    let environment = joining.environment.clone();
    let preserved = joining.preserved;
    let way_out = spec::WayOut { program, environment, preserved, ..spec::WayOut::default() };
    let mut plan = Box::new(SyscallPlan::default());
    scheduling::stay_on(&mut plan, joining.affinity.initial.as_ref());
    cgroup.join(&mut plan);
    scheduling::stay_on(&mut plan, joining.affinity.last.as_ref());
    inherited::leave_out(&mut plan, false);
    if listening.is_some() {
        gate.pass(&mut plan);
    }
    namespaces.enter(&mut plan, &target, &state.power);
    stdio.connect(&mut plan, &kept);
    if kept.terminal.take().is_some() {
        stdio.connect_inside(&mut plan, &joining.power.user, false)?;
    }
    process::change_directory(&mut plan, &joining.directory)?;
    preserved::hand_over(&mut plan, joining.preserved as usize, begin);
    let listener = privileges::drop_all(&mut plan, &joining.power, namespaces.has_user())?;
    process::reset_signals(&mut plan, begin);
    program::end_with(&mut plan, &way_out, first, begin)?;
    plan.finish(joining.is_traced);
    let (shared, time) = (Namespaces::shared(), Joined::time_of(&state.first)?);
    let mut trace = Trace::new(joining.is_traced);
    let child =
        trace.record(Question::Boundary, "clone3: a process without new namespaces", || {
            child::clone_into(
                &shared,
                &time,
                cgroup.clone_target(),
                plan,
                gate,
                listening.is_some(),
            )
        })?;
    let mut walls = Walls { child, cgroup, links: Links::None };
    if let (Some(listening), Some(slot)) = (listening, listener) {
        walls.child.open_gate()?;
        listening.pass_on(&walls.child, slot, (&state.hooks.state, "running"))?;
    }
    let streams = stdio.of_the_launcher();
    let (progress, plan) = walls.child.wait_for_exec(true)?;
    timeline.reach_at(Milestone::Created, plan.began());
    timeline.reach(Milestone::Entered);
    running::check_progress(progress, &way_out.program)?;
    trace.entries.extend(plan.trace_entries());
    Ok(Started { walls, streams, mailbox: None, memory, init: true, timeline, trace })
}

/// The state of a running container, from the ledger.
fn state_of(entry: &LedgerEntry) -> Result<State, Error> {
    let state = entry.state.clone().and_then(|state| serde_json::from_value(state).ok());
    match entry.first {
        Some(first) if state.is_none() && first.is_alive() => {
            Err(Error::NoState { name: entry.name.clone() })
        }
        _ => state.ok_or_else(not_running(entry)),
    }
}

fn not_running(entry: &LedgerEntry) -> impl Fn() -> Error {
    || Error::NotRunning { name: entry.name.clone() }
}
