//! One check, as a process of its own.
//!
//! ```text
//!   isolab                          isolab lab judge NN --program FILE
//!   a pipe that stays open   --->   standard input: at its end the check ends, whoever closed it
//!   one line of JSON         <---   standard output
//!   its own faults           <---   standard error
//! ```
//!
//! The judge of a lab that this isolab knows is this isolab: what is graded has no part in it. That
//! of another lab is the checkout's own `labNN-check`, which runs as the checkout's owner.
//!
//! The check is of a process group of its own, so that a key which interrupts isolab lets the check
//! clear up before it goes.

use std::{
    io::Read,
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::process::CommandExt as _,
    },
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use serde::{Deserialize, Serialize};

use crate::runner::{
    Error, LocalUser, Result, output::text::clean, privilege::environment::search_path,
};
use crate::verdict::Report;

/// A check has its own time limits; this one is for a check that does not keep them.
pub(crate) const USUAL: Duration = Duration::from_secs(60);
/// How long a check may take to clear up.
const CLEARING: Duration = Duration::from_secs(5);
/// No report and no fault is longer.
const MOST_BYTES: u64 = 1 << 20;

/// Who judges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Judge {
    /// This isolab.
    Isolab,
    /// A program of the checkout, as the checkout's owner.
    Checkout(PathBuf, #[serde(skip, default = "LocalUser::own")] LocalUser),
}

/// A check and what it is to look at.
#[derive(Debug, Clone)]
pub(crate) struct Check {
    /// The number of its lab.
    pub(crate) lab: String,
    /// Who runs it.
    pub(crate) judge: Judge,
    /// The student's program.
    pub(crate) program: PathBuf,
    /// How long it may take.
    pub(crate) deadline: Duration,
}

impl Check {
    /// Runs it. Once `end` can be read, it is ended.
    pub(crate) fn run(&self, end: Option<BorrowedFd<'_>>) -> Result<Report> {
        let mut command = self.judge.command(&self.lab);
        command.arg("--program").arg(&self.program).env_clear();
        command.env("PATH", search_path(&self.judge.user()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let name = command.get_program().to_owned();
        let died = |error| Error::CheckDied { said: format!("{}: {error}", name.display()) };
        let mut child = command.spawn().map_err(died)?;
        let piped = "it was asked for";
        let line = child.stdin.take().expect(piped);
        let output = gathered(child.stdout.take().expect(piped));
        let errors = gathered(child.stderr.take().expect(piped));

        let why = wait(&child, end, self.deadline)?;
        drop(line);
        if why != WaitOutcome::CheckEnded
            && wait(&child, None, CLEARING)? != WaitOutcome::CheckEnded
        {
            // It has ended already, or it is ended now; both need no answer.
            let _ = child.kill();
        }
        let status = child.wait().map_err(Error::system("wait for the check"))?;
        match why {
            WaitOutcome::Interrupted => return Err(Error::Interrupted),
            WaitOutcome::TimedOut => {
                return Err(Error::CheckHung { seconds: self.deadline.as_secs() });
            }
            WaitOutcome::CheckEnded => {}
        }
        let report = understood(&all(&output), &self.lab);
        let code = report.as_ref().ok().map(|report| i32::from(report.verdict.code()));
        match report {
            Ok(report) if status.code() == code => Ok(report),
            Ok(_) => Err(died_as(&format!("its verdict and its {status} disagree"), &all(&errors))),
            Err(why) => Err(died_as(&format!("{status}, {why}"), &all(&errors))),
        }
    }
}

impl Judge {
    /// Who runs it.
    fn user(&self) -> LocalUser {
        match self {
            Self::Isolab => LocalUser::own(),
            Self::Checkout(_, owner) => owner.clone(),
        }
    }

    fn command(&self, lab: &str) -> Command {
        match self {
            Self::Isolab => {
                // This very program, whatever stands where it was found.
                let mut command = Command::new("/proc/self/exe");
                command.args(["lab", "judge", lab]).process_group(0);
                command
            }
            Self::Checkout(program, owner) => owner.command(program.as_os_str(), "/".as_ref()),
        }
    }
}

/// Why the waiting is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WaitOutcome {
    /// The check has ended.
    CheckEnded,
    /// It was asked to end.
    Interrupted,
    /// Its time is up.
    TimedOut,
}

fn wait(child: &Child, end: Option<BorrowedFd<'_>>, deadline: Duration) -> Result<WaitOutcome> {
    let process = pidfd_open(Pid::from_child(child), PidfdFlags::empty());
    let process = process.map_err(Error::system("pidfd_open"))?;
    let until = Instant::now() + deadline;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        // A millisecond more, so that a rest of less than one is no busy loop.
        let timeout = PollTimeout::try_from(left.as_millis().min(60_000) as u32 + 1);
        let timeout = timeout.expect("a minute is allowed");
        let mut waiting = vec![PollFd::new(process.as_fd(), PollFlags::POLLIN)];
        waiting.extend(end.map(|end| PollFd::new(end, PollFlags::POLLIN)));
        match poll(&mut waiting, timeout) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(errno) => return Err(Error::system("poll")(errno)),
        }
        let is_ready = |at: usize| {
            let events = waiting.get(at).and_then(PollFd::revents);
            events.is_some_and(|events| !events.is_empty())
        };
        match (is_ready(0), is_ready(1)) {
            (true, _) => return Ok(WaitOutcome::CheckEnded),
            (_, true) => return Ok(WaitOutcome::Interrupted),
            _ if left.is_zero() => return Ok(WaitOutcome::TimedOut),
            _ => {}
        }
    }
}

