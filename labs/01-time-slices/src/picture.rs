//! Who had the processor when, drawn for the one who starts the program by hand.

use std::time::Duration;

use super::Slice;

const COLUMNS: u32 = 75;

/// A line for each process, `#` where it ran: the first second, or less where slices are short.
pub(super) fn draw(name: &str, lanes: &[Vec<Slice>]) {
    let all = || lanes.iter().flatten();
    let mut lengths: Vec<Duration> = all().map(|slice| slice.end - slice.begin).collect();
    lengths.sort_unstable();
    let Some(median) = lengths.get(lengths.len() / 2) else { return };
    // Two rounds of everybody, at most what there is.
    let last = all().map(|slice| slice.end).max().unwrap_or_default();
    let column = (*median * 20).min(last) / COLUMNS;
    println!("\n  {name}: a column is {:.1} ms", column.as_secs_f64() * 1e3);
    for (number, slices) in lanes.iter().enumerate() {
        let runs = |at: u32| {
            let (from, to) = (column * at, column * (at + 1));
            let within = |slice: &Slice| slice.end.min(to).saturating_sub(slice.begin.max(from));
            slices.iter().map(within).sum::<Duration>() * 2 >= column
        };
        let line: String = (0..COLUMNS).map(|at| if runs(at) { '#' } else { '.' }).collect();
        println!("  {:>3} {line}", number + 1);
    }
    println!("  median of {} slices: {:.2} ms\n", lengths.len(), median.as_secs_f64() * 1e3);
}
