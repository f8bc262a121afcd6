//! isolab's own daemon, started for the measurement.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use image::store::DIRECTORY_VARIABLE;
use tempfile::TempDir;

use super::{DaemonProcess, http::Http, import};
use crate::Error;

/// It serves within milliseconds.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A daemon with the image; it ends with this, and its directory is removed.
pub struct Daemon {
    process: DaemonProcess,
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
        command.stdout(Stdio::null()).stderr(errors);
        let mut process = DaemonProcess::start(&mut command, path("socket"), TIMEOUT)?;
        process.await_socket("isolab engine", TIMEOUT, || fs::read(path("errors")))?;
        import(&mut Http::connect(process.socket())?)?;
        Ok(Self { process, folder })
    }

    /// Its socket.
    pub fn socket(&self) -> &Path {
        self.process.socket()
    }

    /// Its images, for other commands: the name of the variable, and its value.
    pub fn images(&self) -> (&'static str, PathBuf) {
        (DIRECTORY_VARIABLE, self.folder.path().join("images"))
    }
}
