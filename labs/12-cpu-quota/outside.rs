//! The group of lab 12, seen from outside.

use std::{fs, path::PathBuf, time::Duration};

use lab::{
    check::{Bench, Checked, Finding, Process, Student, cannot_tell, ensure, fail, kernel::number},
    program::CgroupParents,
};

/// A group, seen from outside.
pub struct Group {
    pub parents: CgroupParents,
    pub name: String,
}

/// What the kernel has counted in it.
pub struct Counted {
    pub usage: Duration,
    /// In how many periods it was stopped, and how long in all.
    pub throttled: u64,
    pub stopped: Duration,
}

impl Group {
    /// Waits for the program; says what a call that the kernel refused lacked.
    pub fn meet(&self, student: &mut Student, point: &str) -> Checked<()> {
        student.meet(point).map_err(|finding| self.explain(finding).unwrap_or_else(|error| error))
    }

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

    /// Whether it holds `process`, in each hierarchy.
    pub fn holds(&self, process: Process) -> Checked<bool> {
        let own = |path: String| path.ends_with(&format!("/{}", self.name));
        Ok(own(process.cgroup("cpu")?) && own(process.cgroup("cpuacct")?))
    }

    /// The process that the program has told under this name, which must be inside.
    pub fn member(&self, bench: &mut Bench, student: &Student, word: &str) -> Checked<Process> {
        let process = student.outside(student.number(word)? as u32)?;
        bench.saw(process.path("cgroup").display(), process.cgroup("cpu")?);
        let itself = self.holds(student.main())?;
        ensure(!itself, || fail("L12-attached-itself").fact("pid", student.main().pid))?;
        ensure(self.holds(process)?, || fail("L12-not-attached").fact("pid", process.pid))?;
        self.has_controllers()?;
        Ok(process)
    }

    /// Quota and period, in milliseconds, must be these.
    pub fn has_quota(&self, bench: &mut Bench, quota: u64, period: u64) -> Checked<()> {
        let file = self.cpu(self.quota_file());
        let mut text = fs::read_to_string(&file)?.trim().to_owned();
        if self.parents.version == 1 {
            text = format!("{text} {}", fs::read_to_string(self.cpu("cpu.cfs_period_us"))?.trim());
        }
        bench.saw(file.display(), &text);
        let (quota, period) = (1000 * quota, 1000 * period);
        let swapped = text == format!("{period} {quota}");
        let wanted = format!("{quota} {period}");
        ensure(text == wanted, || {
            let finding = fail(if swapped { "L12-swapped" } else { "L12-quota" });
            finding.fact("seen", &text).fact("wanted", &wanted).fact("file", file.display())
        })
    }

    /// The weight must be this, 100 being the usual one.
    pub fn has_weight(&self, bench: &mut Bench, weight: u64) -> Checked<()> {
        let (file, wanted) = match self.parents.version {
            1 => (self.cpu("cpu.shares"), weight * 1024 / 100),
            _ => (self.cpu("cpu.weight"), weight),
        };
        let seen = number(&file, "")?;
        bench.saw(file.display(), seen);
        ensure(seen.abs_diff(wanted) <= 1, || {
            let finding = fail("L12-weight").fact("file", file.display()).fact("weight", weight);
            finding.fact("seen", seen).fact("wanted", wanted)
        })
    }

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

    fn explain(&self, finding: Finding) -> Checked<Finding> {
        let (step, error) = (finding.get("step").to_owned(), finding.get("error").to_owned());
        if finding.id() != "refused" {
            return Ok(finding);
        }
        self.has_controllers()?;
        Ok(match &*step {
            "set_quota" if error.contains("Invalid argument") => {
                fail("L12-units").fact("error", error)
            }
            "set_quota" | "set_weight" | "stats" if !error.contains("Invalid argument") => {
                let finding = fail("L12-other-version").fact("step", step).fact("error", error);
                finding.fact("version", self.parents.version)
            }
            _ => finding,
        })
    }

    fn has_controllers(&self) -> Checked<()> {
        let one = self.cpu(if self.parents.version == 1 { "cpu.shares" } else { "cpu.max" });
        let missing = [self.cpu(""), self.cpuacct(""), one].into_iter().find(|path| !path.exists());
        let lacking = |path: PathBuf| fail("L12-no-controller").fact("file", path.display());
        missing.map_or(Ok(()), |path| Err(lacking(path)))
    }

    fn cpu(&self, file: &str) -> PathBuf {
        self.parents.cpu.join(&self.name).join(file)
    }

    fn cpuacct(&self, file: &str) -> PathBuf {
        self.parents.cpuacct.join(&self.name).join(file)
    }
}
