//! What comes out of the nest: an archive on a disk, unpacked into a directory of the caller's.
//!
//! The first process writes it, cpio of the kind "newc" as in an initramfs; but whoever is root
//! inside can write another, so nothing in it is believed: a name leads from the directory
//! downwards or is refused, no link on the host is followed on the way, and nothing comes out but
//! files and directories.

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
const END: &[u8] = b"TRAILER!!!";
/// PATH_MAX of Linux.
const MAX_NAME: u32 = 4096;
const KIND: u32 = 0o170_000;
const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;

/// Unpacks the archive at the beginning of `disk` into `directory`, which is made if need be.
///
/// # Errors
///
/// When it is no archive, holds what must not come out, or when the directory cannot be written.
pub(crate) fn unpack(disk: &File, directory: &Path) -> Result<()> {
    let write = |source| Error::Write { path: directory.to_owned(), source };
    fs::create_dir_all(directory).map_err(write)?;
    let root = File::open(directory).map_err(write)?;
    let mut from = disk;
    from.rewind().map_err(unreadable)?;
    let mut from = BufReader::with_capacity(128 << 10, from);
    while let Some(entry) = Entry::read(&mut from)? {
        let path = directory.join(&entry.name);
        let write = |source| Error::Write { path: path.clone(), source };
        match entry.mode & KIND {
            DIRECTORY => make_directory(&root, &entry).map_err(write)?,
            FILE => {
                let mut file = make_file(&root, &entry).map_err(write)?;
                let mut content = Read::take(&mut from, entry.length.into());
                let copied = io::copy(&mut content, &mut file).map_err(write)?;
                if copied != u64::from(entry.length) {
                    return Err(refused("the archive is cut off"));
                }
                skip_padding(&mut from, entry.length as usize)?;
            }
            _ => return Err(refused(format!("{:?} is no file and no directory", entry.name))),
        }
    }
    Ok(())
}

fn make_directory(root: &File, entry: &Entry) -> io::Result<()> {
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

fn make_file(root: &File, entry: &Entry) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NONBLOCK;
    // No file comes out with the power of its owner (set-user-ID).
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
struct Entry {
    name: PathBuf,
    mode: u32,
    length: u32,
}

impl Entry {
    /// Reads the next header with the name behind it; `None` at the end of the archive.
    fn read(from: &mut impl Read) -> Result<Option<Self>> {
        let mut header = [0; HEADER_BYTES];
        from.read_exact(&mut header).map_err(unreadable)?;
        if !header.starts_with(MAGIC) {
            return Err(refused("what the nest left is no archive"));
        }
        // Thirteen numbers of eight hexadecimal digits.
        let number = |index: usize| {
            let digits = &header[MAGIC.len() + 8 * index..][..8];
            let text = std::str::from_utf8(digits).ok().filter(|text| !text.contains('+'));
            let number = text.and_then(|text| u32::from_str_radix(text, 16).ok());
            number.ok_or_else(|| refused("a header of the archive is garbled"))
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
            return Err(refused("a name in the archive is garbled"));
        }
        if name == END {
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
        false => Err(refused(format!("{path:?} leads out of the directory"))),
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
        io::ErrorKind::UnexpectedEof => refused("the archive is cut off"),
        _ => refused(format!("read the archive: {error}")),
    }
}
