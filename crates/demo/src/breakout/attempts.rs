//! An attempt at a wall: it is made, and judged by its target.

use std::{
    error::Error as _,
    ffi::OsString,
    fs,
    time::{Duration, Instant},
};

use container::{Container, Root};
use microvm::{
    MicroVm, Mode,
    fault::{Fault, GuestFault},
};
use nix::errno::Errno;
use sandbox::{Native, Outcome, Sandbox, Status, Workload};

use super::{
    Attempt, Step, Trial, Verdict, Wall, machine,
    targets::{BreakoutDirectory, Targets},
};
use crate::{Error, Result};

/// No attempt takes longer.
const LONGEST: Duration = Duration::from_secs(5);

/// Makes the attempt.
pub(super) fn make(
    wall: Wall,
    attempt: Attempt,
    directory: &BreakoutDirectory,
    targets: &Targets,
) -> Result<Trial> {
    let (steps, built) = match wall {
        Wall::MicroVm => (in_microvm(attempt, directory, targets)?, true),
        _ => in_linux(wall, attempt, directory, targets)?,
    };
    let verdict = match built {
        true if got_out(attempt, &steps, targets) => Verdict::Escaped,
        true => Verdict::Contained,
        false => Verdict::Impossible,
    };
    Ok(Trial { verdict, steps })
}

/// Whether the target was taken, whatever the attempt says.
fn got_out(attempt: Attempt, steps: &[Step], targets: &Targets) -> bool {
    let read = |target: &str| steps.iter().any(|step| step.result == format!("{target:?}"));
    match attempt {
        Attempt::File => read(&targets.file),
        Attempt::Memory => read(targets.data()),
        Attempt::Process => {
            // A signal that was taken may take effect a little later.
            let began = Instant::now();
            let sent = steps.last().is_some_and(|step| step.result == "0");
            while sent && targets.process.is_alive() && began.elapsed() < LONGEST {
                std::thread::sleep(Duration::from_millis(1));
            }
            !targets.process.is_alive()
        }
    }
}

/// What `guest::BREAKOUT` did, and whether it could build its wall.
fn in_linux(
    wall: Wall,
    attempt: Attempt,
    directory: &BreakoutDirectory,
    targets: &Targets,
) -> Result<(Vec<Step>, bool)> {
    const NO_WALL: Status = Status::Exited(3);
    let own = std::process::id().to_string();
    let what: Vec<OsString> = match attempt {
        Attempt::File => vec!["file".into(), directory.target().into()],
        Attempt::Process => vec!["process".into(), targets.process.pid.to_string().into()],
        Attempt::Memory => vec!["memory".into(), own.into(), targets.address().to_string().into()],
    };
    let run = |sandbox: &dyn Sandbox, before: [OsString; 3]| {
        let words = before.into_iter().chain(what);
        sandbox.run(&Workload::command(words).deadline(LONGEST))
    };
    let (program, cell) = (directory.program().into(), directory.cell());
    let outcome = match wall {
        Wall::Chroot => run(&Native, [program, "chroot".into(), cell.into()]),
        Wall::PivotRoot => run(&Native, [program, "pivot_root".into(), cell.into()]),
        Wall::Container | Wall::MicroVm => {
            let container = Container::default().root(Root::Directory(cell));
            run(&container, ["/breakout".into(), "none".into(), "/".into()])
        }
    }?;
    let output = String::from_utf8_lossy(&outcome.output);
    Ok((output.lines().filter_map(step).collect(), outcome.status != NO_WALL))
}

/// A line of `programs/breakout.rs`.
fn step(text: &str) -> Option<Step> {
    let (call, result) = text.split_once('\t')?;
    let result = match result.parse::<i32>() {
        Ok(number @ ..0) => format!("{:?}", Errno::from_raw(-number)),
        _ => result.to_owned(),
    };
    Some(Step { call: call.to_owned(), result })
}

fn in_microvm(
    attempt: Attempt,
    directory: &BreakoutDirectory,
    targets: &Targets,
) -> Result<Vec<Step>> {
    let (pid, address) = (targets.process.pid, targets.address());
    let (code, calls) = match attempt {
        Attempt::File => {
            (machine::open(&directory.target()), vec!["mov eax, 2; syscall".to_owned()])
        }
        Attempt::Process => {
            let request = machine::KILL;
            (machine::kill(pid), vec![format!("out 0x10, {request} | {pid} << 8")])
        }
        Attempt::Memory => {
            let loads = [machine::BEYOND, address].map(|address| format!("mov al, [{address:#x}]"));
            (machine::read(address), loads.into())
        }
    };
    let path = directory.guest();
    fs::write(&path, code).map_err(Error::system(format!("write the guest {path:?}")))?;
    let machine = MicroVm { mode: Mode::User64, ..MicroVm::default() };
    let exit = AttemptExit::of(machine.run(&Workload::command([path]).deadline(LONGEST)))?;
    let steps = calls.into_iter().enumerate().map(|(number, call)| {
        // What came before the end was answered, with a byte each.
        let byte = exit.output.get(number).map(|byte| format!("{byte:#04x}"));
        Step { call, result: byte.unwrap_or_else(|| exit.words.clone()) }
    });
    Ok(steps.collect())
}

/// How the guest of an attempt ended.
struct AttemptExit {
    output: Vec<u8>,
    words: String,
}

impl AttemptExit {
    fn of(result: sandbox::Result<Outcome>) -> Result<Self> {
        let error = match result {
            Ok(outcome) => {
                let words = match outcome.status {
                    Status::Exited(machine::LANDED) => "RIP 0x0".to_owned(),
                    Status::Exited(machine::ANSWERED) => "answered".to_owned(),
                    status => format!("exit {}", status.code()),
                };
                return Ok(Self { output: outcome.output, words });
            }
            Err(error) => error,
        };
        let fault = error.source().and_then(|source| source.downcast_ref::<GuestFault>());
        let Some(GuestFault { fault, .. }) = fault else { return Err(error.into()) };
        let words = match fault {
            Fault::UnknownRequest { number } => format!("request {number} (unknown)"),
            fault => {
                let words = fault.to_string();
                words.split(" at RIP").next().unwrap_or_default().to_owned()
            }
        };
        let output = error.written().map(|written| written.output.clone());
        Ok(Self { output: output.unwrap_or_default(), words })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_negative_result_is_the_name_of_an_error() {
        let parsed = |text: &str| step(text).map(|step| (step.call, step.result));
        let line = |call: &str, result: &str| Some((call.to_owned(), result.to_owned()));
        assert_eq!(parsed("chroot(\".\")\t-1"), line("chroot(\".\")", "EPERM"));
        assert_eq!(parsed("open(\".\")\t3"), line("open(\".\")", "3"));
        assert_eq!(parsed("read(target)\t\"-1\""), line("read(target)", "\"-1\""));
        assert_eq!(parsed("no line of ours"), None);
    }
}
