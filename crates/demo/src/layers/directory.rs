//! Where the layers lie, and the containers on them.
//!
//! ```text
//!   isolab-layers-PID-N/lower            the image
//!                       1/upper 1/work   what container 1 wrote, and overlayfs's own directory
//!                       2/upper 2/work   the same of container 2
//! ```

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use container::{Container, Root, Scratch, Upper, remove_tree};
use sandbox::{Builtin, Instance, Process, Sandbox as _, Workload};

use crate::{Error, Result};

const DATABASE: &str = "database";
const APPLICATION: &str = "application";
const LIBRARIES: (&str, &str) = ("lib", "lib/libc");

/// What the keys change, as far as the image has it.
pub(super) struct Targets {
    /// A file to be changed: large enough that its copy is seen.
    pub(super) written: Option<String>,
    /// A file to be deleted.
    pub(super) deleted: Option<String>,
    /// A directory to be replaced, and the file that is new in it.
    pub(super) replaced: Option<(String, String)>,
}

impl Targets {
    /// Those of the image that is made for this.
    pub(super) fn usual() -> Self {
        let (directory, file) = LIBRARIES;
        Self {
            written: Some(DATABASE.into()),
            deleted: Some(APPLICATION.into()),
            replaced: Some((directory.into(), file.into())),
        }
    }
}

/// The files of the image, and their sizes in bytes.
const FILES: [(&str, usize); 5] = [
    (APPLICATION, 24 << 10),
    (DATABASE, 1 << 20),
    (LIBRARIES.1, 64 << 10),
    ("lib/libm", 16 << 10),
    ("name", 12),
];
/// What a container mounts on; it is in every image, and no part of the lesson.
pub(super) const MOUNTED_ON: [&str; 3] = ["proc", "dev", "sys"];

/// A directory of isolab's own with an image in it.
pub(super) struct LayerDirectory {
    scratch: Scratch,
    /// The layers of the image, the uppermost first.
    lowers: Vec<PathBuf>,
}

impl LayerDirectory {
    /// Makes it in the directory `parent`, for containers on these layers, the uppermost first; with
    /// none, on an image that is made in it.
    pub(super) fn make(parent: &Path, lowers: &[PathBuf]) -> Result<Self> {
        let scratch = Scratch::make(parent, "layers", "demo", &["isolab", "demo", "layers"])?;
        let mut directory = Self { scratch, lowers: lowers.to_vec() };
        if lowers.is_empty() {
            directory.lowers.push(directory.lower());
            let made = directory.fill();
            made.map_err(Error::system(format!("create an image in {:?}", directory.path())))?;
        }
        Ok(directory)
    }

    fn fill(&self) -> io::Result<()> {
        let lower = self.lower();
        for directory in MOUNTED_ON.iter().chain([&LIBRARIES.0]) {
            fs::create_dir_all(lower.join(directory))?;
        }
        for (path, bytes) in FILES {
            // Written out: what a file system leaves out it need not copy.
            fs::write(lower.join(path), vec![b'.'; bytes])?;
        }
        Ok(())
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.scratch.path()
    }

    /// The image.
    pub(super) fn lower(&self) -> PathBuf {
        self.path().join("lower")
    }

    /// Starts container `number` with an empty upper layer on the image.
    pub(super) fn start(&self, number: usize) -> Result<OverlayContainer> {
        let own = UpperDirectory(self.path().join(number.to_string()));
        let upper = Upper::Kept(own.0.clone());
        let root = Root::Overlay { lowers: self.lowers.clone(), upper };
        fs::create_dir(&own.0).map_err(Error::system(format!("create {:?}", own.0)))?;
        let container = Container::default().root(root);
        let instance = container.spawn(&Workload::builtin(Builtin::Idle, &[]))?;
        let pid = instance.processes().first().copied();
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        let process = pid.and_then(Process::of).ok_or_else(gone);
        let process = process.map_err(Error::system("look at the container's process"))?;
        Ok(OverlayContainer { _instance: instance, process, own })
    }
}

/// A container on the image. Its fields are dropped in this order: nobody writes to a layer that is
/// being removed.
pub(super) struct OverlayContainer {
    _instance: Box<dyn Instance>,
    process: Process,
    own: UpperDirectory,
}

/// A directory with an upper layer; it goes with its container.
struct UpperDirectory(PathBuf);

impl Drop for UpperDirectory {
    fn drop(&mut self) {
        // What is left is removed with the directory.
        let _ = remove_tree(&self.0);
    }
}

impl OverlayContainer {
    /// What it wrote.
    pub(super) fn upper(&self) -> PathBuf {
        self.own.0.join("upper")
    }

    /// What it sees: its root, from outside.
    pub(super) fn merged(&self) -> Result<PathBuf> {
        let ended = io::Error::other("its process has ended; [x] starts a new one");
        match self.process.is_alive() {
            true => Ok(format!("/proc/{}/root", self.process.pid).into()),
            false => Err(Error::system("read the container's files")(ended)),
        }
    }
}
