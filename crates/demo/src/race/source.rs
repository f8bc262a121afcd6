//! The live source: passes keys on to a worker, and shows what it has found.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::Instant,
};

use nix::sys::{
    prctl::set_thp_disable,
    resource::{Resource, getrlimit, setrlimit},
};

use super::{
    Busy, Race, Starts,
    idle_pool::available,
    shared::{Requests, Shared},
    worker::Worker,
};
use crate::{Error, Result, Scene, Source};

/// How many more are started by one key, and how many at most.
const MORE: u32 = 10;
const MOST: u32 = 100;

/// The live source.
pub struct RaceDemo {
    shared: Arc<Shared>,
    worker: Option<JoinHandle<()>>,
}

impl RaceDemo {
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
        shared.request(|state| state.requests.race = true);
        let theirs = shared.clone();
        let worker = thread::Builder::new()
            .name("race".into())
            .spawn(move || Worker::new(theirs).work())
            .map_err(Error::system("start a thread"))?;
        Ok(Self { shared, worker: Some(worker) })
    }
}

impl Source for RaceDemo {
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
                Busy::Booting(testbed, _) => Busy::Booting(testbed, seconds),
                busy => busy,
            }),
            idle: state.idle.clone(),
            available: available().0,
            note: state.note.clone(),
        })))
    }

    fn key(&mut self, key: char) {
        let more = |count: &mut u32| *count = (*count + MORE).min(MOST);
        self.shared.request(|state| {
            match key {
                'r' => state.requests.race = true,
                'l' => state.requests.linux = true,
                'c' => more(&mut state.requests.counts[0]),
                'v' => more(&mut state.requests.counts[1]),
                'k' => {
                    state.requests = Requests::default();
                    state.end_boot();
                }
                _ => return,
            }
            state.note = None;
        });
    }
}

impl Drop for RaceDemo {
    fn drop(&mut self) {
        self.shared.request(|state| {
            state.requests.end = true;
            state.end_boot();
        });
        if let Some(worker) = self.worker.take() {
            // It has nothing to say: what failed it has noted.
            let _ = worker.join();
        }
    }
}
