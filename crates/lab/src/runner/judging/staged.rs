//! A student's program, where the student can no longer change it.
//!
//! The path of a program comes from cargo, and so from whoever owns the checkout: it may be a link
//! to what only root may read, or lead to another file at the next look. So root opens it once, with
//! the owner's rights, and judges a copy.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::runner::{Error, LocalUser, Result, privilege::environment::temporary_folder};

/// No program of a lab is larger.
const MOST_BYTES: u64 = 256 << 20;

/// A program that is judged.
#[derive(Debug)]
pub(crate) struct Staged {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// The folder of the copy, if it is one.
    _folder: Option<TempDir>,
}

impl Staged {
    /// A copy, where root judges what is not root's; otherwise the program itself.
    pub(crate) fn of(program: &Path, owner: &LocalUser) -> Result<Self> {
        if !owner.is_not_root_here() {
            return Ok(Self { path: program.to_owned(), _folder: None });
        }
        let folder = temporary_folder()?;
        let name = program.file_name().unwrap_or("program".as_ref());
        let path = folder.path().join(name);
        copied(program, owner, &path).map_err(Error::file("copy", program))?;
        // A check that is the owner's reads it, too.
        for path in [folder.path(), &path] {
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(path, mode).map_err(Error::file("copy", path))?;
        }
        Ok(Self { path, _folder: Some(folder) })
    }
}

fn copied(program: &Path, owner: &LocalUser, to: &Path) -> io::Result<()> {
    let from = owner.open(program)?;
    if from.metadata()?.len() > MOST_BYTES {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge));
    }
    // What grows meanwhile is cut.
    io::copy(&mut from.take(MOST_BYTES), &mut File::create_new(to)?).map(drop)
}
