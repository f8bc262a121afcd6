//! Directories of plain files that stand for a group of either version, with and without a file for
//! swap: a host has only one of them, and an answer is for all.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::{Events, Group};

/// A group made of plain files, which goes when this is dropped.
pub(crate) struct Model {
    pub(crate) root: PathBuf,
    pub(crate) group: Group,
    swap: bool,
}

/// Version, and whether swap is counted.
pub(crate) const KINDS: [(u8, bool); 4] = [(1, true), (1, false), (2, true), (2, false)];

impl Model {
    /// Makes it below `/tmp`.
    pub(crate) fn build(number: usize) -> io::Result<Self> {
        let (version, swap) = KINDS[number];
        let root = PathBuf::from(format!("/tmp/lab13-{}-{number}", std::process::id()));
        let [memory, pids] = match version {
            1 => ["memory/group", "pids/group"],
            _ => ["group", "group"],
        };
        let group = Group { version, memory: root.join(memory), pids: root.join(pids) };
        fs::create_dir_all(&group.memory)?;
        fs::create_dir_all(&group.pids)?;
        let model = Self { root, group, swap };
        model.write(&model.group.pids, "pids.max", "max\n")?;
        let unlimited = if version == 1 { "9223372036854771712\n" } else { "max\n" };
        for file in model.limits() {
            model.write(&model.group.memory, file, unlimited)?;
        }
        model.count(Events::default(), false)?;
        for directory in [&model.group.memory, &model.group.pids] {
            // Like the kernel's, it takes no other files.
            allow(directory, false)?;
        }
        Ok(model)
    }

    fn limits(&self) -> impl Iterator<Item = &'static str> {
        let (memory, swap) = match self.group.version {
            1 => ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
            _ => ("memory.max", "memory.swap.max"),
        };
        [memory].into_iter().chain(self.swap.then_some(swap))
    }

    /// As the kernel counts: so many events, and other numbers beside them. The lines in another
    /// order if `reversed`.
    pub(crate) fn count(&self, events: Events, reversed: bool) -> io::Result<()> {
        let Events { kills, refusals } = events;
        let met = 10 * kills + 3;
        let (file, text) = match self.group.version {
            1 => {
                self.write(&self.group.memory, "memory.failcnt", &format!("{met}\n"))?;
                (
                    "memory.oom_control",
                    format!("oom_kill_disable 0\nunder_oom 0\noom_kill {kills}\n"),
                )
            }
            _ => (
                "memory.events",
                format!(
                    "low 0\nhigh 0\nmax {met}\noom {}\noom_kill {kills}\noom_group_kill 0\n",
                    kills + 1
                ),
            ),
        };
        let mut lines: Vec<&str> = text.lines().collect();
        if reversed {
            lines.reverse();
        }
        self.write(&self.group.memory, file, &(lines.join("\n") + "\n"))?;
        self.write(&self.group.pids, "pids.current", &format!("{}\n", refusals + 5))?;
        self.write(&self.group.pids, "pids.events", &format!("max {refusals}\n"))
    }

    fn write(&self, directory: &Path, file: &str, content: &str) -> io::Result<()> {
        fs::write(directory.join(file), content)
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        for directory in [&self.group.memory, &self.group.pids] {
            let _ = allow(directory, true);
        }
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// Whether new files may be made in a directory, by anybody who is not allowed everything.
fn allow(directory: &Path, new: bool) -> io::Result<()> {
    fs::set_permissions(directory, fs::Permissions::from_mode(if new { 0o755 } else { 0o555 }))
}
