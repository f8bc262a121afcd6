//! An upper layer read from outside: how overlayfs represents deleted and replaced files.
//!
//! ```text
//!   deleted      a whiteout: a character device with the number 0:0, which no driver has
//!   replaced     an opaque directory: its attribute NAMESPACE.overlay.opaque is "y"
//! ```
//!
//! NAMESPACE is `trusted`, which takes CAP_SYS_ADMIN in the first user namespace, or `user` of an
//! overlay that is mounted with `userxattr` (kernel: filesystems/overlayfs.rst, "whiteouts and
//! opaque directories").

use std::{
    ffi::{CStr, CString},
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileTypeExt, MetadataExt},
    },
    path::Path,
};

/// Whether `path`, in an upper layer, is a whiteout: the name has been deleted.
pub fn is_whiteout(path: &Path) -> bool {
    fs::symlink_metadata(path)
        .is_ok_and(|found| found.file_type().is_char_device() && found.rdev() == 0)
}

/// The name of the attribute that makes the directory `path`, in an upper layer, opaque: nothing of
/// the lower layers shows through it. `None` if there is none, or none that the caller may read.
pub fn opaque_mark(path: &Path) -> Option<&'static str> {
    let marks = [c"trusted.overlay.opaque", c"user.overlay.opaque"];
    marks.into_iter().find(|name| has(path, name)).and_then(|name| name.to_str().ok())
}

/// Whether the attribute `name` of `path` is "y".
fn has(path: &Path, name: &CStr) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    let mut value = [0u8; 8];
    // SAFETY: both names end in a null, and the kernel writes no more than the length it is told.
    let length = unsafe {
        libc::lgetxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len())
    };
    length == 1 && value[0] == b'y'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_or_a_device_that_somebody_has_is_no_whiteout() {
        assert!(!is_whiteout(Path::new("/dev/null")) && !is_whiteout(Path::new("/etc/passwd")));
    }

    #[test]
    fn a_character_device_without_a_driver_is_a_whiteout() {
        use nix::sys::stat::{Mode, SFlag, mknod};
        let layer = tempfile::tempdir().unwrap();
        let path = layer.path().join("gone");
        // Any user may make this device (mknod(2), since Linux 5.8).
        mknod(&path, SFlag::S_IFCHR, Mode::empty(), 0).unwrap();
        assert!(is_whiteout(&path) && !is_whiteout(layer.path()));
    }

    #[test]
    fn a_directory_of_no_layer_is_not_opaque() {
        assert_eq!(opaque_mark(Path::new("/")), None);
        assert_eq!(opaque_mark(Path::new("/no such directory")), None);
    }
}
