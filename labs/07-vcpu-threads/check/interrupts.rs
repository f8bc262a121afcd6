//! What interrupts a virtual CPU: a signal to its thread, which the guest does not notice, and an
//! interrupt, which ends its `hlt`.

use std::{
    fs::File,
    thread::sleep,
    time::{Duration, Instant},
};

use lab::check::{Bench, Checked, Process, Student, ensure, fail};

use super::{ALL, BUSY, moment::counted};

/// Of the thread's own pending signals, in hexadecimal (proc_pid_status(5)).
const PENDING: &str = "SigPnd";

/// The guests that compute go on after a signal to each of their threads.
pub fn are_survived(
    bench: &mut Bench,
    student: &mut Student,
    threads: &[Process],
    page: &File,
) -> Checked<()> {
    student.go()?;
    student.meet("signalled")?;
    let deadline = Instant::now() + bench.timeout() / 4;
    let is_pending = |thread: &Process| {
        let mask = thread.status(PENDING).unwrap_or_default();
        mask.chars().any(|digit| digit != '0')
    };
    while threads.iter().any(is_pending) && Instant::now() < deadline {
        sleep(Duration::from_millis(1));
    }
    // Every KVM_RUN has come back for it; who goes on has called it again.
    let before = counted(page, ALL)?;
    loop {
        let after = counted(page, ALL)?;
        let still = (0..BUSY).find(|&vcpu| after[vcpu] == before[vcpu]);
        let Some(vcpu) = still else { break };
        let alive = threads.iter().filter(|thread| thread.schedstat().is_ok()).count();
        ensure(Instant::now() < deadline && alive >= BUSY, || {
            fail("L07-interrupted").fact("vcpu", vcpu).fact("threads", alive)
        })?;
        sleep(Duration::from_millis(1));
    }
    bench.saw("/memfd:counters, after a signal to each thread", "they go on");
    Ok(())
}

/// The guest that halts wakes as often as it is interrupted; gives how often that was.
pub fn wake(bench: &mut Bench, student: &mut Student, page: &File) -> Checked<u64> {
    let rings = 2 + bench.random(4);
    student.go_with(&rings.to_string())?;
    student.meet("rung")?;
    let deadline = Instant::now() + bench.timeout() / 4;
    let mut woken = counted(page, ALL)?[BUSY];
    while woken < rings && Instant::now() < deadline {
        sleep(Duration::from_millis(1));
        woken = counted(page, ALL)?[BUSY];
    }
    bench.saw("interrupts, and wake-ups in the guest", format!("{rings}, {woken}"));
    ensure(woken >= rings, || fail("L07-left-at-halt").fact("rings", rings).fact("woken", woken))?;
    Ok(rings)
}

/// And no more often.
pub fn no_more_than(bench: &mut Bench, rings: u64, page: &File) -> Checked<()> {
    let woken = counted(page, ALL)?[BUSY];
    bench.saw("wake-ups in the guest, later", woken);
    ensure(woken == rings, || fail("L07-spins").fact("woken", woken).fact("rings", rings))
}
