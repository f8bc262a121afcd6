//! What the tests of all engines need: a directory for each, its daemon, its client, and what may be left.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::LazyLock,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::bundle::{self, make_root, skip};

/// A daemon that ends with the test.
pub struct Daemon(pub Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.0.id().cast_signed());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(15) {
            if self.0.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The directory of an engine. What is mounted in it is unmounted first: podman leaves its storage so.
/// Engines leave the cgroups in which those of their containers were; the ones that were not there
/// before go too.
pub struct Directory(TempDir);

/// The cgroups that were there before any of these tests.
static PARENTS_BEFORE: LazyLock<Vec<PathBuf>> = LazyLock::new(parents);

impl Directory {
    fn new() -> Self {
        LazyLock::force(&PARENTS_BEFORE);
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// The cgroups in which podman, containerd's namespace and Docker put those of containers, and podman its
/// monitors below its own.
fn parents() -> Vec<PathBuf> {
    ["libpod_parent", "conmon", "default", "docker"]
        .into_iter()
        .flat_map(bundle::cgroups_named)
        .collect()
}

impl Drop for Directory {
    fn drop(&mut self) {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
        let below: Vec<&str> = points.filter(|it| Path::new(it).starts_with(self.path())).collect();
        for point in below.into_iter().rev() {
            let _ = Command::new("umount").arg("--lazy").arg(point).status();
        }
        // Only empty ones can be removed: another test may be using them.
        for parent in parents().into_iter().rev().filter(|it| !PARENTS_BEFORE.contains(it)) {
            let _ = fs::remove_dir(parent);
        }
    }
}

/// A place for an engine, with a root of busybox and a tar archive of it.
pub fn place(programs: &[&str]) -> Option<Directory> {
    if !nix::unistd::Uid::effective().is_root() {
        return skip("engines", "engines need root");
    }
    for program in programs {
        if Command::new(program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_err()
        {
            return skip("engines", &format!("there is no program {program}"));
        }
    }
    let place = Directory::new();
    make_root(&place.path().join("rootfs"))?;
    // The first container of a pod only waits.
    let pause = place.path().join("rootfs/bin/pause");
    fs::write(&pause, "#!/bin/sh\nexec sleep 100000\n").unwrap();
    fs::set_permissions(&pause, fs::Permissions::from_mode(0o755)).unwrap();
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(place.path().join("rootfs")).arg("-cf").arg(place.path().join("root.tar"));
    assert!(tar.arg(".").status().unwrap().success());
    Some(place)
}

/// What a program has written, which must end with this code.
pub fn said(mut command: Command, code: i32) -> String {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    let (output, errors) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert_eq!(status.code(), Some(code), "{command:?}\n{output}\n{errors}");
    output.into_owned()
}

/// An engine's client: its program with the words that come first.
pub struct Client {
    pub program: &'static str,
    pub words: Vec<String>,
}

impl Client {
    pub fn says(&self, words: &[&str], code: i32) -> String {
        let mut command = Command::new("timeout");
        command.args(["60", self.program]).args(&self.words).args(words);
        said(command, code)
    }

    /// What podman and docker have in common.
    pub fn runs_containers(&self, options: &[&str]) {
        fn joined<'a>(options: &[&'a str], words: &[&'a str]) -> Vec<&'a str> {
            [&["run"], options, words].concat()
        }
        let image = "isolab-test";
        let text = self.says(&joined(options, &["--rm", image, "echo", "hello"]), 0);
        assert_eq!(text, "hello\n");
        self.says(&joined(options, &["--rm", image, "sh", "-c", "exit 7"]), 7);
        self.says(&joined(options, &["--rm", image, "/bin/nope"]), 127);
        let text = self
            .says(&joined(options, &["--rm", "-t", image, "sh", "-c", "test -t 0 && echo tty"]), 0);
        assert_eq!(text, "tty\r\n");
        let text = self.says(
            &joined(
                options,
                &[
                    "--rm",
                    "--read-only",
                    "--memory",
                    "64m",
                    "-w",
                    "/tmp",
                    "-e",
                    "A=b",
                    "-u",
                    "5:6",
                    image,
                    "sh",
                    "-c",
                    "echo $A $PWD $(id -u) $(id -g)",
                ],
            ),
            0,
        );
        assert_eq!(text, "b /tmp 5 6\n");
        self.says(&joined(options, &["-d", "--name", "stays", image, "sleep", "1000"]), 0);
        let text = self.says(&["exec", "stays", "sh", "-c", "echo inside; exit 3"], 3);
        assert_eq!(text, "inside\n");
        let text = self.says(&["exec", "-t", "stays", "sh", "-c", "test -t 1 && echo tty"], 0);
        assert_eq!(text, "tty\r\n");
        let table = self.says(&["top", "stays"], 0);
        assert!(table.contains("sleep"), "{table}");
        self.says(&["pause", "stays"], 0);
        self.says(&["unpause", "stays"], 0);
        self.says(&["kill", "-s", "KILL", "stays"], 0);
        assert_eq!(self.says(&["wait", "stays"], 0), "137\n");
        self.says(&["start", "stays"], 0);
        self.says(&["stop", "-t", "1", "stays"], 0);
        self.says(&["rm", "-f", "stays"], 0);
        self.says(&joined(options, &["-d", "--name", "removed", image, "sleep", "1000"]), 0);
        self.says(&["rm", "-f", "removed"], 0);
    }
}

/// No mount or process of an engine's container is left.
pub fn nothing_left(place: &Path) {
    let here = place.to_str().unwrap();
    bundle::wait_until("all mounts of containers are gone", || {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let left = mounts.lines().filter(|line| line.contains(here) && line.contains("/merged "));
        left.count() == 0
    });
}

pub fn text(path: &Path) -> String {
    path.display().to_string()
}
