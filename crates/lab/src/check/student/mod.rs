//! The student's program in its host, while it runs.

mod conduct;
mod leavings;
mod line;
mod questions;
mod tail;

use std::{
    cell::RefCell,
    collections::BTreeMap,
    path::PathBuf,
    process::Child,
    time::{Duration, Instant},
};

use container::privileges::write_maps;

use super::{
    CgroupDirectory,
    cgroups::Cgroups,
    finding::{Checked, cannot_tell, fail},
    jail::{InitMessage, InitRequest},
    kernel::Process,
};
use crate::program::CgroupParents;
use leavings::Before;
pub(super) use line::Line;
pub use questions::LinkAddress;
pub(super) use tail::Tail;

/// A program that runs in a host of its own. Dropping it takes the whole host away.
#[derive(Debug)]
pub struct Student {
    // The order of dropping: init sees the end of its line and leaves; then the warden is buried,
    // then the cgroups go.
    line: Line,
    _warden: Warden,
    init: Process,
    cgroups: Option<Cgroups>,
    main: Option<Process>,
    said: BTreeMap<String, String>,
    before: Before,
    ended: Option<String>,
    timeout: Duration,
    output: Tail,
    /// The program's bytes, and the files that are known to have them.
    program: Vec<u8>,
    own_files: RefCell<Vec<(u64, u64)>>,
    /// Other programs that it may start.
    allowed: Vec<PathBuf>,
}

/// What a bench has made for a program.
pub(super) struct Started {
    pub(super) warden: Child,
    pub(super) line: Line,
    pub(super) cgroups: Option<Cgroups>,
    pub(super) timeout: Duration,
    pub(super) output: Tail,
    pub(super) program: Vec<u8>,
    pub(super) allowed: Vec<PathBuf>,
}

/// The process between the check and the program's host.
#[derive(Debug)]
struct Warden(Child);

