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

/// Enough for a median on a host that does other things as well.
const ROUNDS: usize = 60;
/// On a quiet host it is 2 %, with a release build; a test host is neither.
const TOLERANCE: f64 = 0.15;

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

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn our_wall_times_are_those_of_a_timer_outside() {
    let sandboxes = [("process", Ok(())), ("container", container::available())];
    for (kind, available) in sandboxes {
        if let Err(error) = available {
            println!("skipped: {kind}: {error}");
            continue;
        }
        let words = ["run", "--in", kind, "hello"];
        let Some(mut outside) = OutsideTimer::of(&words) else {
            println!("skipped: there is no C compiler");
            return;
        };
        let (mut ours, mut theirs) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
        for round in 0..ROUNDS {
            let own = || {
                let expected = Expected::Exactly(b"hello\n");
                let deadline = Duration::from_secs(20);
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
        for (what, (ours, theirs)) in ["first byte", "end"].iter().zip(ours.into_iter().zip(theirs))
        {
            let (ours, theirs) = (median(ours), median(theirs));
            let difference = ours / theirs - 1.0;
            println!(
                "{kind}, {what}: {:.3} ms here, {:.3} ms outside: {:+.1} %",
                ours / 1e6,
                theirs / 1e6,
                difference * 100.0
            );
            assert!(difference.abs() < TOLERANCE, "{kind}, {what}: {ours} {theirs}");
        }
    }
}
