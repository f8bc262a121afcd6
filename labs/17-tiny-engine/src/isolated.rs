//! The container itself: a process in namespaces of its own, as in lab 08.

use std::{
    fs::File,
    io,
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
};

use nix::{
    sched::{CloneFlags, unshare},
    unistd::sethostname,
};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::Container;

/// A container's process, a child of the process that has started it.
#[derive(Debug)]
pub struct Isolated(Child);

/// Starts the container's program in PID, UTS and IPC namespaces of its own. It reads nothing, and
/// what it prints goes to `log`.
///
/// # Errors
///
/// When there may be no namespaces, and when there is no such program.
pub fn isolated(container: &Container, log: File) -> io::Result<Isolated> {
    let Some((program, arguments)) = container.command.split_first() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the command is empty"));
    };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let name = container.id.get(..12).unwrap_or(&container.id).to_owned();
    // unshare(2) is for the calling thread and what that starts: the rest of this process stays where
    // it is.
    //
    // The thread's name is the process's until execve(2) gives it that of its program: the same one.
    let called = program.rsplit('/').next().unwrap_or_default().replace('\0', "");
    let thread = thread::Builder::new().name(called).spawn(move || {
        unshare(CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC)?;
        sethostname(name)?;
        command.spawn()
    })?;
    let child = thread.join().map_err(|_| io::Error::other("the thread panicked"))??;
    Ok(Isolated(child))
}

impl Isolated {
    /// Its number.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Waits until it has ended. It stays a zombie until `self` is dropped, so that nobody finds it
    /// gone before its end is recorded (waitid(2), `WNOWAIT`).
    ///
    /// # Errors
    ///
    /// When somebody else has waited for it.
    pub fn wait(&self) -> io::Result<ExitStatus> {
        let pid = Pid::from_child(&self.0);
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        loop {
            match waitid(WaitId::Pid(pid), options) {
                Ok(Some(status)) => {
                    let code = status.exit_status().map(|code| code << 8);
                    let signal = status.terminating_signal();
                    return Ok(ExitStatus::from_raw(code.or(signal).unwrap_or_default()));
                }
                Ok(None) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Drop for Isolated {
    fn drop(&mut self) {
        // One that still runs is left to process 1.
        let _ = self.0.try_wait();
    }
}
