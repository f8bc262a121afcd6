//! A shell in a container: how it starts, is joined and ends, and what is seen of it; and what is
//! seen of a container that is somebody else's.

use std::thread::{Builder, JoinHandle};

use container::{Container, Namespace, Namespaces as Own};
use sandbox::{Instance, Ledger, Outcome, Process, Sandbox as _, Stdio, Workload};

use super::{Answers, Column, Kind, LastChange, answers, look};

/// More join none.
const MOST_JOINED: usize = 3;

/// A failure as the screen tells it.
pub(super) type ShellResult<T> = Result<T, String>;

/// A shell in a container, with what is seen of it.
pub(super) struct Shell {
    pub(super) column: Column,
    state: State,
}

enum State {
    Starting(Work<sandbox::Result<Started>>),
    Running(RunningShell),
    Ending(Work<()>),
    /// Somebody else started it, and ends it.
    Elsewhere(Process),
    /// It is not there: it did not start, or is gone.
    Gone,
}

/// The container's name in the ledger, and the container.
type Started = (String, Box<dyn Instance>);

/// Dropped in this order: with the first process those that joined are killed too.
struct RunningShell {
    _instance: Box<dyn Instance>,
    joined: Vec<Work<sandbox::Result<Outcome>>>,
    first: Process,
}

/// What takes longer than a picture stays. Dropping it waits for its end.
struct Work<T>(Option<JoinHandle<T>>);

impl<T: Send + 'static> Work<T> {
    fn begin(work: impl FnOnce() -> T + Send + 'static) -> ShellResult<Self> {
        let begun = Builder::new().spawn(work);
        begun.map(|thread| Self(Some(thread))).map_err(|error| format!("start a thread: {error}"))
    }
}

impl<T> Work<T> {
    fn is_over(&self) -> bool {
        self.0.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// What came of it, once.
    fn result(&mut self) -> Option<T> {
        self.0.take_if(|thread| thread.is_finished())?.join().ok()
    }
}

impl<T> Drop for Work<T> {
    fn drop(&mut self) {
        // A panic in it has been reported on standard error; nothing is left to clean up.
        let _ = self.0.take().map(JoinHandle::join);
    }
}

impl Shell {
    /// Begins to start one; `user` asks for a user namespace.
    pub(super) fn begin(user: bool) -> ShellResult<Self> {
        let work = Work::begin(move || start(user))?;
        Ok(Self { column: Column::default(), state: State::Starting(work) })
    }

    /// One that somebody else has started, and its first process.
    pub(super) fn elsewhere(name: String, first: Process) -> Self {
        let column = Column { name, pid: Some(first.pid), ..Column::default() };
        Self { column, state: State::Elsewhere(first) }
    }

    pub(super) fn is_elsewhere(&self) -> bool {
        matches!(self.state, State::Elsewhere(_))
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, State::Running(_))
    }

    pub(super) fn is_gone(&self) -> bool {
        match &self.state {
            State::Ending(work) => work.is_over(),
            State::Gone => true,
            State::Elsewhere(first) => !first.is_alive(),
            State::Starting(_) | State::Running(_) => false,
        }
    }

    /// Whether nothing is expected to be seen soon.
    pub(super) fn is_complete(&self) -> bool {
        match &self.state {
            State::Running(running) => {
                self.column.answers.is_some() && self.column.others.len() >= running.joined.len()
            }
            _ => true,
        }
    }

    /// Another process of the host joins it.
    pub(super) fn join(&mut self) -> ShellResult<LastChange> {
        let name = self.column.name.clone();
        let State::Running(running) = &mut self.state else {
            return Err(format!("{name} is not running"));
        };
        if running.joined.len() >= MOST_JOINED {
            return Err(format!("at most {MOST_JOINED} processes can join {name} here"));
        }
        let change = LastChange::Entered { name: name.clone() };
        running.joined.push(Work::begin(move || {
            let entry = container::find(&name)?;
            container::exec(&entry, ["/bin/sh", "-c", "read -r line"], Stdio::Capture)
        })?);
        Ok(change)
    }

