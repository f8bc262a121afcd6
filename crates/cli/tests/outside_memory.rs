//! The memory row of the comparison against what the kernel says of another instance two seconds
//! after it stood still (`/proc/PID/smaps_rollup`, proc(5)).

mod common;

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    os::fd::AsRawFd as _,
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

use common::isolab;
use host::{mappings, process_tree, sealed_memfd};

const TOLERANCE: f64 = 0.05;
/// Longer than it takes to stand still, and two seconds more.
const AFTER: Duration = Duration::from_secs(7);

/// What the comparison measures of one instance, in bytes.
fn row(kind: &str) -> f64 {
    let output = isolab(&["measure", "footprint", "--rounds", "1"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let values = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    let of_row = |message: measure::Message| match message {
        measure::Message::Measured(it) if it.metric == report::metric::FOOTPRINT_MEMORY => {
            (it.sandbox == kind).then_some(it.value)
        }
        _ => None,
    };
    values.filter_map(of_row).next().unwrap_or_else(|| panic!("{kind} has no memory row: {text}"))
}

/// What the kernel says later, in bytes.
fn outside(kind: &str) -> f64 {
    let program = File::open(env!("CARGO_BIN_EXE_isolab")).unwrap();
    let copy = sealed_memfd(program).unwrap();
    let mut command = Command::new(format!("/proc/self/fd/{}", copy.as_raw_fd()));
    command.args(["run", "--in", kind, "idle"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut idle = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(idle.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    sleep(AFTER);
    let bytes: u64 = process_tree(idle.id()).into_iter().map(without_guest).sum();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(idle.id().cast_signed()),
        nix::sys::signal::Signal::SIGTERM,
    )
    .unwrap();
    idle.wait().unwrap();
    bytes as f64
}

/// The proportional set size of a process, without the memory of its guest.
fn without_guest(pid: u32) -> u64 {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap();
    let rollup = read("smaps_rollup");
    let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap();
    let kibibytes: u64 = pss.trim().trim_end_matches(" kB").parse().unwrap();
    let text = read("smaps");
    let is_guest = |name: &str, size: u64| name.contains("guest") || size >= 32 << 20;
    let guest = mappings(&text).filter(|it| is_guest(it.name, it.size)).map(|it| it.pss);
    kibibytes * 1024 - guest.sum::<u64>()
}

/// `cargo test --release -p cli --test outside_memory -- --ignored --nocapture` on a quiet host.
#[test]
#[ignore = "it measures, and other tests disturb it"]
fn the_memory_row_is_what_the_kernel_says_two_seconds_later() {
    for (kind, available) in [
        ("process", Ok(())),
        ("container", container::available()),
        ("microvm", microvm::available()),
    ] {
        if let Err(error) = available {
            println!("skipped: {kind}: {error}");
            continue;
        }
        let (ours, later) = (row(kind), outside(kind));
        let difference = ours / later - 1.0;
        println!(
            "{kind}: {:.0} KiB in the row, {:.0} KiB later: {:+.1} %",
            ours / 1024.0,
            later / 1024.0,
            difference * 100.0
        );
        assert!(difference.abs() < TOLERANCE, "{kind}");
    }
}
