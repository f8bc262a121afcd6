//! A daemon of a test's own, with its own images, and its clients.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{in_english, isolab, output_of, skip, wait_for};

/// A registry; it ends with this.
pub struct Registry {
    process: Child,
    /// Where it listens.
    pub address: String,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A daemon; its containers are removed with it.
pub struct Daemon {
    folder: TempDir,
    process: Child,
    options: Vec<String>,
}

/// Whether containers of this host's busybox can be made here, by root's daemon.
pub fn can_serve() -> bool {
    let has_busybox = Command::new("busybox").arg("true").status().is_ok_and(|it| it.success());
    if !has_busybox {
        return skip::<()>("container", "this host has no busybox").is_some();
    }
    if !nix::unistd::Uid::effective().is_root() {
        return skip::<()>("container", "images keep their owners only for root").is_some();
    }
    super::can("container", container::available())
}

/// Whether this host has the docker command.
pub fn has_docker() -> bool {
    let found =
        Command::new("docker").arg("--version").output().is_ok_and(|it| it.status.success());
    found || skip::<()>("docker", "this host has no docker command").is_some()
}

impl Daemon {
    /// One with the image `busybox`.
    pub fn start() -> Self {
        Self::start_with(|_| Vec::new())
    }

    /// One with the image `busybox`, and with options that may name files of its folder.
    pub fn start_with(options: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let folder = TempDir::new().unwrap();
        let options = options(folder.path());
        let daemon = Self { process: Self::spawn(&folder, &options), folder, options };
        daemon.wait();
        let (code, output, errors) = output_of(
            isolab(&["image", "import-host", "busybox:latest", "--", "busybox"])
                .env("ISOLAB_IMAGES", daemon.path("images")),
        );
        assert_eq!(code, 0, "{output}{errors}");
        daemon
    }

    fn spawn(folder: &TempDir, options: &[String]) -> Child {
        let path = |name: &str| folder.path().join(name);
        // In a network of its own: its bridges and ports are nobody else's.
        let up = "busybox ip link set lo up; exec \"$0\" \"$@\"";
        let words = ["--net", "sh", "-c", up, env!("CARGO_BIN_EXE_isolab"), "engine"];
        let mut command = in_english(Command::new("unshare"), &words);
        command.arg("-H").arg(path("engine.sock")).arg("--data").arg(path("data")).args(options);
        command.env("ISOLAB_IMAGES", path("images"));
        command.stderr(fs::File::create(path("errors")).unwrap()).spawn().unwrap()
    }

    fn wait(&self) {
        wait_for("the daemon", || UnixStream::connect(self.path("engine.sock")).is_ok());
    }

    /// A path in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The most memory that it had resident at any time, in bytes (proc_pid_status(5): `VmHWM`).
    pub fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        host::memory_field(&status, "VmHWM").unwrap()
    }

    /// A command in the daemon's network.
    pub fn in_its_network(&self, words: &[&str]) -> Command {
        let network = format!("--net=/proc/{}/ns/net", self.process.id());
        in_english(Command::new("nsenter"), &[&[network.as_str()], words].concat())
    }

    /// Kills it as the kernel would.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Kills it as the kernel would, and starts the next one.
    pub fn kill_and_start(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.process = Self::spawn(&self.folder, &self.options);
        wait_for("the next daemon", || UnixStream::connect(self.path("engine.sock")).is_ok());
    }

    /// A registry in the daemon's network.
    pub fn registry(&self) -> Registry {
        let program = env!("CARGO_BIN_EXE_isolab");
        let words = [program, "registry", "serve", "--listen", "127.0.0.1:0", "--data"];
        let mut command = self.in_its_network(&words);
        let errors = fs::File::create(self.path("registry-errors")).unwrap();
        command.arg(self.path("registry")).stdout(Stdio::null()).stderr(errors);
        let mut registry = Registry { process: command.spawn().unwrap(), address: String::new() };
        let address = || {
            let text = fs::read_to_string(self.path("registry-errors")).unwrap_or_default();
            let (_, rest) = text.split_once("127.0.0.1:")?;
            let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
            (rest.len() > port.len()).then(|| format!("127.0.0.1:{port}"))
        };
        wait_for("the registry", || address().is_some());
        registry.address = address().unwrap();
        registry
    }

    /// The docker command as a client of it.
    pub fn docker(&self, words: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args(words).stdin(Stdio::null()).env("DOCKER_BUILDKIT", "0");
        command.env("DOCKER_HOST", format!("unix://{}", self.path("engine.sock").display()));
        command.env("DOCKER_CONFIG", self.path("config"));
        command
    }

    /// Its output, of a command that must succeed; without the last newline.
    pub fn output(&self, words: &[&str]) -> String {
        let (code, output, errors) = output_of(&mut self.docker(words));
        assert_eq!(code, 0, "{words:?}: {output}{errors}");
        output.trim_end().to_owned()
    }

    /// Exit code and errors, of one that must fail.
    pub fn refused(&self, words: &[&str]) -> (i32, String) {
        let (code, output, errors) = output_of(&mut self.docker(words));
        assert_ne!(code, 0, "{words:?}: {output}");
        (code, errors)
    }

    /// Status and body of a request.
    pub fn request(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let text = format!(
            "{method} {path} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let (status, body) = self.raw(text.as_bytes());
        (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
    }

    /// Status and body of the answer to these bytes; 0 if there is none.
    pub fn raw(&self, bytes: &[u8]) -> (u16, String) {
        let mut stream = UnixStream::connect(self.path("engine.sock")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // It may have answered and closed before it has read all.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let text = String::from_utf8_lossy(&answer).into_owned();
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let body = match head.to_lowercase().contains("transfer-encoding: chunked") {
            true => unchunked(body),
            false => body.to_owned(),
        };
        (status.unwrap_or(0), body)
    }
}

/// The pieces of a chunked body, joined.
fn unchunked(mut text: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = text.split_once("\r\n") {
        let Some(piece) = usize::from_str_radix(length, 16).ok().and_then(|at| rest.get(..at))
        else {
            break;
        };
        whole += piece;
        text = rest.get(piece.len() + 2..).unwrap_or_default();
    }
    whole
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let (_, listed) = self.request("GET", "/containers/json?all=1", &Value::Null);
        for container in listed.as_array().into_iter().flatten() {
            let id = container["Id"].as_str().unwrap_or_default();
            self.request("DELETE", &format!("/containers/{id}?force=1&v=1"), &Value::Null);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            let errors = fs::read_to_string(self.path("errors")).unwrap_or_default();
            println!("the daemon said: {errors}");
        }
    }
}
