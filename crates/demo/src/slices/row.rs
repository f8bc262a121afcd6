//! From ticks to a line of the picture.

use super::Row;

/// The parts of `runs` between two ticks.
pub(super) fn cut(runs: &[(u64, u64)], (left, right): (u64, u64)) -> Vec<(u64, u64)> {
    let inside = runs.iter().map(|(from, to)| (*from.max(&left), *to.min(&right)));
    inside.filter(|(from, to)| from < to).collect()
}

/// The stretches at which a worker ran: from the first of these ticks, without its gaps, to the latest
/// one that it wrote down.
pub(super) fn stretches(
    (begin, latest): (u64, u64),
    gaps: impl Iterator<Item = (u64, u64)>,
) -> Vec<(u64, u64)> {
    let mut from = begin;
    let mut own = Vec::new();
    for (last, first) in gaps {
        if last < from || first < last {
            break; // no program of ours writes this
        }
        own.push((from, last));
        from = first;
    }
    // Of a gap that is new the latest tick may be older.
    own.push((from, latest.max(from)));
    own
}

/// What a worker did between two ticks.
pub(super) fn row(name: String, runs: &[(u64, u64)], (left, right): (u64, u64), rate: f64) -> Row {
    let milliseconds = |ticks: u64| (ticks as f64 / rate / 1e6) as f32;
    let inside = cut(runs, (left, right));
    let ran: u64 = inside.iter().map(|(from, to)| to - from).sum();
    // What an interrupt cuts in two is one slice all the same.
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (from, to) in &inside {
        match joined.last_mut() {
            Some((_, end)) if milliseconds(from - *end) < 1.0 => *end = *to,
            _ => joined.push((*from, *to)),
        }
    }
    let whole = joined.iter().filter(|(from, to)| *from > left && *to < right);
    let mut slices: Vec<f32> = whole.map(|(from, to)| milliseconds(to - from)).collect();
    slices.sort_by(f32::total_cmp);
    let gaps = joined.windows(2).map(|pair| milliseconds(pair[1].0 - pair[0].1));
    let hundredths = |ticks: u64| (ticks as f64 / rate / 1e4) as u32;
    Row {
        name,
        runs: joined
            .iter()
            .map(|(from, to)| (hundredths(from - left), hundredths(to - from)))
            .collect(),
        counted: None,
        share: ran as f32 / (right - left).max(1) as f32,
        slice: slices.get(slices.len() / 2).copied(),
        gap: gaps.max_by(f32::total_cmp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_has_stopped_running_is_not_taken_for_one_that_runs() {
        let gaps = [(200, 300)];
        assert_eq!(stretches((100, 350), gaps.into_iter()), [(100, 200), (300, 350)]);
        // Another program has had the processor since 350: nothing of that is the worker's.
        let row = row("1".into(), &stretches((100, 350), gaps.into_iter()), (0, 1000), 1.0);
        assert_eq!(row.share, 0.15);
        // The gap was written down after the latest tick was read, or is none.
        assert_eq!(stretches((100, 200), gaps.into_iter()), [(100, 200), (300, 300)]);
        assert_eq!(stretches((100, 200), [(90, 95)].into_iter()), [(100, 200)]);
    }

    #[test]
    fn a_row_is_cut_to_the_window_and_interrupts_do_not_split_a_slice() {
        // A tick is a nanosecond: 0 to 1 s, with slices of 100 ms, one of them interrupted.
        let ms = 1_000_000;
        let runs = [
            (0, 50 * ms),
            (100 * ms, 150 * ms),
            (150 * ms + 300_000, 200 * ms),
            (900 * ms, 1100 * ms),
        ];
        let row = row("1".into(), &runs, (20 * ms, 1000 * ms), 1.0);
        assert_eq!(row.runs, [(0, 3000), (8000, 10_000), (88_000, 10_000)]);
        assert_eq!((row.slice, row.gap), (Some(100.0), Some(700.0)));
        assert!((row.share - 0.2344).abs() < 0.001, "{}", row.share);
    }
}
