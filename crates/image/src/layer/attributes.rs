//! What an entry says of owner, mode, times and extended attributes.

use std::{
    io::{self, Read},
    os::fd::BorrowedFd,
};

use rustix::{
    fs::{Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, fchmod, fchown, fsetxattr, futimens},
    io::Errno,
};
use tar::Entry;

use super::error::{LayerError, failed};

/// What begins a PAX record that is an extended attribute.
pub(super) const XATTR: &str = "SCHILY.xattr.";

/// These are overlayfs's own: in an archive they would tell it to look elsewhere.
pub(super) const OVERLAY: [&str; 2] = ["trusted.overlay.", "user.overlay."];

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
    pub(super) fn of<R: Read>(entry: &mut Entry<'_, R>) -> Result<Self, LayerError> {
        let header = entry.header();
        // The largest is nobody's: chown(2) takes it as "leave it".
        let id = |id: u64| match u32::try_from(id) {
            Ok(id) if id != u32::MAX => Ok(id),
            _ => Err(invalid("the id of an owner is out of range")),
        };
        let mut attributes = Self {
            // An empty field is 0, as for tar(1).
            uid: id(header.uid().unwrap_or(0))?,
            gid: id(header.gid().unwrap_or(0))?,
            mode: header.mode()? & 0o7777,
            mtime: (i64::try_from(header.mtime()?).unwrap_or(i64::MAX), 0),
            xattrs: Vec::new(),
        };
        let Some(extensions) = entry.pax_extensions()? else { return Ok(attributes) };
        for extension in extensions {
            let extension = extension?;
            let Ok(key) = extension.key() else { continue };
            let text = || extension.value().ok();
            match key {
                "uid" => attributes.uid = id(number(extension.value_bytes())?)?,
                "gid" => attributes.gid = id(number(extension.value_bytes())?)?,
                "mtime" => attributes.mtime = text().and_then(time).unwrap_or(attributes.mtime),
                _ => {
                    let name = key.strip_prefix(XATTR);
                    let own = |name: &&str| !OVERLAY.iter().any(|own| name.starts_with(own));
                    if let Some(name) = name.filter(own) {
                        let value = extension.value_bytes().to_vec();
                        attributes.xattrs.push((name.to_owned(), value));
                    }
                }
            }
        }
        Ok(attributes)
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

    pub(super) fn times(&self) -> Timestamps {
        let (seconds, nanoseconds) = self.mtime;
        let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() };
        Timestamps { last_access: time, last_modification: time }
    }
}

fn number(digits: &[u8]) -> io::Result<u64> {
    let digits = std::str::from_utf8(digits).ok();
    digits
        .and_then(|it| it.parse().ok())
        .ok_or_else(|| invalid("the id of an owner is not a number"))
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// `1700000000.123456789`, and less exact.
fn time(text: &str) -> Option<(i64, u32)> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_negative = seconds.starts_with('-');
    let seconds: i64 = seconds.parse().ok()?;
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanoseconds: u32 = digits.parse().ok()?;
    match is_negative && nanoseconds > 0 {
        true => Some((seconds.checked_sub(1)?, 1_000_000_000 - nanoseconds)),
        false => Some((seconds, nanoseconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::time;

    #[test]
    fn times_are_exact() {
        assert_eq!(time("1700000000"), Some((1_700_000_000, 0)));
        assert_eq!(time("1.5"), Some((1, 500_000_000)));
        assert_eq!(time("1.0000000019"), Some((1, 1)));
        assert_eq!(time("-1.25"), Some((-2, 750_000_000)));
        assert_eq!(time("x"), None);
        assert_eq!(time("1.x"), None);
    }
}
