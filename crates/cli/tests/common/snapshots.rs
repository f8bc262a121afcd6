//! A user's snapshots, for tests of guests that are saved while they run.

use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::{guest::Guest, isolab, output_of};

/// A user's snapshots.
pub struct Snapshots(pub TempDir);

impl Snapshots {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn isolab(&self, words: &[&str]) -> Command {
        let mut command = isolab(words);
        command.env("XDG_DATA_HOME", self.0.path());
        command
    }

    pub fn save(&self, guest: &Guest, name: &str) -> Command {
        self.isolab(&["snapshot", "save", "--from", &guest.name, name])
    }

    /// Names, and what is wrong with them.
    pub fn listed(&self) -> Vec<(String, serde_json::Value)> {
        let (code, output, errors) = output_of(&mut self.isolab(&["snapshot", "list", "--json"]));
        assert_eq!(code, 0, "{errors}");
        let list: Vec<serde_json::Value> = serde_json::from_str(&output).unwrap();
        let entry =
            |it: &serde_json::Value| (it["name"].as_str().unwrap().into(), it["damage"].clone());
        list.iter().map(entry).collect()
    }

    /// All that is in the folder, unfinished ones among it.
    pub fn files(&self) -> usize {
        fs::read_dir(self.0.path().join("isolab/snapshots")).into_iter().flatten().count()
    }

    /// Lets a clone go on with these lines as its input.
    pub fn restore(&self, name: &str, lines: &str) -> (i32, String, String) {
        let mut command = self.isolab(&["snapshot", "restore", name]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        let ended = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (ended.status.code().unwrap(), text(&ended.stdout), text(&ended.stderr))
    }
}
