//! A Linux guest that is running, for tests of what can be asked of one.

use std::{
    io::Read as _,
    process::{Child, ChildStdout, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use super::{isolab, output_of, signal};

/// A guest that is up: its command has said so. Dropping it ends it.
pub struct Guest {
    pub name: String,
    pub launcher: Child,
    pub output: ChildStdout,
}

impl Guest {
    pub fn of(name: &str, options: &[&str], script: &str) -> Self {
        Self::with_input(name, options, script, Stdio::null())
    }

    pub fn with_input(name: &str, options: &[&str], script: &str, input: Stdio) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("control-{}-{number}-{name}", std::process::id());
        let mut command = isolab(&["run", "--in", "linux", "--deadline", "300s", "--name", &name]);
        command.args(options).args(["--", "/bin/sh", "-c", &format!("echo up; {script}")]);
        let mut launcher =
            command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut output = launcher.stdout.take().unwrap();
        let mut up = [0; 3];
        if output.read_exact(&mut up).is_err() || !up.starts_with(b"up") {
            let mut errors = String::new();
            launcher.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
            panic!("{errors}");
        }
        Self { name, launcher, output }
    }

    pub fn idle(name: &str) -> Self {
        Self::of(name, &[], "while :; do sleep 1; done")
    }

    pub fn signal(&self, name: &str) {
        signal(self.launcher.id(), name);
    }

    /// Waits for its end; its code, and what it said behind "up".
    pub fn end(&mut self) -> (i32, String) {
        let mut said = String::new();
        self.output.read_to_string(&mut said).unwrap();
        (self.launcher.wait().unwrap().code().unwrap(), said)
    }

    /// isolab's command of that name, for this guest.
    pub fn ask(&self, word: &str) -> (i32, String, String) {
        output_of(&mut isolab(&[word, &self.name]))
    }

    pub fn exec(&self, words: &[&str]) -> Command {
        let mut command = isolab(&["exec", &self.name, "--"]);
        command.args(words);
        command
    }

    /// Its machine's figures.
    pub fn machine(&self) -> serde_json::Value {
        let (code, output, errors) = self.ask("inspect");
        assert_eq!(code, 0, "{errors}");
        let mut listed: serde_json::Value = serde_json::from_str(&output).unwrap();
        assert_eq!(listed[0]["name"], self.name);
        listed[0]["machine"].take()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Twice is an order; one that is killed would leave its name behind.
        while let Ok(None) = self.launcher.try_wait() {
            signal(self.launcher.id(), "TERM");
            thread::sleep(Duration::from_millis(50));
        }
    }
}
