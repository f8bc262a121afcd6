//! What was handed in: whose, for which lab, from the names of files.
//!
//! ```text
//!   ada/08.rs   ada/08-own-name.rs   ada/08-own-name/student.rs   ada/08/student.rs
//!   ada.json                                     an export, which has the answers in it
//!   Ada L_123_assignsubmission_file_08.rs        Moodle: student, number, and the file's name
//!   Ada L_123_assignsubmission_file_/08.rs       the same with a folder for each student
//! ```
//!
//! Students shape all of it, names included, and may do so meanwhile: each name is opened below the
//! descriptor of its folder. Links are not followed, pipes not waited at, and what is refused is
//! named; the rest is taken.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read as _},
    os::{fd::AsFd, unix::ffi::OsStringExt as _},
    path::{Component, Path},
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, open, openat, statat},
    io::Errno,
};

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
    let all = open(folder, FOLDER, Mode::empty()).map_err(io::Error::from);
    let all = all.map_err(Error::file("read", folder))?;
    search.folder(&all, Path::new(""), 0).map_err(Error::file("read", folder))?;
    Ok((search.found.into_values().collect(), search.refused))
}

struct Search<'a> {
    course: &'a Course,
    found: BTreeMap<(String, String), Submission>,
    refused: Vec<Refused>,
    files: usize,
}

impl Search<'_> {
    /// Looks through an open folder, whose name from the top is `name`.
    fn folder(&mut self, folder: impl AsFd, name: &Path, depth: usize) -> io::Result<()> {
        for entry in names_in(&folder)? {
            let name = name.join(&entry);
            if entry.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            self.files += 1;
            if self.files > MOST_FILES {
                if self.files == MOST_FILES + 1 {
                    self.refuse(&name, "too many files: this one and those after it are left out");
                }
                return Ok(());
            }
            let taken = match openat(&folder, &entry, FOLDER | OFlags::NOFOLLOW, Mode::empty()) {
                Ok(_) if depth == MOST_DEPTH => Err("too many folders in each other".to_owned()),
                Ok(below) => {
                    self.folder(below, &name, depth + 1).map_err(|error| error.to_string())
                }
                Err(Errno::NOTDIR | Errno::LOOP) if is_link(&folder, &entry) => {
                    Err("a symbolic link".to_owned())
                }
                Err(Errno::NOTDIR) => self.file(&folder, &name),
                Err(error) => Err(error.to_string()),
            };
            if let Err(why) = taken {
                self.refuse(&name, &why);
            }
        }
        Ok(())
    }

    /// Takes a file that is in this folder.
    fn file(&mut self, folder: impl AsFd, name: &Path) -> Result<(), String> {
        match name.extension().and_then(|it| it.to_str()) {
            Some("json") => self.export(&text_of(folder, name, MOST_EXPORT_BYTES)?, name),
            Some("rs") => {
                let (student, lab) = named(name, self.course)?;
                let (lab, text) = (lab.id.clone(), text_of(folder, name, MOST_BYTES)?);
                self.take(Submission { student, lab, text })
            }
            _ => Err("neither a .rs file nor an export".to_owned()),
        }
    }

    fn export(&mut self, text: &str, name: &Path) -> Result<(), String> {
        let export: Export = serde_json::from_str(text).map_err(|error| error.to_string())?;
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

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// What is in a folder, in order; not more than a class can have.
fn names_in(folder: impl AsFd) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)?.take(MOST_FILES + 3) {
        names.push(OsString::from_vec(entry?.file_name().to_bytes().to_vec()));
    }
    names.sort();
    Ok(names)
}

fn is_link(folder: impl AsFd, name: &OsStr) -> bool {
    statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|about| FileType::from_raw_mode(about.st_mode) == FileType::Symlink)
}

/// The text of a regular file of at most this size, which is in this folder by the last part of its
/// `name`.
fn text_of(folder: impl AsFd, name: &Path, most: u64) -> Result<String, String> {
    let said = |error: Errno| match error {
        Errno::LOOP => "a symbolic link".to_owned(),
        error => error.to_string(),
    };
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let last = name.file_name().unwrap_or_default();
    let file = openat(folder, last, flags | OFlags::CLOEXEC, Mode::empty()).map_err(said)?;
    let about = fstat(&file).map_err(said)?;
    if FileType::from_raw_mode(about.st_mode) != FileType::RegularFile {
        return Err("not a regular file".to_owned());
    }
    let file = File::from(file);
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
        std::fs::write(path("text"), "fn main() {}").unwrap();
        std::fs::write(path("large"), vec![b' '; 2000]).unwrap();
        std::fs::write(path("binary"), [0x7f, 0xff]).unwrap();
        std::fs::write(path("zero"), [b'a', 0]).unwrap();
        std::os::unix::fs::symlink("text", path("link")).unwrap();
        nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let open = File::open(folder.path()).unwrap();
        let text = |name: &str| text_of(&open, Path::new("ada").join(name).as_path(), 1024);
        assert_eq!(text("text").unwrap(), "fn main() {}");
        assert_eq!(text("link").unwrap_err(), "a symbolic link");
        for name in ["large", "binary", "zero", "link", "pipe", "."] {
            assert!(text(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_folder_that_is_replaced_meanwhile_leads_nowhere_else() {
        let [class, elsewhere] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        std::fs::write(elsewhere.path().join("08.rs"), "secret").unwrap();
        let ada = class.path().join("ada");
        std::fs::create_dir(&ada).unwrap();
        std::fs::write(ada.join("08.rs"), "fn main() {}").unwrap();
        let open = openat(File::open(class.path()).unwrap(), "ada", FOLDER, Mode::empty()).unwrap();
        std::fs::rename(&ada, class.path().join("moved")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), &ada).unwrap();
        assert_eq!(text_of(&open, Path::new("ada/08.rs"), 1024).unwrap(), "fn main() {}");
        assert!(is_link(File::open(class.path()).unwrap(), OsStr::new("ada")));
    }
}
