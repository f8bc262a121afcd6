//! The launcher's part of a virtual machine: the first process is its monitor, which says when the
//! guest boots, or why it does not.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read as _, Write as _},
    os::{fd::AsFd, unix::fs::OpenOptionsExt as _},
    path::PathBuf,
    process::{Command, Stdio},
};

use container::Spec;
use nix::{
    errno::Errno,
    fcntl::OFlag,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::stat::Mode,
    unistd::{Uid, mkfifo},
};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
use sandbox::{Ledger, LedgerEntry, Process, Program};

use super::{LaunchFailure, failed, tell};
use crate::exec::record::ExecRecord;

/// The FIFO into which the monitor writes, in its working directory.
const READY: &str = "ready";

/// A message is written whole or not at all (pipe(7), `PIPE_BUF`).
const LONGEST: usize = 4096;

/// Has the first process be this program, even if its file was replaced meanwhile. An ordinary user's
/// is root of a user namespace of its own: from there /proc does not lead to this process's file
/// (ptrace(2), access mode checking), and it would look for another ledger, so that it is told which.
pub(super) fn name_monitor(spec: &mut Spec, ledger: &Ledger) {
    let of_process = || format!("/proc/{}/exe", std::process::id()).into();
    let is_root = Uid::effective().is_root();
    let by_name = (!is_root).then(|| std::env::current_exe().ok()).flatten();
    let own: PathBuf = by_name.unwrap_or_else(of_process);
    if let Program::Command(words) = &mut spec.way_out.program
        && let Some(first) = words.first_mut()
    {
        *first = own.into();
        words.push(ledger.directory().into());
    }
}

/// Where the monitor says how far it is.
pub(super) struct Readiness(File);

impl Readiness {
    /// Made before the monitor begins.
    pub(super) fn listen() -> Result<Self, LaunchFailure> {
        let _ = fs::remove_file(READY); // of a launcher that was killed
        let made = mkfifo(READY, Mode::S_IRUSR | Mode::S_IWUSR);
        made.map_err(|errno| failed("make the FIFO of the monitor")(errno.into()))?;
        // For reading and writing: then it has no end of file (fifo(7)).
        let flags = OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let opened = File::options().read(true).write(true).custom_flags(flags.bits()).open(READY);
        opened.map(Self).map_err(failed("open the FIFO of the monitor"))
    }

    /// Waits until the guest boots.
    pub(super) fn wait(mut self, monitor: Process) -> Result<(), LaunchFailure> {
        let ended = || LaunchFailure { message: end_of(&monitor), code: 128 };
        let pid = i32::try_from(monitor.pid).ok().and_then(Pid::from_raw).ok_or_else(ended)?;
        let process = pidfd_open(pid, PidfdFlags::empty()).map_err(|_| ended())?;
        loop {
            let watch = |descriptor| PollFd::new(descriptor, PollFlags::POLLIN);
            let mut watched = [watch(self.0.as_fd()), watch(process.as_fd())];
            match poll(&mut watched, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(failed("wait for the monitor")(errno.into())),
            }
            let has_ended = watched[1].any() == Some(true);
            let mut text = [0; LONGEST];
            match self.0.read(&mut text) {
                Ok(length) => {
                    let _ = fs::remove_file(READY);
                    return serde_json::from_slice(&text[..length])
                        .unwrap_or_else(|_| Err(ended()));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock && has_ended => {
                    return Err(ended());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(failed("hear the monitor")(error)),
            }
        }
    }
}

/// How the monitor, a child of this process, ended without a word.
fn end_of(monitor: &Process) -> String {
    let pid = i32::try_from(monitor.pid).ok().and_then(Pid::from_raw);
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    let ended = pid.and_then(|pid| waitid(WaitId::Pid(pid), options).ok().flatten());
    let how = match ended.map(|ended| (ended.exit_status(), ended.terminating_signal())) {
        Some((Some(code), _)) => format!("exit code {code}"),
        Some((_, Some(signal))) => format!("signal {signal}"),
        _ => "nobody knows why".into(),
    };
    format!("the monitor of the microVM has ended before its guest began: {how}")
}

/// The monitor's end of it.
pub(crate) struct ReadinessReport(File);

impl ReadinessReport {
    /// Opened before the monitor closes itself.
    ///
    /// # Errors
    ///
    /// When nobody waits for it.
    pub(crate) fn open() -> std::io::Result<Self> {
        let flags = OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        File::options().write(true).custom_flags(flags.bits()).open(READY).map(Self)
    }

    /// Says that the guest boots, or why not.
    pub(crate) fn send(mut self, result: Result<(), LaunchFailure>) {
        let shortened = result.map_err(|failure| {
            let most = LONGEST / 8; // a character takes up to six bytes in JSON
            let message: String = failure.message.chars().take(most).collect();
            LaunchFailure { message, ..failure }
        });
        let text = serde_json::to_vec(&shortened).unwrap_or_default();
        // A launcher that was killed hears nothing; its supervisor then ends this process.
        let _ = self.0.write_all(&text);
    }
}

/// Starts a command in a running guest: a process of this host that passes its streams on.
pub(super) fn exec(entry: &LedgerEntry, record: &ExecRecord) -> Result<(), LaunchFailure> {
    debug_assert_eq!(entry.name, record.ledger_name);
    let mut command = Command::new("/proc/self/exe");
    command.args(["engine", "join"]);
    let terminal = record.tty.then(host::terminal_pair).transpose();
    let terminal = terminal.map_err(failed("make a terminal"))?;
    if let Some((_, slave)) = &terminal {
        let end = || slave.try_clone().map(Stdio::from).map_err(failed("duplicate the terminal"));
        command.stdin(end()?).stdout(end()?).stderr(end()?);
    }
    let child = command.spawn().map_err(failed("start a process for the command"))?;
    tell(child.id(), terminal.as_ref().map(|(master, _)| master))
}
