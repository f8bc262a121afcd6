//! What must be true of lab 12, look after look.

#[path = "check/functions.rs"]
mod functions;
#[path = "check/group.rs"]
mod group;
#[path = "check/refusals.rs"]
mod refusals;

use std::{
    path::PathBuf,
    process::ExitCode,
    thread::sleep,
    time::{Duration, Instant},
};

use lab::{
    check::{Bench, Checked, Process, Setup, Student, cannot_tell, ensure, fail},
    program::CgroupParents,
};

use group::Group;

/// What the group may use: 20 ms in every 100 ms.
const SHARE: f64 = 0.2;
const PERIOD: Duration = Duration::from_millis(100);
/// How long the three race: for so much CPU time, but no longer than that.
const RACE: (Duration, Duration) = (Duration::from_millis(600), Duration::from_millis(3500));

fn main() -> ExitCode {
    lab::check::main("12", check)
}

/// Judges the program on the bench.
pub fn check(bench: &mut Bench) -> Checked<()> {
    let trial = Trial {
        name: format!("lab-{}", bench.token()),
        quota: (21 + bench.random(20), 50 + bench.random(40)),
        weight: 60 + bench.random(80),
        seed: bench.random(100_000),
    };
    let mut student = bench.start(trial.setup())?;
    let parents = student.cgroup_parents();
    let group = Group { parents, name: trial.name.clone(), model: None };
    group.may_have_quota()?;
    let worker = trial.judge_group(bench, &mut student, &group)?;
    meet(&mut student, "shared")?;
    functions::judge_share(bench, &student, trial.seed)?;
    student.go()?;
    // The other version's tree, and those layouts that this host does not have.
    for layout in MODELS {
        trial.judge_model(bench, &mut student, layout)?;
    }
    judge_quota(bench, &mut student, &group, worker)?;
    judge_race(bench, &mut student, &trial)?;
    student.finish()
}

/// The directories of each model: for the limits, and for the CPU time used.
const MODELS: [(u8, &str, &str); 3] =
    [(1, "cpu", "cpuacct"), (1, "cpu,cpuacct", "cpu,cpuacct"), (2, "unified", "unified")];

/// What the program is given, and nobody can know beforehand.
struct Trial {
    name: String,
    /// And period, in milliseconds.
    quota: (u64, u64),
    weight: u64,
    seed: u64,
}

impl Trial {
    fn setup(&self) -> Setup {
        let setup = Setup::root(&[]).with_cgroups().argument("name", &self.name);
        let setup = setup.argument("weight", self.weight).argument("seed", self.seed);
        setup.argument("quota", self.quota.0).argument("period", self.quota.1)
    }

    /// The group on this host, step by step: each is judged before the next is done.
    fn judge_group(
        &self,
        bench: &mut Bench,
        student: &mut Student,
        group: &Group,
    ) -> Checked<Process> {
        meet(student, "created")?;
        group.is_created(bench, student)?;
        student.go()?;
        meet(student, "attached")?;
        let worker = group.member(bench, student, "worker")?;
        student.go()?;
        meet(student, "limited")?;
        group.has_quota(bench, self.quota.0, self.quota.1)?;
        student.go()?;
        meet(student, "weighed")?;
        group.has_weight(bench, self.weight)?;
        student.go()?;
        meet(student, "counted")?;
        functions::judge_stats(student, &group.counted()?)?;
        student.go()?;
        Ok(worker)
    }

    /// The same in a directory of plain files that stands for a tree.
    fn judge_model(
        &self,
        bench: &mut Bench,
        student: &mut Student,
        (version, cpu, cpuacct): (u8, &str, &str),
    ) -> Checked<()> {
        meet(student, "created in a model")?;
        let root = PathBuf::from(student.said("model")?);
        let (cpu, cpuacct) = (root.join(cpu), root.join(cpuacct));
        let parents = CgroupParents { version, cpu, cpuacct, ..CgroupParents::default() };
        let model = Some((student.main(), root));
        let group = Group { parents, name: "group".to_owned(), model };
        group.is_created(bench, student)?;
        student.go()?;
        meet(student, "attached in a model")?;
        group.member_in_a_model(bench, student.said("worker")?)?;
        student.go()?;
        meet(student, "limited in a model")?;
        group.has_quota(bench, self.quota.0, self.quota.1)?;
        student.go()?;
        meet(student, "weighed in a model")?;
        group.has_weight(bench, self.weight)?;
        student.go()?;
        meet(student, "counted in a model")?;
        functions::judge_stats_in_a_model(bench, student, &group)?;
        student.go()?;
        meet(student, "counted in another order")?;
        functions::judge_stats_in_a_model(bench, student, &group).map_err(|finding| {
            fail("L12-line-order").fact("error", finding.get("said")).fact("version", version)
        })?;
        student.go()?;
        meet(student, "removed in a model")?;
        group.is_removed()?;
        student.go()
    }
}

