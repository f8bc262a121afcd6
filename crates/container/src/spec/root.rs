//! The root file system of a container, and which parts of the kernel's own file systems it hides.

use std::path::PathBuf;

use crate::{Error, error};

/// The root file system of a container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Root {
    /// A temporary overlay over the host's own `/`: everything can be read, and changes are
    /// discarded when the container ends.
    #[default]
    Host,
    /// An empty tmpfs, for a program that is executed from memory (`memfd_create(2)`).
    Empty,
    /// A directory itself: changes to it persist.
    Directory(PathBuf),
    /// Directories on top of each other, the first one uppermost.
    Overlay {
        /// The read-only layers.
        lowers: Vec<PathBuf>,
        /// The writable layer.
        upper: Upper,
    },
}

/// The writable layer of an overlay.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Upper {
    /// In memory, gone with the container.
    #[default]
    ThrowAway,
    /// In this directory: `upper` holds what was written, `work` is overlayfs's own.
    Kept(PathBuf),
}

/// How many lower layers overlayfs takes (OVL_MAX_STACK of fs/overlayfs/super.c).
const MAX_LOWERS: usize = 500;

/// Checks that the directories of `root` exist, before anything is made.
pub(crate) fn check(root: &Root) -> Result<(), Error> {
    let all: Vec<&PathBuf> = match root {
        Root::Host | Root::Empty => Vec::new(),
        Root::Directory(path) => vec![path],
        Root::Overlay { lowers, .. } => lowers.iter().collect(),
    };
    for path in all {
        std::fs::read_dir(path).map_err(|source| Error::NoRoot { path: path.clone(), source })?;
    }
    match root {
        Root::Overlay { lowers, .. } if lowers.is_empty() => Err(Error::NoLowers),
        Root::Overlay { lowers, .. } if lowers.len() > MAX_LOWERS => {
            Err(Error::TooManyLowers { count: lowers.len() })
        }
        Root::Overlay { upper: Upper::Kept(kept), .. } => {
            std::fs::create_dir_all(kept).map_err(error::file("create", kept))
        }
        _ => Ok(()),
    }
}

/// Parts of /proc and /sys that reveal information about the host: those that other runtimes mask,
/// and the maps of physical pages.
const MASKED: [&str; 15] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/kpagecgroup",
    "/proc/kpagecount",
    "/proc/kpageflags",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Parts of /proc that change the host.
pub(crate) const READ_ONLY: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// What is masked on this host: each processor has a directory with counters of thermal throttling.
pub(crate) fn masked() -> Vec<PathBuf> {
    let throttle = |number: usize| {
        PathBuf::from(format!("/sys/devices/system/cpu/cpu{number}/thermal_throttle"))
    };
    let mut all: Vec<PathBuf> = MASKED.iter().map(PathBuf::from).collect();
    all.extend((0..).map(throttle).take_while(|path| path.exists()));
    all
}
