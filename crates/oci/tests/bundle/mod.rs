//! A bundle with a root of busybox, the runtime that is called on it, and what is left afterwards.
#![allow(dead_code, reason = "each test binary uses its part of it")]

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// The runtime.
pub const RUNTIME: &str = env!("CARGO_BIN_EXE_isolab-oci");

/// Says why a test is left out; `ISOLAB_REQUIRE=container` makes that a failure.
pub fn skip<T>(what: &str, why: &str) -> Option<T> {
    let required = std::env::var("ISOLAB_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|word| word == what), "{what} is required: {why}");
    eprintln!("skipped: {why}");
    None
}

/// A directory with config.json, a root, and the runtime's state; removed with all that is left of
/// its container.
pub struct Bundle {
    pub directory: TempDir,
    pub config: Value,
    pub id: String,
}

/// What a call of the runtime has answered.
#[derive(Debug)]
pub struct Answer {
    pub code: i32,
    pub output: String,
    pub errors: String,
    /// The lines that this call has added to the log.
    pub log: Vec<Value>,
}

impl Answer {
    /// Its output, of a call that must succeed.
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.output
    }

    /// The message of a call that must fail with this code: one line on standard error, and one in
    /// the log.
    pub fn failed(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:?}");
        assert_eq!(self.errors.lines().count(), 1, "{self:?}");
        let errors = self.log.iter().filter(|line| line["level"] == "error");
        let errors: Vec<&Value> = errors.collect();
        assert_eq!(errors.len(), 1, "{self:?}");
        assert_eq!(errors[0]["msg"], self.errors.trim_end(), "{self:?}");
        self.errors.trim_end().to_owned()
    }
}

/// What busybox is called in a root.
const APPLETS: [&str; 15] = [
    "sh", "cat", "id", "sleep", "true", "env", "ls", "echo", "kill", "stty", "test", "ps", "grep",
    "readlink", "ip",
];

/// A root with busybox, and nothing else.
pub fn make_root(root: &Path) -> Option<()> {
    let found = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|it| Path::new(it).exists());
    let Some(busybox) = found else {
        return skip("container", "there is no busybox; apt-get install busybox-static");
    };
    for name in ["bin", "dev", "proc", "sys", "tmp", "etc", "work"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    fs::copy(busybox, root.join("bin/busybox")).unwrap();
    for name in APPLETS {
        symlink("busybox", root.join("bin").join(name)).unwrap();
    }
    Some(())
}

impl Bundle {
    /// One whose program is a shell script. `None`, with the reason printed, where no container can
    /// be made.
    pub fn new(script: &str) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !nix::unistd::Uid::effective().is_root() {
            return skip("container", "these containers need root");
        }
        let directory = tempfile::tempdir().unwrap();
        make_root(&directory.path().join("rootfs"))?;
        let id = format!("oci-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let written =
            Command::new(RUNTIME).args(["spec", "-b"]).arg(directory.path()).status().unwrap();
        assert!(written.success());
        let text = fs::read(directory.path().join("config.json")).unwrap();
        let mut config: Value = serde_json::from_slice(&text).unwrap();
        config["process"]["terminal"] = false.into();
        config["root"]["readonly"] = false.into();
        // By its id in the command line a process can be found, wherever it is.
        config["process"]["args"] = json!(["sh", "-c", format!(": {id}; {script}")]);
        let bundle = Self { directory, config, id };
        bundle.write();
        Some(bundle)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes config.json.
    pub fn write(&self) {
        fs::write(self.path("config.json"), self.config.to_string()).unwrap();
    }

    /// The runtime with its global options.
    pub fn runtime(&self) -> Command {
        let mut command = Command::new(RUNTIME);
        command.arg("--root").arg(self.path("state"));
        command.arg("--log").arg(self.path("log")).args(["--log-format", "json"]);
        command
    }

    /// `create` with these options besides bundle and id.
    pub fn create(&self, options: &[&str]) -> Answer {
        self.make("create", options)
    }

    /// `run` in the same way.
    pub fn run(&self, options: &[&str]) -> Answer {
        self.make("run", options)
    }

    fn make(&self, word: &str, options: &[&str]) -> Answer {
        let mut command = self.runtime();
        command.arg(word).arg("-b").arg(self.directory.path()).args(options).arg(&self.id);
        self.answer(command)
    }

    /// A command of the runtime with these words; `@` is the container's id.
    pub fn call(&self, words: &[&str]) -> Answer {
        let mut command = self.runtime();
        command.args(words.iter().map(|word| if *word == "@" { &*self.id } else { word }));
        self.answer(command)
    }

    /// Its answer. Files, not pipes: a container that goes on has them too.
    pub fn answer(&self, mut command: Command) -> Answer {
        let read = || fs::read_to_string(self.path("log")).unwrap_or_default();
        let before = read().len();
        let (mut output, mut errors) =
            (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let copy = |file: &File| Stdio::from(file.try_clone().unwrap());
        command.stdin(Stdio::null()).stdout(copy(&output)).stderr(copy(&errors));
        let code = command.status().unwrap().code().unwrap_or(-1);
        let log =
            read()[before..].lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let text = |file: &mut File| {
            let mut text = String::new();
            file.rewind().unwrap();
            file.read_to_string(&mut text).unwrap();
            text
        };
        Answer { code, output: text(&mut output), errors: text(&mut errors), log }
    }

    /// `status` and the other properties of `state`.
    pub fn state(&self) -> Value {
        serde_json::from_str(&self.call(&["state", "@"]).ok()).unwrap()
    }

    pub fn wait_until_stopped(&self) {
        wait_until("the container has stopped", || self.state()["status"] == "stopped");
    }

    /// What is left of its container: directories of state, cgroups, mounts, processes.
    pub fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        let entries = fs::read_dir(self.path("state")).into_iter().flatten().flatten();
        left.extend(entries.map(|entry| format!("state {:?}", entry.file_name())));
        left.extend(cgroups_named(&self.id).into_iter().map(|path| format!("cgroup {path:?}")));
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let here = self.directory.path().to_str().unwrap();
        let ours = mounts.lines().filter(|line| line.contains(here));
        left.extend(ours.map(|line| format!("mount {line}")));
        left.extend(processes_of(&self.id).into_iter().map(|pid| format!("process {pid}")));
        left
    }

    pub fn assert_nothing_left(&self) {
        // A killed process is in /proc for a moment longer.
        let began = Instant::now();
        while !self.left().is_empty() && began.elapsed() < Duration::from_secs(5) {
            sleep(Duration::from_millis(5));
        }
        assert_eq!(self.left(), Vec::<String>::new());
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        let mut command = self.runtime();
        let _ = command.args(["delete", "--force", &self.id]).stderr(Stdio::null()).status();
    }
}

/// Waits for something that must come.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(20), "not after 20 s: {what}");
        sleep(Duration::from_millis(5));
    }
}

/// The cgroups of that name, below all hierarchies.
pub fn cgroups_named(name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name() == name {
                    found.push(entry.path());
                }
                waiting.push(entry.path());
            }
        }
    }
    found
}

/// The processes, zombies left out, whose command line has that word in it.
pub fn processes_of(word: &str) -> Vec<i32> {
    let own = std::process::id().cast_signed();
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let has_it = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(word)
    };
    pids.filter(|pid| *pid != own && has_it(pid)).collect()
}
