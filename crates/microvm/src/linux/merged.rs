//! Layers of directories as one directory, for a program that reads only one.
//!
//! overlayfs merges them, read-only, in a mount that is attached nowhere: only the descriptor leads
//! to it, and it is gone with the descriptor (fsmount(2)).

use std::{
    io,
    os::fd::{AsRawFd as _, OwnedFd},
    path::PathBuf,
};

use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount,
    fsopen,
};

/// A merged view of layers.
pub struct Merged {
    mount: OwnedFd,
}

impl Merged {
    /// The view of at least two `layers`, the uppermost first: overlayfs merges no single one.
    ///
    /// # Errors
    ///
    /// When the caller may not mount, or the kernel is older than `lowerdir+` (Linux 6.5).
    pub fn of(layers: &[PathBuf]) -> io::Result<Self> {
        let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        for layer in layers {
            fsconfig_set_string(&context, "lowerdir+", layer)?;
        }
        fsconfig_create(&context)?;
        let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOSUID;
        let mount = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
        Ok(Self { mount })
    }

    /// A path that leads there from any process of this user, while this is not dropped.
    pub fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.mount.as_raw_fd()).into()
    }
}
