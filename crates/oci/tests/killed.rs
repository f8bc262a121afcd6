//! A runtime that is killed at any moment leaves nothing that `delete --force` does not remove.

mod bundle;

use std::{
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use bundle::Bundle;

/// How many times; `ISOLAB_KILLS=1000` for an evening.
fn rounds() -> u32 {
    std::env::var("ISOLAB_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(50)
}

/// Runs a command of the runtime, and kills it after `delay`. Whether it was still running.
fn killed(mut command: Command, delay: Duration) -> bool {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while began.elapsed() < delay {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        // Sleeping would be too coarse for what takes a few milliseconds.
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    !child.wait().unwrap().success()
}

/// How long a command takes when nobody kills it.
fn time_of(mut command: Command) -> Duration {
    let began = Instant::now();
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    began.elapsed()
}

#[test]
fn nothing_is_left_of_a_runtime_that_was_killed() {
    let Some(bundle) = Bundle::new("sleep 100") else { return };
    let command = |words: &[&str]| {
        let mut command = bundle.runtime();
        command.args(words).arg(&bundle.id);
        command
    };
    let here = bundle.directory.path().to_str().unwrap();
    let (create, start) = (["create", "-b", here], ["start"]);
    let delete = ["delete", "--force"];
    let times = [time_of(command(&create)), time_of(command(&start)), time_of(command(&delete))];
    let rounds = rounds();
    let mut hit = [0; 3];
    for round in 0..rounds {
        let which = round as usize % 3;
        if which > 0 {
            bundle.create(&[]).ok();
        }
        if which > 1 {
            bundle.call(&start.map(|word| word).into_iter().chain(["@"]).collect::<Vec<_>>()).ok();
        }
        // Over the whole of its time and a little more, in steps that come to every part of it.
        let part = f64::from(round.wrapping_mul(7919) % rounds) / f64::from(rounds);
        let delay = times[which].mul_f64(part * 1.2);
        let words = [&create[..], &start[..], &delete[..]][which];
        hit[which] += u32::from(killed(command(words), delay));
        let deleted = bundle.call(&["delete", "--force", "@"]);
        assert_eq!(deleted.code, 0, "round {round}, {words:?} after {delay:?}: {deleted:?}");
        let began = Instant::now();
        while !bundle.left().is_empty() && began.elapsed() < Duration::from_secs(5) {
            sleep(Duration::from_millis(2));
        }
        let left = bundle.left();
        assert!(left.is_empty(), "round {round}, {words:?} after {delay:?}: {left:?}");
    }
    println!("killed in create, start, delete: {hit:?} of {rounds} rounds");
    assert!(hit.iter().all(|count| *count > 0), "{hit:?}");
}
