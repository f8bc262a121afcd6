//! Compiling a student's file without cargo: what cargo would call, and the libraries for it.
//!
//! Cargo is asked once, on the skeleton, and tells the call of the compiler (`--verbose`) and the
//! libraries that this links. The libraries are copied into a folder of the kit, so that whoever
//! compiles with them sees nothing else of what was built.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use serde::{Deserialize, Serialize};

use super::lines::{file_for_words, lines_of, words_in};
use crate::check::{SOURCES, digest};
use crate::runner::{
    Error, Front, Result,
    course::{Course, Lab},
    output::text::clean,
};

/// The file of a kit that is kept.
const FILE: &str = "kit.json";

/// What the programs of some labs are compiled with.
#[derive(Debug)]
pub(crate) struct Kit {
    /// The folder of the libraries.
    pub(crate) libraries: PathBuf,
    /// By the labs' numbers.
    calls: BTreeMap<String, Call>,
}

/// How the compiler is called for a lab.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Call {
    /// The [`digest`] of the lab's own sources, which are in its library.
    sources: String,
    words: Vec<String>,
}

/// A kit in a file.
#[derive(Serialize, Deserialize)]
struct Stored {
    /// What `rustc -vV` says of the compiler that made the libraries: no other one reads them.
    rustc: String,
    calls: BTreeMap<String, Call>,
}

#[derive(Deserialize)]
struct Artifact {
    reason: String,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

impl Kit {
    /// A kit whose libraries go into this folder.
    pub(crate) fn new(libraries: PathBuf) -> Self {
        Self { libraries, calls: BTreeMap::new() }
    }

    /// The kit in this folder, if the compiler in use can read it.
    pub(crate) fn open(folder: &Path, course: &Course) -> Option<Self> {
        let text = course.toolchain.owner().read(&folder.join(FILE)).ok()?;
        let stored: Stored = serde_json::from_slice(&text).ok()?;
        let is_usable = course.toolchain.rustc_version().is_ok_and(|it| it == stored.rustc);
        is_usable.then(|| Self { libraries: folder.to_owned(), calls: stored.calls })
    }

    /// Writes down what [`Kit::open`] reads.
    pub(crate) fn save(self, course: &Course) -> Result<()> {
        let stored = Stored { rustc: course.toolchain.rustc_version()?, calls: self.calls };
        let text = serde_json::to_vec(&stored).expect("it has only plain values");
        let path = self.libraries.join(FILE);
        fs::write(&path, text).map_err(Error::file("write", path))
    }

    /// Builds the lab's skeleton and takes over what the compiler was called with.
    pub(crate) fn add(&mut self, course: &Course, lab: &Lab, front: &mut dyn Front) -> Result<()> {
        if self.calls.contains_key(&lab.id) {
            return Ok(());
        }
        let mut cargo = course.toolchain.cargo("rustc");
        cargo.args(["--profile", "lab", "--offline", "--verbose", "--color", "never"]);
        cargo.args(["--message-format", "json", "--package", &lab.name, "--bin", &lab.bin("")]);
        cargo.arg("--target-dir").arg(&course.target);
        // A word that is new each time: what is as it was is not compiled, nor told.
        cargo.arg("--").arg("--cfg").arg(format!("isolab_kit_{}", std::process::id()));
        let (words, errors) = file_for_words()?;
        cargo.stdout(Stdio::piped()).stderr(errors);
        let mut child = cargo.spawn().map_err(|error| course.toolchain.no_start(&error))?;
        let mut files = Vec::new();
        let status = lines_of(&mut child, front, &mut |line, _| {
            if let Ok(Artifact { reason, filenames }) = serde_json::from_slice(line)
                && reason == "compiler-artifact"
            {
                files.extend(filenames);
            }
        })?;
        let said = words_in(words)?;
        let said = String::from_utf8_lossy(&said);
        let failed = || Error::Cargo {
            said: said.lines().rev().take(5).map(clean).collect::<Vec<_>>().join("\n"),
        };
        if !status.success() {
            return Err(failed());
        }
        let words = call_for(&said, &lab.bin("")).ok_or_else(failed)?;
        fs::create_dir_all(&self.libraries).map_err(Error::file("create", &self.libraries))?;
        for file in files.iter().filter(|file| is_library(file)) {
            let Some(name) = file.file_name() else { continue };
            let to = self.libraries.join(name);
            if !to.exists() {
                fs::copy(file, &to).map_err(Error::file("copy", file))?;
            }
        }
        self.calls.insert(lab.id.clone(), Call { sources: sources(lab), words });
        Ok(())
    }

