//! The threads: where they run, what they are called, and when they go on and end.

use std::{
    fs::File,
    thread::sleep,
    time::{Duration, Instant},
};

use lab::check::{Bench, Checked, Process, Student, cannot_tell, ensure, fail};

use super::{
    ALL, BUSY, ENOUGH, TICK,
    moment::{counted, nice, threads},
};

/// All threads may run on `cpu` and nowhere else, and do. A new one is given the time to say so.
pub fn pinned(bench: &mut Bench, threads: &[Process], cpu: u64) -> Checked<()> {
    let deadline = Instant::now() + Duration::from_secs(1);
    for thread in threads {
        while let (Ok(allowed), Ok(at)) = (thread.status("Cpus_allowed_list"), thread.stat(39)) {
            let right = allowed == cpu.to_string() && at == cpu;
            let is_new = thread.schedstat()?.0 < TICK && Instant::now() < deadline;
            if right || !is_new {
                bench.saw(thread.path("status").display(), format!("Cpus_allowed_list {allowed}"));
                let finding = fail("L07-not-pinned").fact("thread", thread.pid).fact("cpu", cpu);
                ensure(right, || finding.fact("allowed", allowed))?;
                break;
            }
            sleep(Duration::from_millis(1));
        }
    }
    Ok(())
}

/// Each has the name of its virtual CPU, and the policy and nice value that all have.
pub fn named(bench: &mut Bench, student: &Student, threads: &[Process]) -> Checked<()> {
    let usual = (student.main().stat(41)?, nice(student.main())?);
    for thread in threads {
        // One that has ended has lost its name.
        let (Ok(name), Ok(inner)) = (thread.read("comm"), thread.inner_pid()) else { continue };
        let (policy, nice) = (thread.stat(41)?, nice(*thread)?);
        bench.saw(thread.path("comm").display(), name.trim());
        ensure((policy, nice) == usual, || {
            fail("L07-unfair").fact("thread", thread.pid).fact("policy", policy).fact("nice", nice)
        })?;
        for number in 0..ALL {
            let entered = student.number(&format!("thread-{number}")).ok();
            let right = name.trim() == format!("vcpu{number}");
            ensure(entered != Some(u64::from(inner)) || right, || {
                let finding = fail("L07-unnamed").fact("thread", thread.pid);
                finding.fact("name", name.trim()).fact("wanted", format!("vcpu{number}"))
            })?;
        }
    }
    Ok(())
}

/// After a signal for each thread the guests go on as before.
pub fn go_on(bench: &mut Bench, student: &Student, all: &[Process], page: &File) -> Checked<()> {
    let before = counted(page, BUSY)?;
    let deadline = Instant::now() + bench.timeout();
    loop {
        let now = counted(page, BUSY)?;
        let stopped = before.iter().zip(now).position(|(before, now)| now == *before);
        let Some(vcpu) = stopped else { break };
        let own = student.number(&format!("thread-{vcpu}"))?;
        let mut alive = all.iter().filter(|it| it.inner_pid().is_ok_and(|it| u64::from(it) == own));
        let state = alive.next().and_then(|thread| thread.status("State").ok());
        // One that wants to run only waits for others; one that sleeps does so for good.
        let waits = state.as_ref().is_some_and(|state| !state.starts_with('S'));
        let state = state.unwrap_or("ended".to_owned());
        let place = "/memfd:counters after a signal for each thread";
        let says = format!("that of virtual CPU {vcpu} stands still, its thread: {state}");
        if !waits {
            bench.saw(place, says);
            return Err(fail("L07-left-at-signal").fact("vcpu", vcpu).fact("state", state));
        }
        ensure(Instant::now() < deadline, || {
            cannot_tell("busy").fact("seen", says).fact("wanted", "all counters to go on")
        })?;
        sleep(Duration::from_millis(20));
    }
    bench.saw("/memfd:counters after a signal for each thread", "all go on");
    Ok(())
}

/// All threads end once their guests have turned them off.
pub fn turned_off(program: Process, all: &[Process]) -> Checked<()> {
    let ran = |thread: &Process| thread.schedstat().unwrap_or_default().0;
    let before: Vec<Duration> = all.iter().map(ran).collect();
    loop {
        let left = threads(program).unwrap_or_default();
        if left.is_empty() {
            return Ok(());
        }
        for (thread, before) in all.iter().zip(&before) {
            let since = ran(thread).saturating_sub(*before);
            ensure(since < ENOUGH, || {
                let finding = fail("L07-not-off").fact("thread", thread.pid);
                finding.fact("since", format!("{since:.0?}"))
            })?;
        }
        // One that sleeps is told of at the end.
        if left.iter().all(|thread| thread.status("State").is_ok_and(|it| it.starts_with('S'))) {
            return Ok(());
        }
        sleep(Duration::from_millis(2));
    }
}
