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
//! is the error of that step. Failures of `poststart` and `poststop` end nothing: the container
//! runs already, or is gone, so they are returned for the caller to report. A hook that is executed
//! inside the container's namespaces gets the pid as it is seen there.

use std::{
    fs,
    os::{fd::BorrowedFd, unix::process::CommandExt as _},
    process::{Child, Command, ExitStatus, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use host::sealed_memfd;
use nix::{
    sched::{CloneFlags, setns},
    sys::signal::{SigSet, Signal, killpg},
    unistd::Pid,
};
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
        if self.create_container.is_empty() {
            return Ok(());
        }
        let foreign = Foreign::of(u32::try_from(pid).unwrap_or_default());
        let state = self.state_as_json(pid_inside(pid), "creating");
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

    /// Runs `poststart`, all of them, and returns the failures.
    pub(crate) fn after_start(&self, pid: u32) -> Vec<Error> {
        run_all(&self.poststart, &self.state_as_json(i32::try_from(pid).ok(), "running"))
    }

    /// Runs `poststop`, all of them, and returns the failures. [`State::delete`](crate::State::delete)
    /// does; for a caller whose container could not be created.
    pub fn after_stop(&self) -> Vec<Error> {
        run_all(&self.poststop, &self.state_as_json(None, "stopped"))
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
        // SAFETY: after the fork the closure makes one system call: a launcher that takes its own
        // signals in turn has blocked them.
        unsafe { command.pre_exec(|| Ok(SigSet::empty().thread_set_mask()?)) };
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

/// The pid of a process in its own pid namespace: the last one of its line (proc_pid_status(5)).
pub(crate) fn pid_inside(pid: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    pids.split_whitespace().next_back()?.parse().ok()
}

/// Runs hooks that no longer stop anything.
fn run_all(hooks: &[Hook], state: &[u8]) -> Vec<Error> {
    hooks.iter().filter_map(|hook| run(hook, state, hook.command()).err()).collect()
}

/// Runs a hook to its end.
fn run(hook: &Hook, state: &[u8], mut command: Command) -> Result<(), Error> {
    // Memory, not a pipe: a hook that reads nothing does not block a large state.
    let input = sealed_memfd(state).map_err(file("write the state for the hook", &hook.path))?;
    // A process group of its own, so that what it has started ends with it at the timeout.
    let command = command.stdin(input).stdout(Stdio::null()).process_group(0);
    let mut child = command.spawn().map_err(file("run the hook", &hook.path))?;
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
            let group = i32::try_from(child.id()).map_err(std::io::Error::other)?;
            killpg(Pid::from_raw(group), Signal::SIGKILL)?;
            child.wait()?;
            return Ok(None);
        }
        sleep(Duration::from_millis(2));
    }
}
