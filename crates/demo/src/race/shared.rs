//! What the keys and the worker share: requests in one direction, results in the other.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::{Busy, IdleInstances, Starts, starts::Cancel};

#[derive(Default)]
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    pub(super) changed: Condvar,
}

/// What the worker is asked to do, and what it found.
#[derive(Default)]
pub(super) struct State {
    pub(super) requests: Requests,
    pub(super) starts: Option<Starts>,
    /// Since when they are shown.
    pub(super) since: Option<Instant>,
    pub(super) busy: Option<Busy>,
    pub(super) begun: Option<Instant>,
    /// How the boot that goes on is ended, and whether that was asked for.
    pub(super) cancel: Option<Cancel>,
    pub(super) cancelled: bool,
    pub(super) idle: Vec<IdleInstances>,
    pub(super) note: Option<String>,
}

#[derive(Default)]
pub(super) struct Requests {
    pub(super) race: bool,
    pub(super) linux: bool,
    /// How many containers and microVMs.
    pub(super) counts: [u32; 2],
    pub(super) end: bool,
}

impl State {
    pub(super) fn show(&mut self, starts: Starts) {
        self.starts = Some(starts);
        self.since = Some(Instant::now());
    }

    pub(super) fn end_boot(&mut self) {
        self.cancelled = true;
        self.cancel.take().into_iter().for_each(Cancel::now);
    }
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the requests.
    pub(super) fn request(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }
}
