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
    /// A thread that reads files may have to wait for one now and then.
    const FEW: u64 = 2;
    let mut pauses = 0;
    let mut is_busy = || {
        let (began, before) = (Instant::now(), Threads::of(daemon));
        sleep(WINDOW);
        let (wall, after) = (began.elapsed().as_nanos() as f64, Threads::of(daemon));
        let busiest = after.since(&before);
        pauses += busiest.pauses;
        // One that looks again and again with a pause sleeps for most of the time, also where it has to
        // wait for the processor; one without is always ready to run, and runs when it is its turn.
        busiest.ran >= 0.05 * wall && busiest.ran + busiest.ready >= 0.8 * wall
    };
    let busy = (0..WINDOWS).filter(|_| is_busy()).count();
    // On a slow host a look takes longer than the pause after it; but the pause is there.
    ensure(busy <= WINDOWS / 2 || pauses > FEW, || fail("L17-busy-wait").fact("daemon", daemon.pid))
}

/// What the kernel says of a process's threads.
struct Threads(BTreeMap<u32, Times>);

/// How long a thread has run, and waited for a processor, in nanoseconds; and how often it went to
/// sleep by itself.
#[derive(Debug, Clone, Copy, Default)]
struct Times {
    ran: f64,
    ready: f64,
    pauses: u64,
}

impl Threads {
    /// By `schedstat` and `status` in `/proc/PID/task/TID`; empty where the kernel does not count.
    fn of(process: Process) -> Self {
        let threads = fs::read_dir(process.path("task")).into_iter().flatten().flatten();
        let times = threads.filter_map(|thread| {
            let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            let mut times = text.split_whitespace().map_while(|time| time.parse().ok());
            let (ran, ready) = (times.next()?, times.next()?);
            let status = fs::read_to_string(thread.path().join("status")).ok()?;
            let mut lines = status.lines();
            let pauses = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
            let pauses = pauses.trim().parse().ok()?;
            let number = thread.file_name().to_str()?.parse().ok()?;
            Some((number, Times { ran, ready, pauses }))
        });
        Self(times.collect())
    }

    /// The busiest thread's times since then.
    fn since(&self, before: &Self) -> Times {
        let differences = self.0.iter().filter_map(|(thread, now)| {
            let before = before.0.get(thread)?;
            Some(Times {
                ran: now.ran - before.ran,
                ready: now.ready - before.ready,
                pauses: now.pauses - before.pauses,
            })
        });
        let all = |times: &Times| times.ran + times.ready;
        differences.max_by(|one, other| all(one).total_cmp(&all(other))).unwrap_or_default()
    }
}
