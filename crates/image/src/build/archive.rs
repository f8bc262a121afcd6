//! `ADD` of a local archive: unpacked into the layer.

use std::{
    ffi::{OsStr, OsString},
    io::{self, Read},
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
};

use nix::sys::stat::{FileStat, SFlag};
use tar::{Archive, Entry, EntryType, Header};

use super::{
    error::{StepError, file},
    target::Target,
    tree::{Sink as _, check_name},
    writer::{Attributes, Kind},
};
use crate::{
    compression::{Limits, decoder},
    layer::Node,
    view::{kind, open_regular},
};

const MOST_ENTRIES: usize = 2_000_000;

/// Compressions that Docker unpacks and this crate does not, with what their files begin with.
const OTHERS: [(&str, &[u8]); 2] = [("bzip2", b"BZh"), ("xz", &[0xfd, b'7', b'z', b'X', b'Z', 0])];

/// Whether it is a tar archive, compressed or not, by its content.
pub(super) fn is_archive(found: &OwnedFd, stat: &FileStat, path: &str) -> Result<bool, StepError> {
    if kind(stat) != SFlag::S_IFREG {
        return Ok(false);
    }
    let open = || open_regular(found, stat).map_err(file("open", path));
    let mut beginning = Vec::new();
    open()?.take(6).read_to_end(&mut beginning).map_err(file("read", path))?;
    if let Some((name, _)) = OTHERS.iter().find(|(_, magic)| beginning.starts_with(magic)) {
        return Err(StepError::Refused(format!(
            "{path:?} is compressed by {name}, which ADD does not unpack: COPY keeps it as it is; to \
             unpack it, compress it by gzip or zstd, or unpack it by RUN"
        )));
    }
    let mut block = Vec::new();
    let Ok(unpacked) = decoder(open()?, &Limits::default()) else { return Ok(false) };
    // What cannot be decompressed is a file like any other.
    let read = unpacked.take(512).read_to_end(&mut block);
    Ok(read.is_ok() && is_header(&block))
}

/// Whether the checksum of tar(5) is right.
fn is_header(block: &[u8]) -> bool {
    if block.len() != 512 || block.iter().all(|byte| *byte == 0) {
        return false;
    }
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    let field: u32 = block[148..156].iter().map(|byte| u32::from(*byte)).sum();
    let header: &Header = Header::from_byte_slice(block);
    header.cksum().is_ok_and(|found| found == sum - field + 8 * u32::from(b' '))
}

/// Unpacks an archive below the destination of `target`.
pub(super) fn unpack(
    archive: &mut (dyn Read + Send),
    path: &str,
    owner: Option<(u64, u64)>,
    target: &mut Target<'_>,
) -> Result<(), StepError> {
    let unpacked = decoder(archive, &Limits::default()).map_err(file("unpack", path))?;
    let mut archive = Archive::new(unpacked);
    for (index, entry) in archive.entries().map_err(file("unpack", path))?.enumerate() {
        if index >= MOST_ENTRIES {
            return Err(StepError::Refused(format!(
                "{path:?} has more than {MOST_ENTRIES} entries"
            )));
        }
        let mut entry = entry.map_err(file("unpack", path))?;
        add(&mut entry, path, owner, target)?;
    }
    Ok(())
}

fn add(
    entry: &mut Entry<'_, impl Read>,
    archive: &str,
    owner: Option<(u64, u64)>,
    target: &mut Target<'_>,
) -> Result<(), StepError> {
    let names = names(&entry.path_bytes(), archive)?;
    let kind = entry.header().entry_type();
    if names.is_empty() || matches!(kind, EntryType::XGlobalHeader) {
        return Ok(());
    }
    check_name(&names)?;
    let attributes = attributes(entry, owner).map_err(file("unpack", archive))?;
    let link = entry.link_name_bytes().map(std::borrow::Cow::into_owned).unwrap_or_default();
    match kind {
        EntryType::Directory => target.entry(&names, &attributes, Kind::Directory),
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            let size = entry.size();
            target.entry(&names, &attributes, Kind::File { size, content: entry })
        }
        EntryType::Symlink => {
            target.entry(&names, &attributes, Kind::Link(OsStr::from_bytes(&link)))
        }
        EntryType::Link => {
            target.entry(&names, &attributes, Kind::HardLink(&self::names(&link, archive)?))
        }
        EntryType::Fifo | EntryType::Char | EntryType::Block => {
            let header = entry.header();
            let number = |number: io::Result<Option<u32>>| number.ok().flatten().unwrap_or(0);
            let (major, minor) = (number(header.device_major()), number(header.device_minor()));
            let node = match kind {
                EntryType::Char => Node::Character(major, minor),
                EntryType::Block => Node::Block(major, minor),
                _ => Node::Fifo,
            };
            target.entry(&names, &attributes, Kind::Node(node))
        }
        other => Err(StepError::Refused(format!(
            "{archive:?} has an entry of the type {:?}, which is not supported",
            char::from(other.as_byte())
        ))),
    }
}

/// The names of a path in the archive; none leads out of it.
fn names(path: &[u8], archive: &str) -> Result<Vec<OsString>, StepError> {
    let parts = path.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
    let names: Vec<OsString> = parts.map(|part| OsStr::from_bytes(part).to_owned()).collect();
    match names.iter().any(|name| name == "..") {
        false => Ok(names),
        true => Err(StepError::Refused(format!(
            "{archive:?} has an entry {:?}, which leads out of it",
            String::from_utf8_lossy(path)
        ))),
    }
}

fn attributes(
    entry: &mut Entry<'_, impl Read>,
    owner: Option<(u64, u64)>,
) -> io::Result<Attributes> {
    let header = entry.header();
    let (mode, mtime) = (header.mode()?, header.mtime().unwrap_or(0));
    let (uid, gid) = match owner {
        Some(owner) => owner,
        None => (header.uid()?, header.gid()?),
    };
    let mut extended = Vec::new();
    for extension in entry.pax_extensions()?.into_iter().flatten() {
        let extension = extension?;
        let name = extension.key().ok().and_then(|key| key.strip_prefix("SCHILY.xattr."));
        if let Some(name) = name.filter(|name| *name == "security.capability" && owner.is_none()) {
            extended.push((name.to_owned(), extension.value_bytes().to_vec()));
        }
    }
    Ok(Attributes { mode, uid, gid, mtime, extended })
}
