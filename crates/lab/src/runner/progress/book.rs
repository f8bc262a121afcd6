//! Where the progress is kept: `labs.json`, and beside it what `reset` needs.
//!
//! ```text
//!   ~/.local/state/isolab/          $XDG_STATE_HOME instead of ~/.local/state
//!     labs.json                     what was done; appears whole or not at all
//!     labs.lock                     held while it changes
//!     skeletons/08-own-name.rs      the student's file as it was at first
//!     backups/08-own-name-TIME.rs   the student's file before a reset
//! ```

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Read as _, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{VERSION, clock};
use crate::runner::{Error, LocalUser, Progress, Result};

/// No progress is larger.
const MOST_BYTES: u64 = 16 << 20;

/// The place of one student's progress.
#[derive(Debug, Clone)]
pub struct Book {
    folder: PathBuf,
    user: LocalUser,
}

/// A file that could not be used, and where it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// Its new name.
    pub path: PathBuf,
    /// What was wrong with it.
    pub why: Why,
}

/// What was wrong with a progress file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// It has another version.
    Version(u64),
    /// It cannot be understood.
    Damaged(String),
}

impl Book {
    /// The caller's own.
    ///
    /// # Errors
    ///
    /// When there is no home folder to keep it in, and when that cannot be written to.
    pub fn open() -> Result<(Self, Option<SetAside>)> {
        let user = LocalUser::caller();
        let said = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
        // The specification of these variables has relative paths ignored.
        let said = said.filter(|path| path.is_absolute());
        let state = said.or_else(|| Some(user.home.as_ref()?.join(".local/state")));
        Self::at(state.ok_or(Error::NoHome)?.join("isolab"), user)
    }

    /// The one in this folder.
    ///
    /// # Errors
    ///
    /// Those of [`Book::open`].
    pub fn at(folder: PathBuf, user: LocalUser) -> Result<(Self, Option<SetAside>)> {
        let book = Self { folder, user };
        book.folder_for("")?;
        let aside = book.locked(|| book.set_aside_what_is_useless())??;
        Ok((book, aside))
    }

    /// The progress as it stands.
    ///
    /// # Errors
    ///
    /// When the file is not readable.
    pub fn read(&self) -> Result<Progress> {
        self.user.acting(|| match understood(&self.file()) {
            Ok(progress) => Ok(progress.unwrap_or_default()),
            Err(Trouble::File(source)) => Err(Error::file("read", self.file())(source)),
            Err(Trouble::Content(why)) => {
                let cause = match why {
                    Why::Version(version) => format!("it has version {version}"),
                    Why::Damaged(cause) => cause,
                };
                Err(Error::Damaged { path: self.file(), cause })
            }
        })
    }

    /// Changes the progress.
    ///
    /// # Errors
    ///
    /// When the file is not readable or written.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Progress) -> T) -> Result<T> {
        self.locked(|| {
            let mut progress = self.read()?;
            let changed = change(&mut progress);
            let mut text = serde_json::to_vec_pretty(&progress).expect("it has only plain values");
            text.push(b'\n');
            self.write(&self.file(), &text)?;
            Ok(changed)
        })?
    }

    /// Reads a file below the folder.
    pub(crate) fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.user.read(path)
    }

    /// Writes a file below the folder: whole, or not at all.
    pub(crate) fn write(&self, path: &Path, text: &[u8]) -> Result<()> {
        let folder = path.parent().unwrap_or(&self.folder);
        let write = || -> io::Result<()> {
            let mut draft = tempfile::NamedTempFile::new_in(folder)?;
            draft.write_all(text)?;
            draft.as_file().sync_all()?;
            draft.persist(path)?;
            Ok(())
        };
        self.user.acting(write).map_err(Error::file("write", path))
    }

    /// A folder below it, made if it is not there.
    pub(crate) fn folder_for(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        let make = || DirBuilder::new().recursive(true).mode(0o700).create(&path);
        self.user.acting(make).map_err(Error::file("create", &path))?;
        Ok(path)
    }

    fn file(&self) -> PathBuf {
        self.folder.join("labs.json")
    }

    /// While nobody else changes it.
    fn locked<T>(&self, act: impl FnOnce() -> T) -> Result<T> {
        let path = self.folder.join("labs.lock");
        let open = || File::options().write(true).create(true).truncate(false).open(&path);
        let lock = self.user.acting(open).map_err(Error::file("create", &path))?;
        lock.lock().map_err(Error::file("lock", &path))?;
        Ok(act())
    }

    fn set_aside_what_is_useless(&self) -> Result<Option<SetAside>> {
        let file = self.file();
        let why = match self.user.acting(|| understood(&file)) {
            Ok(_) => return Ok(None),
            Err(Trouble::File(source)) => return Err(Error::file("read", file)(source)),
            Err(Trouble::Content(why)) => why,
        };
        let kind = match why {
            Why::Version(version) => format!("version-{version}"),
            Why::Damaged(_) => "damaged".to_owned(),
        };
        let path = self.folder.join(format!("labs.{kind}-{}.json", clock::seconds()));
        let moved = self.user.acting(|| fs::rename(&file, &path));
        moved.map_err(Error::file("set aside", &file))?;
        Ok(Some(SetAside { path, why }))
    }
}

enum Trouble {
    File(io::Error),
    Content(Why),
}

/// The progress in a file; `None` if there is no file.
fn understood(path: &Path) -> Result<Option<Progress>, Trouble> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Trouble::File(error)),
    }
    let damaged = |error: serde_json::Error| Trouble::Content(Why::Damaged(error.to_string()));
    let value: Value = serde_json::from_slice(&bytes).map_err(damaged)?;
    match value["version"].as_u64() {
        Some(version) if version != u64::from(VERSION) => {
            Err(Trouble::Content(Why::Version(version)))
        }
        _ => serde_json::from_value(value).map(Some).map_err(damaged),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(folder: &Path) -> (Book, Option<SetAside>) {
        Book::at(folder.join("state/isolab"), LocalUser::caller()).unwrap()
    }

    #[test]
    fn what_is_written_is_there_again() {
        let folder = tempfile::tempdir().unwrap();
        let (book_, aside) = book(folder.path());
        assert_eq!(aside, None);
        book_.change(|progress| progress.begin("08", "own-name").attempts = 3).unwrap();
        let (again, aside) = book(folder.path());
        assert_eq!(aside, None);
        assert_eq!(again.read().unwrap().of("08").attempts, 3);
    }

    #[test]
    fn a_file_of_another_version_or_a_damaged_one_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let (book_, _) = book(folder.path());
        let wrong = r#"{"version":1,"last":7,"labs":{}}"#;
        for text in [r#"{"version":9,"labs":[]}"#, "{\"version\":1,", "", wrong, "[]"] {
            fs::write(book_.file(), text).unwrap();
            let (again, aside) = book(folder.path());
            let aside = aside.unwrap();
            assert_eq!(fs::read_to_string(&aside.path).unwrap(), text);
            assert_eq!(matches!(aside.why, Why::Version(9)), text.contains('9'), "{text}");
            assert_eq!(again.read().unwrap(), Progress::default());
        }
    }

    #[test]
    fn two_that_write_at_once_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (book_, _) = book(folder.path());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        book_.change(|it| it.begin("08", "own-name").attempts += 1).unwrap();
                    }
                });
            }
        });
        assert_eq!(book_.read().unwrap().of("08").attempts, 40);
    }
}
