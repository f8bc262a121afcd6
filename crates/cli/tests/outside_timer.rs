//! The wall times of the comparison against a timer that is none of isolab's: a C program around
//! fork(2), execve(2) and waitpid(2), in turn with it.

mod common;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use common::isolab;
use measure::{Expected, command_time};

const ROUNDS: usize = 200;
/// Of a release build on a quiet host.
const TOLERANCE: f64 = 0.02;

struct OutsideTimer {
    process: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    _folder: tempfile::TempDir,
}

impl OutsideTimer {
    /// Compiles it, where there is a compiler, for this command.
    fn of(command: &[&str]) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("outside_timer");
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/outside_timer.c");
        let compiled = Command::new("cc").args(["-O2", "-o"]).arg(&program).arg(source).status();
        if !compiled.is_ok_and(|status| status.success()) {
            return None;
        }
        let mut timer = Command::new(&program);
        timer.arg(env!("CARGO_BIN_EXE_isolab")).args(command);
        timer.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = timer.spawn().unwrap();
        let ask = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Some(Self { process, ask, answers, _folder: folder })
    }

    /// Nanoseconds until the first byte and until the end.
    fn time(&mut self) -> [f64; 2] {
        self.ask.write_all(b"\n").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let numbers: Vec<f64> = line.split_whitespace().map(|it| it.parse().unwrap()).collect();
        numbers.try_into().unwrap()
    }
}

impl Drop for OutsideTimer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What few of the values are below: on a host that does other things, these hit some starts and not
/// others.
fn low(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 10]
}

/// How far our times to the first byte and to the end are from those outside.
fn differences(kind: &str) -> Option<[f64; 2]> {
    let words = ["run", "--in", kind, "hello"];
    let mut outside = OutsideTimer::of(&words)?;
    let (mut ours, mut theirs) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for round in 0..ROUNDS {
        let own = || {
            let (expected, deadline) = (Expected::Exactly(b"hello\n"), Duration::from_secs(20));
            let time = command_time(kind, &mut isolab(&words), expected, deadline).unwrap();
            [time.first_byte, time.exited].map(|time| time.as_nanos() as f64)
        };
        // Who follows whom alternates.
        let (own, other) = match round % 2 {
            0 => {
                let own = own();
                (own, outside.time())
            }
            _ => {
                let other = outside.time();
                (own(), other)
            }
        };
        for at in 0..2 {
            ours[at].push(own[at]);
            theirs[at].push(other[at]);
        }
    }
    let [first, last] = ours.map(low);
    let [first_outside, last_outside] = theirs.map(low);
    for (what, ours, theirs) in [("first byte", first, first_outside), ("end", last, last_outside)]
    {
        let percent = (ours / theirs - 1.0) * 100.0;
        let (ours, theirs) = (ours / 1e6, theirs / 1e6);
        println!("{kind}, {what}: {ours:.3} ms here, {theirs:.3} ms outside: {percent:+.1} %");
    }
    Some([first / first_outside - 1.0, last / last_outside - 1.0])
}

/// `cargo test --release -p cli --test outside_timer -- --ignored --nocapture` on a quiet host.
#[test]
#[ignore = "it measures, and other tests disturb it"]
fn our_wall_times_are_those_of_a_timer_outside() {
    for (kind, available) in [("process", Ok(())), ("container", container::available())] {
        if let Err(error) = available {
            println!("skipped: {kind}: {error}");
            continue;
        }
        let Some(differences) = differences(kind) else {
            println!("skipped: there is no C compiler");
            return;
        };
        assert!(differences.iter().all(|it| it.abs() < TOLERANCE), "{kind}: {differences:?}");
    }
}
