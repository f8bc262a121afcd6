//! The student's statistics, held against the library's.

use lab::check::{Bench, Checked, Finding, Student, ensure, fail};
use report::{Interval, Sample, median, median_interval};
use start_up::{Subject, samples_of};

const SEED: u64 = 1;

/// Made-up samples: ten processes that differ, sixteen rounds in each that hardly do, and a few that
/// took far longer.
pub fn drill(bench: &mut Bench, student: &mut Student) -> Checked<()> {
    student.meet("drill")?;
    let mut samples = Vec::new();
    for process in 0..10_u32 {
        for round in 0..16 {
            let usual = 800_000 + 50_000 * u64::from(process) + bench.random(150_000);
            let slow = if bench.random(12) == 0 { 2 + bench.random(7) } else { 1 };
            samples.push(Sample { value: (usual * slow) as f64, process, round });
        }
    }
    let words =
        samples.iter().map(|Sample { value, process, round }| format!("{process}:{round}:{value}"));
    student.go_with(&words.collect::<Vec<_>>().join(" "))?;

    student.meet("median")?;
    let values: Vec<f64> = samples.iter().map(|sample| sample.value).collect();
    let right = median(&values).unwrap_or(0.0);
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let found = student.said("drill-median")?;
    bench.saw("median of made-up samples", format!("{found}; correct: {right}"));
    let finding = |id| fail(id).fact("found", found).fact("right", right).fact("mean", mean);
    ensure(!is(found, mean), || finding("L18-mean"))?;
    ensure(is(found, right), || finding("L18-median"))?;
    student.go()?;

    student.meet("interval")?;
    let right = interval(&samples)?;
    let found = said(student, "drill");
    let width = |interval: Interval| interval.high - interval.low;
    let in_words = |interval: Interval| format!("{:.0} to {:.0}", interval.low, interval.high);
    let found_words = found.map_or("nothing".into(), in_words);
    bench.saw("its interval", format!("{found_words}; correct: {}", in_words(right)));
    let finding = |id| fail(id).fact("found", &found_words).fact("right", in_words(right));
    let found = found.ok_or_else(|| finding("L18-interval"))?;
    ensure(width(found) >= 0.6 * width(right), || finding("L18-one-level"))?;
    let near = |left: f64, right_end: f64| (left - right_end).abs() <= 0.2 * width(right);
    let agrees = near(found.low, right.low) && near(found.high, right.high);
    ensure(agrees, || finding("L18-interval"))?;
    student.go()
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
        let limits = interval(&samples)?;
        let ends = format!("{:.2} to {:.2}", limits.low / 1e6, limits.high / 1e6);
        let count = values.len();
        bench.saw(name, format!("{:.2} ms ({ends}), n = {count}", right / 1e6));
        ensure(is(found, right), || {
            fail("L18-median").fact("found", found).fact("right", right).fact("mean", "")
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

fn interval(samples: &[Sample]) -> Result<Interval, Finding> {
    let none = || std::io::Error::other("too few samples for an interval").into();
    median_interval(samples, SEED).ok_or_else(none)
}

fn said(student: &Student, name: &str) -> Option<Interval> {
    let end = |which| student.said(&format!("{name}-{which}")).ok()?.parse().ok();
    Some(Interval { low: end("low")?, high: end("high")? })
}

/// Whether `found` is this number, but for rounding.
fn is(found: &str, number: f64) -> bool {
    found.parse::<f64>().is_ok_and(|found| (found - number).abs() <= 1e-6 * number)
}
