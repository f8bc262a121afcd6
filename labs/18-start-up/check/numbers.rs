//! The student's statistics, held against the library's.

use lab::check::{Bench, Checked, Student, ensure, fail};
use report::median;
use start_up::{Subject, samples_of};

use super::intervals::{interval, said};

/// The seed of the program's own summary.
const SEED: u64 = 1;

/// A mistake in taking the median: its message, and what it makes of some values.
type Mistake = (&'static str, fn(&[f64]) -> Option<f64>);

/// The usual ones, of which each shows in one of the sets at least.
const MISTAKES: [Mistake; 4] = [
    ("L18-unsorted", |values| Some(middle(values))),
    ("L18-mean", |values| Some(values.iter().sum::<f64>() / values.len() as f64)),
    ("L18-even", |values| Some(sorted(values)[values.len() / 2])),
    ("L18-even", |values| Some(sorted(values)[(values.len() - 1) / 2])),
];

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

/// The middle of values as they come.
fn middle(values: &[f64]) -> f64 {
    let half = values.len() / 2;
    let is_even = values.len().is_multiple_of(2);
    if is_even { f64::midpoint(values[half - 1], values[half]) } else { values[half] }
}

/// Medians of made-up times: an odd number of them, an even one, two, one, none.
pub fn medians(bench: &mut Bench, student: &mut Student) -> Checked<()> {
    let time = |bench: &Bench| {
        let usual = 800_000.0 + bench.random(150_000_000) as f64 / 1000.0;
        let is_slow = bench.random(6) == 0;
        usual * if is_slow { 2.0 + bench.random(7) as f64 } else { 1.0 }
    };
    let odd = 31 + 2 * bench.random(20) as usize;
    let sets = [odd, odd + 1, 2, 1, 0];
    let sets = sets.map(|count| (0..count).map(|_| time(bench)).collect::<Vec<f64>>());
    let words = sets.each_ref().map(|set| {
        let words = set.iter().map(ToString::to_string);
        words.collect::<Vec<_>>().join(" ")
    });
    student.go_with(&words.join("|"))?;
    student.meet("median")?;
    for (number, values) in sets.iter().enumerate() {
        let found = student.said(&format!("drill-median.{number}"))?;
        let right = median(values);
        let right_words = right.map_or("None".into(), |right| right.to_string());
        bench.saw(
            format!("median of {} made-up values", values.len()),
            format!("{found}; correct: {right_words}"),
        );
        let finding = |id| {
            let finding = fail(id).fact("found", found).fact("right", &right_words);
            finding.fact("count", values.len())
        };
        let Some(right) = right else {
            ensure(found == "nothing", || finding("L18-no-values"))?;
            continue;
        };
        if is(found, right) {
            continue;
        }
        let made = |(_, of): &&Mistake| of(values).is_some_and(|value| is(found, value));
        return Err(finding(MISTAKES.iter().find(made).map_or("L18-median", |(id, _)| id)));
    }
    Ok(())
}

/// What the program says of the file, recomputed.
pub fn summary(bench: &mut Bench, student: &Student, text: &str) -> Checked<()> {
    let mut medians = Vec::new();
    for subject in Subject::ALL {
        let name = subject.name();
        let samples = samples_of(text, subject);
        let values: Vec<f64> = samples.iter().map(|sample| sample.value).collect();
        let right = median(&values).unwrap_or(0.0);
        let found = student.said(&format!("{name}-median"))?;
        let limits = interval(&samples, SEED)?;
        let ends = format!("{:.2} to {:.2}", limits.low / 1e6, limits.high / 1e6);
        let count = values.len();
        bench.saw(name, format!("{:.2} ms ({ends}), n = {count}", right / 1e6));
        ensure(is(found, right), || {
            fail("L18-median").fact("found", found).fact("right", right).fact("count", count)
        })?;
        // Drawn at random from other numbers than these, the ends would not even overlap.
        let own = said(student, name);
        ensure(own.is_some_and(|own| own.low <= limits.high && limits.low <= own.high), || {
            let found = own.map_or("nothing".into(), |own| format!("{} to {}", own.low, own.high));
            fail("L18-interval").fact("found", found).fact("right", &ends)
        })?;
        medians.push(right);
    }
    let floor = (medians[1] / medians[0] - 1.0) * 100.0;
    bench.saw("container again, against container", format!("{floor:+.1} %"));
    bench.measured("container", medians[0] / 1e6);
    bench.measured("microvm", medians[2] / 1e6);
    Ok(())
}

/// Whether `found` is this number, but for rounding.
fn is(found: &str, number: f64) -> bool {
    found.parse::<f64>().is_ok_and(|found| (found - number).abs() <= 1e-6 * number)
}
