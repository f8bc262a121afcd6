//! The life cycle of a container: create, start, kill, wait, delete; also from another process.
//!
//! ```text
//!   create   the isolation is complete; the first process waits inside, independent of its launcher
//!   start    a byte is written to the FIFO at which it waits: it executes the command
//!   kill     a signal is sent to it
//!   wait     waits until it has ended
//!   delete   everything left is removed: processes, cgroup, links
//! ```
//!
//! What another process needs for this is in a file, the [`State`]; naming containers and keeping
//! track of them is up to the caller.

use std::{
    fs::{self, File},
    io::Write as _,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    },
    path::Path,
};

use nix::{sys::stat::Mode, unistd::mkfifo};
use sandbox::{Instance, Outcome, Process, Program, Resource, Trace};

use crate::{
    Begin, Prepared, clean,
    descriptors::high,
    error::{self, Error, NAME, Result, call},
    exec, hooks,
    running::{self, RunningContainer, Started, Streams},
};

pub use crate::state::State;

impl State {
    /// Lets the first process begin its program.
    ///
    /// # Errors
    ///
    /// [`Error::NotWaiting`] when it was started before or has ended, and those of its hooks.
    pub fn start(&self) -> Result<()> {
        self.begin()?;
        let _ = self.after_start(); // it runs already
        Ok(())
    }

    /// The hooks that follow a [start](Self::begin); returns the failures, which end nothing.
    pub fn after_start(&self) -> Vec<Error> {
        self.hooks.after_start(self.first.pid)
    }

    /// The hooks that follow a [removal](Self::remove); returns the failures, which end nothing.
    pub fn after_stop(&self) -> Vec<Error> {
        self.hooks.after_stop()
    }

    /// Lets the first process begin its program, without the hooks that run afterwards.
    ///
    /// # Errors
    ///
    /// Those of [`start`](Self::start).
    pub fn begin(&self) -> Result<()> {
        let path = self.start.as_deref().filter(|path| path.exists()).ok_or(Error::NotWaiting)?;
        for hook in &self.hooks.start_container {
            let pid = i32::try_from(self.first.pid).ok().and_then(hooks::pid_inside);
            let message = self.hooks.state_as_json(pid, "created");
            let ended = exec::hook(self, hook, &message)?;
            let code = i32::from(ended.status.code());
            hook.check(Some(code), format!("exit code {code}"))?;
        }
        Ok(open_the_gate(path)?)
    }

    /// Kills all processes and removes what outlives them.
    ///
    /// # Errors
    ///
    /// The first failed removal; the others are done all the same.
    pub fn delete(&self) -> Result<(), Error> {
        let removed = self.remove();
        let _ = self.after_stop(); // it is gone already
        removed
    }

    /// The same without the hooks that run afterwards.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn remove(&self) -> Result<(), Error> {
        self.kill(libc::SIGKILL);
        self.wait()?;
        if let Some(path) = &self.start {
            let _ = fs::remove_file(path); // a started container has none
        }
        clean::free_those(&self.resources)
    }
}

/// Writes the byte to the FIFO at `path`, at which the first process waits.
fn open_the_gate(path: &Path) -> Result<(), Error> {
    let opened = File::options()
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path);
    let mut fifo = opened.map_err(|_| Error::NotWaiting)?;
    let is_fifo = fifo.metadata().is_ok_and(|found| found.file_type().is_fifo());
    // Removed first, so that a second start finds nothing to write to.
    if !is_fifo || fs::remove_file(path).is_err() {
        return Err(Error::NotWaiting);
    }
    fifo.write_all(&[1]).map_err(error::file("write to", path))
}

/// A created container. Dropping it kills it and removes everything left of it, unless it has been
/// detached.
pub struct Created {
    started: Started,
    state: State,
    program: Program,
}

impl Prepared<'_> {
    /// Makes the container, up to a first process that waits at a FIFO made at `start`. It does not
    /// end with its launcher.
    ///
    /// # Errors
    ///
    /// The step that failed; nothing is left behind.
    pub fn create(self, start: &Path) -> Result<Created> {
        if let Program::Builtin(..) = self.spec.way_out.program {
            return Err(sandbox::Error::Unsupported {
                sandbox: NAME,
                what: "let a built-in program wait to be started".into(),
                fix: "create it with a command".into(),
            });
        }
        let resources = self.resources();
        mkfifo(start, Mode::S_IRUSR | Mode::S_IWUSR)
            .map_err(call(format!("mkfifo {}", start.display())))?;
        let created = self.create_at(start, &resources);
        if created.is_err() {
            let _ = fs::remove_file(start); // made above
        }
        created
    }

    fn create_at(self, start: &Path, resources: &[Resource]) -> Result<Created> {
        let spec = self.spec;
        // For reading and writing: opening it this way does not block, and reading never sees end
        // of file (fifo(7)).
        let opened = File::options()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
            .open(start);
        let fifo = high(&opened.map_err(error::file("open", start))?)?;
        let trace = Trace::new(self.is_traced);
        let started = self.start(Begin::OnByte(fifo.as_fd()), trace)?;
        let pid = u32::try_from(started.walls.child.pid()).unwrap_or_default();
        let first = Process::of(pid).ok_or(Error::NotWaiting)?;
        let path = start.canonicalize().map_err(error::file("find", start))?;
        let state = State { start: Some(path), ..State::new(first, resources, spec) };
        Ok(Created { started, state, program: spec.way_out.program.clone() })
    }
}

impl Created {
    /// What another process needs to know of it.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The calls that have made it, up to where its first process waits; none unless they were
    /// [asked for](Prepared::traced).
    pub fn trace(&self) -> &Trace {
        &self.started.trace
    }

    /// Whether it has a terminal that is still to be taken or connected.
    pub fn has_terminal(&self) -> bool {
        matches!(self.started.streams.0, Streams::Terminal(_) | Streams::TerminalInside(_))
    }

    /// The master of its terminal, if it has one; from then on it belongs to the caller.
    ///
    /// # Errors
    ///
    /// When a terminal that was made inside cannot be received.
    pub fn terminal(&mut self) -> Result<Option<OwnedFd>, Error> {
        self.started.take_terminal()
    }

    /// Gives up control of it: it keeps running when this process ends.
    pub fn detach(self) -> State {
        // Its process, cgroup and links are not to be removed here.
        std::mem::forget(self.started);
        self.state
    }

    /// Lets it begin its program, and waits for the `execve`.
    ///
    /// # Errors
    ///
    /// When it was started before, has ended, or its program cannot be executed.
    pub fn start(&mut self) -> Result<()> {
        self.begin()?;
        let _ = self.state.after_start(); // it runs already
        Ok(())
    }

    /// The same without the hooks that run afterwards.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn begin(&mut self) -> Result<()> {
        self.state.begin()?;
        running::check_progress(self.started.walls.child.wait_for_program()?, &self.program)
    }

    /// Waits for its end, and removes everything left of it.
    ///
    /// # Errors
    ///
    /// The first failed removal.
    pub fn wait(self) -> Result<Outcome> {
        self.into_instance()?.wait()
    }

    /// The started container as an instance, which can be sent signals while it is waited for.
    ///
    /// # Errors
    ///
    /// When its descriptor cannot be duplicated.
    pub fn into_instance(self) -> Result<Box<dyn Instance>> {
        Ok(Box::new(RunningContainer::new(self.started, None, None)?))
    }
}
