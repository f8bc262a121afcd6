//! What comes out of the nest: an archive on a disk, unpacked into a directory of the caller's.
//!
//! The first process writes it, in cpio's "newc" format as in an initramfs. But root inside can write
//! another one, so nothing in it is trusted: a name that leads out of the directory is refused, no
//! link on the host is followed, and only files and directories come out.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, BufReader, Read, Seek as _},
    os::{fd::OwnedFd, unix::ffi::OsStringExt as _},
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{Mode, OFlags, ResolveFlags, mkdirat, openat2},
    io::Errno,
};

use crate::{Error, Result};

const HEADER_BYTES: usize = 110;
const MAGIC: &[u8] = b"070701";
const TRAILER: &[u8] = b"TRAILER!!!";
/// PATH_MAX of Linux.
const MAX_NAME: u32 = 4096;
const KIND: u32 = 0o170_000;
const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;

/// Unpacks the archive at the beginning of `disk` into `directory`, which is made if need be.
///
/// # Errors
///
/// When it is not an archive, holds what must not come out, or the directory cannot be written.
pub fn unpack(disk: &File, directory: &Path) -> Result<()> {
    let write = |source| Error::Write { path: directory.to_owned(), source };
    fs::create_dir_all(directory).map_err(write)?;
    let root = File::open(directory).map_err(write)?;
    let mut from = disk;
    from.rewind().map_err(unreadable)?;
    let mut from = BufReader::with_capacity(128 << 10, from);
    while let Some(entry) = CpioEntry::read(&mut from)? {
        let path = directory.join(&entry.name);
        let write = |source| Error::Write { path: path.clone(), source };
        match entry.mode & KIND {
            DIRECTORY => make_directory(&root, &entry).map_err(write)?,
            FILE => {
                let mut file = make_file(&root, &entry).map_err(write)?;
                let mut content = Read::take(&mut from, entry.length.into());
                let copied = io::copy(&mut content, &mut file).map_err(write)?;
                if copied != u64::from(entry.length) {
                    return Err(refused("the archive is truncated"));
                }
                skip_padding(&mut from, entry.length as usize)?;
            }
            _ => {
                return Err(refused(format!("{:?} is neither a file nor a directory", entry.name)));
            }
        }
    }
    Ok(())
}

fn make_directory(root: &File, entry: &CpioEntry) -> io::Result<()> {
    let parent = match entry.name.parent() {
        Some(parent) if parent != Path::new("") => open_beneath(root, parent, OFlags::DIRECTORY)?,
        _ => OwnedFd::from(root.try_clone()?),
    };
    let name = entry.name.file_name().unwrap_or_default();
    match mkdirat(&parent, name, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

fn make_file(root: &File, entry: &CpioEntry) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NONBLOCK;
    // No file comes out with set-user-ID, which would give it its owner's privileges.
    let mode = Mode::from_raw_mode(entry.mode & 0o777 | 0o600);
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    Ok(openat2(root, &entry.name, flags | OFlags::CLOEXEC, mode, resolve)?.into())
}

fn open_beneath(root: &File, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    Ok(openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)?)
}

/// One entry of an archive, before its content.
#[derive(Debug, PartialEq, Eq)]
struct CpioEntry {
    name: PathBuf,
    mode: u32,
    length: u32,
}

impl CpioEntry {
    /// Reads the next header with the name behind it; `None` at the end of the archive.
    fn read(from: &mut impl Read) -> Result<Option<Self>> {
        let mut header = [0; HEADER_BYTES];
        from.read_exact(&mut header).map_err(unreadable)?;
        if !header.starts_with(MAGIC) {
            return Err(refused("not a cpio archive"));
        }
        // Thirteen numbers of eight hexadecimal digits.
        let number = |index: usize| {
            let digits = &header[MAGIC.len() + 8 * index..][..8];
            let text = std::str::from_utf8(digits).ok().filter(|text| !text.contains('+'));
            let number = text.and_then(|text| u32::from_str_radix(text, 16).ok());
            number.ok_or_else(|| refused("an archive header is invalid"))
        };
        let (mode, length, name_bytes) = (number(1)?, number(6)?, number(11)?);
        if name_bytes == 0 || name_bytes > MAX_NAME {
            return Err(refused("a name in the archive is too long"));
        }
        let mut name = vec![0; name_bytes as usize];
        from.read_exact(&mut name).map_err(unreadable)?;
        skip_padding(from, HEADER_BYTES + name.len())?;
        let nul = name.pop();
        if nul != Some(0) || name.contains(&0) {
            return Err(refused("a name in the archive is invalid"));
        }
        if name == TRAILER {
            return Ok(None);
        }
        Ok(Some(Self { name: downwards(name)?, mode, length }))
    }
}

