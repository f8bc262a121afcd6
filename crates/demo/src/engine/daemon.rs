//! A daemon of the demonstration's own, and what is left of it at the end: nothing.
//!
//! ```text
//!   /tmp/isolab-engine-PID-N/images      the image `demo`, of this host's shell
//!                            data        containers, volumes and networks
//!                            engine.sock Docker's API
//! ```

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::{fs::DirBuilderExt as _, net::UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::client;
use crate::{Error, Result};

/// How long a daemon may take to begin.
const BEGIN: Duration = Duration::from_secs(20);

/// The daemon; dropping it removes its containers and all its files.
pub(super) struct Daemon {
    directory: PathBuf,
    program: PathBuf,
    process: Option<Child>,
}

impl Daemon {
    /// Whether one can be started here, and the program to start.
    ///
    /// # Errors
    ///
    /// When not, with the reason.
    pub(super) fn program() -> Result<PathBuf> {
        container::available().map_err(|reason| {
            Error::system("start a daemon of containers")(io::Error::other(reason))
        })?;
        if !container::host().root {
            let reason = "images keep their owners only for root: use sudo";
            return Err(Error::system("start a daemon")(io::Error::other(reason)));
        }
        let program = std::env::current_exe().map_err(Error::system("find this program"))?;
        if program.file_stem().is_none_or(|name| name != "isolab") {
            let reason = format!("{} is not isolab", program.display());
            return Err(Error::system("start a daemon")(io::Error::other(reason)));
        }
        Ok(program)
    }

    /// Makes the image, and starts the daemon.
    ///
    /// # Errors
    ///
    /// When that is not possible.
    pub(super) fn start() -> Result<Self> {
        let (program, directory) = (Self::program()?, new_directory()?);
        let mut daemon = Self { directory, program, process: None };
        let words = ["image", "import-host", "demo:latest", "--", "sh", "sleep"];
        let made = daemon.isolab(&words).output().map_err(Error::system("execute isolab"))?;
        if !made.status.success() {
            let reason = String::from_utf8_lossy(&made.stderr).trim().to_owned();
            return Err(Error::system("make an image")(io::Error::other(reason)));
        }
        daemon.begin()?;
        Ok(daemon)
    }

    fn isolab(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.env("ISOLAB_IMAGES", self.directory.join("images"));
        command
    }

    /// Its socket.
    pub(super) fn socket(&self) -> PathBuf {
        self.directory.join("engine.sock")
    }

    /// Its directory.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Its process id; 0 if it was killed.
    pub(super) fn pid(&self) -> u32 {
        self.process.as_ref().map_or(0, Child::id)
    }

    /// Starts it, if it does not run.
    ///
    /// # Errors
    ///
    /// When nobody listens in time.
    pub(super) fn begin(&mut self) -> Result<()> {
        if let Some(process) = &mut self.process
            && let Ok(None) = process.try_wait()
        {
            return Ok(());
        }
        let (socket, data) = (self.socket(), self.directory.join("data"));
        let mut command = self.isolab(&["engine"]);
        command.arg("-H").arg(&socket).arg("--data").arg(data).stderr(Stdio::null());
        self.process = Some(command.spawn().map_err(Error::system("start the daemon"))?);
        let began = Instant::now();
        while UnixStream::connect(&socket).is_err() {
            if began.elapsed() > BEGIN {
                return Err(Error::system("wait for the daemon")(io::ErrorKind::TimedOut.into()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Kills it as `kill -9` does.
    pub(super) fn kill(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill(); // it may have ended
            let _ = process.wait();
        }
        self.process = None;
    }
}

/// A directory that nobody else has, and only this user may enter.
fn new_directory() -> Result<PathBuf> {
    const TRIES: u32 = 100;
    let mut number = 0;
    loop {
        let name = format!("isolab-engine-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        match DirBuilder::new().mode(0o700).create(&directory) {
            Ok(()) => return Ok(directory),
            // That of a process with the same id, which was killed.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < TRIES => {
                number += 1;
            }
            Err(error) => {
                return Err(Error::system(format!("create {}", directory.display()))(error));
            }
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Only a daemon knows all that is left of its containers.
        if self.begin().is_ok() {
            let all = client::request(&self.socket(), "GET", "/containers/json?all=1", None);
            let all = all.map(|(_, all)| all).unwrap_or_default();
            for container in all.as_array().into_iter().flatten() {
                let id = container["Id"].as_str().unwrap_or_default();
                let path = format!("/containers/{id}?force=1&v=1");
                let _ = client::request(&self.socket(), "DELETE", &path, None);
            }
        }
        self.kill();
        let _ = fs::remove_dir_all(&self.directory); // a file of somebody else stays
    }
}
