//! A group, on the host or in a model of a tree, seen from outside.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use lab::{
    check::{
        Bench, Checked, Process, Student, cannot_tell, ensure, fail,
        kernel::{Node, number, tree},
    },
    program::CgroupParents,
};

/// A group, and how its files are read.
pub struct Group {
    pub parents: CgroupParents,
    pub name: String,
    /// In a model: whose it is, and where.
    pub model: Option<(Process, PathBuf)>,
}

/// What is counted in a group.
pub struct Counted {
    pub usage: Duration,
    /// In how many periods it was stopped, and how long in all.
    pub throttled: u64,
    pub stopped: Duration,
}

impl Group {
    /// A kernel without `CONFIG_CFS_BANDWIDTH` has no file for a quota, nor above the group.
    pub fn may_have_quota(&self) -> Checked<()> {
        let file = self.parents.cpu.join(self.quota_file());
        ensure(file.exists(), || {
            let lacking = format!("{}, CONFIG_CFS_BANDWIDTH", file.display());
            cannot_tell("lacking").fact("error", lacking)
        })
    }

    fn quota_file(&self) -> &'static str {
        if self.parents.version == 1 { "cpu.cfs_quota_us" } else { "cpu.max" }
    }

    /// The directories of the group must be there, with the controller's files, and be told.
    pub fn is_created(&self, bench: &mut Bench, student: &Student) -> Checked<()> {
        let (cpu, cpuacct) = (self.cpu(""), self.cpuacct(""));
        let returned = student.said("group")?;
        bench.saw("create()", returned);
        ensure(self.exists(&cpu)?, || fail("L12-not-created").fact("path", cpu.display()))?;
        ensure(self.exists(&cpuacct)?, || {
            fail("L12-one-hierarchy").fact("path", cpuacct.display())
        })?;
        if self.parents.version == 2 {
            self.is_delegated(bench)?;
        }
        let version = self.parents.version;
        let path = |path: &Path| path.display().to_string().trim_end_matches('/').to_owned();
        let wanted = format!("version {version}, {}, {}", path(&cpu), path(&cpuacct));
        ensure(returned == wanted, || {
            fail("L12-other-group").fact("told", returned).fact("wanted", &wanted)
        })?;
        self.has_no_other_file(student, "create")
    }

    /// Version 2: the parent names the controller, so the group has its files.
    fn is_delegated(&self, bench: &mut Bench) -> Checked<()> {
        let control = self.parents.cpu.join("cgroup.subtree_control");
        let content = self.read(&control)?;
        bench.saw(control.display(), if content.is_empty() { "-" } else { &content });
        let word = if self.model.is_some() { "+cpu" } else { "cpu" };
        ensure(content.split_whitespace().any(|one| one == word), || {
            let content = if content.is_empty() { "-" } else { &content };
            fail("L12-no-controller").fact("control", control.display()).fact("content", content)
        })
    }

    /// A model has the files that were put there, and those that a step has made are wrong.
    pub fn has_no_other_file(&self, student: &Student, step: &str) -> Checked<()> {
        let Some((process, root)) = &self.model else { return Ok(()) };
        let known = [
            "cgroup.controllers",
            "cgroup.subtree_control",
            "cgroup.procs",
            "tasks",
            "cpu.max",
            "cpu.weight",
            "cpu.stat",
            "cpu.cfs_quota_us",
            "cpu.cfs_period_us",
            "cpu.shares",
            "cpuacct.usage",
            "cpuacct.usage_user",
            "cpuacct.usage_sys",
        ];
        let is_other = |path: &Path, node: &Node| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_control = name.starts_with("cgroup.") && self.parents.version == 1;
            let is_above = path.components().count() == 2;
            !matches!(node, Node::Directory(_))
                && (!known.contains(&&*name) || (is_control && is_above))
        };
        let found = tree(*process, root)?;
        match found.iter().find(|(path, node)| is_other(path, node)) {
            None => Ok(()),
            Some((path, _)) => Err(fail("L12-other-version")
                .fact("step", step)
                .fact("seen", root.join(path).display())
                .fact("version", student.said("version")?)),
        }
    }

    /// Whether it holds `process`, in each hierarchy.
    pub fn holds(&self, process: Process) -> Checked<[bool; 2]> {
        let own = |path: String| path.ends_with(&format!("/{}", self.name));
        Ok([own(process.cgroup("cpu")?), own(process.cgroup("cpuacct")?)])
    }

    /// The process that the program has named under this name must be inside.
    pub fn member(&self, bench: &mut Bench, student: &Student, word: &str) -> Checked<Process> {
        let process = student.outside(student.number(word)? as u32)?;
        bench.saw(process.path("cgroup").display(), process.cgroup("cpu")?);
        let itself = self.holds(student.main())?.contains(&true);
        ensure(!itself, || fail("L12-attached-itself").fact("pid", student.main().pid))?;
        self.judge_membership(self.holds(process)?, &process.pid.to_string())?;
        Ok(process)
    }

    /// The same in a model, where the number that was written says who is.
    pub fn member_in_a_model(&self, bench: &mut Bench, pid: &str) -> Checked<()> {
        let lists = |directory: &dyn Fn(&str) -> PathBuf| -> Checked<Vec<String>> {
            let mut texts = vec![self.read(&directory("cgroup.procs"))?];
            if self.parents.version == 1 {
                texts.push(self.read(&directory("tasks"))?);
            }
            Ok(texts)
        };
        let (cpu, cpuacct) = (lists(&|file| self.cpu(file))?, lists(&|file| self.cpuacct(file))?);
        bench.saw(self.cpu("cgroup.procs").display(), &cpu[0]);
        ensure(!cpu.iter().any(|text| text == "0"), || fail("L12-attached-itself").fact("pid", 0))?;
        let has = |texts: &[String]| texts.iter().any(|text| text == pid);
        self.judge_membership([has(&cpu), has(&cpuacct)], pid)
    }

    fn judge_membership(&self, holds: [bool; 2], pid: &str) -> Checked<()> {
        let id = match holds {
            [true, true] => return Ok(()),
            [false, false] => "L12-not-attached",
            _ => "L12-half-attached",
        };
        let missing =
            if holds[0] { self.cpuacct("cgroup.procs") } else { self.cpu("cgroup.procs") };
        Err(fail(id).fact("pid", pid).fact("path", missing.display()))
    }

    /// Quota and period, in milliseconds, must be these.
    pub fn has_quota(&self, bench: &mut Bench, quota: u64, period: u64) -> Checked<()> {
        let file = self.cpu(self.quota_file());
        let mut text = self.read(&file)?;
        if self.parents.version == 1 {
            text = format!("{text} {}", self.read(&self.cpu("cpu.cfs_period_us"))?);
        }
        bench.saw(file.display(), &text);
        let microseconds = |factor: u64| format!("{} {}", quota * factor, period * factor);
        let wanted = microseconds(1000);
        let words: Vec<&str> = text.split_whitespace().collect();
        let seen = words.join(" ");
        let id = match &seen {
            seen if *seen == wanted => return Ok(()),
            seen if *seen == format!("{} {}", 1000 * period, 1000 * quota) => "L12-swapped",
            seen if [1, 1_000_000].map(microseconds).contains(seen) => "L12-units",
            _ => "L12-quota",
        };
        let finding = fail(id).fact("seen", &seen).fact("wanted", &wanted);
        Err(finding.fact("path", file.display()))
    }

    /// The weight must be this, 100 being the usual one.
    pub fn has_weight(&self, bench: &mut Bench, weight: u64) -> Checked<()> {
        let shares = weight * 1024 / 100;
        let (file, wanted, other) = match self.parents.version {
            1 => (self.cpu("cpu.shares"), shares, weight),
            _ => (self.cpu("cpu.weight"), weight, shares),
        };
        let text = self.read(&file)?;
        bench.saw(file.display(), &text);
        let seen = text.parse::<u64>();
        let is = |wanted: u64| seen.as_ref().is_ok_and(|seen| seen.abs_diff(wanted) <= 1);
        ensure(is(wanted), || {
            let id = if is(other) { "L12-weight-scale" } else { "L12-weight" };
            let finding = fail(id).fact("path", file.display()).fact("weight", weight);
            let finding = finding.fact("version", self.parents.version);
            finding.fact("seen", text).fact("wanted", wanted)
        })
    }

    /// What the kernel has counted.
    pub fn counted(&self) -> Checked<Counted> {
        let stat = self.cpu("cpu.stat");
        let (usage, stopped) = match self.parents.version {
            1 => {
                let usage = Duration::from_nanos(number(&self.cpuacct("cpuacct.usage"), "")?);
                (usage, Duration::from_nanos(number(&stat, "throttled_time")?))
            }
            _ => {
                let usage = Duration::from_micros(number(&stat, "usage_usec")?);
                (usage, Duration::from_micros(number(&stat, "throttled_usec")?))
            }
        };
        Ok(Counted { usage, stopped, throttled: number(&stat, "nr_throttled")? })
    }

    /// The group must be gone from every hierarchy.
    pub fn is_removed(&self) -> Checked<()> {
        for path in [self.cpu(""), self.cpuacct("")] {
            let gone = !self.exists(&path)?;
            ensure(gone, || fail("L12-not-removed").fact("path", path.display()))?;
        }
        Ok(())
    }

    /// The content of a file, without the line's end.
    pub fn read(&self, path: &Path) -> io::Result<String> {
        let Some((process, root)) = &self.model else {
            return Ok(fs::read_to_string(path)?.trim().to_owned());
        };
        let below = path.strip_prefix(root).map_err(io::Error::other)?;
        Ok(match tree(*process, root)?.get(below) {
            Some(Node::File { content, .. }) => String::from_utf8_lossy(content).trim().to_owned(),
            _ => String::new(),
        })
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let Some((process, root)) = &self.model else { return Ok(path.exists()) };
        let below = path.strip_prefix(root).map_err(io::Error::other)?;
        // A path with a slash at its end has an empty last part.
        let below: PathBuf = below.components().collect();
        Ok(matches!(tree(*process, root)?.get(&below), Some(Node::Directory(_))))
    }

    pub fn cpu(&self, file: &str) -> PathBuf {
        self.parents.cpu.join(&self.name).join(file)
    }

    pub fn cpuacct(&self, file: &str) -> PathBuf {
        self.parents.cpuacct.join(&self.name).join(file)
    }
}
