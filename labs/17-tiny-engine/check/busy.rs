//! Whether the daemon waits, or asks without a pause.

use std::{
    collections::BTreeMap,
    fs,
    thread::sleep,
    time::{Duration, Instant},
};

use lab::check::{Checked, Process, ensure, fail};

/// While a client waits for a container, the daemon sleeps.
pub fn ensure_sleeps(daemon: Process) -> Checked<()> {
    const WINDOWS: usize = 5;
    const WINDOW: Duration = Duration::from_millis(50);
    let is_busy = || {
        let (began, before) = (Instant::now(), Threads::of(daemon));
        sleep(WINDOW);
        let (wall, after) = (began.elapsed().as_nanos() as f64, Threads::of(daemon));
        let (ran, ready) = after.since(&before);
        // One that looks again and again with a pause sleeps for most of the time, also where it has to
        // wait for the processor; one without is always ready to run, and runs when it is its turn.
        ran >= 0.05 * wall && ran + ready >= 0.8 * wall
    };
    let busy = (0..WINDOWS).filter(|_| is_busy()).count();
    ensure(busy <= WINDOWS / 2, || fail("L17-busy-wait").fact("daemon", daemon.pid))
}

/// How long the threads of a process have run, and waited for a processor, in nanoseconds.
struct Threads(BTreeMap<u32, (f64, f64)>);

impl Threads {
    /// By `/proc/PID/task/TID/schedstat`; empty where the kernel does not count.
    fn of(process: Process) -> Self {
        let threads = fs::read_dir(process.path("task")).into_iter().flatten().flatten();
        let times = threads.filter_map(|thread| {
            let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            let mut times = text.split_whitespace().map_while(|time| time.parse().ok());
            let number = thread.file_name().to_str()?.parse().ok()?;
            Some((number, (times.next()?, times.next()?)))
        });
        Self(times.collect())
    }

    /// The busiest thread's times since then.
    fn since(&self, before: &Self) -> (f64, f64) {
        let pairs = self.0.iter().filter_map(|(thread, (ran, ready))| {
            let (ran_before, ready_before) = before.0.get(thread)?;
            Some((ran - ran_before, ready - ready_before))
        });
        pairs
            .max_by(|one, other| (one.0 + one.1).total_cmp(&(other.0 + other.1)))
            .unwrap_or_default()
    }
}
