//! What must be true of lab 12, look after look.

mod outside;

use std::{
    process::ExitCode,
    thread::sleep,
    time::{Duration, Instant},
};

use lab::check::{Bench, Checked, Setup, cannot_tell, ensure, fail};

use outside::Group;

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
    let name = format!("lab-{}", bench.token());
    let (quota, period) = (21 + bench.random(20), 50 + bench.random(40));
    let weight = 60 + bench.random(80);
    let setup = Setup::root(&[]).with_cgroups().argument("name", &name).argument("weight", weight);
    let mut student = bench.start(setup.argument("quota", quota).argument("period", period))?;
    let group = Group { parents: student.cgroup_parents(), name: name.clone() };
    group.may_have_quota()?;

    // The worker is in the group, has used CPU time there, and stands still; there is a quota.
    group.meet(&mut student, "limited")?;
    let worker = group.member(bench, &student, "worker")?;
    group.has_quota(bench, 20, 100)?;
    let (before, began) = (group.counted()?, Instant::now());
    student.go()?;

    // It has run for a second and stands still again.
    group.meet(&mut student, "measured")?;
    let (after, wall) = (group.counted()?, began.elapsed());
    ensure(group.holds(worker)?, || fail("L12-not-attached").fact("pid", worker.pid))?;
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

    // What the student's functions make of it.
    for (word, counted) in [("usage-before", before.usage), ("usage-after", after.usage)] {
        let said = Duration::from_nanos(student.number(word)?);
        ensure(said.abs_diff(counted) < Duration::from_millis(2), || {
            let finding = fail("L12-stats").fact("said", format!("{said:.1?} used"));
            finding.fact("counted", format!("{counted:.1?}"))
        })?;
    }
    let said = student.number("throttled")?;
    ensure(said.abs_diff(after.throttled) <= 1, || {
        fail("L12-stats").fact("said", format!("{said} throttled")).fact("counted", after.throttled)
    })?;
    let said = student.said("share")?.parse().unwrap_or(0.0);
    let right = ratio(used, Duration::from_nanos(student.number("wall")?));
    bench.saw("the share, according to `share` and measured", format!("{said}, {right:.4}"));
    ensure((said - right).abs() < 0.02 * right, || {
        let finding = fail("L12-total").fact("said", percent(said)).fact("share", percent(right));
        finding.fact("total", format!("{:.0?}", after.usage)).fact("used", format!("{used:.0?}"))
    })?;
    student.go()?;
    group.meet(&mut student, "limited anew")?;
    group.has_quota(bench, quota, period)?;
    student.go()?;

    // Three groups on one CPU.
    let of =
        |times: u64| Group { parents: student.cgroup_parents(), name: format!("{name}-{times}") };
    let groups = [of(1), of(2), of(4)];
    groups[0].meet(&mut student, "weighed")?;
    for (group, times) in groups.iter().zip([1, 2, 4]) {
        group.member(bench, &student, &format!("racer-{times}"))?;
        group.has_weight(bench, times * weight)?;
    }
    student.go()?;
    student.meet("racing")?;
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
    student.go()?;
    student.finish()
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
