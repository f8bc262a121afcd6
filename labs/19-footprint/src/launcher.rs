//! A launcher: a process that starts one idle instance and waits, as `isolab run`, `containerd-shim`
//! or `qemu` do.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    process::{Child, Command, ExitCode, Stdio},
};

use crate::{
    chain,
    settled::{let_fall_asleep, let_settle},
};
use sandbox::{Builtin, Sandbox, Workload};

/// The launcher's whole life: it says who is inside, and ends when its input does.
pub fn hold(sandbox: &dyn Sandbox) -> ExitCode {
    match try_to_hold(sandbox) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

fn try_to_hold(sandbox: &dyn Sandbox) -> sandbox::Result<()> {
    let instance = sandbox.spawn(&Workload::builtin(Builtin::Idle, &[]))?;
    let inside: Vec<String> = instance.processes().iter().map(u32::to_string).collect();
    let_settle(&*instance);
    // As `isolab run` does: the code that started it is not needed while all is waiting. If it
    // cannot be given back, a little more is measured.
    let _ = container::drop_clean_pages();
    println!("inside {}", inside.join(" "));
    // Whatever it is, this process is not needed any longer then.
    let _ = io::stdin().read(&mut [0]);
    instance.control().stop();
    instance.wait().map(drop)
}

/// A launcher, seen by the one who has started it.
pub struct Holder {
    process: Child,
    inside: Vec<u32>,
}

impl Holder {
    /// Starts one that holds an instance of this kind.
    pub fn of(kind: &str) -> io::Result<Self> {
        let mut command = Command::new("/proc/self/exe");
        command.arg(format!("hold={kind}"));
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(output) = &mut process.stdout {
            BufReader::new(output).read_line(&mut line)?;
        }
        match line.trim_end().split_once(' ').unwrap_or((line.trim_end(), "")) {
            ("inside", pids) => {
                let inside = pids.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
                let_fall_asleep(process.id());
                Ok(Self { process, inside })
            }
            (_, error) => {
                process.wait()?;
                Err(io::Error::other(error.to_owned()))
            }
        }
    }

    /// The launcher's number.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The processes inside of its instance.
    pub fn inside(&self) -> &[u32] {
        &self.inside
    }

    /// Lets it end its instance, and waits.
    pub fn end(mut self) -> io::Result<()> {
        if let Some(mut line) = self.process.stdin.take() {
            line.flush()?;
        }
        match self.process.wait()?.success() {
            true => Ok(()),
            false => Err(io::Error::other("the launcher failed")),
        }
    }
}
