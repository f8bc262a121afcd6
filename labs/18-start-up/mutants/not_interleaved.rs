//! First all containers, then all machines: what the host did meanwhile is ascribed to them.

use std::{process::ExitCode, time::Duration};

use report::{median, median_interval};
use sandbox::{Milestone, Sandbox, Workload, monotonic_now};
use start_up::{Answer, Measured, Subject};

fn measure(sandbox: &dyn Sandbox, workload: &Workload) -> sandbox::Result<Measured> {
    let before = monotonic_now();
    let outcome = sandbox.run(workload)?;
    let total = monotonic_now() - before;
    let mut last = Duration::ZERO;
    let phases = Milestone::ALL.map(|milestone| {
        let reached = outcome.timeline.since_start(milestone).unwrap_or(last);
        let phase = reached.saturating_sub(last);
        last = reached;
        phase
    });
    Ok(Measured { phases, total })
}

fn plan(subjects: &[Subject]) -> Vec<Vec<Subject>> {
    const PROCESSES: usize = 6;
    const ROUNDS: usize = 6;
    let order = || subjects.iter().flat_map(|&subject| [subject; ROUNDS]).collect();
    (0..PROCESSES).map(|_| order()).collect()
}

fn main() -> ExitCode {
    start_up::program(&Answer { measure, plan, median, median_interval })
}
