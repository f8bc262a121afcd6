//! Memory and disk as the check measures them, from outside.

use std::{collections::HashSet, fs, io, os::unix::fs::MetadataExt, path::Path};

use host::memory_field;
use lab::check::{Finding, Process, fail};

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

    /// Whether it is what the program says. Others come and go that have a page of the C library too,
    /// so a part of it is anybody's.
    pub fn agrees(&self, said: u64) -> bool {
        said.abs_diff(self.pss) <= self.pss / 8 + (24 << 10)
    }

    /// The same of processes that hold so much of their own that the part of others is small: less
    /// than what 1000 instead of 1024 makes.
    pub fn agrees_closely(&self, said: u64) -> bool {
        said.abs_diff(self.pss) <= self.pss / 100 + (64 << 10)
    }

    /// What to say of a sum that is another one.
    pub fn finding(&self, id: &str, said: u64, processes: &[Process]) -> Finding {
        let finding = fail(id).fact("said", kib(said)).fact("processes", processes.len());
        finding.fact("pss", kib(self.pss)).fact("rss", kib(self.rss))
    }

    /// Whether a sum is nearer to that of the resident sets.
    pub fn is_rss(&self, said: u64) -> bool {
        said.abs_diff(self.rss) < said.abs_diff(self.pss) / 4
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
    /// Blocks of all names, each file's divided by the number of its names.
    pub divided: u64,
    /// Blocks of the folders, which a walk may or may not count.
    pub folders: u64,
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
            if !found.is_dir() {
                self.divided += found.blocks() * 512 / found.nlink();
            }
            if self.seen.insert((found.dev(), found.ino())) {
                self.unique += found.blocks() * 512;
            }
            if found.is_dir() {
                self.folders += found.blocks() * 512;
                self.add(&path)?;
            }
        }
        Ok(())
    }
}
