//! What must be true of lab 07, look after look.

#[path = "check/moment.rs"]
mod moment;
#[path = "check/threads.rs"]
mod threads;

use std::{
    fs::File,
    process::ExitCode,
    thread::sleep,
    time::{Duration, Instant},
};

use lab::check::{
    Bench, Checked, Process, Setup, Student, cannot_tell, ensure, fail, kernel::counts_run_time,
};

use moment::{Moment, Span, counted, counters, processors, ratio};
use threads::{go_on, named, pinned, turned_off};

/// Virtual CPUs that never halt; one more does nothing else.
const BUSY: usize = 3;
const ALL: usize = BUSY + 1;
/// What each of them is to have run before it is judged: some tens of slices.
const ENOUGH: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(8);
/// The most that one may have done of another's progress.
const FAIR: f64 = 1.3;
/// The kernel adds up the time of a running thread at its ticks, which may be 10 ms apart.
const TICK: Duration = Duration::from_millis(10);
/// What a program may lose that tells milliseconds.
const ROUNDING: Duration = Duration::from_millis(1);

fn main() -> ExitCode {
    lab::check::main("07", check)
}

/// Judges the program on the bench.
pub fn check(bench: &mut Bench) -> Checked<()> {
    counts_run_time()?;
    let processors = processors()?;
    let cpu = processors[bench.random(processors.len() as u64) as usize] as u64;
    let setup = Setup::ordinary().with_kvm().argument("vcpus", BUSY).argument("cpu", cpu);
    let began = Instant::now();
    let mut student = bench.start(setup)?;
    if processors.len() == 1 {
        bench.unjudged("processors", "Cpus_allowed_list");
    }
    student.meet("running").map_err(|finding| {
        let refused = ["EINVAL", "ESRCH", "EPERM"]
            .iter()
            .any(|error| finding.is_refusal("run a virtual CPU", error));
        let error = finding.get("error").to_owned();
        if refused { fail("L07-pin-refused").fact("error", error) } else { finding }
    })?;

    // A thread for each virtual CPU, all of them on one CPU of the host.
    let program = student.main();
    let (open, all) = (program.descriptors()?, moment::threads(program)?);
    let vcpus = open.iter().filter(|(_, file)| file.starts_with("anon_inode:kvm-vcpu")).count();
    bench.saw(program.path("fd").display(), format!("{vcpus} x anon_inode:kvm-vcpu"));
    bench.saw(program.path("task").display(), format!("{} besides the first", all.len()));
    // The one that halts may have lost its own already, which is judged later.
    ensure(all.len() >= BUSY, || {
        fail("L07-one-thread").fact("threads", all.len()).fact("vcpus", vcpus)
    })?;
    pinned(bench, &all, cpu)?;
    named(bench, &student, &all)?;
    let handles = student.number("handles")?;
    ensure(handles == ALL as u64, || fail("L07-handles").fact("handles", handles))?;

    // They share it: in turn and alike, and the one that halts wants nothing of it.
    let page = counters(program)?;
    let before = Moment::now(&all, &page, ALL)?;
    let span = loop {
        let span = Moment::now(&all, &page, ALL)?.since(&before);
        // Shares are alike in the long run: a busy host needs a longer one.
        let is_alike = ratio(&span.progress(BUSY)) <= FAIR;
        let is_over = span.counted[BUSY] > 0 || span.wall > LONGEST;
        if is_over || (is_alike && span.is_enough(BUSY, ENOUGH)) {
            break span;
        }
        sleep(Duration::from_millis(20));
    };
    shared(bench, &span)?;
    pinned(bench, &all, cpu)?;

    // It wakes as often as it is interrupted, and sleeps again.
    let rings = 2 + bench.random(4);
    student.go_with(&rings.to_string())?;
    student.meet("rung")?;
    let deadline = Instant::now() + bench.timeout();
    let mut woken = counted(&page, ALL)?[BUSY];
    while woken < rings && moment::threads(program)?.len() > BUSY && Instant::now() < deadline {
        sleep(Duration::from_millis(1));
        woken = counted(&page, ALL)?[BUSY];
    }
    bench.saw("interrupts, and wake-ups in the guest", format!("{rings}, {woken}"));
    ensure(woken >= rings, || fail("L07-left-at-halt").fact("rings", rings).fact("woken", woken))?;
    ensure(woken == rings, || fail("L07-spins").fact("woken", woken - rings))?;
    student.go()?;
    student.meet("interrupted")?;
    go_on(bench, &student, &all, &page)?;

    stolen(bench, &mut student, &all, &page, began)?;
    student.go()?;
    turned_off(program, &all)?;
    student.finish()
}

