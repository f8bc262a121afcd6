//! What was handed in: whose, for which lab, from the names of files.
//!
//! ```text
//!   ada/08.rs   ada/08-own-name.rs   ada/08-own-name/student.rs   ada/08/student.rs
//!   ada.json                                     an export, which has the answers in it
//!   Ada L_123_assignsubmission_file_08.rs        Moodle: student, number, and the file's name
//!   Ada L_123_assignsubmission_file_/08.rs       the same with a folder for each student
//! ```
//!
//! Students shape all of it, names included. Links are not followed, pipes not waited at, and what
//! is refused is named; the rest is taken.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Component, Path},
};

use nix::fcntl::OFlag;

use crate::runner::{
    Error, Result,
    commands::export::Export,
    course::{Course, Lab},
};

/// An answer is some kilobytes long, an export of all of them some tens.
const MOST_BYTES: u64 = 256 << 10;
const MOST_EXPORT_BYTES: u64 = 4 << 20;
/// A class has fewer files, and no deeper folders.
const MOST_FILES: usize = 20_000;
const MOST_DEPTH: usize = 4;
/// No name is longer.
const MOST_LETTERS: usize = 100;
/// What Moodle puts between a student's number and the file's name.
const MOODLE: &str = "_assignsubmission_file_";

/// An answer that was handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Submission {
    pub(super) student: String,
    /// The lab's number.
    pub(super) lab: String,
    pub(super) text: String,
}

/// A file that is not one, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) file: String,
    pub(super) why: String,
}

/// All answers below a folder, by student and lab.
pub(super) fn found(folder: &Path, course: &Course) -> Result<(Vec<Submission>, Vec<Refused>)> {
    let mut search = Search { course, found: BTreeMap::new(), refused: Vec::new(), files: 0 };
    search.folder(folder, folder, 0)?;
    Ok((search.found.into_values().collect(), search.refused))
}

struct Search<'a> {
    course: &'a Course,
    found: BTreeMap<(String, String), Submission>,
    refused: Vec<Refused>,
    files: usize,
}

impl Search<'_> {
    fn folder(&mut self, root: &Path, folder: &Path, depth: usize) -> Result<()> {
        let entries = fs::read_dir(folder).map_err(Error::file("read", folder))?;
        let mut entries: Vec<_> =
            entries.filter_map(std::result::Result::ok).take(MOST_FILES + 1).collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let name = path.strip_prefix(root).unwrap_or(&path).to_owned();
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            self.files += 1;
            if self.files > MOST_FILES {
                if self.files == MOST_FILES + 1 {
                    self.refuse(&name, "too many files: this one and those after it are left out");
                }
                return Ok(());
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth < MOST_DEPTH => {
                    if let Err(error) = self.folder(root, &path, depth + 1) {
                        self.refuse(&name, &error.to_string());
                    }
                }
                Ok(kind) if kind.is_dir() => self.refuse(&name, "too many folders in each other"),
                Ok(kind) if kind.is_symlink() => self.refuse(&name, "a symbolic link"),
                _ => self.file(&path, &name),
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, name: &Path) {
        let taken = match path.extension().and_then(|it| it.to_str()) {
            Some("json") => self.export(path, name),
            Some("rs") => self.source(path, name),
            _ => Err("neither a .rs file nor an export".to_owned()),
        };
        if let Err(why) = taken {
            self.refuse(name, &why);
        }
    }

    fn source(&mut self, path: &Path, name: &Path) -> Result<(), String> {
        let (student, lab) = named(name, self.course)?;
        let text = text_of(path, MOST_BYTES)?;
        self.take(Submission { student, lab: lab.id.clone(), text })
    }

    fn export(&mut self, path: &Path, name: &Path) -> Result<(), String> {
        let text = text_of(path, MOST_EXPORT_BYTES)?;
        let export: Export = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        if is_too_long(&export.student) || export.student.trim().is_empty() {
            return Err("no usable student name in it".to_owned());
        }
        let answers = export.labs.into_iter().filter_map(|(id, lab)| Some((id, lab.answer?)));
        let mut count = 0;
        for (id, text) in answers {
            count += 1;
            if !self.course.labs.iter().any(|lab| lab.id == id) || text.len() as u64 > MOST_BYTES {
                self.refuse(name, "an answer for an unknown lab, or a very long one");
            } else if let Err(why) =
                self.take(Submission { student: export.student.clone(), lab: id, text })
            {
                self.refuse(name, &why);
            }
        }
        match count {
            0 => Err("an export without answers".to_owned()),
            _ => Ok(()),
        }
    }

    fn take(&mut self, submission: Submission) -> Result<(), String> {
        let key = (submission.student.clone(), submission.lab.clone());
        match self.found.contains_key(&key) {
            true => Err(format!("a second answer of {:?} for lab {}", key.0, key.1)),
            false => {
                self.found.insert(key, submission);
                Ok(())
            }
        }
    }

    fn refuse(&mut self, file: &Path, why: &str) {
        self.refused.push(Refused { file: file.display().to_string(), why: why.to_owned() });
    }
}

