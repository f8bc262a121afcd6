//! Which program ran when: from the gaps that programs saw in their own running to turns and shares.
//!
//! ```text
//!   one    ####......####......   begin, records (gaps), end: all in ticks
//!   other  ....######....######   one time stamp counter for all, so they line up
//! ```

use report::{Lane, ScheduleTrace};
use sandbox::Report;

/// A stretch of time in ticks, first and one past the last.
pub type Stretch = (u64, u64);

/// The stretches in which the program of this report ran.
pub fn running(report: &Report) -> Vec<Stretch> {
    let mut stretches = Vec::new();
    let mut from = report.begin_ticks;
    for &(last, first) in &report.records {
        if last < from || first < last || first > report.end_ticks {
            break; // no program of ours writes this: show nothing rather than nonsense
        }
        stretches.push((from, last));
        from = first;
    }
    // Beyond the last record there is room for, nothing is known.
    if report.records.len() < guest::abi::RECORD_PAIRS {
        stretches.push((from, report.end_ticks.max(from)));
    }
    stretches
}

/// Until when it is known whether the program of this report ran: its end, or that of the last gap
/// for which there was room.
pub fn known_until(report: &Report) -> u64 {
    match report.records.last() {
        Some((_, first)) if report.records.len() >= guest::abi::RECORD_PAIRS => *first,
        _ => report.end_ticks,
    }
}

/// The window in which all of these programs were at work, as far as that is known.
pub fn common(reports: &[Report]) -> Option<Stretch> {
    let begin = reports.iter().map(|report| report.begin_ticks).max()?;
    let end = reports.iter().map(known_until).min()?;
    (begin < end).then_some((begin, end))
}

/// The parts of `stretches` inside of `window`.
pub fn cut(stretches: &[Stretch], window: Stretch) -> Vec<Stretch> {
    let inside = |&(from, to): &Stretch| (from.max(window.0), to.min(window.1));
    stretches.iter().map(inside).filter(|(from, to)| from < to).collect()
}

/// The part of `window` that is covered.
pub fn share(stretches: &[Stretch], window: Stretch) -> f64 {
    let ran: u64 = cut(stretches, window).iter().map(|(from, to)| to - from).sum();
    ran as f64 / (window.1 - window.0).max(1) as f64
}

/// The lengths of the turns on a shared processor: a turn lasts until another lane runs, so that an
/// interruption from elsewhere does not split it. The first and the last turn are cut off by the
/// window and do not count.
pub fn turns(lanes: &[Vec<Stretch>]) -> Vec<u64> {
    let mut all: Vec<(Stretch, usize)> = lanes
        .iter()
        .enumerate()
        .flat_map(|(lane, stretches)| stretches.iter().map(move |&stretch| (stretch, lane)))
        .collect();
    all.sort_unstable();
    let mut turns: Vec<(Stretch, usize)> = Vec::new();
    for ((from, to), lane) in all {
        match turns.last_mut() {
            Some(((_, end), last)) if *last == lane => *end = to.max(*end),
            _ => turns.push(((from, to), lane)),
        }
    }
    let whole = turns.get(1..turns.len().saturating_sub(1)).unwrap_or_default();
    whole.iter().map(|((from, to), _)| to - from).collect()
}

/// The whole periods of a program that is stopped again and again: from the end of its first gap to
/// the end of its last one. Only gaps of at least `gap` ticks count.
pub fn periods(report: &Report, gap: u64) -> Option<Stretch> {
    let mut ends = report.records.iter().filter(|(last, first)| first.saturating_sub(*last) >= gap);
    let first = ends.next()?.1;
    let last = ends.next_back()?.1;
    (first < last).then_some((first, last))
}

/// The picture of these lanes inside of `window`.
pub fn trace(
    metric: &str,
    lanes: &[(String, Vec<Stretch>)],
    window: Stretch,
    rate: f64,
) -> ScheduleTrace {
    let nanoseconds = |ticks: u64| (ticks as f64 * 1e9 / rate) as u64;
    let on_axis = |(from, to): Stretch| (nanoseconds(from - window.0), nanoseconds(to - window.0));
    let lane = |(label, stretches): &(String, Vec<Stretch>)| Lane {
        label: label.clone(),
        running: cut(stretches, window).into_iter().map(on_axis).collect(),
    };
    ScheduleTrace {
        metric: metric.to_owned(),
        lanes: lanes.iter().map(lane).collect(),
        length_nanoseconds: nanoseconds(window.1 - window.0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn report(begin_ticks: u64, end_ticks: u64, records: &[(u64, u64)]) -> Report {
        Report { begin_ticks, end_ticks, records: records.to_vec(), ..Report::default() }
    }

    #[test]
    fn a_program_runs_where_it_saw_no_gap() {
        let seen = report(10, 100, &[(20, 50), (60, 90)]);
        assert_eq!(running(&seen), [(10, 20), (50, 60), (90, 100)]);
        assert_eq!(share(&running(&seen), (20, 100)), 0.25);
        assert_eq!(periods(&seen, 5), Some((50, 90)));
        assert_eq!(periods(&seen, 31), None);
    }

    #[test]
    fn a_turn_ends_when_another_lane_runs() {
        let one = vec![(0, 10), (30, 38), (39, 45)];
        let other = vec![(12, 29), (46, 60)];
        assert_eq!(turns(&[one, other]), [17, 15]);
        assert_eq!(turns(&[]), [0; 0]);
    }

    #[test]
    fn the_window_is_where_all_are_at_work() {
        assert_eq!(common(&[report(0, 50, &[]), report(20, 80, &[])]), Some((20, 50)));
        assert_eq!(common(&[report(0, 10, &[]), report(20, 80, &[])]), None);
    }

    #[test]
    fn what_there_was_no_room_for_is_in_no_window() {
        let gaps: Vec<_> =
            (1..=guest::abi::RECORD_PAIRS as u64).map(|i| (i * 10, i * 10 + 5)).collect();
        let end = gaps.last().unwrap().1;
        let (full, other) = (report(0, end * 4, &gaps), report(5, end * 2, &[]));
        let window = common(&[full.clone(), other]).unwrap();
        assert_eq!(window, (5, end));
        assert!((share(&running(&full), window) - 0.5).abs() < 0.01);
    }

    proptest! {
        #[test]
        fn no_report_of_a_guest_makes_it_panic(
            ends in any::<(u64, u64)>(),
            records in prop::collection::vec(any::<(u64, u64)>(), 0..20),
        ) {
            let seen = report(ends.0, ends.1, &records);
            let ran = running(&seen);
            prop_assert!(ran.iter().all(|(from, to)| from <= to));
            periods(&seen, 1);
            turns(std::slice::from_ref(&ran));
            if let Some(window) = common(&[seen]) {
                prop_assert!(share(&ran, window) <= 1.0);
                trace("x", &[("one".into(), ran)], window, 2e9);
            }
        }
    }
}