    /// The compiler's arguments for a student's file, with the libraries seen in `libraries`.
    pub(crate) fn arguments(
        &self,
        lab: &str,
        source: &str,
        program: &str,
        libraries: &str,
    ) -> Option<Vec<String>> {
        Some(arguments(&self.calls.get(lab)?.words, source, program, libraries))
    }

    /// Whether the libraries have the lab as it is now.
    pub(crate) fn is_current(&self, lab: &Lab) -> bool {
        self.calls.get(&lab.id).is_some_and(|call| call.sources == sources(lab))
    }
}

fn sources(lab: &Lab) -> String {
    let texts = SOURCES.map(|path| lab.owner.read(&lab.folder.join(path)).unwrap_or_default());
    format!("{:016x}", digest(texts.each_ref().map(Vec::as_slice)))
}

/// What is linked: libraries, and those of procedural macros, by which others are understood.
fn is_library(file: &Path) -> bool {
    file.extension().is_some_and(|it| it == "rlib" || it == "so")
}

/// The compiler's arguments, from the line in which cargo tells them.
fn call_for(said: &str, bin: &str) -> Option<Vec<String>> {
    let mut lines = said.lines().filter_map(|line| {
        let line = line.trim_start().strip_prefix("Running `")?.strip_suffix('`')?;
        Some(words_of(line))
    });
    let is_it = |words: &Vec<String>| words.windows(2).any(|two| two == ["--crate-name", bin]);
    // Variables and the program stand before them.
    let bare =
        |words: Vec<String>| words.into_iter().skip_while(|it| it != "--crate-name").collect();
    lines.rfind(is_it).map(bare)
}

/// The words of a line that is quoted for a shell.
fn words_of(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut begun) = (Vec::new(), String::new(), false, false);
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => (quoted, begun) = (!quoted, true),
            '\\' if !quoted => word.extend(letters.next()),
            ' ' if !quoted => {
                if begun || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            letter => word.push(letter),
        }
    }
    if begun || !word.is_empty() {
        words.push(word);
    }
    words
}

/// The call for another file, another program and another folder of libraries.
fn arguments(call: &[String], source: &str, program: &str, libraries: &str) -> Vec<String> {
    let mut arguments = vec![source.to_owned(), "-o".to_owned(), program.to_owned()];
    let mut words = call.iter().peekable();
    let moved = |path: &str| {
        let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned();
        format!("{libraries}/{name}")
    };
    let skip = |words: &mut std::iter::Peekable<std::slice::Iter<'_, String>>| {
        words.next();
    };
    while let Some(word) = words.next() {
        let next = words.peek().map_or("", |next| next.as_str());
        match word.as_str() {
            "--out-dir" | "-L" => skip(&mut words),
            "--cfg" if next.starts_with("isolab_kit_") => skip(&mut words),
            "-C" if ["incremental=", "extra-filename="].iter().any(|it| next.starts_with(it)) => {
                skip(&mut words);
            }
            "--extern" => {
                skip(&mut words);
                let linked = match next.split_once('=') {
                    Some((name, path)) => format!("{name}={}", moved(path)),
                    None => next.to_owned(),
                };
                arguments.extend(["--extern".to_owned(), linked]);
            }
            word if word.starts_with("--emit=") => arguments.push("--emit=link".to_owned()),
            word if word.ends_with(".rs") || word.starts_with("--json=") => {}
            word => arguments.push(word.to_owned()),
        }
    }
    arguments.extend(["-L".to_owned(), format!("dependency={libraries}")]);
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_taken_from_what_cargo_tells() {
        let said = "   Compiling own-name v0.1.0\n     Running `/bin/rustc --crate-name own_name x.rs`\n     \
                    Running `A='b c' /r/rustc --crate-name lab08 --edition=2024 labs/08/src/student.rs \
                    --error-format=json --emit=dep-info,link '--warn=clippy::x' -C metadata=ab -C \
                    extra-filename=-cd --out-dir /t/deps -C incremental=/t/i -L dependency=/t/deps \
                    --extern own_name=/t/deps/libown_name-1.rlib --cfg isolab_kit_7 \
                    -Ctarget-feature=+crt-static`\n    Finished";
        let call = call_for(said, "lab08").unwrap();
        let expected = "/in/s.rs -o /out/p --crate-name lab08 --edition=2024 --error-format=json \
                        --emit=link --warn=clippy::x -C metadata=ab --extern \
                        own_name=/kit/libown_name-1.rlib -Ctarget-feature=+crt-static -L \
                        dependency=/kit";
        assert_eq!(arguments(&call, "/in/s.rs", "/out/p", "/kit").join(" "), expected);
        assert_eq!(call_for(said, "lab09"), None);
    }
}
