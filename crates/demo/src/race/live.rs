//! What is started and measured, in a thread of its own: one thing after the other, so that nothing
//! disturbs what is measured.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use container::Container;
use microvm::MicroVm;
use nix::sys::{
    prctl::set_thp_disable,
    resource::{Resource, getrlimit, setrlimit},
};

use super::{
    Busy, Crowd, Kind, Place, Race, Starts,
    crowd::{Idle, available},
    starts::{self, Cancel},
};
use crate::{Error, Result, Scene, Source};

/// So many more are started by one key, and so many at most.
const MORE: u32 = 10;
const MOST: u32 = 100;
/// What has ended is cleared away by the kernel so long afterwards; whoever measures then measures
/// that.
const CALM: Duration = Duration::from_millis(1500);
/// Of the machine's memory such a part is left alone.
const MARGIN: u64 = 4;

/// The live source.
pub struct Live {
    shared: Arc<Shared>,
    worker: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// What is wanted of the worker, and what it has found.
#[derive(Default)]
struct State {
    wanted: Wanted,
    starts: Option<Starts>,
    /// Since when they are shown.
    since: Option<Instant>,
    busy: Option<Busy>,
    begun: Option<Instant>,
    /// How the boot that goes on is ended, and whether that is wanted.
    cancel: Option<Cancel>,
    cancelled: bool,
    crowds: Vec<Crowd>,
    note: Option<String>,
}

#[derive(Default)]
struct Wanted {
    race: bool,
    linux: bool,
    /// How many containers and microVMs.
    counts: [u32; 2],
    end: bool,
}

/// What the worker does next.
enum Job {
    Race,
    Linux,
    Grow(usize),
    EndOne(usize),
    End,
}

impl State {
    fn show(&mut self, starts: Starts) {
        self.starts = Some(starts);
        self.since = Some(Instant::now());
    }

    fn end_boot(&mut self) {
        self.cancelled = true;
        self.cancel.take().into_iter().for_each(Cancel::now);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is wanted.
    fn want(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }
}

impl Live {
    /// Begins with a race.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub fn start() -> Result<Self> {
        // Each instance holds some descriptors, and the usual soft limit is 1024. Where more are not
        // allowed there are fewer instances.
        if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
            let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
        }
        // Or the kernel may make 512 pages of one that somebody has touched, at any moment
        // (PR_SET_THP_DISABLE(2const)). Where it cannot be switched off nothing does that.
        let _ = set_thp_disable(true);
        let shared = Arc::new(Shared::default());
        shared.want(|state| state.wanted.race = true);
        let theirs = shared.clone();
        let worker = thread::Builder::new()
            .name("race".into())
            .spawn(move || Worker::new(theirs).work())
            .map_err(Error::system("start a thread"))?;
        Ok(Self { shared, worker: Some(worker) })
    }
}

impl Source for Live {
    fn scene(&mut self) -> Result<Option<Scene>> {
        let state = self.shared.state();
        let elapsed =
            |since: Option<Instant>| since.map(|since| since.elapsed()).unwrap_or_default();
        let shown = |starts: &Starts| {
            let shown = elapsed(state.since).as_micros() / u128::from(starts.slower());
            u32::try_from(shown).unwrap_or(u32::MAX).min(starts.end())
        };
        let seconds = elapsed(state.begun).as_secs() as u32;
        Ok(Some(Scene::Race(Race {
            shown: state.starts.as_ref().map_or(0, shown),
            starts: state.starts.clone(),
            busy: state.busy.map(|busy| match busy {
                Busy::Booting(place, _) => Busy::Booting(place, seconds),
                busy => busy,
            }),
            crowds: state.crowds.clone(),
            available: available().0,
            note: state.note.clone(),
        })))
    }

    fn key(&mut self, key: char) {
        let more = |count: &mut u32| *count = (*count + MORE).min(MOST);
        self.shared.want(|state| {
            match key {
                'r' => state.wanted.race = true,
                'l' => state.wanted.linux = true,
                'c' => more(&mut state.wanted.counts[0]),
                'v' => more(&mut state.wanted.counts[1]),
                'k' => {
                    state.wanted = Wanted::default();
                    state.end_boot();
                }
                _ => return,
            }
            state.note = None;
        });
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.shared.want(|state| {
            state.wanted.end = true;
            state.end_boot();
        });
        if let Some(worker) = self.worker.take() {
            // It has nothing to say: what failed it has noted.
            let _ = worker.join();
        }
    }
}

struct Worker {
    shared: Arc<Shared>,
    crowds: [Idle; 2],
    /// When something ended.
    ended: Instant,
}

impl Worker {
    fn new(shared: Arc<Shared>) -> Self {
        let crowds = [
            Idle::new(Kind::Container, Box::new(Container::default())),
            Idle::new(Kind::Microvm, Box::new(MicroVm::default())),
        ];
        Self { shared, crowds, ended: Instant::now() }
    }

    fn work(mut self) {
        self.show_crowds();
        loop {
            match self.next() {
                Job::Race => self.race(),
                Job::Linux => self.linux(),
                Job::Grow(which) => {
                    self.grow(which);
                    continue; // nothing has ended
                }
                Job::EndOne(which) => {
                    self.crowds[which].end_one();
                    self.show_crowds();
                }
                Job::End => return,
            }
            self.ended = Instant::now();
        }
    }

    /// Waits until there is something to do.
    fn next(&self) -> Job {
        let counts = self.crowds.each_ref().map(Idle::count);
        let mut state = self.shared.state();
        loop {
            let wanted = state.wanted.counts;
            let which = |differs: fn(&u32, &u32) -> bool| {
                (0..counts.len()).find(|&which| differs(&counts[which], &wanted[which]))
            };
            if state.wanted.end {
                return Job::End;
            }
            if let Some(which) = which(u32::gt) {
                state.busy = Some(Busy::Ending);
                return Job::EndOne(which);
            }
            if std::mem::take(&mut state.wanted.race) {
                return Job::Race;
            }
            if std::mem::take(&mut state.wanted.linux) {
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
            !state.wanted.end
        });
        self.shared.state().show(starts);
    }

    /// On this host where it can boot Linux, and in a nest where not.
    fn linux(&self) {
        let place = match microvm::linux::available() {
            Ok(()) => Place::Here,
            Err(_) => Place::Nest,
        };
        let begun = |cancel| {
            let mut state = self.shared.state();
            state.cancel = Some(cancel);
            // It may have been told to end before it had begun.
            if state.cancelled {
                state.end_boot();
            }
        };
        self.shared.want(|state| {
            state.busy = Some(Busy::Booting(place, 0));
            state.begun = Some(Instant::now());
        });
        let starts = match place {
            Place::Here => {
                let linux = starts::linux(&begun).map_err(|error| starts::told(&error));
                linux.map(|linux| starts::add(starts::in_turn(&|_| true), linux))
            }
            Place::Nest => starts::in_nest(&begun),
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
                "start one more: only {} MiB of memory are available, and a quarter of the machine's \
                 is left alone; [k] ends all",
                available >> 20
            )),
            false => self.crowds[which].grow(),
        };
        if let Err(error) = grown {
            let mut state = self.shared.state();
            state.note = Some(format!("[{}] {error}", ['c', 'v'][which]));
            state.wanted.counts[which] = self.crowds[which].count();
        }
        self.show_crowds();
    }

    fn show_crowds(&self) {
        let wanted = self.shared.state().wanted.counts;
        let seen = [0, 1].map(|which| self.crowds[which].seen(wanted[which]));
        self.shared.state().crowds = seen.into();
    }
}
