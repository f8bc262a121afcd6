//! What an entry says of owner, mode, times and extended attributes.

use std::{io, os::fd::BorrowedFd};

use rustix::{
    fs::{
        Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags, fchmod, fchown, fsetxattr, futimens,
    },
    io::Errno,
};
use tar::Header;

use super::{
    error::{LayerError, failed, invalid},
    records::Records,
    xattrs::{OVERLAY, xattrs},
};

/// Owner, mode, times and extended attributes.
#[derive(Debug, Clone, Default)]
pub struct Attributes {
    /// The user that owns it.
    pub uid: u32,
    /// The group that owns it.
    pub gid: u32,
    /// Permissions, set-ID bits and sticky bit.
    pub mode: u32,
    /// When it was modified: seconds since 1970, and nanoseconds.
    pub mtime: (i64, u32),
    /// Extended attributes: names and values.
    pub xattrs: Vec<(String, Vec<u8>)>,
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
            xattrs: xattrs(file)?.map_err(|mark| {
                io::Error::other(format!("overlayfs's mark {mark:?} says that it is elsewhere"))
            })?,
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