/// Whether it can be read, now or before this time is over.
pub(crate) fn is_readable_within(end: Option<BorrowedFd<'_>>, time: Duration) -> bool {
    let Some(end) = end else {
        thread::sleep(time);
        return false;
    };
    let mut waiting = [PollFd::new(end, PollFlags::POLLIN)];
    let timeout = PollTimeout::try_from(time).unwrap_or(PollTimeout::ZERO);
    poll(&mut waiting, timeout).is_ok_and(|count| count > 0)
}

/// Reads in a thread of its own: somebody that the check has left behind may hold the other end for
/// ever.
fn gathered(pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut pipe = pipe.take(MOST_BYTES);
        let mut bytes = vec![0; 64 << 10];
        while let Ok(count @ 1..) = pipe.read(&mut bytes) {
            if sender.send(bytes[..count].to_vec()).is_err() {
                break;
            }
        }
    });
    receiver
}

/// All that came, at most a second after the check's end.
fn all(receiver: &Receiver<Vec<u8>>) -> String {
    let until = Instant::now() + Duration::from_secs(1);
    let mut bytes = Vec::new();
    while let Ok(more) = receiver.recv_timeout(until.saturating_duration_since(Instant::now())) {
        bytes.extend(more);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn understood(output: &str, lab: &str) -> Result<Report, String> {
    let mut lines = output.lines().filter(|line| !line.trim().is_empty());
    let line = match (lines.next(), lines.next()) {
        (Some(line), None) => line,
        (None, _) => return Err("it printed nothing".to_owned()),
        _ => return Err("it printed more than its verdict".to_owned()),
    };
    let report: Report = serde_json::from_str(line)
        .map_err(|error| format!("its verdict is unreadable: {error}"))?;
    match report.lab == lab {
        true => Ok(report),
        false => Err(format!("its verdict is for lab {}", report.lab)),
    }
}

fn died_as(how: &str, errors: &str) -> Error {
    let lines: Vec<String> = errors.lines().rev().take(5).map(clean).collect();
    let lines: Vec<&str> = lines.iter().rev().map(String::as_str).collect();
    let quoted = if lines.is_empty() { "" } else { "; its output:\n    " };
    Error::CheckDied { said: format!("{how}{quoted}{}", lines.join("\n    ")) }
}

/// A check that is a shell script, for tests.
#[cfg(test)]
pub(crate) fn script(folder: &std::path::Path, text: &str) -> Check {
    use std::os::unix::fs::PermissionsExt as _;
    let check = folder.join("lab08-check");
    std::fs::write(&check, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&check, std::fs::Permissions::from_mode(0o755)).unwrap();
    Check {
        lab: "08".into(),
        judge: Judge::Checkout(check, LocalUser::own()),
        program: "/bin/true".into(),
        deadline: Duration::from_secs(60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Verdict;

    const PASS: &str = r#"{"lab":"08","verdict":"pass","id":null,"facts":{},"evidence":[],"measured":{"exits":3.0},"output":[]}"#;

    fn run(text: &str) -> Result<Report> {
        let folder = tempfile::tempdir().unwrap();
        script(folder.path(), text).run(None)
    }

    #[test]
    fn a_report_is_taken_and_the_environment_is_clean() {
        let report = run(&format!("[ -z \"$HOME\" ] || exit 9; echo '{PASS}'")).unwrap();
        assert_eq!(report.verdict, Verdict::Pass);
        assert_eq!(report.measured["exits"], 3.0);
    }

    #[test]
    fn a_check_that_says_nothing_or_nonsense_is_no_verdict() {
        let cases = [
            ("exit 1", "it printed nothing"),
            ("echo fault >&2; kill -9 $$", "its output:\n    fault"),
            ("echo PASS", "is unreadable"),
            (&format!("echo '{PASS}'; exit 1"), "disagree"),
            (&format!("echo '{PASS}'; echo '{PASS}'"), "more than"),
            (&format!("echo '{}'", PASS.replace("08", "09")), "for lab 09"),
        ];
        for (text, expected) in cases {
            let error = run(text).unwrap_err();
            assert!(error.to_string().contains(expected), "{text}: {error}");
            assert_eq!(error.code(), 125);
        }
    }

    #[test]
    fn a_check_that_hangs_is_ended_by_the_end_of_its_input() {
        let folder = tempfile::tempdir().unwrap();
        let cleared = folder.path().join("cleared");
        let mut check = script(folder.path(), &format!("read x; touch {}", cleared.display()));
        check.deadline = Duration::from_millis(500);
        assert!(matches!(check.run(None), Err(Error::CheckHung { .. })));
        assert!(cleared.exists());
    }

    #[test]
    fn a_check_is_ended_on_request() {
        let folder = tempfile::tempdir().unwrap();
        let check = script(folder.path(), "read x");
        let (end, tell) = std::os::unix::net::UnixStream::pair().unwrap();
        drop(tell);
        assert!(matches!(check.run(Some(end.as_fd())), Err(Error::Interrupted)));
    }

    #[test]
    fn who_was_left_behind_does_not_hold_the_verdict_up() {
        let began = Instant::now();
        run(&format!("sleep 30 & echo '{PASS}'")).unwrap();
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}
