//! A checkout with one small lab, whose check believes what the program prints.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::isolab;

const WORKSPACE: &str = r#"[workspace]
resolver = "3"
members = ["labs/*"]

[profile.lab]
inherits = "dev"
debug = false
"#;

const MANIFEST: &str = r#"[package]
name = "own-name"
version = "0.1.0"
edition = "2024"
autobins = false

[package.metadata.lab]
track = "container"
minutes = 45
needs = []
timing = true
nest = true

[lib]
path = "src/lib.rs"

[[bin]]
name = "lab88"
path = "src/student.rs"

[[bin]]
name = "lab88-solution"
path = "src/solution.rs"

[[bin]]
name = "lab88-check"
path = "check.rs"

[[bin]]
name = "lab88-no-fork"
path = "mutants/no_fork.rs"

[[bin]]
name = "lab88-silent"
path = "mutants/silent.rs"
"#;

const MESSAGES: &str = r#"[lab.en]
title = "A name of its own"
goal = "A process whose host name is its own."
first = "Write `spawn_isolated`."
[lab.zh]
title = "自己的名字"
goal = "让一个进程拥有自己的主机名。"
first = "写 `spawn_isolated`。"

[predict.exits.en]
question = "How many exits?"
unit = "exits"
[predict.exits.zh]
question = "会有多少次退出？"
unit = "次"

[L88-no-fork]
man = "pid_namespaces(7)"
[L88-no-fork.en]
saw = "process {pid} is in its parent's pid namespace"
expected = "a namespace of its own"
why = "Only children are in the new one."
next = "Fork in {file}."
hints = ["first hint", "second hint", "third hint"]
[L88-no-fork.zh]
saw = "进程 {pid} 还在父进程的 PID 命名空间里"
expected = "自己的命名空间"
why = "只有子进程才在新的命名空间里。"
next = "在 {file} 里 fork。"
hints = ["提示一", "提示二", "提示三"]
"#;

const README: &str = "# Lab 88

## Steps

All in your own file. A new process, in a namespace of its own.

## How to check
";

const CLAUSES: &str = r#"background = ["All in your own file."]

[[clause]]
says = "A new process, in a namespace of its own."
by = ["L88-no-fork"]
mutants = ["no-fork"]
"#;

/// `solved` passes, `no-fork` and silence fail, a panic is a step that is not written, and `die`,
/// `hang` and `busy` are the check's own troubles.
const CHECK: &str = r#"
use std::{io::Read, process::Command};

fn main() {
    let program = std::env::args().nth(2).unwrap();
    let output = Command::new(program).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let (verdict, id, code) = match (output.status.code(), &*said) {
        (_, "solved") => ("pass", "null", 0),
        (_, "no-fork") => ("fail", "\"L88-no-fork\"", 1),
        (_, "busy") => ("cannot-tell", "\"busy\"", 3),
        (_, "die") => { eprintln!("a fault of the check"); std::process::abort() }
        (_, "hang") => { let _ = std::io::stdin().read(&mut [0]); std::process::exit(9) }
        (Some(101), _) => ("fail", "\"not-written\"", 1),
        _ => ("fail", "\"ended-early\"", 1),
    };
    println!(
        "{{\"lab\":\"88\",\"verdict\":\"{verdict}\",\"id\":{id},\"facts\":{{\"pid\":\"4711\",\"todo\":\"step 1\",\
         \"seen\":\"s\",\"wanted\":\"w\",\"status\":\"exit 0\",\"point\":\"inside\"}},\
         \"evidence\":[{{\"place\":\"/proc/4711/ns/pid\",\"says\":\"pid:[1]\"}}],\
         \"measured\":{{\"exits\":1012.0}},\"output\":[\"{said}\"]}}"
    );
    std::process::exit(code);
}
"#;

/// The checkout, and a home to keep the progress in.
pub struct Labs {
    pub folder: tempfile::TempDir,
}

impl Labs {
    pub fn new() -> Self {
        let labs = Self { folder: tempfile::tempdir().unwrap() };
        labs.write("Cargo.toml", WORKSPACE);
        labs.write("labs/88-own-name/Cargo.toml", MANIFEST);
        labs.write("labs/88-own-name/messages.toml", MESSAGES);
        labs.write("labs/88-own-name/README.md", README);
        labs.write("labs/88-own-name/clauses.toml", CLAUSES);
        labs.write("labs/88-own-name/src/lib.rs", "");
        labs.write("labs/88-own-name/check.rs", CHECK);
        labs.student("fn main() { todo!(\"step 1\") }\n");
        labs.program("src/solution.rs", "solved");
        labs.program("mutants/no_fork.rs", "no-fork");
        labs.write(
            "labs/88-own-name/mutants/silent.rs",
            "//! Caught as: ended-early\nfn main() {}\n",
        );
        labs
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join("checkout").join(path)
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A program that prints this.
    pub fn program(&self, path: &str, says: &str) {
        self.write(
            &format!("labs/88-own-name/{path}"),
            &format!("fn main() {{ println!({says:?}) }}\n"),
        );
    }

    /// What the student has written: in their own file, once there is one.
    pub fn student(&self, text: &str) {
        let own = "work/88-own-name/student.rs";
        let tracked = "labs/88-own-name/src/student.rs";
        self.write(if self.path(own).exists() { own } else { tracked }, text);
    }

    pub fn student_says(&self, says: &str) {
        self.student(&format!("fn main() {{ println!({says:?}) }}\n"));
    }

    /// `isolab lab` with these words, in the checkout.
    pub fn lab(&self, words: &[&str]) -> Command {
        let mut command = isolab(&["lab"]);
        command.args(words).current_dir(self.path("")).stdin(Stdio::null());
        command.env("XDG_STATE_HOME", self.state()).env_remove("LC_ALL").env("LANG", "C");
        command.env_remove("CARGO_TARGET_DIR");
        command
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// The progress as it is on disk.
    pub fn progress(&self) -> serde_json::Value {
        let text = fs::read(self.state().join("isolab/labs.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    /// Lets git know the files as they are now.
    pub fn commit(&self) {
        for words in [&["init", "-q"][..], &["add", "labs", "Cargo.toml"]] {
            let done = Command::new("git").args(words).current_dir(self.path("")).status();
            assert!(done.unwrap().success());
        }
    }
}

/// The files in a folder, by name.
pub fn files(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        files.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
