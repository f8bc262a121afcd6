//! What else the host did meanwhile: steal and pressure between two looks, and clocks that jumped.

use std::{
    fs,
    time::{Duration, Instant, SystemTime},
};

use host::stolen;
use report::Condition;

/// The host's counters at one moment.
#[derive(Debug, Clone)]
struct Counters {
    at: Instant,
    /// Ticks given to others, and all ticks.
    stolen: Option<(u64, u64)>,
    /// How long a runnable process had to wait for a CPU.
    waited: Option<Duration>,
}

impl Counters {
    fn now() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self {
            at: Instant::now(),
            stolen: stolen(&read("/proc/stat")),
            waited: waited(&read("/proc/pressure/cpu")),
        }
    }
}

/// Looks at the host again and again, each time at what happened since the look before.
#[derive(Debug)]
pub struct HostLoad {
    began: Instant,
    last: Counters,
}

impl HostLoad {
    /// Looks at the host now, at the beginning of a run.
    pub fn start() -> Self {
        let last = Counters::now();
        Self { began: last.at, last }
    }

    /// What the host did since the look before, while `part` was measured.
    pub fn since(&mut self, part: &str) -> Condition {
        let now = Counters::now();
        let before = std::mem::replace(&mut self.last, now.clone());
        let share = |part: f64, all: f64| (all > 0.0).then(|| (part / all).clamp(0.0, 1.0));
        let steal = before.stolen.zip(now.stolen).and_then(|((stolen, all), (later, end))| {
            share(later.saturating_sub(stolen) as f64, end.saturating_sub(all) as f64)
        });
        let length = now.at.duration_since(before.at);
        let cpu_pressure = before.waited.zip(now.waited).and_then(|(before, now)| {
            share(now.saturating_sub(before).as_secs_f64(), length.as_secs_f64())
        });
        let seconds = now.at.duration_since(self.began).as_secs_f64();
        Condition { seconds, part: part.to_owned(), steal, cpu_pressure }
    }
}

/// The time in which some process waited, of `/proc/pressure/cpu`
/// (Documentation/accounting/psi.rst: `total` is in microseconds).
fn waited(text: &str) -> Option<Duration> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let total = some.split_whitespace().find_map(|field| field.strip_prefix("total="))?;
    total.parse().ok().map(Duration::from_micros)
}

/// The host's three clocks at one moment; how they differ later says whether one was set and
/// whether the host slept. Samples are of the monotonic clock, to which neither matters.
#[derive(Debug, Clone, Copy)]
pub struct Clocks {
    /// Stands still while the host sleeps.
    monotonic: Instant,
    /// Goes on then (`CLOCK_BOOTTIME`, as `/proc/uptime` shows it).
    boot: Option<Duration>,
    /// Can be set.
    wall: SystemTime,
}

impl Clocks {
    /// All three, now.
    pub fn now() -> Self {
        let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
        let seconds = text.split_whitespace().next().and_then(|word| word.parse().ok());
        let boot = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Self { monotonic: Instant::now(), boot, wall: SystemTime::now() }
    }

    /// What happened to the clocks until `later`, by the name of the fact.
    pub fn until(self, later: Self) -> Vec<(&'static str, String)> {
        let awake = later.monotonic.duration_since(self.monotonic).as_secs_f64();
        let boot =
            self.boot.zip(later.boot).map(|(from, to)| to.as_secs_f64() - from.as_secs_f64());
        let passed = boot.unwrap_or(awake);
        let wall = match later.wall.duration_since(self.wall) {
            Ok(forward) => forward.as_secs_f64(),
            Err(backward) => -backward.duration().as_secs_f64(),
        };
        let mut facts = Vec::new();
        if passed - awake > 0.5 {
            let slept = passed - awake;
            facts.push(("suspended", format!("the host slept for {slept:.1} s of the run")));
        }
        if (wall - passed).abs() > 1.0 {
            let set = wall - passed;
            let text = format!("the host's clock was set by {set:+.1} s during the run");
            facts.push(("clock set", text));
        }
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_pressure_is_in_microseconds() {
        let text = "some avg10=1.15 avg60=1.66 avg300=0.78 total=9785236\nfull avg10=0.00 ...\n";
        assert_eq!(waited(text), Some(Duration::from_micros(9_785_236)));
        assert_eq!(waited("full total=1"), None);
    }

    #[test]
    fn conditions_are_parts_of_one() {
        let mut load = HostLoad::start();
        std::thread::sleep(Duration::from_millis(30));
        let seen = load.since("startup");
        assert!(seen.seconds >= 0.03 && seen.part == "startup", "{seen:?}");
        for part in [seen.steal, seen.cpu_pressure].into_iter().flatten() {
            assert!((0.0..=1.0).contains(&part), "{seen:?}");
        }
    }

    #[test]
    fn a_clock_that_is_set_and_a_host_that_sleeps_are_noticed() {
        let at = Clocks::now();
        let after = |awake: u64, boot: u64, wall: i64| {
            let wall_moved = Duration::from_secs(wall.unsigned_abs());
            Clocks {
                monotonic: at.monotonic + Duration::from_secs(awake),
                boot: at.boot.map(|boot_time| boot_time + Duration::from_secs(boot)),
                wall: if wall < 0 { at.wall - wall_moved } else { at.wall + wall_moved },
            }
        };
        let names = |later| at.until(later).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert!(names(after(60, 60, 60)).is_empty());
        assert_eq!(names(after(60, 60, -3540)), ["clock set"]);
        if at.boot.is_some() {
            assert_eq!(names(after(60, 3660, 3660)), ["suspended"]);
        }
    }
}
