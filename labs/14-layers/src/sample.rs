//! A layer with everything in it that is easily taken for something else: for `changes` alone, it is
//! mounted nowhere.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use rustix::fs::{XattrFlags, setxattr};

use crate::Change;

/// Where such a layer is. Its devices are a mount, which goes when this is dropped.
#[derive(Debug)]
pub struct Sample {
    top: PathBuf,
    devices: PathBuf,
}

/// What a file system can hold that keeps the sample: the check looks for itself.
#[derive(Debug, Clone, Copy)]
pub struct Abilities {
    /// User attributes (xattr(7)).
    pub marks: bool,
    /// A device that is no whiteout.
    pub device: bool,
}

/// The paths in it: `word` is what nobody can know beforehand.
struct Names {
    word: String,
}

impl Names {
    fn of(&self, kind: &str) -> PathBuf {
        PathBuf::from(format!("{kind}-{}", self.word))
    }

    fn deep(&self) -> PathBuf {
        self.of("dir").join("sub").join(self.of("deep"))
    }

    /// As an image's archive names a deleted file; here it is a file as any other.
    fn archived(&self) -> PathBuf {
        PathBuf::from(format!(".wh.{}", self.word))
    }
}

impl Sample {
    /// Makes it at `top`, with another one beside it as if it were mounted there.
    ///
    /// # Errors
    ///
    /// When something in it cannot be made; but for attributes, which not every file system has.
    pub fn build(top: &Path, word: &str) -> io::Result<Self> {
        let names = Names { word: word.to_owned() };
        fs::create_dir_all(top)?;
        let merged = top.with_file_name("merged");
        fs::create_dir(&merged)?;
        fs::write(merged.join(names.of("untouched")), word)?;
        let sample = Self { top: top.to_owned(), devices: top.join(names.of("devices")) };
        for directory in ["dir", "empty", "marked", "opaque", "devices"] {
            fs::create_dir(top.join(names.of(directory)))?;
        }
        fs::create_dir(top.join(names.of("dir")).join("sub"))?;
        let inner = |directory| names.of(directory).join(names.of("file"));
        for file in
            [names.of("file"), names.deep(), names.archived(), inner("marked"), inner("opaque")]
        {
            fs::write(top.join(file), word)?;
        }
        symlink(names.of("dir"), top.join(names.of("link")))?;
        // No program may make a real device in a user namespace. But a file system of terminals of
        // its own has one, `ptmx` (devpts, Documentation/filesystems/devpts.rst).
        let options = Some("newinstance,ptmxmode=000");
        let _ = mount(Some("lab"), &sample.devices, Some("devpts"), MsFlags::empty(), options);
        for (directory, value) in [("marked", b"x"), ("opaque", b"y")] {
            let path = top.join(names.of(directory));
            // Without attributes all directories are ordinary ones; the check looks for itself.
            let _ = setxattr(&path, "user.overlay.opaque", value, XattrFlags::empty());
        }
        Ok(sample)
    }

    /// Where the device is in it.
    pub fn device(word: &str) -> PathBuf {
        Names { word: word.to_owned() }.of("devices").join("ptmx")
    }

    /// What is to be found in it.
    pub fn changes(word: &str, able: Abilities) -> BTreeSet<Change> {
        let names = Names { word: word.to_owned() };
        let inner = |directory| names.of(directory).join(names.of("file"));
        let written = [
            names.of("file"),
            names.deep(),
            names.archived(),
            names.of("link"),
            inner("marked"),
            inner("opaque"),
        ];
        let device = able.device.then(|| Self::device(word));
        let replaced = able.marks.then(|| Change::Replaced(names.of("opaque")));
        written.into_iter().chain(device).map(Change::Written).chain(replaced).collect()
    }

    /// The directory.
    pub fn top(&self) -> &Path {
        &self.top
    }
}

impl Drop for Sample {
    fn drop(&mut self) {
        let _ = umount2(&self.devices, MntFlags::MNT_DETACH);
    }
}
