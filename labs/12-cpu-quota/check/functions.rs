//! What the student's functions return, beside what is so.

use std::time::Duration;

use lab::check::{Bench, Checked, Student, ensure, fail};

use super::group::{Counted, Group};

/// What `stats` returned must be what is counted.
pub fn judge_stats(student: &Student, counted: &Counted) -> Checked<()> {
    let said = student.number("usage")?;
    // A reading of the kernel's may be rounded to microseconds, and reading takes a moment.
    let is = |right: u128| u128::from(said).abs_diff(right) < 2_000_000;
    let nanoseconds = counted.usage.as_nanos();
    ensure(is(nanoseconds), || {
        let by = |factor: u128| u128::from(said).abs_diff(factor * nanoseconds) < nanoseconds / 100;
        let back = u128::from(said) * 1000;
        let is_unit = by(1000) || by(1_000_000) || back.abs_diff(nanoseconds) < nanoseconds / 100;
        let finding = fail(if is_unit { "L12-stats" } else { "L12-usage" });
        let said = format!("{:.1?}", Duration::from_nanos(said));
        finding.fact("said", said).fact("counted", format!("{:.1?}", counted.usage))
    })?;
    let said = student.number("throttled")?;
    ensure(said.abs_diff(counted.throttled) <= 1, || {
        fail("L12-throttled").fact("said", said).fact("counted", counted.throttled)
    })
}

/// The same for the files of a model.
pub fn judge_stats_in_a_model(bench: &mut Bench, student: &Student, group: &Group) -> Checked<()> {
    let stat = group.read(&group.cpu("cpu.stat"))?;
    bench.saw(group.cpu("cpu.stat").display(), &stat);
    let field = |name: &str| -> u64 {
        let value = stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.and_then(|value| value.parse().ok()).unwrap_or(0)
    };
    let usage = match group.parents.version {
        1 => {
            let text = group.read(&group.cpuacct("cpuacct.usage"))?;
            Duration::from_nanos(text.parse().unwrap_or(0))
        }
        _ => Duration::from_micros(field("usage_usec")),
    };
    let counted = Counted { usage, throttled: field("nr_throttled"), stopped: Duration::ZERO };
    judge_stats(student, &counted)
}

/// What `share` makes of two readings, of one CPU and of several; `seed` is what they were made of.
pub fn judge_share(bench: &mut Bench, student: &Student, seed: u64) -> Checked<()> {
    let wall = (1000 + seed % 500) as f64;
    let before = (300 + seed % 300) as f64;
    for (name, used) in [("share", 150 + seed % 300), ("share-of-several", 3000 + seed % 1000)] {
        let used = used as f64;
        let (text, right) = (student.said(name)?, used / wall);
        bench.saw("share()", format!("{text}; {used} ms of {wall} ms is {right:.4}"));
        let said: f64 = text.parse().unwrap_or(f64::NAN);
        let is = |other: f64| (said - other).abs() < 1e-4 * other;
        let id = match said {
            _ if is(right) => continue,
            _ if is((before + used) / wall) => "L12-total",
            _ if is(100.0 * right) || said == (100.0 * right).floor() && right < 1.0 => {
                "L12-percent"
            }
            _ if name == "share-of-several" && said == 1.0 => "L12-one-cpu",
            _ if said == right.floor() => "L12-whole-number",
            _ => "L12-share",
        };
        let finding = fail(id).fact("said", text).fact("share", format!("{right:.4}"));
        let finding = finding.fact("used", used).fact("wall", wall);
        return Err(finding.fact("total", before + used));
    }
    Ok(())
}
