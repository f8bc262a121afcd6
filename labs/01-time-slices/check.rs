//! What must be true of lab 01, look after look.

#[path = "check/lanes.rs"]
mod lanes;

use std::{fs, io, process::ExitCode, thread};

use container::scheduling::round_robin;
use lab::check::{
    Bench, Checked, Process, Setup, Student, cannot_tell, ensure, fail, kernel::counts_run_time,
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
    let cpu = some_cpu(bench)?;
    let is_served = may_be_served_in_turn();
    let turn = fs::read_to_string("/proc/sys/kernel/sched_rr_timeslice_ms")?;
    let turn: f64 = turn.trim().parse().unwrap_or(100.0);
    bench.saw("/proc/sys/kernel/sched_rr_timeslice_ms", turn);

    let setup = Setup::ordinary().argument("cpu", cpu).argument("in-turn", 11.0 * turn);
    let mut student = bench.start(if is_served { setup.with_realtime() } else { setup })?;
    student.meet("pinned")?;
    let child = student.only_child().map_err(|_| fail("wrong-words").fact("said", "`pinned`"))?;
    is_pinned(bench, child, cpu)?;
    student.go()?;
    student.meet("policy")?;
    let (policy, said) = (child.stat(41)?, student.said("served-in-turn")?);
    bench.saw(format!("{}, field 41", child.path("stat").display()), policy);
    match said {
        "yes" => {
            let finding = || fail("L01-policy").fact("pid", child.pid).fact("policy", policy);
            ensure(policy == ROUND_ROBIN, finding)?;
        }
        error if is_served => {
            return Err(fail("refused").fact("step", "round_robin").fact("error", error));
        }
        error => bench.saw("sched_setscheduler(2), not for this user", error),
    }
    student.go()?;
    drill(bench, &mut student)?;
    normal(bench, &mut student, cpu)?;
    if is_served {
        in_turn(bench, &mut student, cpu, turn)?;
    } else {
        // The refusal comes before the start line, or it would come too late.
        student.meet("refused")?;
        if student.said("refused-lined-up")? == "true" {
            let process = student.outside(student.number("refused-pid")? as u32)?;
            return Err(late(process, process.stat(41)?));
        }
        student.go()?;
    }
    student.finish()
}

/// One that the check may use, and the student cannot guess.
fn some_cpu(bench: &Bench) -> Checked<usize> {
    let allowed = sched_getaffinity(Pid::from_raw(0)).map_err(io::Error::from)?;
    let cpus = (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu) == Ok(true));
    let cpus: Vec<usize> = cpus.collect();
    Ok(cpus[bench.random(cpus.len() as u64) as usize])
}

/// Whether a program that this one starts may ask for `SCHED_RR`: the limit that it inherits, and
/// the budget of the cgroup.
fn may_be_served_in_turn() -> bool {
    // A policy is a thread's: this one tries it, and is gone.
    let tries = || setrlimit(Resource::RLIMIT_RTPRIO, 1, 1).is_ok() && round_robin(0).is_ok();
    thread::spawn(tries).join().unwrap_or(false)
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

fn is_pinned(bench: &mut Bench, process: Process, cpu: usize) -> Checked<()> {
    let allowed = process.status("Cpus_allowed_list")?;
    bench.saw(format!("{}, Cpus_allowed_list", process.path("status").display()), &allowed);
    let finding = || fail("L01-not-pinned").fact("pid", process.pid).fact("cpu", cpu);
    ensure(allowed == cpu.to_string(), || finding().fact("allowed", &allowed))?;
    ensure(process.stat(39)? == cpu as u64, || finding().fact("allowed", &allowed))
}

/// Made-up readings, of which the right slices are known.
fn drill(bench: &Bench, student: &mut Student) -> Checked<()> {
    student.meet("drill")?;
    let (mut now, mut readings, mut right) = (100 + bench.random(900), Vec::new(), Vec::new());
    for _ in 0..4 + bench.random(3) {
        let begin = now;
        for number in 0..30 {
            readings.push(now.to_string());
            // Now and then an interrupt.
            let late = if number % 10 == 7 { 40 + bench.random(240) } else { bench.random(5) };
            now += 50 + late;
        }
        let end: u64 = readings[readings.len() - 1].parse().unwrap_or(0);
        right.push(format!("{begin}-{end}"));
        now = end + 2_500 + bench.random(40_000);
    }
    student.go_with(&readings.join(" "))?;
    student.meet("normal-ready")?;
    let (count, found) = (student.number("drill-count")?, student.said("drill-slices")?);
    let words: Vec<&str> = found.split(' ').collect();
    let finding = |id| {
        let finding = fail(id).fact("count", count).fact("right", right.len());
        finding.fact("found", words[words.len() - 1]).fact("last", &right[right.len() - 1])
    };
    ensure(count <= right.len() as u64, || finding("L01-interrupts"))?;
    ensure(count != 1, || finding("L01-wall-time"))?;
    ensure(words != right[..right.len() - 1], || finding("L01-last-forgotten"))?;
    ensure(words == right, || finding("L01-slices"))
}
