//! `isolab compare` from outside: what it writes, and what it leaves when it is interrupted.

mod common;

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use common::{descendants, isolab};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use report::{Records, metric};

const SANDBOXES: [&str; 3] = ["process", "container", "microvm"];

const FAMILIES: [&str; 10] = [
    "startup.",
    metric::TEARDOWN,
    "compute.",
    "memory.",
    metric::CROSSING,
    "footprint.",
    "images.",
    "density.",
    "slices.",
    "io.",
];

fn compare(out: &Path) -> Command {
    let mut command = isolab(&["compare", "--quick", "--rounds", "1", "--out"]);
    command.arg(out).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn every_metric_has_numbers_or_a_reason_in_every_sandbox() {
    let scratch = tempfile::tempdir().unwrap();
    let output = compare(scratch.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = fs::read_to_string(scratch.path().join("records.json")).unwrap();
    let records: Records = serde_json::from_str(&text).unwrap();
    let named = records.series.iter().map(|it| &it.metric);
    let metrics: BTreeSet<_> = named.chain(records.gaps.iter().map(|it| &it.metric)).collect();
    for family in FAMILIES {
        assert!(metrics.iter().any(|metric| metric.starts_with(family)), "nothing of {family}");
    }
    for metric in metrics {
        for sandbox in SANDBOXES {
            let numbers = records.series.iter().any(|it| {
                it.metric == *metric
                    && it.sandbox == sandbox
                    && it.samples.iter().any(|it| it.value.is_finite())
            });
            let reason = records
                .gaps
                .iter()
                .any(|it| it.metric == *metric && it.sandbox == sandbox && !it.reason.is_empty());
            assert!(numbers || reason, "silence about {metric} of {sandbox}");
        }
    }
    // A plain process needs nothing of the host, so it has its numbers everywhere.
    assert!(
        records
            .series
            .iter()
            .any(|it| it.metric == metric::COMPUTE_SPIN && it.sandbox == "process")
    );
    a_reader_can_tell_how_it_was_measured(&records);
    images_are_counted_by_what_they_share(&records);
    assert!(!text.contains(env!("CARGO_MANIFEST_DIR")), "the machine's paths are nobody's affair");
}

/// By what, how, when, and beside what else.
fn a_reader_can_tell_how_it_was_measured(records: &Records) {
    let about = &records.provenance;
    assert_eq!(about.isolab, env!("CARGO_PKG_VERSION"));
    assert!(about.method.is_some() && about.took_seconds > 0.0);
    for series in &records.series {
        assert_eq!(series.seconds.len(), series.samples.len(), "{}", series.metric);
        assert!(series.seconds.is_sorted(), "{}", series.metric);
        assert!(series.seconds.iter().all(|moment| (0.0..=about.took_seconds).contains(moment)));
    }
    let parts: BTreeSet<_> = about.conditions.iter().map(|it| it.part.as_str()).collect();
    assert!(parts.contains("startup") && parts.contains("linux"), "{parts:?}");
    for fact in ["memory", "guest kernel", "qemu", "build", "footprint.memory.moment"] {
        assert!(about.host.contains_key(fact), "{fact}");
    }
}

/// Each has 1 MiB of its own; the root file system of a guest has the base in it again.
fn images_are_counted_by_what_they_share(records: &Records) {
    let bytes = |metric: &str, sandbox: &str| {
        let mut series = records.series.iter();
        let found = series.find(|it| it.metric == metric && it.sandbox == sandbox)?;
        Some(found.samples[0].value)
    };
    let [base, own, started] =
        [metric::IMAGES_SHARED, metric::IMAGES_UNIQUE, metric::IMAGES_STARTED]
            .map(|metric| bytes(metric, "container"));
    if let Some(own) = own {
        assert!((f64::from(1 << 20)..f64::from(2 << 20)).contains(&own), "{own}");
    }
    if let (Some(own), Some(started)) = (own, started) {
        assert!(started < own, "a writable layer begins empty: {started}");
    }
    if let (Some(base), Some(own), Some(disk)) = (base, own, bytes(metric::IMAGES_UNIQUE, "linux"))
    {
        assert!(disk >= base / 2.0 + own, "{disk} has no base of {base} in it");
    }
}

#[test]
fn an_interruption_leaves_nothing_behind() {
    // At once, and then in each of the parts that a comparison says it begins.
    const PARTS: usize = 9;
    for begun in 0..=PARTS {
        let scratch = tempfile::tempdir().unwrap();
        let out = scratch.path().join("report");
        let temporary = scratch.path().join("temporary");
        fs::create_dir(&temporary).unwrap();
        let mut child = compare(&out).env("TMPDIR", &temporary).spawn().unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        for _ in 0..begun {
            errors.read_line(&mut said).unwrap();
        }
        thread::sleep(Duration::from_millis(50));
        let below = descendants(child.id());
        // Not SIGINT: what a shell starts in the background ignores it until it says otherwise.
        kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
        let status = child.wait().unwrap();
        errors.read_to_string(&mut said).unwrap();
        // Before it listens for signals it ends as any program does.
        let unheard = begun == 0 && status.signal() == Some(Signal::SIGTERM as i32);
        assert!(status.code() == Some(130) || unheard, "{status}: {said}");
        assert!(!out.exists(), "an interrupted comparison is no report");
        assert!(gone(&below), "left behind after {said}: {below:?}");
        // Before it listens for signals nobody removes anything.
        let left = fs::read_dir(&temporary).unwrap().count();
        assert!(unheard || left == 0, "temporary files after {said}");
        let launchers: Vec<_> = below.iter().map(|process| process.pid).collect();
        let entries = sandbox::Ledger::open().unwrap().entries().unwrap();
        assert!(entries.iter().all(|entry| !launchers.contains(&entry.launcher.pid)));
    }
}

/// Whether all are gone, once the kernel has come round to those that were killed.
fn gone(processes: &[sandbox::Process]) -> bool {
    (0..100).any(|_| {
        thread::sleep(Duration::from_millis(20));
        processes.iter().all(|process| !process.is_alive())
    })
}
