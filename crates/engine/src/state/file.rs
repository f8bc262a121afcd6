//! A record in a file: written whole or not at all, and read with care.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

/// No record is larger.
const MAX_BYTES: u64 = 16 << 20;

/// A record that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file system refuses.
    #[error("{action} {path:?}")]
    Io {
        /// `read`, `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It was cut off, or another version of isolab wrote it.
    #[error("{path:?} is not a record of this version")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// Writes `record` to the file `path`, atomically.
///
/// # Errors
///
/// Those of the file system; the former content is still there.
pub fn save<T: Serialize>(path: &Path, record: &T) -> Result<(), FileError> {
    let damaged = |source| FileError::Damaged { path: path.into(), source };
    let text = serde_json::to_vec(record).map_err(damaged)?;
    let draft = path.with_extension("draft");
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options.open(&draft).and_then(|mut file| file.write_all(&text));
    let failed = |source| FileError::Io { action: "write", path: path.into(), source };
    written.and_then(|()| fs::rename(&draft, path)).map_err(|error| {
        let _ = fs::remove_file(&draft); // a full disk gets its space back
        failed(error)
    })
}

/// Reads the record in the file `path`.
///
/// # Errors
///
/// Those of the file system, and when it is no such record.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, FileError> {
    let failed = |source| FileError::Io { action: "read", path: path.into(), source };
    let mut text = Vec::new();
    let opened = File::open(path).map_err(failed)?;
    opened.take(MAX_BYTES).read_to_end(&mut text).map_err(failed)?;
    serde_json::from_slice(&text).map_err(|source| FileError::Damaged { path: path.into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_was_cut_off_is_damaged_and_a_draft_counts_for_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("record.json");
        save(&path, &vec!["a", "b"]).unwrap();
        assert_eq!(load::<Vec<String>>(&path).unwrap(), ["a", "b"]);
        fs::write(path.with_extension("draft"), "[\"c").unwrap();
        assert_eq!(load::<Vec<String>>(&path).unwrap(), ["a", "b"]);
        fs::write(&path, "[\"a\",").unwrap();
        assert!(matches!(load::<Vec<String>>(&path), Err(FileError::Damaged { .. })));
    }
}