/// The name as a path that leads downwards and nowhere else.
fn downwards(name: Vec<u8>) -> Result<PathBuf> {
    let path = PathBuf::from(OsString::from_vec(name));
    let downwards = path.components().all(|part| matches!(part, Component::Normal(_)));
    match downwards && path.file_name().is_some() {
        true => Ok(path),
        false => Err(refused(format!("{path:?} is outside the directory"))),
    }
}

fn skip_padding(from: &mut impl Read, length: usize) -> Result<()> {
    let mut padding = [0; 3];
    let padding = &mut padding[..length.next_multiple_of(4) - length];
    from.read_exact(padding).map_err(unreadable)
}

fn refused(what: impl Into<String>) -> Error {
    Error::Archive { what: what.into() }
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn unreadable(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => refused("the archive is truncated"),
        _ => refused(format!("read the archive: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, os::unix::fs::symlink};

    use proptest::prelude::*;

    use super::*;

    /// An archive of entries with name, mode and content.
    fn archive(entries: &[(&str, u32, &str)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, mode, content) in entries.iter().chain([&("TRAILER!!!", 0, "")]) {
            let (length, name_bytes) = (content.len() as u32, name.len() as u32 + 1);
            bytes.extend_from_slice(MAGIC);
            for field in [0, *mode, 0, 0, 1, 0, length, 0, 0, 0, 0, name_bytes, 0] {
                bytes.extend(format!("{field:08x}").into_bytes());
            }
            for part in [&[name.as_bytes(), &[0]].concat(), content.as_bytes()] {
                bytes.extend_from_slice(part);
                bytes.resize(bytes.len().next_multiple_of(4), 0);
            }
        }
        bytes
    }

    fn unpacked(bytes: &[u8], directory: &Path) -> Result<()> {
        let mut disk = tempfile::tempfile().unwrap();
        disk.write_all(bytes).unwrap();
        unpack(&disk, directory)
    }

    #[test]
    fn files_and_directories_come_out() {
        let folder = tempfile::tempdir().unwrap();
        let entries =
            [("a", DIRECTORY, ""), ("a/b", DIRECTORY, ""), ("a/b/c", FILE | 0o600, "12345")];
        unpacked(&archive(&entries), folder.path()).unwrap();
        assert_eq!(fs::read(folder.path().join("a/b/c")).unwrap(), b"12345");
        // And again, over what is there.
        unpacked(&archive(&[("a", DIRECTORY, ""), ("a/b/c", FILE, "6")]), folder.path()).unwrap();
        assert_eq!(fs::read(folder.path().join("a/b/c")).unwrap(), b"6");
    }

    #[test]
    fn no_name_leads_out_of_the_directory() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        for name in ["../evil", "/evil", "a/../../evil", "..", ".", ""] {
            let error = unpacked(&archive(&[(name, FILE, "x")]), &inner).unwrap_err();
            assert!(matches!(error, Error::Archive { .. }), "{name}: {error}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(fs::read_dir(&inner).unwrap().count(), 0);
    }

    #[test]
    fn no_link_is_followed_and_none_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, outer) = (folder.path().join("inner"), folder.path().join("outer"));
        fs::create_dir_all(&inner).unwrap();
        fs::create_dir_all(&outer).unwrap();
        symlink(&outer, inner.join("subdirectory")).unwrap();
        symlink(outer.join("evil"), inner.join("file")).unwrap();
        for name in ["subdirectory/evil", "file"] {
            let error = unpacked(&archive(&[(name, FILE, "x")]), &inner).unwrap_err();
            assert!(matches!(error, Error::Write { .. }), "{name}: {error}");
        }
        assert!(unpacked(&archive(&[("subdirectory/evil", DIRECTORY, "")]), &inner).is_err());
        assert_eq!(fs::read_dir(&outer).unwrap().count(), 0);
        let link = archive(&[("link", 0o120_777, "/etc/passwd")]);
        assert!(matches!(unpacked(&link, &inner), Err(Error::Archive { .. })));
    }

    #[test]
    fn an_archive_that_is_cut_off_is_refused() {
        let whole = archive(&[("a", FILE, "12345")]);
        for length in 0..whole.len() {
            let folder = tempfile::tempdir().unwrap();
            let error = unpacked(&whole[..length], folder.path()).unwrap_err();
            assert!(matches!(error, Error::Archive { .. }), "{length}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(
            start in prop::sample::select(vec![&b""[..], MAGIC, b"0707010000000100008180"]),
            bytes in prop::collection::vec(any::<u8>(), 0..300)
        ) {
            let folder = tempfile::tempdir().unwrap();
            let _ = unpacked(&[start, &bytes].concat(), folder.path());
        }
    }
}
