//! What becomes of a signal, by what the workload is.

use std::{
    fs,
    io::{self, IsTerminal as _},
    process,
    sync::Arc,
};

use host::IgnoredSignals;
use nix::{
    sys::{
        signal::{Signal, raise},
        signalfd::siginfo,
    },
    unistd::{Pid, getpgid, getpgrp, tcgetpgrp},
};
use sandbox::{Control, Instance};
use signal_hook::consts;

use crate::kinds::Kind;

/// A signal that came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Received {
    number: i32,
    by_the_terminal: bool,
    /// By a write of this process to a pipe without a reader: the kernel sends that in its own name.
    by_own_write: bool,
}

impl Received {
    /// With all that the kernel says of it.
    pub(super) fn read(signal: &siginfo) -> Self {
        const SI_KERNEL: i32 = 0x80; // sigaction(2): not by a process
        let number = signal.ssi_signo.cast_signed();
        let by_own_write = number == consts::SIGPIPE && signal.ssi_pid == process::id();
        Self { number, by_the_terminal: signal.ssi_code == SI_KERNEL, by_own_write }
    }

    /// With its number alone: the terminal sends these, by a key, to its foreground group.
    pub(super) fn noted(number: i32) -> Self {
        const BY_KEY: [i32; 4] =
            [consts::SIGINT, consts::SIGQUIT, consts::SIGTSTP, consts::SIGWINCH];
        let by_the_terminal = BY_KEY.contains(&number)
            && io::stdin().is_terminal()
            && tcgetpgrp(io::stdin()) == Ok(getpgrp());
        Self { number, by_the_terminal, by_own_write: false }
    }
}

/// Whom signals are passed to.
pub(super) struct Target {
    control: Arc<dyn Control>,
    kind: Kind,
    first: Option<u32>,
    own_terminal: bool,
    /// Whether the first process is the command itself, and number 1 of its namespace.
    is_process_1: bool,
    /// Whether it was asked to end before.
    asked: bool,
    /// What the caller ignores, once it was looked up.
    ignored: Option<IgnoredSignals>,
}

impl Target {
    pub(super) fn new(
        instance: &dyn Instance,
        kind: Kind,
        own_terminal: bool,
        is_process_1: bool,
    ) -> Self {
        let (control, first) = (instance.control(), instance.processes().first().copied());
        Self { control, kind, first, own_terminal, is_process_1, asked: false, ignored: None }
    }

    pub(super) fn kill(&self) {
        self.control.kill();
    }

    /// Reads what the caller ignores, while files can be opened.
    pub(super) fn look_up_ignored(&mut self) -> IgnoredSignals {
        *self.ignored.get_or_insert_with(ignored)
    }

    /// A microVM knows only an end, so a second request for it is an order; so is a second SIGTERM to
    /// anything, which is how `isolab stop` loses its patience, and a second signal for which process
    /// 1 of a container has no handler: the kernel keeps those from it (pid_namespaces(7)).
    pub(super) fn receive(&mut self, signal: Received) {
        let number = signal.number;
        if signal.by_own_write || self.look_up_ignored().has(number) {
            return;
        }
        match number {
            consts::SIGTSTP => self.stop_as_a_job(signal),
            consts::SIGWINCH if self.own_terminal => {}
            consts::SIGINT | consts::SIGTERM | consts::SIGHUP | consts::SIGQUIT => {
                let order = self.kind == Kind::Microvm
                    || number == consts::SIGTERM
                    || self.is_process_1 && !self.is_caught(number);
                if order && std::mem::replace(&mut self.asked, true) {
                    self.control.kill();
                } else if self.kind == Kind::Microvm {
                    self.control.stop();
                } else {
                    self.tell(signal);
                }
            }
            _ => self.tell(signal),
        }
    }

    /// Whether the first process has a handler for that signal, or has blocked it to take it when it
    /// likes, as far as /proc tells.
    fn is_caught(&self, number: i32) -> bool {
        let Some(first) = self.first else { return true };
        let status = fs::read_to_string(format!("/proc/{first}/status")).unwrap_or_default();
        let set = |name: &str| {
            let set = status.lines().find_map(|line| line.strip_prefix(name))?;
            u64::from_str_radix(set.trim(), 16).ok()
        };
        let (Some(caught), Some(blocked)) = (set("SigCgt:"), set("SigBlk:")) else { return true };
        (caught | blocked) >> (number - 1) & 1 == 1
    }

    fn tell(&self, signal: Received) {
        if !self.has_it_from_the_terminal(signal) {
            self.control.signal(signal.number);
        }
    }

    /// Ctrl-Z: the workload stops, then the launcher. A virtual machine stops with its launcher.
    fn stop_as_a_job(&self, signal: Received) {
        if matches!(self.kind, Kind::Container | Kind::Process) {
            self.tell(signal);
        }
        if !self.own_terminal {
            // It goes on here after SIGCONT, which is passed on as any other. It fails for no signal
            // that there is.
            let _ = raise(Signal::SIGSTOP);
        }
    }

    /// Whether the terminal, which signals every process of its foreground group, has told the
    /// workload already. Told twice, many programs end without cleaning up.
    fn has_it_from_the_terminal(&self, signal: Received) -> bool {
        let group = |pid: u32| getpgid(Some(Pid::from_raw(pid.try_into().ok()?))).ok();
        signal.by_the_terminal && self.first.and_then(group) == Some(getpgrp())
    }
}

/// Signals that the caller ignores: isolab itself ignores SIGPIPE alone.
pub fn ignored() -> IgnoredSignals {
    let ignored = IgnoredSignals::by_the_caller();
    match container::process::broken_pipes_are_kept() {
        true => ignored,
        false => ignored.without(consts::SIGPIPE),
    }
}
