//! The files of a log, in the order of their lines.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use rustix::fs::OFlags;

/// The newest file.
const NEWEST: &str = "log";

/// Which file it is, whatever its name: as long as somebody has it open, no other has this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileIdentity {
    device: u64,
    inode: u64,
}

/// A file of a log, open for reading.
#[derive(Debug)]
pub(super) struct LogFile {
    file: File,
    pub(super) identity: FileIdentity,
}

impl LogFile {
    fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::NOFOLLOW.bits() as i32;
        let file = File::options().read(true).custom_flags(flags).open(path)?;
        let identity = identity(&file.metadata()?);
        Ok(Self { file, identity })
    }

    /// Its length in bytes.
    pub(super) fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Reads from that position on; 0 at the end.
    pub(super) fn read_at(&self, position: u64, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.file.read_at(bytes, position) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

fn identity(metadata: &fs::Metadata) -> FileIdentity {
    FileIdentity { device: metadata.dev(), inode: metadata.ino() }
}

/// Which file is the newest now; `None` while there is none.
///
/// # Errors
///
/// Those of stat(2).
pub(super) fn newest(directory: &Path) -> io::Result<Option<FileIdentity>> {
    match fs::symlink_metadata(directory.join(NEWEST)) {
        Ok(metadata) => Ok(Some(identity(&metadata))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// All files of the log in a directory, the oldest first.
///
/// # Errors
///
/// Those of opening the directory and the files.
pub(super) fn open_all(directory: &Path) -> io::Result<Vec<LogFile>> {
    // The supervisor renames one after the other. A list in which a file is missing, or is twice, is
    // not the same when it is made again.
    const MOST_ATTEMPTS: usize = 100;
    let mut found = list(directory)?;
    for _ in 0..MOST_ATTEMPTS {
        let again = list(directory)?;
        let identities = |files: &[LogFile]| Vec::from_iter(files.iter().map(|file| file.identity));
        if identities(&found) == identities(&again) {
            break;
        }
        found = again;
    }
    Ok(found)
}

fn list(directory: &Path) -> io::Result<Vec<LogFile>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(number);
        names.extend(number.map(|number| (number, name)));
    }
    names.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    let mut files = Vec::new();
    for (_, name) in names {
        match LogFile::open(&directory.join(name)) {
            Ok(file) => files.push(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {} // renamed just now
            Err(error) => return Err(error),
        }
    }
    Ok(files)
}

/// 0 for `log`, 1 for `log.1` and so on; `None` for another name.
fn number(name: &str) -> Option<u32> {
    match name.strip_prefix(NEWEST)? {
        "" => Some(0),
        suffix => suffix.strip_prefix('.')?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_in_the_order_of_their_lines() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["log", "log.10", "log.9", "log.x", "logs", "exit"] {
            fs::write(directory.path().join(name), name).unwrap();
        }
        let text = |file: &LogFile| {
            let mut text = [0; 16];
            let length = file.read_at(0, &mut text).unwrap();
            String::from_utf8(text[..length].to_vec()).unwrap()
        };
        let files = open_all(directory.path()).unwrap();
        assert_eq!(files.iter().map(text).collect::<Vec<_>>(), ["log.10", "log.9", "log"]);
        assert_eq!(newest(directory.path()).unwrap(), Some(files[2].identity));
    }

    #[test]
    fn a_link_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", directory.path().join("log")).unwrap();
        assert!(open_all(directory.path()).is_err());
    }
}
