//! Runs in the background, as the tests start them and ask for them.

use std::process::{Child, Stdio};

use serde_json::Value;

use super::{Names, can, isolab, output_of};

pub fn containers() -> bool {
    can("container", container::available())
}

/// Runs in the background under names of their own; what is left at the end of a test is removed.
pub struct Runs {
    pub names: Names,
    pub made: Vec<String>,
}

impl Runs {
    pub fn of(test: &str) -> Self {
        Self { names: Names::of(test), made: Vec::new() }
    }

    /// Starts one with these options and words, and gives its name.
    pub fn start(&mut self, name: &str, words: &[&str]) -> String {
        let name = self.names.name(name);
        self.made.push(name.clone());
        let words = [&["run", "-d", "--name", &name], words].concat();
        assert_eq!(output_of(&mut isolab(&words)), (0, format!("{name}\n"), String::new()));
        name
    }

    pub fn script(&mut self, name: &str, options: &[&str], script: &str) -> String {
        self.start(name, &[options, &["--", "/bin/sh", "-c", script]].concat())
    }
}

impl Drop for Runs {
    fn drop(&mut self) {
        for name in &self.made {
            let _ = output_of(&mut isolab(&["rm", "-f", name]));
        }
    }
}

/// What these words print, when they succeed.
pub fn says(words: &[&str]) -> String {
    let (code, output, errors) = output_of(&mut isolab(words));
    assert_eq!(code, 0, "{words:?}: {errors}");
    output
}

pub fn inspect(name: &str) -> Value {
    let all: Value = serde_json::from_str(&says(&["inspect", name])).unwrap();
    all[0].clone()
}

/// Its entry in the list of all, if there is one.
pub fn listed(name: &str) -> Option<Value> {
    let all: Vec<Value> = serde_json::from_str(&says(&["ps", "-a", "--json"])).unwrap();
    all.into_iter().find(|entry| entry["name"] == name)
}

pub fn state(name: &str) -> String {
    listed(name).map_or("gone".into(), |entry| entry["state"].as_str().unwrap().to_owned())
}

pub fn pid(about: &Value, key: &str) -> u32 {
    u32::try_from(about[key].as_u64().unwrap_or_else(|| panic!("{key} of {about}"))).unwrap()
}

/// Starts `isolab` with pipes for all streams.
pub fn piped(words: &[&str]) -> Child {
    let mut command = isolab(words);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

pub fn ends(child: Child) -> (i32, String, String) {
    let ended = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (ended.status.code().unwrap_or(-1), text(&ended.stdout), text(&ended.stderr))
}
