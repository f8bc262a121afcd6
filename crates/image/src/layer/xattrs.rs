//! Which extended attributes of a file belong into a layer.

use std::{io, os::fd::AsFd};

use rustix::{
    buffer::spare_capacity,
    fs::{fgetxattr, flistxattr},
    io::Errno,
};

/// What begins a PAX record that is an extended attribute.
pub(super) const XATTR: &str = "SCHILY.xattr.";

/// These are overlayfs's own: in an archive they would tell it to look elsewhere.
pub(super) const OVERLAY: [&str; 2] = ["trusted.overlay.", "user.overlay."];

/// Those that are the file's own, wherever it is. Others, as security.selinux, are this host's.
const KEPT: [&str; 2] = ["user.", "trusted."];
const KEPT_WHOLE: [&str; 3] =
    ["security.capability", "system.posix_acl_access", "system.posix_acl_default"];

/// Marks by which overlayfs says that the rest of a file or directory is elsewhere.
const ELSEWHERE: [&str; 4] = ["redirect", "metacopy", "whiteout", "whiteouts"];

/// The largest value that Linux has (XATTR_SIZE_MAX), and the longest list (XATTR_LIST_MAX).
const MAX: usize = 64 << 10;

/// The attributes of a file and their values, sorted by name; or overlayfs's mark that a layer
/// cannot say.
pub(crate) type Xattrs = Result<Vec<(String, Vec<u8>)>, &'static str>;

/// The extended attributes of `file` that belong into a layer.
pub(crate) fn xattrs(file: impl AsFd) -> io::Result<Xattrs> {
    let mut names = Vec::with_capacity(MAX);
    match flistxattr(&file, spare_capacity(&mut names)) {
        Ok(_) => {}
        Err(Errno::OPNOTSUPP) => return Ok(Ok(Vec::new())),
        Err(errno) => return Err(errno.into()),
    }
    let mut kept = Vec::new();
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let Ok(name) = std::str::from_utf8(name) else { continue };
        if let Some(mark) = OVERLAY.iter().find_map(|prefix| name.strip_prefix(prefix)) {
            if let Some(mark) = ELSEWHERE.iter().find(|known| **known == mark) {
                return Ok(Err(mark));
            }
        } else if KEPT.iter().any(|it| name.starts_with(it)) || KEPT_WHOLE.contains(&name) {
            let mut value = Vec::with_capacity(MAX);
            match fgetxattr(&file, name, spare_capacity(&mut value)) {
                Ok(_) => kept.push((name.to_owned(), value.as_slice().to_vec())),
                // Removed meanwhile.
                Err(Errno::NODATA) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
    kept.sort_unstable();
    Ok(Ok(kept))
}
