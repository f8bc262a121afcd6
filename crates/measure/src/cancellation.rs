//! Ends a comparison early, together with the measuring process that runs at that moment.

use std::{
    io,
    process::{Child, Command, ExitStatus},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

/// A request to end the comparison. Its clones are one request: another thread can make it.
#[derive(Debug, Clone, Default)]
pub struct Cancellation {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// The process group of the measuring process, while there is one.
    group: Option<Pid>,
    cancelled: bool,
}

impl Cancellation {
    /// Kills the measuring process with all that it started, and starts no other.
    pub fn cancel(&self) {
        let mut state = self.lock();
        state.cancelled = true;
        if let Some(group) = state.group {
            // It may have ended just now.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }

    /// Whether it was requested.
    pub fn is_cancelled(&self) -> bool {
        self.lock().cancelled
    }

    /// Starts a measuring process, which must lead a process group of its own.
    pub(crate) fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        let mut state = self.lock();
        if state.cancelled {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let child = command.spawn()?;
        state.group = Some(Pid::from_raw(child.id().cast_signed()));
        Ok(child)
    }

    /// Waits for a measuring process that has closed its output.
    pub(crate) fn wait(&self, mut child: Child) -> io::Result<ExitStatus> {
        // Until it is reaped nothing else can have its number.
        let mut state = self.lock();
        let status = child.wait();
        let group = state.group.take();
        if state.cancelled {
            wait_until_empty(group);
        }
        status
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until the rest of a killed group has ended: only then can what a launcher leaves behind be
/// told from what it still uses.
fn wait_until_empty(group: Option<Pid>) {
    const TIMEOUT: Duration = Duration::from_secs(3);
    let began = Instant::now();
    while group.is_some_and(|group| killpg(group, None).is_ok()) && began.elapsed() < TIMEOUT {
        thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};

    use super::*;

    #[test]
    fn it_kills_the_process_that_runs_and_starts_no_other() {
        let cancellation = Cancellation::default();
        let mut sleep = Command::new("sleep");
        sleep.arg("60").process_group(0);
        let child = cancellation.spawn(&mut sleep).unwrap();
        cancellation.clone().cancel();
        let status = cancellation.wait(child).unwrap();
        assert_eq!(status.signal(), Some(Signal::SIGKILL as i32));
        let refused = cancellation.spawn(&mut sleep).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::Interrupted);
    }
}
