//! Starts and measures, one thing after the other, so that nothing disturbs what is measured.

use std::{
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use container::Container;
use microvm::MicroVm;

use super::{
    Busy, Kind, Testbed,
    idle_pool::{IdlePool, available},
    shared::Shared,
    starts,
};

/// How long the kernel still clears up after something has ended; a measurement before that would
/// include it.
const CALM: Duration = Duration::from_millis(1500);
/// This part of the machine's memory is left free: a quarter.
const MARGIN: u64 = 4;

/// What the worker does next.
enum Job {
    Race,
    Linux,
    Grow(usize),
    EndOne(usize),
    Stop,
}

/// Carries out the requests.
pub(super) struct Worker {
    shared: Arc<Shared>,
    pools: [IdlePool; 2],
    /// When something ended.
    ended: Instant,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let pools = [
            IdlePool::new(Kind::Container, Box::new(Container::default())),
            IdlePool::new(Kind::Microvm, Box::new(MicroVm::default())),
        ];
        Self { shared, pools, ended: Instant::now() }
    }

    pub(super) fn work(mut self) {
        self.show_idle();
        loop {
            match self.next() {
                Job::Race => self.race(),
                Job::Linux => self.linux(),
                Job::Grow(which) => {
                    self.grow(which);
                    continue; // nothing has ended
                }
                Job::EndOne(which) => {
                    self.pools[which].end_one();
                    self.show_idle();
                }
                Job::Stop => return,
            }
            self.ended = Instant::now();
        }
    }

    /// Waits until there is something to do.
    fn next(&self) -> Job {
        let counts = self.pools.each_ref().map(IdlePool::count);
        let mut state = self.shared.state();
        loop {
            let requested = state.requests.counts;
            let which = |differs: fn(&u32, &u32) -> bool| {
                (0..counts.len()).find(|&which| differs(&counts[which], &requested[which]))
            };
            if state.requests.end {
                return Job::Stop;
            }
            if let Some(which) = which(u32::gt) {
                state.busy = Some(Busy::Ending);
                return Job::EndOne(which);
            }
            if std::mem::take(&mut state.requests.race) {
                return Job::Race;
            }
            if std::mem::take(&mut state.requests.linux) {
                state.cancelled = false;
                return Job::Linux;
            }
            state.busy = None;
            match which(u32::lt) {
                Some(which) if self.ended.elapsed() >= CALM => return Job::Grow(which),
                _ => {}
            }
            let woken = self.shared.changed.wait_timeout(state, CALM);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn race(&self) {
        let starts = starts::in_turn(&|rounds| {
            let mut state = self.shared.state();
            state.busy = Some(Busy::Measuring(rounds));
            !state.requests.end
        });
        self.shared.state().show(starts);
    }

    /// On this host where it can boot Linux, and in a nest where not.
    fn linux(&self) {
        let testbed = match microvm::linux::available() {
            Ok(()) => Testbed::Host,
            Err(_) => Testbed::Nest,
        };
        let begun = |cancel| {
            let mut state = self.shared.state();
            state.cancel = Some(cancel);
            // It may have been cancelled before it began.
            if state.cancelled {
                state.end_boot();
            }
        };
        self.shared.request(|state| {
            state.busy = Some(Busy::Booting(testbed, 0));
            state.begun = Some(Instant::now());
        });
        let starts = match testbed {
            Testbed::Host => {
                let linux = starts::linux(&begun).map_err(|error| starts::message(&error));
                linux.map(|linux| starts::add(starts::in_turn(&|_| true), linux))
            }
            Testbed::Nest => starts::in_nest(&begun),
        };
        let mut state = self.shared.state();
        state.cancel = None;
        match starts {
            Ok(starts) => state.show(starts),
            Err(_) if state.cancelled => {}
            Err(error) => state.note = Some(format!("[l] {error}")),
        }
    }

    fn grow(&mut self, which: usize) {
        let (available, total) = available();
        let grown = match available < total / MARGIN {
            true => Err(format!(
                "start another one: only {} MiB of memory are available, and a quarter of the machine's \
                 memory is kept free; [k] ends all",
                available >> 20
            )),
            false => self.pools[which].grow(),
        };
        if let Err(error) = grown {
            let mut state = self.shared.state();
            state.note = Some(format!("[{}] {error}", ['c', 'v'][which]));
            state.requests.counts[which] = self.pools[which].count();
        }
        self.show_idle();
    }

    fn show_idle(&self) {
        let requested = self.shared.state().requests.counts;
        let idle = [0, 1].map(|which| self.pools[which].summary(requested[which]));
        self.shared.state().idle = idle.into();
    }
}
