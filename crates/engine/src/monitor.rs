//! The monitor: the process of this host that is a Linux microVM, the first one of a container of
//! the runtime `microvm`.
//!
//! ```text
//!   supervisor ──> launcher ── clone3 ──> monitor: /dev/kvm, the guest's memory, its devices
//!                      ^                     │
//!                      └──── FIFO `ready` ───┘ the guest boots, or why not
//! ```
//!
//! It closes itself before the machine starts, as `isolab run --in linux` does. A signal that it gets
//! is passed on to the program inside; SIGKILL ends the machine. Its exit code is the program's.

use std::{env, path::Path, sync::Arc, time::Duration};

use microvm::{
    HeldSignals, LinuxVm,
    cell::{self, Role, Walls},
};
use nix::sys::prctl;
use sandbox::{Instance, Ledger, Sandbox as _, Socket, Stdio, Trace, Workload};

use crate::{
    launch::{self, LaunchFailure, LaunchRequest, ReadinessReport},
    spec::microvm::{available, machine},
    state::{self, record::Record},
};

/// A guest that is not up by then never will be: ten times what a slow host needs.
const START_UP: Duration = Duration::from_secs(120);

/// Boots the guest that the request in the working directory describes, and waits for the end of its
/// program. Its entry is in the ledger in the directory `ledger`. The result is the exit code of this process.
///
/// # Errors
///
/// When the guest fails after it was started; why it was not started is told to the launcher.
pub fn monitor(ledger: &Path) -> sandbox::Result<u8> {
    // In lists of processes; without it, it has the name `exe`.
    let _ = prctl::set_name(c"isolab-microvm");
    let Ok(report) = ReadinessReport::open() else { return Ok(128) };
    match begin(ledger) {
        Ok(begun) => {
            report.send(Ok(()));
            begun.wait()
        }
        Err(failure) => {
            let code = u8::try_from(failure.code).unwrap_or(128);
            report.send(Err(failure));
            Ok(code)
        }
    }
}

/// A guest that boots.
struct Begun {
    instance: Box<dyn Instance>,
    /// Removed with this.
    _socket: Socket,
}

fn begin(ledger: &Path) -> Result<Begun, LaunchFailure> {
    let other = |message: String| LaunchFailure { message, code: 128 };
    let of = |error: &(dyn std::error::Error + 'static)| other(sandbox::chain(error));
    let signals = HeldSignals::hold().map_err(|error| of(&error))?;
    let request = state::load(launch::REQUEST.as_ref()).map_err(|error| of(&error))?;
    let LaunchRequest::Container(launch) = request else {
        return Err(other("the request is not that of a container".into()));
    };
    available().map_err(|error| other(error.message))?;
    let (machine, workload) = described(&launch.record)?;
    let ledger = Ledger::at(ledger.to_owned()).map_err(|error| of(&error))?;
    let entry = ledger.find(&launch.record.ledger_name()).map_err(|error| of(&error))?;
    let entry = entry.ok_or_else(|| other("the container is not in the ledger".into()))?;
    let (socket, listener) = ledger.listen_for(&entry).map_err(|error| of(&error))?;
    let machine = LinuxVm { control: Some(Arc::new(listener)), ..machine };
    // While this process has one thread.
    let closed = cell::enter_process(&machine.limits, Walls::All, &mut Trace::default());
    closed.map_err(|error| of(&error))?;
    let instance = machine.spawn(&workload)?;
    let has_terminal = workload.stdio == Stdio::Terminal;
    signals.pass_on(instance.control(), has_terminal).map_err(|error| of(&error))?;
    Ok(Begun { instance, _socket: socket })
}

fn described(record: &Record) -> Result<(LinuxVm, Workload), LaunchFailure> {
    let other = |message: String| LaunchFailure { message, code: 128 };
    let directory = env::current_dir().map_err(|error| other(error.to_string()))?;
    let (machine, workload) = machine(record, &directory).map_err(|error| other(error.message))?;
    Ok((LinuxVm { start_up: Some(START_UP), ..machine }, workload))
}

impl Begun {
    fn wait(self) -> sandbox::Result<u8> {
        cell::enter(Role::Monitor, &mut Trace::default())?;
        self.instance.wait().map(|outcome| outcome.status.code())
    }
}
