//! `ADD` of a local archive: unpacked into the layer.

use std::{
    ffi::{OsStr, OsString},
    io::Read,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
};

use nix::sys::stat::{FileStat, SFlag};
use tar::EntryType;

use super::{
    error::{StepError, file},
    target::Target,
    tree::{Sink as _, check_name},
    writer::Kind,
};
use crate::{
    compression::{Limits, archive_decoder},
    layer::{ApplyOptions, Attributes, Node, Reader, TarEntry},
    view::{kind, open_regular},
};

const MOST_ENTRIES: usize = 2_000_000;

/// Whether it is a tar archive, compressed or not, by its content.
pub(super) fn is_archive(found: &OwnedFd, stat: &FileStat, path: &str) -> Result<bool, StepError> {
    if kind(stat) != SFlag::S_IFREG {
        return Ok(false);
    }
    let open = || open_regular(found, stat).map_err(file("open", path));
    // What cannot be decompressed is a file like any other.
    let unpacked = archive_decoder(open()?, &Limits::default());
    Ok(unpacked.is_ok_and(|unpacked| Reader::new(unpacked).begins_with_a_header()))
}

/// Unpacks an archive below the destination of `target`.
pub(super) fn unpack(
    archive: &mut (dyn Read + Send),
    path: &str,
    owner: Option<(u32, u32)>,
    target: &mut Target<'_>,
) -> Result<(), StepError> {
    let unpacked = archive_decoder(archive, &Limits::default()).map_err(file("unpack", path))?;
    let mut archive = Reader::new(unpacked);
    let (mut count, mut bytes) = (0, 0_u64);
    while let Some(entry) = archive.next().map_err(file("unpack", path))? {
        count += 1;
        if count > MOST_ENTRIES {
            return Err(StepError::Refused(format!(
                "{path:?} has more than {MOST_ENTRIES} entries"
            )));
        }
        let (length, mut content) = entry.content(&mut archive);
        bytes = bytes.saturating_add(length);
        let most = ApplyOptions::default().max_bytes;
        if bytes > most {
            return Err(StepError::Refused(format!("{path:?} unpacks to more than {most} bytes")));
        }
        add(&entry, (length, &mut content), path, owner, target)?;
    }
    Ok(())
}

fn add(
    entry: &TarEntry,
    (size, content): (u64, &mut dyn Read),
    archive: &str,
    owner: Option<(u32, u32)>,
    target: &mut Target<'_>,
) -> Result<(), StepError> {
    let names = names(&entry.name, archive)?;
    if names.is_empty() {
        return Ok(());
    }
    check_name(&names)?;
    let attributes = attributes(entry, owner);
    match entry.kind {
        EntryType::Directory => target.entry(&names, &attributes, Kind::Directory),
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            target.entry(&names, &attributes, Kind::File { size, content })
        }
        EntryType::Symlink => {
            target.entry(&names, &attributes, Kind::Link(OsStr::from_bytes(&entry.link)))
        }
        EntryType::Link => {
            let link = self::names(&entry.link, archive)?;
            target.entry(&names, &attributes, Kind::HardLink(&link))
        }
        EntryType::Fifo => target.entry(&names, &attributes, Kind::Node(Node::Fifo)),
        EntryType::Char => {
            let (major, minor) = entry.device;
            target.entry(&names, &attributes, Kind::Node(Node::Character(major, minor)))
        }
        EntryType::Block => {
            let (major, minor) = entry.device;
            target.entry(&names, &attributes, Kind::Node(Node::Block(major, minor)))
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

/// The entry's, with seconds alone; of the extended ones only a program's capabilities, which go
/// with another owner as by chown(2).
fn attributes(entry: &TarEntry, owner: Option<(u32, u32)>) -> Attributes {
    let mut attributes = entry.attributes.clone();
    attributes.mtime = (attributes.mtime.0.max(0), 0);
    attributes.xattrs.retain(|(name, _)| name == "security.capability" && owner.is_none());
    if let Some((uid, gid)) = owner {
        (attributes.uid, attributes.gid) = (uid, gid);
    }
    attributes
}