/// What they did in a time in which nobody was asked for anything.
fn shared(bench: &mut Bench, span: &Span) -> Checked<()> {
    let (wall, ran, waited) = (span.wall, &span.ran, &span.waited);
    let wall_ms = wall.as_millis();
    bench.saw("schedstat of each thread, ran", format!("{} in {wall_ms} ms", list(ran)));
    bench.saw("schedstat of each thread, waited", format!("{} in {wall_ms} ms", list(waited)));
    let counts: Vec<String> = span.counted.iter().map(u64::to_string).collect();
    bench.saw("/memfd:counters", counts.join(", "));
    let woken = span.counted[BUSY];
    ensure(woken == 0, || fail("L07-spins").fact("woken", woken))?;
    let running = span.counted[..BUSY].iter().filter(|count| **count > 0).count();
    ensure(running == BUSY, || fail("L07-one-thread").fact("threads", running).fact("vcpus", ALL))?;
    let all: Duration = ran.iter().sum();
    let all = all.as_secs_f64() / wall.as_secs_f64();
    let stolen = waited.iter().sum::<Duration>().as_secs_f64() / wall.as_secs_f64();
    bench.measured("stolen", (100.0 * stolen / BUSY as f64).round());

    let unlike = ratio(&span.progress(BUSY));
    if unlike <= FAIR && span.is_enough(BUSY, ENOUGH) {
        return Ok(());
    }
    // Their nice values and policies are alike: unlike progress is somebody else's doing.
    let seen = format!("progress {unlike:.2} to 1 on {:.0} % of a processor", 100.0 * all);
    let wanted = "1.3 to 1 at most, with 100 ms for each of them in 8 s";
    Err(cannot_tell("busy").fact("seen", seen).fact("wanted", wanted))
}

/// What the program says of the stolen time lies between what the kernel said before and after.
fn stolen(
    bench: &mut Bench,
    student: &mut Student,
    threads: &[Process],
    page: &File,
    began: Instant,
) -> Checked<()> {
    let inside: Result<Vec<u32>, _> = threads.iter().map(|thread| thread.inner_pid()).collect();
    let inside = inside?;
    let before = Moment::now(threads, page, ALL)?;
    let others = (student.main().schedstat()?.1, moment::slices(threads));
    student.go()?;
    student.meet("told").map_err(|finding| {
        let refused = finding.is_refusal("stolen_time", "");
        let error = finding.get("error").to_owned();
        if refused { fail("L07-stolen-refused").fact("error", error) } else { finding }
    })?;
    let now = (student.main().schedstat()?.1, moment::slices(threads));
    let (after, alive) = (Moment::now(threads, page, ALL)?, began.elapsed());
    ensure(!after.waited.iter().all(Duration::is_zero), || {
        cannot_tell("lacking").fact("error", "schedstat does not tell how long a thread waited")
    })?;
    let said = |vcpu: usize| student.number(&format!("stolen-{vcpu}")).map(Duration::from_nanos);
    let first = said(0)?;
    ensure(first <= alive + TICK, || {
        fail("L07-wrong-unit")
            .fact("said", format!("{first:.0?}"))
            .fact("alive", format!("{alive:.0?}"))
    })?;
    // The one that halts comes first: who does not want to run does not wait either.
    for vcpu in (0..ALL).rev() {
        let said = said(vcpu)?;
        let thread = student.number(&format!("thread-{vcpu}"))?;
        let place = inside.iter().position(|number| u64::from(*number) == thread);
        let place = place.ok_or_else(|| fail("wrong-words").fact("said", thread))?;
        let within = |before: &[Duration], after: &[Duration]| {
            before[place].saturating_sub(ROUNDING) <= said && said <= after[place] + ROUNDING
        };
        let waited = after.waited[place];
        let path = threads[place].path("schedstat");
        bench.saw(path.display(), format!("waited {waited:.2?}; stolen_time {said:.2?}"));
        let id = match said {
            _ if within(&before.waited, &after.waited) => continue,
            said if others.0 <= said && said <= now.0 => "L07-process",
            said if vcpu == BUSY && said > waited + TICK => "L07-blocked",
            _ if vcpu == BUSY => continue,
            _ if within(&before.ran, &after.ran) => "L07-run-time",
            said if others.1[place] <= said && said <= now.1[place] => "L07-count",
            said if said < before.waited[place] / 10 => "L07-inside",
            _ => "L07-stolen",
        };
        let finding = fail(id).fact("said", format!("{said:.0?}")).fact("vcpu", vcpu);
        return Err(finding.fact("waited", format!("{waited:.0?}")));
    }
    Ok(())
}

/// In milliseconds.
fn list(times: &[Duration]) -> String {
    times.iter().map(|time| time.as_millis().to_string()).collect::<Vec<_>>().join(", ")
}