/// Waits for the program; what the kernel refused on the way is explained.
fn meet(student: &mut Student, point: &str) -> Checked<()> {
    student.meet(point).map_err(|finding| refusals::explain(student, finding))
}

/// The worker runs for a second, and the quota stops it again and again.
fn judge_quota(
    bench: &mut Bench,
    student: &mut Student,
    group: &Group,
    worker: Process,
) -> Checked<()> {
    meet(student, "ready")?;
    group.has_quota(bench, 20, 100)?;
    let (before, began) = (group.counted()?, Instant::now());
    student.go()?;

    // It stands still again.
    meet(student, "measured")?;
    let (after, wall) = (group.counted()?, began.elapsed());
    ensure(group.holds(worker)? == [true; 2], || {
        fail("L12-not-attached").fact("pid", worker.pid).fact("path", group.cpu("").display())
    })?;
    let used = after.usage - before.usage;
    let (share, throttled) = (ratio(used, wall), after.throttled - before.throttled);
    bench.saw("CPU time used, of wall time", format!("{used:.0?} of {wall:.0?}"));
    bench.saw("cpu.stat, nr_throttled since then", throttled);
    // The period that has begun counts whole.
    let most = SHARE * 1.05 * ratio(wall + PERIOD, wall);
    let least = SHARE * 0.8 * ratio(wall.saturating_sub(PERIOD), wall);
    ensure(share <= most || throttled > 0, || {
        fail("L12-over").fact("share", percent(share)).fact("quota", percent(SHARE))
    })?;
    ensure((least..=most).contains(&share) && throttled > 0, || {
        let finding = cannot_tell("busy").fact("wanted", format!("{} % of a CPU", percent(SHARE)));
        finding.fact("seen", format!("{} % used", percent(share)))
    })?;
    let pause = (after.stopped - before.stopped).as_secs_f64() / throttled as f64;
    bench.measured("pause", (1000.0 * pause).round());
    functions::judge_stats(student, &after)?;
    student.go()?;
    meet(student, "removed")?;
    group.is_removed()?;
    student.go()
}

/// Three groups on one CPU.
fn judge_race(bench: &mut Bench, student: &mut Student, trial: &Trial) -> Checked<()> {
    let of = |times: u64| Group {
        parents: student.cgroup_parents(),
        name: format!("{}-{times}", trial.name),
        model: None,
    };
    let groups = [of(1), of(2), of(4)];
    meet(student, "three")?;
    for (group, times) in groups.iter().zip([1, 2, 4]) {
        group.member(bench, student, &format!("racer-{times}"))?;
        group.has_weight(bench, times * trial.weight)?;
    }
    student.go()?;
    meet(student, "racing")?;
    let (start, began) = (together(&groups)?, Instant::now());
    let (used, spread) = loop {
        sleep(Duration::from_millis(50));
        let now = together(&groups)?;
        let used = [0, 1, 2].map(|index| now[index] - start[index]);
        let portions = [0, 1, 2].map(|index| used[index].as_secs_f64() / f64::from(1 << index));
        let largest = portions.into_iter().fold(0.0, f64::max);
        let spread = largest / portions.into_iter().fold(f64::MAX, f64::min);
        let enough = used.iter().sum::<Duration>() >= RACE.0 && spread <= 1.15;
        if enough || began.elapsed() >= RACE.1 {
            break (used, spread);
        }
    };
    bench.saw("CPU time of the groups with the portions 1, 2 and 4", format!("{used:.0?}"));
    ensure(spread <= 1.15, || {
        let finding = cannot_tell("busy").fact("wanted", "1:2:4 within 15 %");
        finding.fact("seen", format!("{used:.0?}"))
    })?;
    bench.measured("lightest", (100.0 * ratio(used[0], used.iter().sum())).round());
    student.go()
}

/// The CPU time of all three, at about one moment.
fn together(groups: &[Group; 3]) -> Checked<[Duration; 3]> {
    let mut usage = [Duration::ZERO; 3];
    for _ in 0..20 {
        let began = Instant::now();
        for (usage, group) in usage.iter_mut().zip(groups) {
            *usage = group.counted()?.usage;
        }
        if began.elapsed() < Duration::from_millis(1) {
            break;
        }
    }
    Ok(usage)
}

fn ratio(part: Duration, whole: Duration) -> f64 {
    part.as_secs_f64() / whole.as_secs_f64()
}

fn percent(share: f64) -> String {
    format!("{:.1}", 100.0 * share)
}
