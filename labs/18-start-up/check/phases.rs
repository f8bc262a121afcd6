//! The stopwatch and the phases, beside what the sandbox itself knows of the same run.

use lab::check::{Bench, Checked, Student, ensure, fail};
use start_up::{Subject, TRIALS};

const PHASES: usize = 5;
const MILESTONES: [&str; PHASES] = ["Created", "Entered", "FirstByte", "Exited", "Cleaned"];
/// How much longer than the run the stopwatch may go, even the time it was disturbed least.
const BESIDES: f64 = 0.05;
/// A duration in nanoseconds may have been rounded on its way.
const ROUNDED_NS: f64 = 1000.0;

/// Five phases and the total, in nanoseconds.
type Times = [f64; PHASES + 1];

/// Whether `measure` runs the workload once, and its times are those of the run.
pub fn phases(bench: &mut Bench, student: &Student, subject: Subject) -> Checked<()> {
    let name = subject.name();
    let mut pairs = Vec::new();
    for trial in 0..TRIALS {
        let found = times(student.said(&format!("tried-{name}.{trial}"))?);
        let watched = student.said(&format!("watched-{name}.{trial}"))?;
        let runs: Vec<&str> = watched.split_whitespace().collect();
        ensure(runs.len() == 1, || {
            fail("L18-runs").fact("runs", runs.len()).fact("subject", name)
        })?;
        let Some(found) = found else { continue };
        // By `spawn` and `wait`, which is as right, only the sum is known.
        pairs.push((found, times(runs[0])));
    }
    for (found, right) in pairs.iter().filter_map(|(found, right)| Some((found, (*right)?))) {
        ensure_phases(name, found, &right)?;
    }
    let sum = |times: &Times| times[..PHASES].iter().sum::<f64>();
    // On a busy host many runs are interrupted, and some between two looks at the clock; what is timed
    // besides is in every one. It is compared with the run that was interrupted least.
    let runs = pairs.iter().map(|(found, right)| right.map_or(sum(found), |right| right[PHASES]));
    let shortest = runs.clone().fold(f64::INFINITY, f64::min);
    let besides = pairs.iter().zip(runs).map(|((found, _), run)| found[PHASES] - run);
    let least = besides.clone().fold(f64::INFINITY, f64::min) / shortest;
    let most = besides.fold(f64::NEG_INFINITY, f64::max) / shortest;
    bench.saw(
        format!("stopwatch of {name}"),
        format!("{:.2} % longer than the run, at least", least * 100.0),
    );
    let about = |id: &str, part: f64| {
        let finding = fail(id).fact("subject", name);
        finding.fact("part", format!("{:.2}", part.abs() * 100.0))
    };
    // A stopwatch outside of the run is longer each time, if only by the call.
    ensure(most > 0.0, || about("L18-no-stopwatch", most))?;
    ensure(least <= BESIDES, || about("L18-more-timed", least))
}

fn ensure_phases(name: &str, found: &Times, right: &Times) -> Checked<()> {
    let is = |one: f64, other: f64| (one - other).abs() <= ROUNDED_NS;
    let since_start: Vec<f64> = (1..=PHASES).map(|end| right[..end].iter().sum()).collect();
    let wrong = (0..PHASES).find(|&phase| !is(found[phase], right[phase]));
    let Some(wrong) = wrong else { return Ok(()) };
    let all_since_start = (0..PHASES).all(|phase| is(found[phase], since_start[phase]));
    let id = if all_since_start { "L18-phases" } else { "L18-phase" };
    let finding = fail(id).fact("subject", name).fact("phase", MILESTONES[wrong]);
    let finding = finding.fact("found", milliseconds(found[wrong]));
    Err(finding.fact("right", milliseconds(right[wrong])))
}

fn milliseconds(nanoseconds: f64) -> String {
    format!("{:.3} ms", nanoseconds / 1e6)
}

fn times(words: &str) -> Option<Times> {
    let times: Vec<f64> = words.split(',').filter_map(|time| time.parse().ok()).collect();
    times.try_into().ok()
}
