//! Hooks: programs of the caller that run at certain points of a container's life cycle (OCI
//! runtime specification, "POSIX-platform Hooks").
//!
//! ```text
//!   create   namespaces and cgroup exist
//!              create_runtime      outside
//!              create_container    in the container's namespaces, before its root
//!            the isolation is complete; the first process waits
//!   start      start_container     inside, with the power of the container's program
//!            the program runs
//!              poststart           outside
//!   delete   everything is removed
//!              poststop            outside
//! ```
//!
//! Each gets the container's state on its standard input and has to exit with 0; the first failure
//! is the error of that step. Failures of `poststart` and `poststop` are ignored: the container
//! runs already, or is gone.

use std::{
    io::Write as _,
    os::{fd::BorrowedFd, unix::process::CommandExt as _},
    process::{Child, Command, ExitStatus, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use nix::sched::{CloneFlags, setns};
use serde_json::Value;

use crate::{Error, error::file, foreign::Foreign};

pub use crate::spec::hooks::{Hook, Hooks};

impl Hooks {
    /// Whether the child has to wait for hooks before it enters its root.
    pub(crate) fn need_gate(&self) -> bool {
        !self.create_runtime.is_empty() || !self.create_container.is_empty()
    }

    /// Whether there are hooks that need a container with separate create, start and delete steps.
    pub(crate) fn need_steps(&self) -> bool {
        ![&self.start_container, &self.poststart, &self.poststop].into_iter().all(Vec::is_empty)
    }

    /// Runs `create_runtime` and `create_container`, for the child `pid` that waits.
    pub(crate) fn at_create(&self, pid: i32, pidfd: BorrowedFd<'_>) -> Result<(), Error> {
        if !self.need_gate() {
            return Ok(());
        }
        let state = self.state_as_json(Some(pid), "creating");
        for hook in &self.create_runtime {
            run(hook, &state, hook.command())?;
        }
        let foreign = Foreign::of(u32::try_from(pid).unwrap_or_default());
        for hook in &self.create_container {
            let target = pidfd.try_clone_to_owned().map_err(file("duplicate", "pidfd"))?;
            let flags = CloneFlags::from_bits_truncate(foreign.flags());
            let mut command = hook.command();
            // SAFETY: after the fork the closure makes one system call, on a descriptor of its own.
            unsafe { command.pre_exec(move || Ok(setns(&target, flags)?)) };
            run(hook, &state, command)?;
        }
        Ok(())
    }

    /// Runs `poststart`.
    pub(crate) fn after_start(&self, pid: u32) {
        let pid = i32::try_from(pid).ok();
        for hook in &self.poststart {
            let _ = run(hook, &self.state_as_json(pid, "running"), hook.command());
        }
    }

    /// Runs `poststop`.
    pub(crate) fn after_stop(&self) {
        for hook in &self.poststop {
            let _ = run(hook, &self.state_as_json(None, "stopped"), hook.command());
        }
    }

    /// The state for a hook's standard input.
    pub(crate) fn state_as_json(&self, pid: Option<i32>, status: &str) -> Vec<u8> {
        let mut state = self.state.clone();
        state.insert("status".into(), status.into());
        if let Some(pid) = pid {
            state.insert("pid".into(), pid.into());
        }
        Value::Object(state).to_string().into_bytes()
    }
}

impl Hook {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        if let [name, arguments @ ..] = self.args.as_slice() {
            command.arg0(name).args(arguments);
        }
        command.env_clear().envs(self.variables());
        command
    }

    /// Its environment; entries without `=` are ignored.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.env.iter().filter_map(|variable| variable.split_once('='))
    }

    /// The words of its command line, to be executed inside.
    pub(crate) fn words(&self) -> Vec<std::ffi::OsString> {
        let arguments = self.args.iter().skip(1).map(Into::into);
        std::iter::once(self.path.clone().into_os_string()).chain(arguments).collect()
    }

    /// An error unless it exited with 0.
    pub(crate) fn check(&self, code: Option<i32>, ended: String) -> Result<(), Error> {
        match code {
            Some(0) => Ok(()),
            _ => Err(Error::HookFailed { path: self.path.clone(), ended }),
        }
    }
}

/// Runs a hook to its end.
fn run(hook: &Hook, state: &[u8], mut command: Command) -> Result<(), Error> {
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
    let mut child = spawned.map_err(file("run the hook", &hook.path))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A hook that does not read it may have closed it.
        let _ = stdin.write_all(state);
    }
    let status = wait(&mut child, hook.timeout).map_err(file("wait for the hook", &hook.path))?;
    match status {
        Some(status) => hook.check(status.code(), status.to_string()),
        None => hook.check(None, "timeout".into()),
    }
}

/// Waits for the end of a process, and kills it after the timeout.
fn wait(child: &mut Child, timeout: Option<u64>) -> std::io::Result<Option<ExitStatus>> {
    let Some(seconds) = timeout else { return child.wait().map(Some) };
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= end {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        sleep(Duration::from_millis(2));
    }
}
