//! What must be true of lab 01, look after look.

#[path = "check/drill.rs"]
mod drill;
#[path = "check/lanes.rs"]
mod lanes;
#[path = "check/steps.rs"]
mod steps;

use std::{fs, io, process::ExitCode, thread};

use container::scheduling::round_robin;
use lab::check::{
    Bench, Checked, Setup, Student, cannot_tell, ensure, fail, kernel::counts_run_time,
};
use nix::{
    sched::{CpuSet, sched_getaffinity},
    sys::resource::{Resource, setrlimit},
    unistd::Pid,
};
use time_slices::EQUALS;

use lanes::{Lane, late, median, race, sorted};

/// Field 41 of /proc/PID/stat (sched(7)).
const NORMAL: u64 = 0;
const ROUND_ROBIN: u64 = 2;

fn main() -> ExitCode {
    lab::check::main("01", check)
}

/// Judges the program on the bench.
pub fn check(bench: &mut Bench) -> Checked<()> {
    counts_run_time()?;
    let [cpu, other, nowhere] = some_cpus(bench)?;
    let served = may_be_served_in_turn();
    let is_served = served.is_ok();
    if let Err(because) = served {
        bench.unjudged("realtime", because);
    }
    let turn = fs::read_to_string("/proc/sys/kernel/sched_rr_timeslice_ms")?;
    let turn: f64 = turn.trim().parse().unwrap_or(100.0);
    bench.saw("/proc/sys/kernel/sched_rr_timeslice_ms", turn);

    let setup = Setup::ordinary().argument("cpu", cpu).argument("other", other);
    let setup = setup.argument("nowhere", nowhere).argument("in-turn", 11.0 * turn);
    let mut student = bench.start(if is_served { setup.with_realtime() } else { setup })?;
    steps::pin(bench, &mut student, [cpu, other])?;
    steps::refusal(bench, &mut student)?;
    steps::policy(bench, &mut student, is_served)?;
    drill::drill(bench, &mut student)?;
    normal(bench, &mut student, cpu)?;
    if is_served {
        in_turn(bench, &mut student, cpu, turn)?;
    }
    refused(bench, &mut student, "refused", "round_robin")?;
    refused(bench, &mut student, "refused-nowhere", "pin")?;
    student.finish()
}

/// Two that the check may use, in an order that the student cannot guess, and one that is not
/// there. The first two are the same where there is one only.
fn some_cpus(bench: &mut Bench) -> Checked<[usize; 3]> {
    let allowed = sched_getaffinity(Pid::from_raw(0)).map_err(io::Error::from)?;
    let cpus = (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu) == Ok(true));
    let mut cpus: Vec<usize> = cpus.collect();
    let last = CpuSet::count() - 1;
    let nowhere = (0..=last).rfind(|cpu| !cpus.contains(cpu)).unwrap_or(last);
    let one = cpus.swap_remove(bench.random(cpus.len() as u64) as usize);
    if cpus.is_empty() {
        bench.unjudged("processors", "Cpus_allowed_list");
        return Ok([one, one, nowhere]);
    }
    Ok([one, cpus[bench.random(cpus.len() as u64) as usize], nowhere])
}

/// Whether a program that this one starts may ask for `SCHED_RR`: the limit that it inherits, and
/// the budget of the cgroup.
fn may_be_served_in_turn() -> Result<(), String> {
    // A policy is a thread's: this one tries it, and is gone.
    let tries = || {
        setrlimit(Resource::RLIMIT_RTPRIO, 1, 1)
            .map_err(|error| format!("setrlimit(2): {error}"))?;
        round_robin(0).map_err(|error| format!("sched_setscheduler(2): {error}"))
    };
    thread::spawn(tries).join().unwrap_or_else(|_| Err("a thread ended".to_owned()))
}

/// The refusal comes before the start line, or it would come too late.
fn refused(bench: &mut Bench, student: &mut Student, point: &str, step: &str) -> Checked<()> {
    student.meet(point)?;
    let lined_up = student.said("refused-lined-up")? == "true";
    let pid = student.number("refused-pid")? as u32;
    // One that was refused has ended.
    let at_line = if lined_up { Some(student.outside(pid)?) } else { None };
    let policy = at_line.map(|process| process.stat(41)).transpose()?;
    student.go()?;
    student.meet(&format!("{point}-over"))?;
    let returned = student.said("refused-returned")?;
    bench.saw(format!("`line_up`, the kernel refuses `{step}`"), format!("returned {returned}"));
    ensure(!(lined_up && returned == "success"), || fail("L01-swallowed").fact("step", step))?;
    match at_line.zip(policy) {
        Some((process, policy)) => Err(late(process, policy)),
        None => student.go(),
    }
}

/// Equals get equal shares.
fn normal(bench: &mut Bench, student: &mut Student, cpu: usize) -> Checked<()> {
    let lanes = race(bench, student, "normal", cpu)?;
    let ran = sorted(lanes.iter().map(|lane| lane.ran));
    let (least, most) = (ran[0], ran[EQUALS - 1]);
    bench.saw("CPU time of each, SCHED_OTHER", format!("{least:.1} to {most:.1} ms"));
    ensure(most <= 1.25 * least, || {
        let seen = format!("one of ten equals had {least:.0} ms, another {most:.0} ms");
        cannot_tell("busy").fact("seen", seen).fact("wanted", "no more than a quarter apart")
    })?;
    bench.measured("normal", median(lanes.iter().flat_map(Lane::lengths)));
    Ok(())
}

/// Each has one turn after the other, as long as the kernel says.
fn in_turn(bench: &mut Bench, student: &mut Student, cpu: usize, turn: f64) -> Checked<()> {
    let lanes = race(bench, student, "in-turn", cpu)?;
    // A normal process may have had a twentieth of the second in the middle of someone's turn.
    let length = median(lanes.iter().map(|lane| lane.lengths().fold(0.0, f64::max)));
    let starts = sorted(lanes.iter().filter_map(|lane| Some(lane.slices.first()?.0)));
    let apart = median(starts.windows(2).map(|pair| pair[1] - pair[0]));
    bench.saw("slices, SCHED_RR", format!("{length:.1} ms, started {apart:.1} ms apart"));
    let right = |value: f64| (0.9 * turn..=1.1 * turn).contains(&value);
    ensure(right(length) && right(apart), || {
        let seen = format!("slices of {length:.0} ms that begin {apart:.0} ms apart");
        cannot_tell("busy").fact("seen", seen).fact("wanted", format!("{turn} ms, both"))
    })?;
    bench.measured("in-turn", length);
    Ok(())
}
