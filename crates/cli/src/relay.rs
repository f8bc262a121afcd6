//! Signals to the launcher are meant for the workload.

use std::{
    fs::File,
    io::{self, IsTerminal as _},
    os::fd::BorrowedFd,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use microvm::cell::{Role, enter};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, ppoll},
    sys::{
        signal::{SigSet, SigmaskHow, Signal},
        time::TimeSpec,
    },
    unistd::{Pid, alarm, getpgid, getpgrp, tcgetpgrp},
};
use sandbox::{Control, Instance, Story};
use signal_hook::{consts, iterator::Signals};

use crate::{cell, failure, kinds::Kind, output};

/// After so long a workload is one that stays, and its launcher's start is past.
const SETTLED_SECONDS: u32 = 1;

/// Notes signals from its creation on, so that none ends the launcher before it has cleaned up.
///
/// Handlers only, no thread: a program with one thread is cheaper to clone. They are reset in the
/// workload when it executes its program.
pub struct Relay {
    signals: Signals,
}

impl Relay {
    /// Sets the handlers.
    pub fn listen() -> io::Result<Self> {
        let signals =
            [consts::SIGINT, consts::SIGTERM, consts::SIGHUP, consts::SIGQUIT, consts::SIGALRM];
        Ok(Self { signals: Signals::new(signals)? })
    }

    /// Passes on what came since and what comes, from a thread of its own. That thread also sees
    /// to it, by the alarm, that a launcher that has waited for a while does so in little memory.
    pub fn pass_to(mut self, instance: &dyn Instance, kind: Kind) -> io::Result<()> {
        let target = Target {
            control: instance.control(),
            kind,
            first: instance.processes().first().copied(),
        };
        let mut asked = false;
        if let Some(end) = instance.end()
            && self.until_end(end, &target, &mut asked)?
        {
            return Ok(());
        }
        let work = move || {
            // Opened while it may; and whoever cannot wait in little memory waits in more.
            let smaps = File::open(container::SMAPS).ok();
            if cell::is_needed(kind)
                && let Err(error) = enter(Role::Monitor, &mut Story::default())
            {
                output::remark(&format!("isolab: {}\n", failure::chain(&error)));
                return target.control.kill();
            }
            for signal in self.signals.forever() {
                match signal {
                    consts::SIGALRM => {
                        drop(smaps.as_ref().map(container::give_back_code_by));
                    }
                    signal => target.receive(signal, &mut asked),
                }
            }
        };
        // It needs next to no stack; the default would be 2 MiB of address space.
        thread::Builder::new().name("relay".into()).stack_size(64 << 10).spawn(work)?;
        alarm::set(SETTLED_SECONDS);
        Ok(())
    }
}

impl Relay {
    /// Passes signals on for a moment, and says whether `end` could be read in that time: most
    /// programs end soon, and a thread for their signals would take longer than some of them.
    fn until_end(
        &mut self,
        end: BorrowedFd<'_>,
        target: &Target,
        asked: &mut bool,
    ) -> io::Result<bool> {
        const MOMENT: Duration = Duration::from_millis(50);
        let began = Instant::now();
        // A signal that comes before ppoll waits until ppoll lets it in, and ends it.
        let mut blocked = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
            blocked.add(signal);
        }
        let before = blocked.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        let ended = loop {
            for signal in self.signals.pending() {
                target.receive(signal, asked);
            }
            let left = MOMENT.saturating_sub(began.elapsed());
            let mut watched = [PollFd::new(end, PollFlags::POLLIN)];
            match ppoll(&mut watched, Some(TimeSpec::from_duration(left)), Some(before)) {
                Ok(ready) if ready > 0 => break true,
                Ok(_) | Err(Errno::EINTR) if left.is_zero() => break false,
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => break false,
            }
        };
        before.thread_set_mask()?;
        Ok(ended)
    }
}

struct Target {
    control: Arc<dyn Control>,
    kind: Kind,
    first: Option<u32>,
}

impl Target {
    /// A microVM knows only an end, so a second signal is an order; so is a second SIGTERM to
    /// anything, which is how `isolab stop` loses its patience.
    fn receive(&self, signal: i32, asked: &mut bool) {
        let order = self.kind == Kind::Microvm || signal == consts::SIGTERM;
        if order && std::mem::replace(asked, true) {
            self.control.kill();
        } else if self.kind == Kind::Microvm {
            self.control.stop();
        } else if !self.has_it_from_the_terminal(signal) {
            self.control.signal(signal);
        }
    }

    /// Whether the terminal, which signals every process of its foreground group, has told the
    /// workload already. Told twice, many programs end without cleaning up.
    fn has_it_from_the_terminal(&self, signal: i32) -> bool {
        let by_key = signal == consts::SIGINT || signal == consts::SIGQUIT;
        let group = getpgrp();
        let of_first =
            self.first.and_then(|pid| getpgid(Some(Pid::from_raw(i32::try_from(pid).ok()?))).ok());
        by_key
            && of_first == Some(group)
            && io::stdin().is_terminal()
            && tcgetpgrp(io::stdin()) == Ok(group)
    }
}
