//! What the tests of the command share.
#![allow(dead_code, reason = "each test binary uses its part of it")]

pub mod browser;
pub mod engine;
pub mod fuse;
pub mod guest;
pub mod inside;
pub mod labs;
pub mod lan;
pub mod runs;
pub mod snapshots;
pub mod terminal;

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Arc, Once},
    thread::sleep,
    time::{Duration, Instant},
};

use demo::Demo;
use host::process_tree;
use sandbox::Process;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

/// Names of one test's own: the ledger is one for all that a user runs.
pub struct Names {
    prefix: String,
}

impl Names {
    pub fn of(test: &str) -> Self {
        Self { prefix: format!("test-{}-{test}-", std::process::id()) }
    }

    pub fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// What is in the ledger of this test, with its state.
    pub fn listed(&self) -> Vec<(String, String)> {
        let (code, output, errors) = output_of(&mut isolab(&["ps", "--json"]));
        assert_eq!(code, 0, "{errors}");
        let listed: Vec<serde_json::Value> = serde_json::from_str(&output).unwrap();
        let text = |entry: &serde_json::Value, key: &str| entry[key].as_str().unwrap().to_owned();
        listed
            .iter()
            .map(|entry| (text(entry, "name"), text(entry, "state")))
            .filter(|(name, _)| name.starts_with(&self.prefix))
            .collect()
    }

    /// Waits until that one is running.
    pub fn wait_for(&self, name: &str) {
        let expected = (self.name(name), "running".to_owned());
        wait_for(name, || self.listed().contains(&expected));
    }
}

/// A container to run second commands in, ended with this.
pub struct Host {
    pub name: String,
    launcher: std::process::Child,
}

impl Host {
    pub fn start(test: &str) -> Self {
        let names = Names::of(test);
        let name = names.name("host");
        let mut command = isolab(&["run", "--init", "--name", &name, "--", "sleep", "600"]);
        let launcher = command.stdout(Stdio::null()).spawn().unwrap();
        names.wait_for("host");
        Self { name, launcher }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = isolab(&["stop", &self.name]).stderr(Stdio::null()).status();
        let _ = self.launcher.kill();
        let _ = self.launcher.wait();
    }
}

/// The command with these words and no input.
pub fn isolab(words: &[&str]) -> Command {
    in_english(Command::new(env!("CARGO_BIN_EXE_isolab")), words)
}

/// The same for a command that leads to it: whatever language this host's user has chosen, what
/// isolab and the programs below it say is in English.
pub fn in_english(mut command: Command, words: &[&str]) -> Command {
    reset_ignored_signals();
    command.args(words).stdin(Stdio::null()).env("LC_ALL", "C");
    command
}

/// Exit code, output and errors.
pub fn output_of(command: &mut Command) -> (i32, String, String) {
    let ended = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (ended.status.code().unwrap(), text(&ended.stdout), text(&ended.stderr))
}

/// Waits until `done`, at most 10 seconds.
pub fn wait_for(what: &str, done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(10), "waiting for {what}");
        sleep(Duration::from_millis(5));
    }
}

/// All that descends from the process `first`, told apart from later processes of the same number.
pub fn descendants(first: u32) -> Vec<Process> {
    process_tree(first).into_iter().skip(1).filter_map(Process::of).collect()
}

/// Whether this process ignores that signal.
fn is_ignored(number: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    u64::from_str_radix(set.trim(), 16).unwrap() >> (number - 1) & 1 == 1
}

/// Has programs find the usual dispositions of signals, although whoever started the tests ignores
/// some, as nohup(1) and the background jobs of a script do: what has a handler here is as usual
/// again in a new program (signal(7)).
fn reset_ignored_signals() {
    static RESET: Once = Once::new();
    RESET.call_once(|| {
        for number in [SIGHUP, SIGINT, SIGQUIT, SIGTERM].into_iter().filter(|it| is_ignored(*it)) {
            signal_hook::flag::register(number, Arc::default()).unwrap();
        }
    });
}

/// Sends a signal by its name.
pub fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &pid.to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Whether `what` can be tested here; otherwise prints why not, which `ISOLAB_REQUIRE` forbids.
pub fn can(what: &str, available: sandbox::Result<()>) -> bool {
    let Err(error) = available else { return true };
    skip::<()>(what, &sandbox::chain_with_help(&error, error.fix())).is_some()
}

/// Whether that demonstration can be shown live on this host.
pub fn can_live(demo: Demo) -> bool {
    let kvm = match demo {
        Demo::Slices | Demo::Exits | Demo::Race => true,
        Demo::Namespaces | Demo::Layers | Demo::Breakout | Demo::Engine => false,
    };
    // The images of a daemon keep their owners only for root.
    if demo == Demo::Engine && !nix::unistd::Uid::effective().is_root() {
        return skip::<()>("container", "this demonstration needs root").is_some();
    }
    can("container", container::available()) && (!kvm || can("microvm", microvm::available()))
}

/// Says that a test which needs `what` is skipped, and why; fails where it is required.
pub fn skip<T>(what: &str, reason: &str) -> Option<T> {
    let required = std::env::var("ISOLAB_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|word| word == what), "{what} is required: {reason}");
    eprintln!("skipped: {reason}");
    None
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
