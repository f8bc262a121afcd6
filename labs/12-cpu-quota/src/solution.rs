//! Lab 12, solved.

use std::{fs, io, process::ExitCode, time::Duration};

use container::cgroup;
use cpu_quota::{Answer, CgroupParents, Group, Stats};
use nix::unistd::Pid;
use sandbox::Limits;

fn create(parents: &CgroupParents, name: &str) -> io::Result<Group> {
    let group = Group {
        version: parents.version,
        cpu: parents.cpu.join(name),
        cpuacct: parents.cpuacct.join(name),
    };
    if group.version == 2 {
        fs::write(parents.cpu.join("cgroup.subtree_control"), "+cpu")?;
    } else if group.cpuacct != group.cpu {
        fs::create_dir(&group.cpuacct)?;
    }
    fs::create_dir(&group.cpu)?;
    Ok(group)
}

fn attach(group: &Group, pid: Pid) -> io::Result<()> {
    fs::write(group.cpu.join("cgroup.procs"), pid.to_string())?;
    fs::write(group.cpuacct.join("cgroup.procs"), pid.to_string())
}

fn set_quota(group: &Group, quota: Duration, period: Duration) -> io::Result<()> {
    let (quota, period) = (quota.as_micros(), period.as_micros());
    match group.version {
        1 => {
            fs::write(group.cpu.join("cpu.cfs_period_us"), period.to_string())?;
            fs::write(group.cpu.join("cpu.cfs_quota_us"), quota.to_string())
        }
        _ => fs::write(group.cpu.join("cpu.max"), format!("{quota} {period}")),
    }
}

fn set_weight(group: &Group, weight: u32) -> io::Result<()> {
    let limits = Limits { cpu_weight: Some(weight), ..Limits::default() };
    for (file, value) in cgroup::files(&limits, group.version) {
        fs::write(group.cpu.join(file), value)?;
    }
    Ok(())
}

fn stats(group: &Group) -> io::Result<Stats> {
    let stat = fs::read_to_string(group.cpu.join("cpu.stat"))?;
    let field = |name: &str| {
        let value = stat.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.ok_or_else(|| io::Error::other(format!("no {name} in cpu.stat")))
    };
    let usage = match group.version {
        1 => {
            let text = fs::read_to_string(group.cpuacct.join("cpuacct.usage"))?;
            Duration::from_nanos(text.trim().parse().map_err(io::Error::other)?)
        }
        _ => Duration::from_micros(field("usage_usec ")?),
    };
    Ok(Stats { usage, throttled: field("nr_throttled ")? })
}

fn share(before: &Stats, after: &Stats, wall: Duration) -> f64 {
    (after.usage - before.usage).as_secs_f64() / wall.as_secs_f64()
}

fn remove(group: &Group) -> io::Result<()> {
    cgroup::remove(&group.cpu)
        .and_then(|()| cgroup::remove(&group.cpuacct))
        .map_err(io::Error::other)
}

/// The right answers; a wrong one is these but for what is wrong.
pub(crate) const ANSWER: Answer =
    Answer { create, attach, set_quota, set_weight, stats, share, remove };

fn main() -> ExitCode {
    cpu_quota::program(&ANSWER)
}
