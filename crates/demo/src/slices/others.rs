//! The time that no worker had: other programs, the kernel, the host of this machine, or nobody.

use super::{Mode, Row, Slices};
use crate::{Language, script::Words};

/// What cuts a turn of `SCHED_RR` in two is named from this length on, in hundredths of a millisecond:
/// longer than an interrupt, shorter than what real-time throttling takes.
const CUT: u32 = 500;

impl Slices {
    /// The time of the processor that no worker had, as a row: with those of the workers its share is
    /// the whole.
    pub(super) fn others(&self, language: Language) -> Row {
        let words = match self.mode {
            // A container alone leaves the processor idle, too.
            Mode::Quota => Words("rest", "其余"),
            _ => Words("others", "其他"),
        };
        let ran: f32 = self.rows.iter().map(|row| row.share).sum();
        Row {
            name: words.of(language).into(),
            runs: self.between(),
            share: (1.0 - ran).max(0.0),
            counted: None,
            slice: None,
            gap: None,
        }
    }

    /// What no row covers, in hundredths of a millisecond.
    fn between(&self) -> Vec<(u32, u32)> {
        let mut runs: Vec<(u32, u32)> = self.rows.iter().flat_map(|row| row.runs.clone()).collect();
        runs.sort_unstable();
        let mut between = Vec::new();
        let mut from = 0;
        for (begin, length) in runs.into_iter().chain([(self.milliseconds.saturating_mul(100), 0)])
        {
            if begin > from {
                between.push((from, begin - from));
            }
            from = from.max(begin.saturating_add(length));
        }
        between
    }

    /// The longest stretch in which something else ran in the middle of a turn of `SCHED_RR`: the worker
    /// whose turn it was, and its length in hundredths of a millisecond.
    pub(super) fn cut_turn(&self) -> Option<(&str, u32)> {
        if self.mode != Mode::RoundRobin {
            return None;
        }
        let is_of = |row: &&Row, (begin, length): (u32, u32)| {
            // Rounded, the ends may be apart.
            let near = |one: u32, other: u32| one.abs_diff(other) <= 2;
            row.runs.iter().any(|(from, ran)| near(from + ran, begin))
                && row.runs.iter().any(|(from, _)| near(*from, begin + length))
        };
        let cut = self.between().into_iter().filter(|(_, length)| *length >= CUT);
        let cut = cut.filter_map(|gap| {
            let row = self.rows.iter().find(|row| is_of(row, gap))?;
            Some((row.name.as_str(), gap.1))
        });
        cut.max_by_key(|(_, length)| *length)
    }

    /// Why such a turn was cut: where there is only `SCHED_RR`, ordinary programs would never run.
    pub(super) fn about_cut(&self, language: Language) -> Option<String> {
        let (name, length) = self.cut_turn()?;
        let milliseconds = f64::from(length) / 100.0;
        Some(match language {
            Language::En => format!(
                "The turn of {name} was cut by {milliseconds:.0} ms of others: Linux keeps 5 % of each second \
                 from SCHED_RR (sched_rt_runtime_us; since Linux 6.12 the fair server)."
            ),
            Language::Zh => format!(
                "{name} 号的一轮被其他程序打断 {milliseconds:.0} 毫秒：Linux 每秒为普通程序保留 5 %\
                 （sched_rt_runtime_us；6.12 起改由 fair server 负责）。"
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Demo;

    fn row(name: &str, runs: &[(u32, u32)]) -> Row {
        let ran: u32 = runs.iter().map(|(_, length)| length).sum();
        let share = ran as f32 / 100_000.0;
        Row { name: name.into(), runs: runs.into(), share, counted: None, slice: None, gap: None }
    }

    fn scene(mode: Mode, rows: Vec<Row>) -> Slices {
        Slices {
            mode,
            milliseconds: 1000,
            rows,
            counter: None,
            throttled: None,
            switches: None,
            processor: None,
            note: None,
        }
    }

    #[test]
    fn workers_and_others_are_all_of_the_second() {
        let rows = vec![row("1", &[(0, 30_000), (60_000, 20_000)]), row("2", &[(30_000, 10_000)])];
        let others = scene(Mode::Normal, rows).others(Language::En);
        assert_eq!(others.runs, [(40_000, 20_000), (80_000, 20_000)]);
        assert!((others.share - 0.4).abs() < 1e-6, "{others:?}");
        let none = scene(Mode::Normal, vec![]).others(Language::En);
        assert_eq!((none.runs.as_slice(), none.share), (&[(0, 100_000)][..], 1.0));
    }

    #[test]
    fn in_the_recording_the_shares_are_never_more_than_all() {
        for scene in Demo::Slices.recorded().unwrap().scenes() {
            let crate::Scene::Slices(scene) = scene else { panic!("another demonstration") };
            let ran: f32 = scene.rows.iter().map(|row| row.share).sum();
            let all = ran + scene.others(Language::En).share;
            assert!((0.98..1.02).contains(&all), "{all}");
        }
    }

    #[test]
    fn what_cuts_a_turn_is_named_and_what_follows_it_is_not() {
        let rows = vec![row("1", &[(0, 4000), (9000, 6000)]), row("2", &[(20_000, 10_000)])];
        let scene = scene(Mode::RoundRobin, rows);
        assert_eq!(scene.cut_turn(), Some(("1", 5000)));
        assert!(scene.about_cut(Language::En).unwrap().contains("cut by 50 ms"));
        assert_eq!(Slices { mode: Mode::Normal, ..scene }.about_cut(Language::En), None);
    }
}
