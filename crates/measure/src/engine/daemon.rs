//! isolab's own daemon, started for the measurement.

use std::{
    fs::File,
    io,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use image::store::DIRECTORY_VARIABLE;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use super::{http::Http, import};
use crate::Error;

/// It serves within milliseconds.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A daemon with the image; it ends with this, and its directory is removed.
pub struct Daemon {
    process: Child,
    folder: TempDir,
}

impl Daemon {
    /// Starts the program `isolab` as a daemon of its own: another socket, other images.
    ///
    /// # Errors
    ///
    /// When it does not serve, or does not take the image.
    pub fn start(isolab: &Path) -> Result<Self, Error> {
        let folder = tempfile::tempdir()?;
        let path = |name: &str| folder.path().join(name);
        let mut command = Command::new(isolab);
        command.arg("engine").arg("-H").arg(path("socket")).arg("--data").arg(path("data"));
        command.env(DIRECTORY_VARIABLE, path("images")).stdin(Stdio::null());
        let errors = File::create(path("errors"))?;
        let process = command.stdout(Stdio::null()).stderr(errors).spawn()?;
        let mut daemon = Self { process, folder };
        daemon.await_socket()?;
        import(&mut Http::connect(&daemon.socket())?)?;
        Ok(daemon)
    }

    fn await_socket(&mut self) -> Result<(), Error> {
        let began = Instant::now();
        while UnixStream::connect(self.socket()).is_err() {
            if let Some(status) = self.process.try_wait()? {
                let errors = std::fs::read(self.folder.path().join("errors"))?;
                return Err(Error::of_command("isolab engine", status, &errors));
            }
            if began.elapsed() > TIMEOUT {
                return Err(Error::new(format!("isolab engine does not serve within {TIMEOUT:?}")));
            }
            sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Its images, for other commands: the name of the variable, and its value.
    pub fn images(&self) -> (&'static str, PathBuf) {
        (DIRECTORY_VARIABLE, self.folder.path().join("images"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = i32::try_from(self.process.id()).unwrap_or(i32::MAX);
        // It cleans up at this signal, and is this process's child until it is waited for.
        let asked = kill(Pid::from_raw(pid), Signal::SIGTERM).map_err(io::Error::from);
        let began = Instant::now();
        while asked.is_ok() && began.elapsed() < TIMEOUT {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            sleep(Duration::from_millis(2));
        }
        let _ = self.process.kill().and_then(|()| self.process.wait());
    }
}
