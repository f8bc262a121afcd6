//! The directory of a layer while it is filled: how names of an archive become descriptors.
//!
//! A name is split at its slashes, and its directory looked up from the root of the layer in one
//! openat2(2), within which links of the archive's own are resolved. The last name is used in that
//! directory, and never followed.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::{
    fs::{
        AtFlags, FileType, Mode, OFlags, ResolveFlags, XattrFlags, fchmod, fgetxattr, fsetxattr,
        makedev, mkdirat, mknodat, openat2, statat,
    },
    io::Errno,
};

use super::{
    error::{LayerError, failed, shown},
    remove::remove,
};

/// The attribute that makes a directory opaque, for root and for a user namespace.
const OPAQUE_ROOT: &str = "trusted.overlay.opaque";
const OPAQUE_USER: &str = "user.overlay.opaque";

/// A directory that is being filled.
pub(super) struct Tree<'r> {
    root: BorrowedFd<'r>,
    is_root: bool,
    /// The directory that was used last: archives have the entries of one together.
    last: Option<(Vec<u8>, OwnedFd)>,
}

/// A name of the archive, split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    /// Its directory, without a slash at either end; empty for the root.
    pub(super) directory: Vec<u8>,
    /// The last name; empty for the root itself.
    pub(super) last: Vec<u8>,
}

impl Name {
    /// Splits `bytes`. A leading slash means nothing, as for tar(1).
    ///
    /// # Errors
    ///
    /// When one of the parts is `..`, or contains a zero byte.
    pub(super) fn split(bytes: &[u8]) -> Result<Self, LayerError> {
        let error = |why| LayerError::Name { name: shown(bytes), why };
        let mut parts: Vec<&[u8]> = Vec::new();
        for part in bytes.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => return Err(error("`..` could lead out of the layer")),
                part if part.contains(&0) => return Err(error("it contains a zero byte")),
                part => parts.push(part),
            }
        }
        let last = parts.pop().unwrap_or_default().to_vec();
        Ok(Self { directory: parts.join(&b'/'), last })
    }

    pub(super) fn whole(&self) -> Vec<u8> {
        match self.directory.is_empty() {
            true => self.last.clone(),
            false => [&*self.directory, b"/", &*self.last].concat(),
        }
    }
}

/// The bits of a directory that is still being filled.
const FILLING: Mode =
    Mode::RWXU.union(Mode::RGRP).union(Mode::XGRP).union(Mode::ROTH).union(Mode::XOTH);

impl<'r> Tree<'r> {
    pub(super) fn new(root: BorrowedFd<'r>, is_root: bool) -> Self {
        Self { root, is_root, last: None }
    }

