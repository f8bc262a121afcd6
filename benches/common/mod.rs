//! What all benches share: the sandboxes, criterion's settings, and the report at the end.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use criterion::Criterion;
use measure::{LABELS, LINUX, ProvenanceRecorder, ensure_success, peers::DEFINITIONS};
use report::{Method, Order, Provenance, Records, Sample, Series, Unit, VERSION, metric};
use sandbox::{Builtin, Milestone, Outcome, Sandbox, Workload};

/// The list of sandboxes is that of the contract's tests.
#[path = "../../tests/common/mod.rs"]
mod contract;

pub use contract::sandboxes;

/// Runs a built-in program; all benches need it to succeed.
pub fn run(sandbox: &dyn Sandbox, builtin: Builtin, arguments: &[u64]) -> Outcome {
    let workload = Workload::builtin(builtin, arguments).deadline(Duration::from_secs(60));
    let outcome = sandbox.run(&workload).expect("a sandbox that is available runs every built-in");
    ensure_success(outcome).unwrap_or_else(|error| panic!("{builtin}: {error}"))
}

/// Measures the part that the program itself times, without the start around it: `count` of what
/// the metric counts in each iteration.
#[allow(dead_code, reason = "each bench is a program of its own and uses its part")]
pub fn timed_by_program(
    criterion: &mut Criterion,
    metric: &'static str,
    (builtin, arguments): (Builtin, &[u64]),
) {
    let rate = tick_rate();
    let mut group = criterion.benchmark_group(metric);
    for sandbox in sandboxes() {
        group.bench_function(sandbox.name(), |bencher| {
            bencher.iter_custom(|iterations| {
                let run = |_| run(&*sandbox, builtin, arguments).report.map_or(0, |it| it.ticks());
                let ticks: u64 = (0..iterations).map(run).sum();
                Duration::from_secs_f64(ticks as f64 / rate)
            });
        });
    }
    group.finish();
}

/// Measures from the call of `spawn` to `milestone` of a `hello`, in these sandboxes.
#[allow(dead_code, reason = "each bench is a program of its own and uses its part")]
pub fn until(
    criterion: &mut Criterion,
    metric: &'static str,
    milestone: Milestone,
    sandboxes: &[Box<dyn Sandbox>],
) {
    let mut group = criterion.benchmark_group(metric);
    for sandbox in sandboxes {
        group.bench_function(sandbox.name(), |bencher| {
            bencher.iter_custom(|iterations| {
                let reached = |_| {
                    let timeline = run(&**sandbox, Builtin::Hello, &[]).timeline;
                    timeline.since_start(milestone).expect("`hello` says hello")
                };
                (0..iterations).map(reached).sum::<Duration>()
            });
        });
    }
    group.finish();
}

/// Ticks a second of the time stamp counter.
pub fn tick_rate() -> f64 {
    measure::tick_rate().expect("a plain process can read both clocks")
}

/// What one iteration of a bench stands for in its metric.
#[allow(dead_code, reason = "each bench is a program of its own and uses its part")]
pub enum Scale {
    /// So many of what the metric counts: its value is the time of one.
    Each(f64),
    /// So many bytes: its value is their number in a second.
    Bytes(f64),
}

/// Samples that criterion takes of each bench, unless that says otherwise.
const SAMPLES: u32 = 20;

/// Runs the benches of one file and leaves a report of all that criterion has samples of.
pub fn main(metrics: &[(&str, Scale)], benches: impl FnOnce(&mut Criterion)) {
    let recorder = ProvenanceRecorder::start(command_line());
    let mut criterion = Criterion::default()
        .output_directory(&samples_directory())
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(SAMPLES as usize)
        .configure_from_args();
    benches(&mut criterion);
    criterion.final_summary();
    match leave_report(metrics, recorder) {
        Ok(Some(page)) => println!("{}", page.display()),
        Ok(None) => {}
        Err(error) => {
            eprintln!("no report: {error}");
            std::process::exit(1);
        }
    }
}

/// The command without the path of the program and the hash in its name.
fn command_line() -> String {
    let program = env::args().next().unwrap_or_default();
    let stem = Path::new(&program).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let bench = stem.rsplit_once('-').map_or(&*stem, |(name, _)| name);
    format!("cargo bench --bench {bench}")
}

/// How criterion measures: one process, one sandbox after the other.
fn provenance(recorder: ProvenanceRecorder) -> Provenance {
    let method = Method {
        processes: 1,
        rounds: SAMPLES,
        warm_up: 0,
        order: Order::Consecutive,
        measured_twice: false,
    };
    Provenance { method: Some(method), ..recorder.finish(0) }
}

fn samples_directory() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("criterion")
}

/// Criterion's raw samples: each `times` is that of so many `iters`, in nanoseconds.
#[derive(serde::Deserialize)]
struct Raw {
    iters: Vec<f64>,
    times: Vec<f64>,
}

/// Adds the samples of this file's metrics to the report of the benches; those that other files
/// left there stay.
fn leave_report(
    metrics: &[(&str, Scale)],
    recorder: ProvenanceRecorder,
) -> Result<Option<PathBuf>, Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/bench");
    let mut series = earlier(&folder.join("records.json"));
    let mut found = false;
    for (metric, scale) in metrics {
        series.retain(|series: &Series| series.metric != *metric);
        let peers = DEFINITIONS.iter().map(|definition| definition.name);
        for sandbox in LABELS.into_iter().chain([LINUX]).chain(peers) {
            let path = samples_directory().join(metric).join(sandbox).join("new/sample.json");
            let Ok(text) = fs::read_to_string(path) else { continue };
            found = true;
            series.push(of_raw(metric, scale, sandbox, &serde_json::from_str(&text)?));
        }
    }
    if !found {
        return Ok(None);
    }
    let records = Records {
        version: VERSION,
        provenance: provenance(recorder),
        series,
        gaps: Vec::new(),
        traces: Vec::new(),
        probes: Vec::new(),
    };
    Ok(Some(report::write_report(&records, &folder)?.page))
}

fn earlier(path: &Path) -> Vec<Series> {
    let text = fs::read_to_string(path).unwrap_or_default();
    serde_json::from_str(&text).map(|records: Records| records.series).unwrap_or_default()
}

/// Why numbers beside each other are not of the same thing.
fn caveat(metric: &str, sandbox: &str) -> Option<&'static str> {
    let without_quota = metric == metric::SLICES_QUOTA10_GAP && sandbox == "process";
    without_quota.then_some("it keeps no quota: what the host alone does to it")
}

fn of_raw(metric: &str, scale: &Scale, sandbox: &str, raw: &Raw) -> Series {
    let value = |(time, iterations): (&f64, &f64)| match scale {
        Scale::Each(count) => time / iterations / count,
        Scale::Bytes(bytes) => bytes / (time / iterations / 1e9),
    };
    let values = raw.times.iter().zip(&raw.iters).map(value);
    let sample = |(round, value)| Sample { value, process: 0, round };
    Series {
        metric: metric.to_owned(),
        sandbox: sandbox.to_owned(),
        unit: match scale {
            Scale::Each(_) => Unit::Nanoseconds,
            Scale::Bytes(_) => Unit::BytesPerSecond,
        },
        caveat: caveat(metric, sandbox).map(str::to_owned),
        samples: (0..).zip(values).map(sample).collect(),
        seconds: Vec::new(),
    }
}
