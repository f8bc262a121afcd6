//! Memory and disk as the check measures them, from outside.

use std::{collections::HashSet, fs, io, os::unix::fs::MetadataExt, path::Path};

use host::memory_field;
use lab::check::{Checked, Process, ensure, fail};

/// For people.
pub fn kib(bytes: u64) -> String {
    format!("{} KiB", bytes / 1024)
}

/// The memory of some processes together, by /proc/PID/smaps_rollup.
pub struct Memory {
    /// Every page divided by the number of processes that have it.
    pub pss: u64,
    /// Every page in full.
    pub rss: u64,
}

impl Memory {
    pub fn of(processes: &[Process]) -> io::Result<Self> {
        let mut sum = Self { pss: 0, rss: 0 };
        for process in processes {
            let text = process.read("smaps_rollup")?;
            sum.pss += memory_field(&text, "Pss").unwrap_or(0);
            sum.rss += memory_field(&text, "Rss").unwrap_or(0);
        }
        Ok(sum)
    }

    /// Whether it is what the program says. Others come and go that have a page of the C library too, so a part of it is anybody's.
    pub fn agrees(&self, said: u64) -> bool {
        said.abs_diff(self.pss) <= self.pss / 8 + (24 << 10)
    }

    /// The finding of a sum that is another one.
    pub fn ensure_agrees(&self, said: u64, processes: &[Process]) -> Checked<()> {
        // Nearer to the one than to the other.
        let rss = said.abs_diff(self.rss) < said.abs_diff(self.pss) / 4;
        let id = if rss { "L19-rss" } else { "L19-memory" };
        ensure(self.agrees(said), || {
            let finding = fail(id).fact("said", kib(said)).fact("processes", processes.len());
            finding.fact("pss", kib(self.pss)).fact("rss", kib(self.rss))
        })
    }
}

impl std::fmt::Display for Memory {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Pss {}, Rss {}", kib(self.pss), kib(self.rss))
    }
}

/// What a tree needs of a disk, by stat(2) of every name in it.
#[derive(Default)]
pub struct Disk {
    /// Blocks, each file once.
    pub unique: u64,
    /// Lengths of all names.
    pub lengths: u64,
    /// Blocks of all names.
    pub twice: u64,
    /// Device and inode of each file.
    pub seen: HashSet<(u64, u64)>,
}

impl Disk {
    /// Adds what is below `folder`.
    pub fn add(&mut self, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let found = path.symlink_metadata()?;
            self.lengths += found.len();
            self.twice += found.blocks() * 512;
            if self.seen.insert((found.dev(), found.ino())) {
                self.unique += found.blocks() * 512;
            }
            if found.is_dir() {
                self.add(&path)?;
            }
        }
        Ok(())
    }
}
