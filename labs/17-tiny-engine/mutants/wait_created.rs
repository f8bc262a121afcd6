//! What was never started has ended.

use std::{process::ExitCode, thread, time::Duration};

use rustix::event::{PollFd, PollFlags, poll};
use tiny_engine::{Answer, Engine, Refusal, State};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn wait(engine: &Engine, id: &str) -> Result<i32, Refusal> {
    loop {
        let container = engine.current(id)?.ok_or(Refusal::Unknown)?;
        match container.state {
            State::Exited { code } => return Ok(code),
            State::Running { pid, start_time } => {
                if let Some(process) = engine.adopt(pid, start_time) {
                    poll(&mut [PollFd::new(&process, PollFlags::IN)], None)?;
                }
            }
            State::Created => return Ok(0),
        }
        // It has ended, and its shim records that now; or it has not begun.
        thread::sleep(Duration::from_millis(2));
    }
}

fn main() -> ExitCode {
    tiny_engine::program(&Answer { wait, ..solution::ANSWER })
}