impl Drop for Warden {
    fn drop(&mut self) {
        // Init ends by itself, and the warden with it, a moment after the line is closed.
        for _ in 0..200 {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How often a program that is waited for is looked at.
const GLANCE: Duration = Duration::from_millis(500);

impl Student {
    /// Takes over a warden whose init is ready, or says why there is none.
    pub(super) fn of(started: Started) -> Checked<Self> {
        let Started { warden, line, cgroups, timeout, output, program, allowed } = started;
        let own = Process { pid: warden.id() };
        let mut student = Self {
            line,
            _warden: Warden(warden),
            init: own,
            cgroups,
            main: None,
            said: BTreeMap::new(),
            before: Before::default(),
            ended: None,
            timeout,
            output,
            program,
            own_files: RefCell::default(),
            allowed,
        };
        loop {
            match student.line.hear(Instant::now() + timeout) {
                Some(InitMessage::NeedsIdMaps) => {
                    write_maps(own.pid.cast_signed()).map_err(std::io::Error::other)?;
                    student.line.say(&InitRequest::Mapped)?;
                }
                Some(InitMessage::Ready) => break,
                Some(InitMessage::SetupFailed(error)) => {
                    return Err(cannot_tell("no-namespaces").fact("error", error));
                }
                _ => {
                    let error = "the warden exited without a message";
                    return Err(cannot_tell("no-namespaces").fact("error", error));
                }
            }
        }
        let init = own.descendants().into_iter().next();
        student.init = init.ok_or_else(|| std::io::Error::other("there is no init"))?;
        student.before = Before {
            mounts: student.init.mounts()?,
            links: student.links(student.init)?,
            host_name: student.host_name(student.init)?,
        };
        Ok(student)
    }

    pub(super) fn begin(&mut self) -> Checked<()> {
        self.line.say(&InitRequest::Start)?;
        match self.line.hear(self.deadline()) {
            Some(InitMessage::ProgramStarted(pid)) => {
                // One that has ended already is told of at the first meeting.
                self.main = self.outside(pid).ok();
                Ok(())
            }
            Some(InitMessage::SetupFailed(error)) => {
                Err(cannot_tell("lacking").fact("error", error))
            }
            other => Err(std::io::Error::other(format!("init said {other:?}")).into()),
        }
    }

    /// The process that stands for the host: number 1, in the namespaces that are the program's
    /// host's.
    pub fn host(&self) -> Process {
        self.init
    }

    /// The program's first process.
    pub fn main(&self) -> Process {
        self.main.unwrap_or(self.init)
    }

    /// What the program has said under this name.
    ///
    /// # Errors
    ///
    /// `wrong-words` when it has not.
    pub fn said(&self, name: &str) -> Checked<&str> {
        let none = || fail("wrong-words").fact("said", format!("nothing of `{name}`"));
        self.said.get(name).map(String::as_str).ok_or_else(none)
    }

    /// What it has said under this name, as a number.
    ///
    /// # Errors
    ///
    /// `wrong-words` when it has not said one.
    pub fn number(&self, name: &str) -> Checked<u64> {
        let text = self.said(name)?;
        let wrong = || fail("wrong-words").fact("said", format!("`{name} {text}`"));
        text.parse().map_err(|_| wrong())
    }

    /// Waits until the program is at `point`.
    ///
    /// # Errors
    ///
    /// The finding that tells what it did instead: `not-written`, `panicked`, `refused`,
    /// `ended-early`, `too-slow`, `too-much-memory`, `too-many-processes`, `wrong-words`.
    pub fn meet(&mut self, point: &str) -> Checked<()> {
        self.meet_within(point, self.timeout)
    }

    /// The same with more timeout, of what takes long.
    ///
    /// # Errors
    ///
    /// Those of [`Student::meet`].
    pub fn meet_within(&mut self, point: &str, timeout: Duration) -> Checked<()> {
        let deadline = Instant::now() + timeout;
        loop {
            let now = Instant::now();
            match self.line.hear(deadline.min(now + GLANCE)) {
                // Some things need not be waited for to the end.
                None if now < deadline => {
                    self.no_delegation()?;
                    self.no_bomb()?;
                }
                Some(InitMessage::ProgramLine(word)) => {
                    match word.split_once(' ').unwrap_or((&word, "")) {
                        ("say", rest) => {
                            let (name, value) = rest.split_once(' ').unwrap_or((rest, ""));
                            self.said.insert(name.to_owned(), value.to_owned());
                        }
                        ("meet", at) if at == point => return self.no_delegation(),
                        ("done", _) if point == "the end" => {}
                        ("todo", todo) => return Err(fail("not-written").fact("todo", todo)),
                        ("panic", panic) => return Err(self.ended_by_panic(panic)),
                        ("error", rest) => {
                            let (step, error) = rest.split_once('\t').unwrap_or(("?", rest));
                            self.no_bomb()?;
                            return Err(fail("refused").fact("step", step).fact("error", error));
                        }
                        _ => return Err(fail("wrong-words").fact("said", format!("`{word}`"))),
                    }
                }
                Some(InitMessage::ProgramEnded(how)) => {
                    self.ended = Some(how.clone());
                    if point == "the end" {
                        return Ok(());
                    }
                    return Err(self.ended_early(point, &how));
                }
                Some(_) => {}
                None => return Err(self.too_slow(point, timeout)),
            }
        }
    }

    /// Lets the program go on from where it waits.
    ///
    /// # Errors
    ///
    /// When the check's own line is broken.
    pub fn go(&self) -> Checked<()> {
        self.line.say(&InitRequest::Tell("go".into()))
    }

    /// Lets it go on and gives it `words`: [`Host::meet`](crate::program::Host::meet) returns them.
    ///
    /// # Errors
    ///
    /// When the check's own line is broken.
    pub fn go_with(&self, words: &str) -> Checked<()> {
        self.line.say(&InitRequest::Tell(format!("go {words}")))
    }

    /// Waits for the program's end, and sees that nothing is left of it: no process, mount, link or
    /// cgroup, and the host's name as it was.
    ///
    /// # Errors
    ///
    /// Those of [`Student::meet`], and `left-process`, `left-mount`, `left-link`, `left-cgroup`,
    /// `changed-host-name`.
    pub fn finish(&mut self) -> Checked<()> {
        if self.ended.is_none() {
            self.meet("the end")?;
        }
        if let Some(how) = self.ended.clone().filter(|how| how != "exit code 0") {
            return Err(self.ended_early("the end", &how));
        }
        self.nothing_left()
    }

    /// All processes of the program, its first one and what came of it; zombies are not among them.
    pub fn processes(&self) -> Vec<Process> {
        self.init.descendants()
    }

    /// The one child of the program's first process.
    ///
    /// # Errors
    ///
    /// `no-child` when there is none or more than one; give the lab's own message under that id by
    /// mapping it.
    pub fn only_child(&self) -> Checked<Process> {
        let children = self.main().descendants();
        match &children[..] {
            [child] => Ok(*child),
            others => Err(fail("no-child").fact("children", others.len())),
        }
    }

    /// The number on the host of the process that has the number `pid` inside.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn outside(&self, pid: u32) -> Checked<Process> {
        let second = |process: &Process| {
            let chain = process.status("NSpid").ok()?;
            let numbers: Vec<&str> = chain.split_whitespace().collect();
            let depth = self.init.status("NSpid").ok()?.split_whitespace().count();
            numbers.get(depth - 1)?.parse::<u32>().ok()
        };
        let all = self.init.descendants();
        let found = all.into_iter().find(|process| second(process) == Some(pid));
        found.ok_or_else(|| std::io::Error::other(format!("no process {pid} inside")).into())
    }

    /// The number that `process` has inside, as the program's host counts.
    ///
    /// # Errors
    ///
    /// When it is gone.
    pub fn inside(&self, process: Process) -> Checked<u32> {
        let depth = self.init.status("NSpid")?.split_whitespace().count();
        let chain = process.status("NSpid")?;
        let number = chain.split_whitespace().nth(depth - 1).and_then(|pid| pid.parse().ok());
        number.ok_or_else(|| {
            std::io::Error::other(format!("process {} is not inside", process.pid)).into()
        })
    }

    /// The directories in which the program may make cgroups, if it was set up with them.
    pub fn cgroups(&self) -> &[CgroupDirectory] {
        self.cgroups.as_ref().map_or(&[], |cgroups| &cgroups.directories)
    }

    /// The same by controllers, as [`Host::cgroup_parents`](crate::program::Host::cgroup_parents) gives them to the
    /// program.
    pub fn cgroup_parents(&self) -> CgroupParents {
        self.cgroups.as_ref().map(Cgroups::parents).unwrap_or_default()
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }
}
