//! The group, on the host or as a model of plain files, seen from outside.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use lab::{
    check::{
        Bench, Checked, Process, Student, ensure, fail,
        kernel::{Node, number, tree},
    },
    program::CgroupParents,
};

/// A group, and how its files are read.
pub struct Group {
    pub version: u8,
    memory: PathBuf,
    pids: PathBuf,
    name: String,
    /// In a model: whose it is, and where.
    model: Option<(Process, PathBuf)>,
}

impl Group {
    /// The one on this host.
    pub fn of_host(parents: &CgroupParents, name: &str) -> Self {
        Self {
            version: parents.version,
            memory: parents.memory.join(name),
            pids: parents.pids.join(name),
            name: name.to_owned(),
            model: None,
        }
    }

    /// The one that the program is at, as it says.
    pub fn at_hand(student: &Student, host: &CgroupParents, name: &str) -> Checked<Self> {
        let root = student.said("model")?;
        if root == "-" {
            return Ok(Self::of_host(host, name));
        }
        let root = PathBuf::from(root);
        let version = student.number("version")? as u8;
        let [memory, pids] = match version {
            1 => ["memory/group", "pids/group"],
            _ => ["group", "group"],
        };
        Ok(Self {
            version,
            memory: root.join(memory),
            pids: root.join(pids),
            name: name.to_owned(),
            model: Some((student.main(), root)),
        })
    }

    pub fn limit_file(&self) -> &'static str {
        if self.version == 1 { "memory.limit_in_bytes" } else { "memory.max" }
    }

    /// The file that limits swap, and what is in it when there is to be none.
    pub fn swap_file(&self, memory: u64) -> (&'static str, String) {
        match self.version {
            // Both together.
            1 => ("memory.memsw.limit_in_bytes", memory.to_string()),
            _ => ("memory.swap.max", "0".to_owned()),
        }
    }

    /// The limits of memory and swap; `written` are the names of the files in the order of writing.
    pub fn judge_memory(&self, bench: &mut Bench, bytes: u64, written: &str) -> Checked<()> {
        let path = self.memory.join(self.limit_file());
        let limit = self.read(&path)?;
        bench.saw(path.display(), &limit);
        let wanted = bytes.to_string();
        ensure(limit == wanted, || {
            fail("L13-memory")
                .fact("path", path.display())
                .fact("seen", &limit)
                .fact("wanted", &wanted)
        })?;
        let (file, wanted) = self.swap_file(bytes);
        // A kernel that does not count swap has no file for it.
        if let Ok(seen) = self.read(&self.memory.join(file)) {
            let path = self.memory.join(file);
            bench.saw(path.display(), &seen);
            ensure(seen == wanted, || {
                fail("L13-swap")
                    .fact("path", path.display())
                    .fact("seen", &seen)
                    .fact("wanted", wanted)
            })?;
            let first = written.split(' ').next();
            let is_model_of_1 = self.version == 1 && self.model.is_some();
            ensure(!is_model_of_1 || first != Some(file), || fail("L13-order"))?;
        }
        Ok(())
    }

    /// Whether it counts swap.
    pub fn counts_swap(&self) -> bool {
        self.read(&self.memory.join(self.swap_file(0).0)).is_ok()
    }

    pub fn judge_pids(&self, bench: &mut Bench, most: u64) -> Checked<()> {
        let path = self.pids.join("pids.max");
        let seen = self.read(&path)?;
        bench.saw(path.display(), &seen);
        ensure(seen == most.to_string(), || {
            fail("L13-pids").fact("path", path.display()).fact("seen", &seen).fact("wanted", most)
        })
    }

    /// How many were killed, and how often a process was refused.
    pub fn events(&self) -> Checked<[u64; 2]> {
        let file = if self.version == 1 { "memory.oom_control" } else { "memory.events" };
        let (memory, pids) = (self.memory.join(file), self.pids.join("pids.events"));
        if self.model.is_none() {
            return Ok([number(&memory, "oom_kill")?, number(&pids, "max")?]);
        }
        let field = |path: &Path, name: &str| -> io::Result<u64> {
            let text = self.read(path)?;
            let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            Ok(found.and_then(|value| value.parse().ok()).unwrap_or(0))
        };
        Ok([field(&memory, "oom_kill")?, field(&pids, "max")?])
    }

    pub fn holds(&self, process: Process) -> Checked<bool> {
        let own = |path: String| path.ends_with(&format!("/{}", self.name));
        Ok(own(process.cgroup("memory")?) && own(process.cgroup("pids")?))
    }

    /// The content of a file, without the line's end.
    fn read(&self, path: &Path) -> io::Result<String> {
        let Some((process, root)) = &self.model else {
            return Ok(fs::read_to_string(path)?.trim().to_owned());
        };
        let below = path.strip_prefix(root).map_err(io::Error::other)?;
        match tree(*process, root)?.get(below) {
            Some(Node::File { content, .. }) => {
                Ok(String::from_utf8_lossy(content).trim().to_owned())
            }
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}