    /// Kills it; to remove its cgroup takes longer than a picture stays.
    pub(super) fn kill(&mut self) -> ShellResult<LastChange> {
        self.column.ending = true;
        let killed = std::mem::replace(&mut self.state, State::Gone);
        self.state = State::Ending(Work::begin(move || drop(killed))?);
        let processes = 1 + self.column.others.len();
        Ok(LastChange::Killed { name: self.column.name.clone(), processes })
    }

    /// Takes the results of finished work, and returns what has changed.
    pub(super) fn advance(&mut self) -> ShellResult<Option<LastChange>> {
        match &mut self.state {
            State::Starting(work) if work.is_over() => {
                let started = work.result();
                self.state = State::Gone;
                let started = started.ok_or("a thread of isolab panicked")?;
                let (name, instance) = started.map_err(|error| explained(&error))?;
                let pid = instance.processes().first().copied();
                let Some(first) = pid.and_then(Process::of) else {
                    return Ok(Some(LastChange::Ended { name }));
                };
                self.column.name.clone_from(&name);
                self.column.pid = Some(first.pid);
                let running = RunningShell { _instance: instance, joined: Vec::new(), first };
                self.state = State::Running(running);
                Ok(Some(LastChange::Started { name }))
            }
            State::Running(running) if !running.first.is_alive() => {
                self.kill()?;
                Ok(Some(LastChange::Ended { name: self.column.name.clone() }))
            }
            State::Running(running) => {
                let over = running.joined.iter_mut().filter_map(Work::result);
                let failed = over.filter_map(sandbox::Result::err).next();
                running.joined.retain(|work| !work.is_over());
                failed.map_or(Ok(None), |error| Err(explained(&error)))
            }
            State::Starting(_) | State::Ending(_) | State::Elsewhere(_) | State::Gone => Ok(None),
        }
    }

    /// Looks at it in `/proc`.
    pub(super) fn look(&mut self) {
        let column = &mut self.column;
        let Some(pid) = column.pid.filter(|_| !column.ending) else { return };
        // A process keeps its namespaces, its user and its cgroup until it changes them itself.
        if column.answers.is_none() {
            column.tables = look::tables(&pid.to_string());
            column.user = look::user(pid);
            let (hierarchy, cgroup) = look::cgroup(&pid.to_string()).unzip();
            column.cgroup = cgroup;
            column.answers = Answers::of_process(pid, &hierarchy.unwrap_or_default());
            column.inside = look::inside(pid);
        }
        column.processes = Some(look::processes(&look::proc_of(pid)));
        let table = column.tables[Kind::PID];
        column.others = table.map(|table| look::others(table, pid)).unwrap_or_default();
    }
}

/// Starts a shell in a container, by a name that nobody has.
fn start(user: bool) -> sandbox::Result<Started> {
    let is_taken = |name: &str| {
        let found = Ledger::open().and_then(|ledger| ledger.find(name));
        found.is_ok_and(|entry| entry.is_some())
    };
    let shell = Workload::command(["/bin/sh", "-c", &answers::script()]);
    let mut number = 0;
    loop {
        number += 1;
        let name = format!("demo-{number}");
        if is_taken(&name) {
            continue;
        }
        let mut container = Container::default()
            .named(&*name)
            .namespaces(Own { user: Namespace::new_if(user), ..Own::default() })
            .init(false);
        container.spec.boundary.hostname = Some(name.clone());
        match container.spawn(&shell) {
            // Somebody was faster.
            Err(_) if is_taken(&name) => {}
            started => return started.map(|instance| (name, instance)),
        }
    }
}

/// Why it failed, and how to solve it if that is known.
fn explained(error: &sandbox::Error) -> String {
    sandbox::chain_with_help(error, error.fix())
}