/// The student and the lab that a path names.
fn named<'a>(name: &Path, course: &'a Course) -> Result<(String, &'a Lab), String> {
    let names = name.components().map(|component| match component {
        Component::Normal(name) => name.to_str().ok_or("its name is not UTF-8"),
        _ => Err("its path is not plain"),
    });
    let mut names = names.collect::<Result<Vec<&str>, _>>()?;
    let file = names.pop().unwrap_or_default();
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    // Of Moodle's flat names the student is the first part.
    let (flat, stem) = match stem.split_once(MOODLE) {
        Some((student, stem)) => (Some(student), stem),
        None => (None, stem),
    };
    let lab_of = |word: &str| {
        let number = word.split_once('-').map_or(word, |(number, _)| number);
        let number = number.parse::<u8>().ok().filter(|_| number.len() <= 2)?;
        course.labs.iter().find(|lab| lab.id == format!("{number:02}"))
    };
    let mut lab = lab_of(stem);
    if lab.is_none()
        && stem == "student"
        && let Some(folder) = names.last()
    {
        lab = lab_of(folder);
        if lab.is_some() {
            names.pop();
        }
    }
    // `08/ada.rs` is as good as `ada/08.rs`.
    let mut by_file = None;
    if lab.is_none()
        && flat.is_none()
        && let Some(folder) = names.last()
    {
        lab = lab_of(folder);
        if lab.is_some() {
            names.pop();
            by_file = Some(stem);
        }
    }
    let lab = lab.ok_or("its path names no lab: NN.rs, or NN-name/student.rs")?;
    let student = flat.map(str::to_owned).or(by_file.map(str::to_owned));
    let student = student.unwrap_or_else(|| names.join("/"));
    let student = without_number(&student);
    match student.trim().is_empty() || is_too_long(student) {
        true => Err("its path names no student".to_owned()),
        false => Ok((student.to_owned(), lab)),
    }
}

/// Moodle's `Ada L_123_assignsubmission_file_` and `Ada L_123` are Ada L's.
fn without_number(student: &str) -> &str {
    let student = student.strip_suffix(MOODLE).unwrap_or(student);
    match student.rsplit_once('_') {
        Some((name, number))
            if !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit()) =>
        {
            name
        }
        _ => student,
    }
}

fn is_too_long(name: &str) -> bool {
    name.chars().count() > MOST_LETTERS
}

/// The text of a regular file of at most this size.
fn text_of(path: &Path, most: u64) -> Result<String, String> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let mut options = fs::File::options();
    let file = options.read(true).custom_flags(flags.bits()).open(path);
    let file = file.map_err(|error| error.to_string())?;
    let about = file.metadata().map_err(|error| error.to_string())?;
    if !about.is_file() {
        return Err("not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > most {
        return Err(format!("larger than {} KiB", most >> 10));
    }
    let text = String::from_utf8(bytes).map_err(|_| "not text (UTF-8)".to_owned())?;
    match text.contains('\0') {
        true => Err("not text: it has a zero byte".to_owned()),
        false => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_moodles_is_no_part_of_a_name() {
        for (name, expected) in [
            ("Ada L_123", "Ada L"),
            ("Ada L_123_assignsubmission_file_", "Ada L"),
            ("ada_l", "ada_l"),
            ("ada", "ada"),
            ("李四_7", "李四"),
        ] {
            assert_eq!(without_number(name), expected);
        }
    }

    #[test]
    fn what_is_no_small_text_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("text"), "fn main() {}").unwrap();
        fs::write(path("large"), vec![b' '; 2000]).unwrap();
        fs::write(path("binary"), [0x7f, 0xff]).unwrap();
        fs::write(path("zero"), [b'a', 0]).unwrap();
        std::os::unix::fs::symlink("text", path("link")).unwrap();
        nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(text_of(&path("text"), 1024).unwrap(), "fn main() {}");
        for name in ["large", "binary", "zero", "link", "pipe", "."] {
            assert!(text_of(&path(name), 1024).is_err(), "{name}");
        }
    }
}
