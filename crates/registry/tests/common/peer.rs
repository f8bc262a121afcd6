//! Debian's `docker-registry`, as a peer that others have written.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// A running registry; it ends with the test.
pub struct Peer {
    pub address: String,
    pub folder: TempDir,
    child: Child,
}

impl Peer {
    /// Starts one whose configuration also has the lines of `auth` and, below `http`, of `tls`.
    /// `None` if it is not installed.
    pub fn start(
        auth: &dyn Fn(&TempDir) -> String,
        tls: &dyn Fn(&TempDir) -> String,
    ) -> Option<Self> {
        let program = find("docker-registry")?;
        let folder = TempDir::new().unwrap();
        // The port is free for a moment only; nobody else is told of it.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let data = folder.path().join("data");
        let config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\n  \
             delete:\n    enabled: true\nhttp:\n  addr: {address}\n{}{}",
            data.display(),
            tls(&folder),
            auth(&folder),
        );
        let path = folder.path().join("config.yml");
        fs::write(&path, config).unwrap();
        let mut command = Command::new(program);
        command.arg("serve").arg(path).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let mut peer = Self { address, folder, child };
        let began = Instant::now();
        while TcpStream::connect(&peer.address).is_err() {
            assert!(peer.child.try_wait().unwrap().is_none(), "docker-registry ended");
            assert!(began.elapsed() < Duration::from_secs(20), "docker-registry does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        Some(peer)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where a program is, by `PATH`.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// Runs a program of this host; its standard output.
pub fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}
