//! The ten at the start line, and what came of them.

use std::{thread, time::Duration};

use lab::check::{Bench, Checked, Finding, Process, Student, cannot_tell, ensure, fail};
use time_slices::EQUALS;

use super::{NORMAL, ROUND_ROBIN, steps::is_pinned};

/// What one of the ten did: how long it ran as the kernel says, and its slices, in milliseconds.
pub struct Lane {
    pub ran: f64,
    pub slices: Vec<(f64, f64)>,
}

impl Lane {
    pub fn lengths(&self) -> impl Iterator<Item = f64> {
        self.slices.iter().map(|(begin, end)| end - begin)
    }
}

pub fn race(
    bench: &mut Bench,
    student: &mut Student,
    name: &str,
    cpu: usize,
) -> Checked<Vec<Lane>> {
    let policy = if name == "normal" { NORMAL } else { ROUND_ROBIN };
    student.meet(&format!("{name}-ready")).map_err(|finding| {
        // No other step has anything that the kernel forbids.
        let forbidden = policy == NORMAL && finding.is_refusal("line_up", "not permitted");
        if forbidden { always_in_turn(finding.get("error")) } else { finding }
    })?;
    if name == "normal" {
        let none = student.number("drill-none")?;
        ensure(none == 0, || fail("L01-no-readings").fact("count", none))?;
    }
    let mut processes = Vec::new();
    for number in 0..EQUALS {
        let pid = student.number(&format!("{name}-pid-{number}"))?;
        processes.push(student.outside(pid as u32)?);
    }
    let ready = at_the_start(bench, &processes)?;
    for process in &processes {
        is_pinned(bench, *process, cpu, "L01-line-not-pinned")?;
        let found = process.stat(41)?;
        let asked = policy == ROUND_ROBIN || found == NORMAL;
        ensure(asked, || always_in_turn(format!("process {} has policy {found}", process.pid)))?;
        ensure(found == policy, || late(*process, found))?;
    }
    let ran = |process: &Process| Ok(process.schedstat()?.0.as_secs_f64() * 1e3);
    let before = processes.iter().map(ran).collect::<Checked<Vec<_>>>()?;
    student.go()?;
    student.meet(&format!("{name}-ran"))?;
    let mut lanes = Vec::new();
    for (number, process) in processes.iter().enumerate() {
        let said = student.said(&format!("{name}-slices-{number}"))?;
        let slices = said.split(' ').filter_map(|slice| {
            let (begin, end) = slice.split_once('-')?;
            Some((begin.parse::<f64>().ok()? / 1e3, end.parse::<f64>().ok()? / 1e3))
        });
        let lane = Lane { ran: ran(process)? - before[number], slices: slices.collect() };
        let claimed: f64 = lane.lengths().sum();
        let says = format!("{:.1} ms; find_slices {claimed:.1} ms", lane.ran);
        bench.saw(process.path("schedstat").display(), says);
        lanes.push(lane);
    }
    student.go()?;
    let ran: f64 = lanes.iter().map(|lane| lane.ran).sum();
    has_begun_at_the_start(ready.as_secs_f64() * 1e3, ran)?;
    let claimed: f64 = lanes.iter().flat_map(Lane::lengths).sum();
    ensure((claimed - ran).abs() <= 0.05 * ran, || {
        let seen = format!("slices of {claimed:.0} ms in all; the kernel counts {ran:.0} ms");
        cannot_tell("busy").fact("seen", seen).fact("wanted", "5 % apart at most")
    })?;
    Ok(lanes)
}

fn always_in_turn(seen: impl std::fmt::Display) -> Finding {
    fail("L01-always-in-turn").fact("seen", seen)
}

pub fn late(process: Process, policy: u64) -> Finding {
    fail("L01-late-policy").fact("pid", process.pid).fact("policy", policy)
}

/// They computed after the start and not before it: on a busy processor, who began at once has ended
/// before the first look, and is asleep then, too.
fn has_begun_at_the_start(before: f64, after: f64) -> Checked<()> {
    /// To get ready, all ten need far less.
    const READY: f64 = 50.0;
    ensure(after > before, || {
        if before > READY {
            return fail("L01-no-barrier")
                .fact("ran", format!("{before:.0}"))
                .fact("asleep", EQUALS);
        }
        let seen = format!("ten processes that had {after:.0} ms in their race");
        cannot_tell("busy").fact("seen", seen).fact("wanted", "time to compute")
    })
}

/// All of them sleep, and none has begun. Gives how long they ran to get ready.
fn at_the_start(bench: &mut Bench, processes: &[Process]) -> Checked<Duration> {
    /// Of all together. To get ready takes a tenth of it on a slow machine.
    const BEGUN: Duration = Duration::from_millis(300);
    for _ in 0..300 {
        let (mut asleep, mut ran) = (0, Duration::ZERO);
        for process in processes {
            asleep += usize::from(process.status("State")?.starts_with('S'));
            ran += process.schedstat()?.0;
        }
        let finding = || fail("L01-no-barrier").fact("ran", ran.as_millis()).fact("asleep", asleep);
        ensure(ran < BEGUN, finding)?;
        if asleep == processes.len() {
            let says = format!("{asleep} asleep at the start line, after {} ms", ran.as_millis());
            bench.saw("/proc/PID/status, State", says);
            return Ok(ran);
        }
        thread::sleep(Duration::from_millis(10));
    }
    let seen = "processes that were not asleep at the start line after 3 s";
    Err(cannot_tell("busy").fact("seen", seen).fact("wanted", "all ten asleep there"))
}

pub fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let values = sorted(values);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
