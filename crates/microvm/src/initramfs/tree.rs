//! Directory trees of the host, laid over each other as overlayfs lays its layers.

use std::{
    fs::{self, Metadata},
    io,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileTypeExt, MetadataExt},
    },
    path::{Path, PathBuf},
};

use super::{
    archive::Header,
    error::InitramfsError,
    root::{ArchiveEntry, Content, Root},
};
use crate::Result;

/// The mark of a directory that hides all that lies below it (Documentation/filesystems/overlayfs).
/// The second is that of overlays without root.
const OPAQUE: [&str; 2] = ["trusted.overlay.opaque", "user.overlay.opaque"];

impl Root {
    /// Adds all that is in the directory `tree` and not there yet: what was added before lies above
    /// it, as in an overlay. A layer's own marks of what was deleted are heeded.
    ///
    /// Links are not followed, other file systems that are mounted in the tree are not entered, and
    /// holes in files become zeros. Names, owners, permissions, times, devices and pipes are kept.
    /// What belongs to an ordinary user who calls this belongs to root inside, as in a container's
    /// user namespace.
    ///
    /// # Errors
    ///
    /// When something in the tree cannot be read, or is longer than an initramfs can hold.
    pub fn add_tree(&mut self, tree: &Path) -> Result<()> {
        let about = fs::metadata(tree).map_err(reading(tree))?;
        let walk = Walk { device: about.dev(), user: nix::unistd::geteuid().as_raw() };
        self.layer(&walk, tree, Path::new(""))
    }

    /// Adds the content of one directory.
    fn layer(&mut self, walk: &Walk, directory: &Path, inside: &Path) -> Result<()> {
        let mut names: Vec<_> = fs::read_dir(directory)
            .and_then(|list| list.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>())
            .map_err(reading(directory))?;
        // The order decides which error is told, and nothing else.
        names.sort();
        for name in names {
            let (from, path) = (directory.join(&name), inside.join(&name));
            let about = match fs::symlink_metadata(&from) {
                // Deleted meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                about => about.map_err(reading(&from))?,
            };
            self.add(walk, &from, path, &about)?;
        }
        Ok(())
    }

    fn add(&mut self, walk: &Walk, from: &Path, path: PathBuf, about: &Metadata) -> Result<()> {
        if self.hidden.contains(&path) {
            return Ok(());
        }
        if about.file_type().is_char_device() && about.rdev() == 0 {
            self.hide(path);
            return Ok(());
        }
        let above = self.entries.get(&path).map(ArchiveEntry::is_directory);
        match (above, about.is_dir()) {
            // What is above hides what is below, but for two directories.
            (Some(false), _) | (Some(true), false) => return Ok(()),
            (Some(true), true) => {}
            (None, _) => {
                let entry = walk.entry(from, &path, about)?;
                self.put(path.clone(), entry);
            }
        }
        if about.is_dir() {
            if about.dev() == walk.device {
                self.layer(walk, from, &path)?;
            }
            if is_opaque(from) {
                self.hide(path);
            }
        }
        Ok(())
    }

    /// Shows nothing of the trees below at this path that is not there yet.
    fn hide(&mut self, path: PathBuf) {
        self.hidden.insert(path);
    }
}

/// What holds of all entries of a tree.
struct Walk {
    /// The file system that it is on.
    device: u64,
    /// Who calls.
    user: u32,
}

impl Walk {
    fn entry(&self, from: &Path, path: &Path, about: &Metadata) -> Result<ArchiveEntry> {
        if path.as_os_str().len() >= super::archive::MAX_NAME {
            return Err(InitramfsError::TooLongName { path: from.to_owned() }.into());
        }
        let content = if about.is_symlink() {
            let target = fs::read_link(from).map_err(reading(from))?;
            Content::Bytes(target.as_os_str().as_bytes().to_vec())
        } else if about.is_file() {
            let too_large =
                |_| InitramfsError::TooLarge { path: from.to_owned(), bytes: about.len() };
            let bytes = u32::try_from(about.len()).map_err(too_large)?;
            Content::HostFile { path: from.to_owned(), bytes }
        } else {
            Content::Bytes(Vec::new())
        };
        let several = about.is_file() && about.nlink() > 1;
        let inode = several.then_some((about.dev(), about.ino()));
        let (user, group) = match self.user {
            0 => (about.uid(), about.gid()),
            user if user == about.uid() => (0, 0),
            _ => (about.uid(), about.gid()),
        };
        let about = Header {
            mode: about.mode(),
            user,
            group,
            time: about.mtime().clamp(0, u32::MAX.into()) as u32,
            device: (libc::major(about.rdev()), libc::minor(about.rdev())),
            ..Header::default()
        };
        Ok(ArchiveEntry { about, content, inode })
    }
}

fn is_opaque(directory: &Path) -> bool {
    let mut value = [0; 1];
    OPAQUE.iter().any(|name| {
        rustix::fs::lgetxattr(directory, *name, &mut value).is_ok_and(|length| length == 1)
            && value == *b"y"
    })
}

fn reading(path: &Path) -> impl FnOnce(io::Error) -> crate::Error + use<> {
    let path = path.to_owned();
    move |source| InitramfsError::Read { path, source }.into()
}
