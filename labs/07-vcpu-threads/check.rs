//! What must be true of lab 07, look after look.

#[path = "check/interrupts.rs"]
mod interrupts;
#[path = "check/moment.rs"]
mod moment;
#[path = "check/stolen.rs"]
mod stolen;
#[path = "check/threads.rs"]
mod threads;

use std::{
    process::ExitCode,
    thread::sleep,
    time::{Duration, Instant},
};

use lab::check::{Bench, Checked, Setup, cannot_tell, ensure, fail, kernel::counts_run_time};

use moment::{Moment, Span, counters, listed, processors, ratio};

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

fn main() -> ExitCode {
    lab::check::main("07", check)
}

/// Judges the program on the bench.
pub fn check(bench: &mut Bench) -> Checked<()> {
    counts_run_time()?;
    let mut processors = processors()?;
    let cpu = processors.swap_remove(bench.random(processors.len() as u64) as usize) as u64;
    let other = processors.first().map_or(cpu, |other| *other as u64);
    if other == cpu {
        bench.unjudged("processors", format!("CPU {cpu}"));
    }
    let setup = Setup::ordinary().with_kvm().argument("vcpus", BUSY);
    let began = Instant::now();
    let mut student = bench.start(setup.argument("cpu", cpu).argument("elsewhere", other))?;

    // A small machine on another CPU, then the large one: a thread for each virtual CPU.
    student.meet("elsewhere").map_err(threads::failed)?;
    threads::are_right(bench, &student, 2, other)?;
    student.go()?;
    threads::end(bench, &mut student, "elsewhere-off")?;
    student.meet("running").map_err(threads::failed)?;
    let all = threads::are_right(bench, &student, ALL, cpu)?;
    let since = Instant::now();

    // They share it: in turn and alike, and the one that halts wants nothing of it.
    let page = counters(student.main())?;
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

    interrupts::are_survived(bench, &mut student, &all, &page)?;
    let rings = interrupts::wake(bench, &mut student, &page)?;
    stolen::is_what_was_waited(bench, &mut student, &all, &page, (began, since))?;
    interrupts::no_more_than(bench, rings, &page)?;
    student.go()?;
    threads::end(bench, &mut student, "off")?;
    student.finish()
}

/// What they did in a time in which nobody was asked for anything.
fn shared(bench: &mut Bench, span: &Span) -> Checked<()> {
    let (wall, ran, waited) = (span.wall, &span.ran, &span.waited);
    bench.saw("schedstat of each thread, ran", format!("{} during {wall:.0?}", listed(ran)));
    bench.saw("schedstat of each thread, waited", format!("{} during {wall:.0?}", listed(waited)));
    let counts: Vec<String> = span.counted.iter().map(ToString::to_string).collect();
    bench.saw("/memfd:counters, of each guest", counts.join(", "));
    let woken = span.counted[BUSY];
    ensure(woken == 0, || fail("L07-spins").fact("woken", woken).fact("rings", 0))?;
    let running = span.counted[..BUSY].iter().filter(|count| **count > 0).count();
    ensure(running == BUSY, || threads::one_thread(running, BUSY))?;
    let all = ran.iter().sum::<Duration>().as_secs_f64() / wall.as_secs_f64();
    let stolen = waited.iter().sum::<Duration>().as_secs_f64() / wall.as_secs_f64();
    bench.measured("stolen", (100.0 * stolen / BUSY as f64).round());

    // The threads are equals on one CPU: unlike progress is somebody else's doing.
    let unlike = ratio(&span.progress(BUSY));
    ensure(unlike <= FAIR && span.is_enough(BUSY, ENOUGH), || {
        let seen = format!("progress {unlike:.2} to 1 on {:.0} % of a processor", 100.0 * all);
        let wanted = "1.3 to 1 at most, with 100 ms for each of them in 8 s";
        cannot_tell("busy").fact("seen", seen).fact("wanted", wanted)
    })
}