    /// The directory of the layer.
    pub(super) fn root(&self) -> BorrowedFd<'r> {
        self.root
    }

    /// The directory of `name`, made with all above it if it is missing.
    pub(super) fn parent(&mut self, name: &Name) -> Result<BorrowedFd<'_>, LayerError> {
        let is_last = |last: &(Vec<u8>, OwnedFd)| last.0 == name.directory;
        if !self.last.as_ref().is_some_and(is_last) {
            let opened = self.directory(&name.directory)?;
            self.last = Some((name.directory.clone(), opened));
        }
        let (_, opened) = self.last.as_ref().expect("it was just set");
        Ok(opened.as_fd())
    }

    /// Forgets which directory was used last: something may have taken its place.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }

    fn directory(&self, path: &[u8]) -> Result<OwnedFd, LayerError> {
        match self.look_up(path) {
            Err(Errno::NOENT) => self.make(path),
            found => found.map_err(failed(path, "open the directory")),
        }
    }

    /// An existing directory. A symbolic link of this layer leads where it would lead with the layer
    /// as root.
    pub(super) fn look_up(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        let path = if path.is_empty() { b"." } else { path };
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
        openat2(self.root, path, flags, Mode::empty(), resolve)
    }

    /// Makes what is missing, from the top. What is in the way and no directory is replaced by one,
    /// as by a later entry; only a link that leads nowhere is an error.
    fn make(&self, path: &[u8]) -> Result<OwnedFd, LayerError> {
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        let mut parent = self.look_up(b"").map_err(failed(path, "open the layer"))?;
        let mut start = 0;
        for end in ends.chain([path.len()]) {
            let (above, name) = (&path[..end], &path[start..end]);
            start = end + 1;
            parent = match self.look_up(above) {
                Ok(opened) => opened,
                Err(Errno::NOENT) => {
                    match mkdirat(&parent, name, FILLING) {
                        Ok(()) => {}
                        Err(Errno::EXIST) => {
                            let why = "its directory is a symbolic link that leads nowhere";
                            return Err(LayerError::Name { name: shown(path), why });
                        }
                        Err(errno) => return Err(failed(path, "create its directory")(errno)),
                    }
                    let made = self.look_up(above).map_err(failed(path, "open its directory"))?;
                    // The umask is of whoever unpacks; the archive's users are others.
                    fchmod(&made, FILLING).map_err(failed(path, "set its directory's mode"))?;
                    made
                }
                Err(errno) => return Err(failed(path, "open its directory")(errno)),
            };
        }
        Ok(parent)
    }

    /// Makes room for an entry that is not a directory. Returns whether something was there.
    pub(super) fn clear(&mut self, name: &Name) -> Result<(), LayerError> {
        let parent = self.parent(name)?;
        remove(parent, &name.last).map_err(failed(&name.whole(), "replace what is there"))?;
        // It may have been a directory, and the one that was used last was in it.
        self.forget();
        Ok(())
    }

    /// The directory `name`, which is made unless it is there; what else is there is replaced.
    pub(super) fn make_directory(&mut self, name: &Name) -> Result<OwnedFd, LayerError> {
        let whole = name.whole();
        if name.last.is_empty() {
            return self.look_up(b"").map_err(failed(b"/", "open the layer"));
        }
        let parent = self.parent(name)?;
        let mut replaces_whiteout = false;
        match mkdirat(parent, &*name.last, FILLING) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                let stat = statat(parent, &*name.last, AtFlags::SYMLINK_NOFOLLOW);
                let stat = stat.map_err(failed(&whole, "look at it"))?;
                if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                    replaces_whiteout = is_whiteout(&stat);
                    self.clear(name)?;
                    let parent = self.parent(name)?;
                    mkdirat(parent, &*name.last, FILLING)
                        .map_err(failed(&whole, "create the directory"))?;
                }
            }
            Err(errno) => return Err(failed(&whole, "create the directory")(errno)),
        }
        let parent = self.parent(name)?;
        let opened = itself(parent, &name.last, OFlags::DIRECTORY | OFlags::RDONLY);
        let opened = opened.map_err(failed(&whole, "open the directory"))?;
        if replaces_whiteout {
            // Deleted and made again: nothing of the lower one.
            self.make_opaque(opened.as_fd(), &whole)?;
        }
        Ok(opened)
    }

    /// Hides what lower layers have under this name, unless this layer has something there.
    pub(super) fn white_out(&mut self, name: &Name) -> Result<(), LayerError> {
        let whole = name.whole();
        let parent = self.parent(name)?;
        match mknodat(parent, &*name.last, FileType::CharacterDevice, Mode::empty(), makedev(0, 0))
        {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => {
                match itself(parent, &name.last, OFlags::DIRECTORY | OFlags::RDONLY) {
                    // The lower directory is deleted, this one is new.
                    Ok(directory) => self.make_opaque(directory.as_fd(), &whole),
                    Err(Errno::NOTDIR | Errno::LOOP) => Ok(()),
                    Err(errno) => Err(failed(&whole, "open the directory")(errno)),
                }
            }
            Err(errno) => Err(failed(&whole, "create a whiteout")(errno)),
        }
    }

    /// Hides all that lower layers have in this directory.
    pub(super) fn make_opaque(
        &self,
        directory: BorrowedFd<'_>,
        name: &[u8],
    ) -> Result<(), LayerError> {
        let set = |key| fsetxattr(directory, key, b"y", XattrFlags::empty());
        // An overlay in a user namespace reads the second.
        let user = set(OPAQUE_USER);
        let result = if self.is_root { set(OPAQUE_ROOT) } else { user };
        result.map_err(failed(name, "mark the directory as opaque"))
    }
}

/// Whether overlayfs takes this directory as opaque.
pub(crate) fn is_opaque(directory: BorrowedFd<'_>) -> bool {
    let mut value = [0; 2];
    let is_set = |key| fgetxattr(directory, key, &mut value[..]) == Ok(1) && value[0] == b'y';
    [OPAQUE_ROOT, OPAQUE_USER].into_iter().any(is_set)
}

/// Opens what `parent` has under `name`, and follows no link.
pub(super) fn itself(parent: BorrowedFd<'_>, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(parent, name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// Whether it is overlayfs's mark that there is nothing.
pub(super) fn is_whiteout(stat: &rustix::fs::Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}
