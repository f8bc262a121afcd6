//! Directories of plain files that stand for the cgroup trees of both versions: a host has only one
//! of them, and an answer is for all.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::CgroupParents;

/// Which tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Version 1, a directory for each of the two controllers.
    Separate,
    /// Version 1, both controllers in one directory.
    Joint,
    /// Version 2.
    Unified,
}

/// A tree, which goes when this is dropped.
pub(crate) struct Model {
    layout: Layout,
    pub(crate) root: PathBuf,
    /// A number from which the kernel's counters are made up.
    seed: u64,
}

/// In which order the lines of `cpu.stat` are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// As today's kernels write them.
    Usual,
    /// The other way round.
    Reversed,
}

impl Layout {
    pub(crate) const ALL: [Self; 3] = [Self::Separate, Self::Joint, Self::Unified];

    fn directories(self) -> &'static [&'static str] {
        match self {
            Self::Separate => &["cpu", "cpuacct"],
            Self::Joint => &["cpu,cpuacct"],
            Self::Unified => &["unified"],
        }
    }
}

impl Model {
    /// An empty tree below `/tmp`.
    pub(crate) fn build(layout: Layout, seed: u64) -> io::Result<Self> {
        let root = PathBuf::from(format!("/tmp/lab12-{}", std::process::id()));
        let model = Self { layout, root, seed };
        fs::create_dir(&model.root)?;
        for directory in layout.directories() {
            fs::create_dir(model.root.join(directory))?;
        }
        if layout == Layout::Unified {
            let top = model.root.join("unified");
            fs::write(top.join("cgroup.controllers"), "cpu memory pids\n")?;
            fs::write(top.join("cgroup.subtree_control"), "")?;
        }
        Ok(model)
    }

    /// Where groups are made in it.
    pub(crate) fn parents(&self) -> CgroupParents {
        let directories = self.layout.directories();
        let (first, last) = (directories[0], directories[directories.len() - 1]);
        CgroupParents {
            version: if self.layout == Layout::Unified { 2 } else { 1 },
            cpu: self.root.join(first),
            cpuacct: self.root.join(last),
            ..CgroupParents::default()
        }
    }

    /// Puts the files into the group that the kernel would have put there. Like the kernel's
    /// directory it takes no others.
    pub(crate) fn fill(&self, name: &str, order: Order) -> io::Result<()> {
        let files = self.files(order);
        for directory in self.groups(name) {
            allow(&directory, true)?;
            for (file, content) in &files {
                let is_counted = *file == "cpu.stat";
                if is_counted || order == Order::Usual {
                    fs::write(directory.join(file), content)?;
                }
            }
            allow(&directory, false)?;
        }
        Ok(())
    }

    /// Takes them away, as the kernel does with the directory.
    pub(crate) fn clear(&self, name: &str) -> io::Result<()> {
        for directory in self.groups(name) {
            allow(&directory, true)?;
            for (file, _) in self.files(Order::Usual) {
                fs::remove_file(directory.join(file))?;
            }
        }
        Ok(())
    }

    fn groups(&self, name: &str) -> Vec<PathBuf> {
        let directories = self.layout.directories().iter();
        directories.map(|directory| self.root.join(directory).join(name)).collect()
    }

    fn files(&self, order: Order) -> Vec<(&'static str, String)> {
        // No two of them are equal, so the check knows which line was read.
        let [periods, throttled, stopped, user, system] =
            [7, 3, 11, 5, 2].map(|factor| factor * (100_000 + self.seed % 100_000) + factor);
        let usage = user + system;
        let mut files = vec![("cgroup.procs", String::new())];
        let mut lines = vec![];
        if self.layout == Layout::Unified {
            lines.push(format!("usage_usec {usage}"));
            lines.push(format!("user_usec {user}"));
            lines.push(format!("system_usec {system}"));
            files.push(("cpu.max", "max 100000\n".into()));
            files.push(("cpu.weight", "100\n".into()));
        } else {
            files.push(("tasks", String::new()));
            files.push(("cpu.cfs_quota_us", "-1\n".into()));
            files.push(("cpu.cfs_period_us", "100000\n".into()));
            files.push(("cpu.shares", "1024\n".into()));
            files.push(("cpuacct.usage", format!("{usage}000\n")));
            files.push(("cpuacct.usage_user", format!("{user}000\n")));
            files.push(("cpuacct.usage_sys", format!("{system}000\n")));
        }
        lines.push(format!("nr_periods {periods}"));
        lines.push(format!("nr_throttled {throttled}"));
        lines.push(match self.layout {
            Layout::Unified => format!("throttled_usec {stopped}"),
            _ => format!("throttled_time {stopped}000"),
        });
        if order == Order::Reversed {
            lines.reverse();
        }
        files.push(("cpu.stat", lines.join("\n") + "\n"));
        files
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        for directory in self.layout.directories() {
            for group in fs::read_dir(self.root.join(directory)).into_iter().flatten().flatten() {
                let _ = allow(&group.path(), true);
            }
        }
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// Whether new files may be made in a directory, by anybody who is not allowed everything.
fn allow(directory: &Path, new: bool) -> io::Result<()> {
    fs::set_permissions(directory, fs::Permissions::from_mode(if new { 0o755 } else { 0o555 }))
}
