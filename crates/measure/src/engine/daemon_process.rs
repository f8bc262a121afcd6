//! The process of a daemon that was started for the measurement.

use std::{
    io,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command},
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::Error;

/// How often it is looked whether it serves, or has ended.
const PAUSE: Duration = Duration::from_millis(2);

/// A daemon; it ends with this.
#[derive(Debug)]
pub(crate) struct DaemonProcess {
    process: Child,
    socket: PathBuf,
    longest_end: Duration,
}

impl DaemonProcess {
    /// Starts one that will serve at `socket`, and may take so long to end what it has started.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub(crate) fn start(
        command: &mut Command,
        socket: PathBuf,
        longest_end: Duration,
    ) -> io::Result<Self> {
        Ok(Self { process: command.spawn()?, socket, longest_end })
    }

    /// Waits until it serves. Errors call it `name`; one that has ended said `errors`.
    ///
    /// # Errors
    ///
    /// When it ends, or does not serve in time.
    pub(crate) fn await_socket(
        &mut self,
        name: &str,
        longest: Duration,
        errors: impl FnOnce() -> io::Result<Vec<u8>>,
    ) -> Result<(), Error> {
        let began = Instant::now();
        while UnixStream::connect(&self.socket).is_err() {
            if let Some(status) = self.process.try_wait()? {
                return Err(Error::of_command(name, status, &errors()?));
            }
            if began.elapsed() > longest {
                return Err(Error::new(format!("{name} does not serve within {longest:?}")));
            }
            sleep(PAUSE);
        }
        Ok(())
    }

    /// Its socket.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Ends it: it cleans up at a signal, and is killed if it takes too long for that.
    pub(crate) fn end(&mut self) {
        let pid = Pid::from_raw(self.process.id().cast_signed());
        // One that has been waited for is not signalled: its number may be another's.
        if !matches!(self.process.try_wait(), Ok(None)) {
            return;
        }
        let asked = kill(pid, Signal::SIGTERM);
        let began = Instant::now();
        while asked.is_ok() && began.elapsed() < self.longest_end {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            sleep(PAUSE);
        }
        let _ = self.process.kill().and_then(|()| self.process.wait());
    }
}

impl Drop for DaemonProcess {
    fn drop(&mut self) {
        self.end();
    }
}
