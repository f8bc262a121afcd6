//! A second command in a container that runs.
//!
//! Joining is the reverse of making: instead of new tables the process gets those of another, with
//! one `setns(2)` on that process's pidfd. The joined pid namespace is that of children only, so
//! the process that joins is init again: it stays outside and its child is the command.

use std::{
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use sandbox::{
    Entry, Instance, Ledger, Milestone, Outcome, Process, Question, Resource, Stdio, Story,
    Timeline, Workload,
};

use crate::{
    Error,
    cgroup::Cgroup,
    error::{NAME, Result},
    namespaces::{self, Child, Gate, Namespaces},
    plan::Plan,
    privileges,
    process::{self, Ends},
    program, running,
    running::{Running, Walls},
    sys,
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
pub fn exec<S: Into<std::ffi::OsString>>(
    entry: &Entry,
    words: impl IntoIterator<Item = S>,
    stdio: Stdio,
) -> Result<Outcome> {
    let workload = Workload::command(words).stdio(stdio);
    let mut timeline = Timeline::start();
    let target = open(entry)?;
    let paths: Vec<PathBuf> = entry.resources.iter().filter_map(cgroup_of).collect();
    let cgroup = Cgroup::open(&paths)?;
    let ends = Ends::new(stdio)?;
    let gate = Gate::new()?;
    let mut plan = Box::new(Plan::default());
    cgroup.join(&mut plan);
    let first = entry.first.map_or(0, |first| first.pid);
    let (flags, user) = foreign_namespaces(first);
    let arguments = [target.as_raw_fd() as usize, flags as usize];
    plan.step(Question::Boundary, "setns into the container", libc::SYS_setns, arguments);
    if user {
        privileges::become_root(&mut plan);
    }
    crate::rootfs::change_directory(&mut plan, Path::new("/"))?;
    let report = namespaces::high(&gate.report())?;
    ends.connect(&mut plan, Some(std::os::fd::AsFd::as_fd(&report)));
    privileges::drop_all(&mut plan)?;
    process::reset_signals(&mut plan);
    program::end_with(&mut plan, &workload, true)?;
    plan.finish(false);
    let no_new = Namespaces {
        mount: false,
        uts: false,
        ipc: false,
        pid: false,
        net: false,
        user: false,
        cgroup: false,
    };
    // The child shares this process's memory while it is visible inside: nobody there may open it.
    let unseen = Undumpable::set();
    let child = namespaces::clone_into(no_new, cgroup.clone_target(), plan, gate, false)?;
    drop(report);
    let mut walls = Walls { child, cgroup, veth: None, claim: None };
    let ends = ends.of_the_launcher();
    let (progress, plan) = walls.child.wait_for_exec(true)?;
    drop(unseen);
    timeline.reach_at(Milestone::Created, plan.began());
    timeline.reach(Milestone::Entered);
    running::check_progress(progress, &workload)?;
    let story = Story::default();
    let running = Running::new(walls, ends, None, &workload, true, (timeline, story))?;
    Box::new(running).wait()
}

/// Kills that very process, if it still lives.
pub(crate) fn kill(process: &Process) {
    if let Some(pidfd) = pidfd(process) {
        Child::signal(std::os::fd::AsFd::as_fd(&pidfd), libc::SIGKILL);
    }
}

fn open(entry: &Entry) -> Result<OwnedFd, Error> {
    let opened = entry.first.as_ref().and_then(pidfd);
    opened.ok_or_else(|| Error::NotRunning { name: entry.name.clone() })
}

/// A descriptor of that very process, not of a later one with its number.
fn pidfd(process: &Process) -> Option<OwnedFd> {
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

/// The flags of the namespaces that process `pid` does not share with us, and whether the user
/// namespace, which may not be joined twice, is among them.
fn foreign_namespaces(pid: u32) -> (i32, bool) {
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
    let flags =
        all.into_iter().filter(|(name, _)| foreign(name)).fold(0, |all, (_, flag)| all | flag);
    (flags, flags & libc::CLONE_NEWUSER != 0)
}

/// While it lives, no process without CAP_SYS_PTRACE may open this one's memory.
struct Undumpable {
    before: bool,
}

impl Undumpable {
    fn set() -> Self {
        let before = nix::sys::prctl::get_dumpable().unwrap_or(true);
        // It fails for no value of this type.
        let _ = nix::sys::prctl::set_dumpable(false);
        Self { before }
    }
}

impl Drop for Undumpable {
    fn drop(&mut self) {
        let _ = nix::sys::prctl::set_dumpable(self.before);
    }
}
