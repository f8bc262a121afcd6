//! A whole distribution on a disk, for machines that boot it to its login prompt.
//!
//! [`make`] has mmdebstrap(1) install it and mke2fs(8) write it, once, at the user's word; a comparison
//! only reads it:
//!
//! ```text
//!   ~/.cache/isolab/distribution/        $XDG_CACHE_HOME instead of ~/.cache
//!     disk/root.ext4                     its root file system, on a disk without partitions
//!     disk/vmlinuz, disk/initrd          the newest kernel of its /boot, and the initrd of that
//!     disk/about.json                    which distribution it is, and which kernel
//!     .unfinished-*                      one that is being made
//! ```

mod error;
mod make;
mod run;
mod sources;

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

pub use error::DistributionError;
pub use make::{Progress, make};

/// What makes the disk.
pub(super) const COMMAND: &str = "isolab kernel get --distribution";
const ROOT: &str = "root.ext4";
const KERNEL: &str = "vmlinuz";
const INITRD: &str = "initrd";
const ABOUT: &str = "about.json";

/// A distribution that is there whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    folder: PathBuf,
    about: About,
}

/// What is known of it without a boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct About {
    /// In its own words, as `Debian GNU/Linux 12 (bookworm)`.
    name: String,
    /// The release of its kernel.
    kernel: String,
}

impl Distribution {
    /// The calling user's, if it was made.
    pub fn of_user() -> Option<Self> {
        Self::in_folder(&folder()?.join("disk"))
    }

    /// The one whose files are in `folder`, if all are.
    pub(super) fn in_folder(folder: &Path) -> Option<Self> {
        let about = serde_json::from_slice(&fs::read(folder.join(ABOUT)).ok()?).ok()?;
        let distribution = Self { folder: folder.to_owned(), about };
        distribution.files().iter().all(|file| file.is_file()).then_some(distribution)
    }

    /// Its disk: a raw image of an ext4 file system, which is its root.
    pub fn disk(&self) -> PathBuf {
        self.folder.join(ROOT)
    }

    /// Its kernel, as the distribution packs it.
    pub fn kernel(&self) -> PathBuf {
        self.folder.join(KERNEL)
    }

    /// The initrd that it made for this kernel.
    pub fn initrd(&self) -> PathBuf {
        self.folder.join(INITRD)
    }

    /// Which distribution and which kernel, as `Debian GNU/Linux 12 (bookworm), Linux 6.1.0-57`.
    pub fn name(&self) -> String {
        let About { name, kernel } = &self.about;
        format!("{name}, Linux {kernel}")
    }

    /// How many bytes of the host's disk its files take; the image has holes.
    ///
    /// # Errors
    ///
    /// Those of stat(2), as when another process has removed it.
    pub fn stored_bytes(&self) -> std::io::Result<u64> {
        const BLOCK: u64 = 512;
        let bytes = |file: PathBuf| Ok(file.metadata()?.blocks() * BLOCK);
        self.files().into_iter().map(bytes).sum()
    }

    fn files(&self) -> [PathBuf; 3] {
        [self.disk(), self.kernel(), self.initrd()]
    }
}

/// Where the calling user's is; `None` of who has no home.
fn folder() -> Option<PathBuf> {
    Some(host::user_directory("XDG_CACHE_HOME", ".cache")?.join("isolab/distribution"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_that_lacks_a_part_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let there = || Distribution::in_folder(folder.path());
        let about = About { name: "Debian 99".into(), kernel: "9.9.9-cloud".into() };
        fs::write(folder.path().join(ABOUT), serde_json::to_vec(&about).unwrap()).unwrap();
        for file in [ROOT, KERNEL, INITRD] {
            assert_eq!(there(), None, "without {file}");
            fs::write(folder.path().join(file), vec![1; 4096]).unwrap();
        }
        let distribution = there().unwrap();
        assert_eq!(distribution.name(), "Debian 99, Linux 9.9.9-cloud");
        assert!(distribution.stored_bytes().unwrap() >= 3 * 4096);
        fs::write(folder.path().join(ABOUT), "rubbish").unwrap();
        assert_eq!(there(), None);
    }
}
