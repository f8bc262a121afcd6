//! What an entry says of owner, mode, times and extended attributes.

use std::{io, os::fd::BorrowedFd};

use rustix::{
    buffer::spare_capacity,
    fs::{
        Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags, fchmod, fchown, fgetxattr,
        flistxattr, fsetxattr, futimens,
    },
    io::Errno,
};
use tar::Header;

use super::{
    archive::invalid,
    error::{LayerError, failed},
    records::Records,
};

/// These are overlayfs's own: in an archive they would tell it to look elsewhere.
pub(super) const OVERLAY: [&str; 2] = ["trusted.overlay.", "user.overlay."];

/// Owner, mode, times and extended attributes.
#[derive(Debug, Clone, Default)]
pub(super) struct Attributes {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: u32,
    pub(super) mtime: (i64, u32),
    pub(super) xattrs: Vec<(String, Vec<u8>)>,
}

impl Attributes {
    /// What a header says, and the records before it.
    pub(super) fn of(header: &Header, records: Records) -> io::Result<Self> {
        // The largest is nobody's: chown(2) takes it as "leave it".
        let id = |id: u64| match u32::try_from(id) {
            Ok(id) if id != u32::MAX => Ok(id),
            _ => Err(invalid("the id of an owner is out of range")),
        };
        let own = |name: &str| OVERLAY.iter().any(|own| name.starts_with(own));
        let mut xattrs = records.xattrs;
        xattrs.retain(|(name, _)| !own(name));
        Ok(Self {
            // An empty field is 0, as for tar(1).
            uid: id(records.uid.unwrap_or_else(|| header.uid().unwrap_or(0)))?,
            gid: id(records.gid.unwrap_or_else(|| header.gid().unwrap_or(0)))?,
            mode: header.mode()? & 0o7777,
            mtime: match records.mtime {
                Some(mtime) => mtime,
                None => (i64::try_from(header.mtime()?).unwrap_or(i64::MAX), 0),
            },
            xattrs,
        })
    }

    /// What a file of another layer has.
    pub(super) fn of_file(file: BorrowedFd<'_>, stat: &Stat) -> io::Result<Self> {
        Ok(Self {
            uid: stat.st_uid,
            gid: stat.st_gid,
            mode: stat.st_mode & 0o7777,
            mtime: (stat.st_mtime, u32::try_from(stat.st_mtime_nsec).unwrap_or(0)),
            xattrs: xattrs_of(file)?,
        })
    }

    /// Gives them to an open file, in the order in which none undoes another: a change of the owner
    /// takes set-user-ID bits and capabilities away. An ordinary user keeps the owner.
    pub(super) fn give_to(
        &self,
        file: BorrowedFd<'_>,
        name: &[u8],
        is_root: bool,
    ) -> Result<(), LayerError> {
        if is_root {
            let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
            fchown(file, Some(uid), Some(gid)).map_err(failed(name, "set its owner"))?;
        }
        fchmod(file, Mode::from_raw_mode(self.mode)).map_err(failed(name, "set its mode"))?;
        for (key, value) in &self.xattrs {
            match fsetxattr(file, key.as_str(), value, XattrFlags::empty()) {
                Ok(()) => {}
                // The file system has none, or an ordinary user may not set this one.
                Err(Errno::OPNOTSUPP) => {}
                Err(Errno::PERM) if !is_root => {}
                Err(errno) => return Err(failed(name, "set its extended attributes")(errno)),
            }
        }
        futimens(file, &self.times()).map_err(failed(name, "set its times"))
    }

    /// How many bytes its extended attributes have.
    pub(super) fn xattrs_length(&self) -> usize {
        self.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum()
    }

    pub(super) fn times(&self) -> Timestamps {
        let (seconds, nanoseconds) = self.mtime;
        let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() };
        Timestamps { last_access: time, last_modification: time }
    }
}

/// The extended attributes of a file, but for overlayfs's own and the host's labels: a new file is
/// given a label by the host.
fn xattrs_of(file: BorrowedFd<'_>) -> io::Result<Vec<(String, Vec<u8>)>> {
    /// XATTR_LIST_MAX and XATTR_SIZE_MAX of limits.h.
    const MAX: usize = 64 << 10;
    let mut names = Vec::with_capacity(MAX);
    match flistxattr(file, spare_capacity(&mut names)) {
        Ok(_) => {}
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Err(errno) => return Err(errno.into()),
    }
    let mut found = Vec::new();
    for name in names.split(|byte| *byte == 0).filter_map(|name| str::from_utf8(name).ok()) {
        let is_own = OVERLAY.iter().any(|own| name.starts_with(own));
        let is_label = name.starts_with("security.") && name != "security.capability";
        if name.is_empty() || is_own || is_label {
            continue;
        }
        let mut value = Vec::with_capacity(MAX);
        fgetxattr(file, name, spare_capacity(&mut value))?;
        value.shrink_to_fit();
        found.push((name.to_owned(), value));
    }
    Ok(found)
}
