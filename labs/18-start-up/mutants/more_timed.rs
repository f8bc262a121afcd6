//! A helper process is started that starts the sandbox, and the stopwatch runs around all of it: as
//! one times `sudo` or a shell.

use std::{
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use sandbox::{Milestone, Sandbox, Workload, monotonic_now};
use start_up::{Answer, Measured};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn measure(sandbox: &dyn Sandbox, workload: &Workload) -> sandbox::Result<Measured> {
    let before = monotonic_now();
    let helper = Command::new("/proc/self/exe").arg("role=help").stdin(Stdio::null()).output();
    helper.expect("the helper starts");
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

fn main() -> ExitCode {
    if std::env::args().any(|word| word == "role=help") {
        return ExitCode::SUCCESS;
    }
    start_up::program(&Answer { measure, ..solution::ANSWER })
}
