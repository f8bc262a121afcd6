//! Letting a guest's processors stand still, and looking at what they know meanwhile.
//!
//! A guest is paused by its user, or held by its launcher, to be saved or dumped; neither lets go of
//! what the other wants.

use std::sync::PoisonError;

use super::{Handle, State};

/// What becomes of a guest that may be frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Freezing {
    /// Its processors leave it.
    Leave,
    /// They stand still.
    Hold,
}

/// How far a guest has come that is being held at its freeze point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// It has not said yet that it may be frozen.
    Runs,
    /// It has, and not all of its processors stand still yet.
    Stops,
    /// They do.
    Stands,
    /// They do, and have shown their state since they were asked.
    Shown,
    /// It goes on.
    Released,
}

/// What a processor that stands still shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Its registers, for a dump.
    Registers,
    /// All of its state, for a snapshot.
    State,
}

impl Handle {
    /// The guest's processors are to stand still as soon as it says that it may be frozen; `false`
    /// if it is to be frozen already.
    pub fn request_hold(&self) -> bool {
        let mut state = self.lock();
        let is_free = state.freezing.is_none() && !state.held;
        if is_free {
            state.freezing = Some(Freezing::Hold);
        }
        is_free
    }

    /// The guest's processors are to stand still at once; `false` if it is to be frozen already.
    pub fn hold_now(&self) -> bool {
        let mut state = self.lock();
        let is_free = state.freezing.is_none() && !state.held;
        if is_free {
            state.held = true;
            state.kick();
        }
        is_free
    }

    /// How far it has come with that.
    pub fn hold(&self) -> Hold {
        let state = self.lock();
        let all = state.processors();
        match (state.held, state.freezing) {
            (false, Some(Freezing::Hold)) => Hold::Runs,
            (false, _) => Hold::Released,
            (true, _) if state.resting < all => Hold::Stops,
            (true, _) if state.shown < all => Hold::Stands,
            (true, _) => Hold::Shown,
        }
    }

    /// Whether it is to be held, or is.
    pub fn is_to_be_saved(&self) -> bool {
        matches!(self.hold(), Hold::Runs | Hold::Stops | Hold::Stands | Hold::Shown)
    }

    /// Has the processors, all of which stand still, show their state.
    pub fn ask_for_states(&self) {
        let mut state = self.lock();
        (state.asked, state.shown) = (state.asked + 1, 0);
        self.changed.notify_all();
    }

    /// It is held no more, nor to be.
    pub fn release(&self) {
        let mut state = self.lock();
        state.freezing.take_if(|freezing| *freezing == Freezing::Hold);
        (state.held, state.shown) = (false, 0);
        self.changed.notify_all();
    }

    /// The calling thread, which is a processor's and not in `KVM_RUN`, stands still for as long as
    /// that is wanted; whether it was. Before, it shows its registers, and meanwhile its state when
    /// it is asked for: only when all stand still does none change another's.
    pub fn rest_while_paused(&self, mut show: impl FnMut(Shown)) -> bool {
        if !self.pausing().0 {
            return false;
        }
        show(Shown::Registers);
        let mut state = self.lock();
        if !state.stands_still() {
            return false;
        }
        state.resting += 1;
        let mut answered = state.asked;
        let rests = |state: &State| state.stands_still() && !self.has_ended();
        loop {
            let waits = |state: &mut State| rests(state) && state.asked == answered;
            state = self.changed.wait_while(state, waits).unwrap_or_else(PoisonError::into_inner);
            if !rests(&state) {
                break;
            }
            answered = state.asked;
            drop(state);
            show(Shown::State);
            state = self.lock();
            state.shown += usize::from(answered == state.asked);
        }
        state.resting -= 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering::SeqCst},
        },
        thread,
        time::{Duration, Instant},
    };

    use sandbox::Timeline;

    use super::*;
    use crate::{guest_exit::GuestExit, kick::Kick};

    const PROCESSORS: usize = 3;

    /// Processors that do nothing but stand still when they are to.
    struct Guest {
        handle: Arc<Handle>,
        /// How often one of them has shown all of its state.
        shown: Arc<AtomicUsize>,
        threads: Vec<thread::JoinHandle<()>>,
    }

    impl Guest {
        fn new() -> Self {
            let handle = Arc::new(Handle::new(Timeline::start(), None));
            let shown = Arc::<AtomicUsize>::default();
            let processor = |_| {
                let (handle, shown) = (handle.clone(), shown.clone());
                thread::spawn(move || {
                    let kick = Kick::of_this_thread(None);
                    handle.lock().kicks.push(kick);
                    let show = |what| {
                        shown.fetch_add(usize::from(what == Shown::State), SeqCst);
                    };
                    while !handle.has_ended() {
                        handle.rest_while_paused(show);
                        thread::yield_now();
                    }
                    handle.end();
                })
            };
            let threads = (0..PROCESSORS).map(processor).collect();
            let guest = Self { handle, shown, threads };
            guest.wait(|handle| handle.lock().kicks.len() == PROCESSORS);
            guest
        }

        fn wait(&self, done: impl Fn(&Handle) -> bool) {
            let began = Instant::now();
            while !done(&self.handle) {
                assert!(began.elapsed() < Duration::from_secs(20));
                thread::yield_now();
            }
        }
    }

    impl Drop for Guest {
        fn drop(&mut self) {
            self.handle.give(GuestExit::PowerOff);
            self.threads.drain(..).for_each(|thread| thread.join().unwrap());
        }
    }

    #[test]
    fn each_processor_shows_its_state_once_for_each_time_that_all_are_asked() {
        let guest = Guest::new();
        for round in 1..=50 {
            assert!(guest.handle.hold_now() && !guest.handle.hold_now());
            guest.wait(|handle| handle.hold() == Hold::Stands);
            guest.handle.ask_for_states();
            guest.wait(|handle| handle.hold() == Hold::Shown);
            assert_eq!(guest.shown.load(SeqCst), round * PROCESSORS);
            guest.handle.release();
            assert_eq!(guest.handle.hold(), Hold::Released);
            guest.wait(|handle| handle.pausing() == (false, 0, PROCESSORS));
        }
    }

    #[test]
    fn a_guest_does_not_stand_before_all_of_its_processors_have_begun() {
        let handle = Handle::new(Timeline::start(), None);
        handle.expect(PROCESSORS);
        assert!(handle.hold_now());
        assert_eq!((handle.hold(), handle.pausing()), (Hold::Stops, (true, 0, PROCESSORS)));
        handle.release();
        handle.pause();
        assert_eq!(handle.pausing(), (true, 0, PROCESSORS));
        let guest = Guest::new();
        guest.handle.expect(PROCESSORS + 1);
        assert!(guest.handle.hold_now());
        guest.wait(|handle| handle.lock().resting == PROCESSORS);
        assert_eq!(guest.handle.hold(), Hold::Stops, "one is still to begin");
    }

    #[test]
    fn who_is_to_be_held_runs_until_it_may_be_frozen() {
        let guest = Guest::new();
        guest.handle.freeze_point();
        assert_eq!(guest.handle.hold(), Hold::Released, "nobody asked");
        assert!(guest.handle.request_hold());
        assert!(!guest.handle.request_hold() && !guest.handle.hold_now());
        assert_eq!((guest.handle.hold(), guest.handle.pausing().0), (Hold::Runs, false));
        guest.handle.freeze_point();
        guest.wait(|handle| handle.hold() == Hold::Stands);
        guest.handle.release();
        // Who comes there too late is not held any more.
        assert!(guest.handle.request_hold());
        guest.handle.release();
        guest.handle.freeze_point();
        assert_eq!(guest.handle.hold(), Hold::Released);
    }

    #[test]
    fn neither_a_pause_nor_a_hold_ends_the_other() {
        let guest = Guest::new();
        let stands = |handle: &Handle| handle.pausing() == (true, PROCESSORS, PROCESSORS);
        guest.handle.pause();
        assert!(guest.handle.hold_now());
        guest.wait(stands);
        guest.handle.resume();
        thread::sleep(Duration::from_millis(20));
        assert!(stands(&guest.handle), "it is still held");
        guest.handle.pause();
        guest.handle.release();
        thread::sleep(Duration::from_millis(20));
        assert!(stands(&guest.handle), "it is still paused");
        guest.handle.resume();
        guest.wait(|handle| handle.pausing() == (false, 0, PROCESSORS));
    }

    #[test]
    fn the_end_of_a_guest_ends_its_hold() {
        let guest = Guest::new();
        assert!(guest.handle.hold_now());
        guest.wait(|handle| handle.hold() == Hold::Stands);
        guest.handle.give(GuestExit::PowerOff);
        guest.wait(|handle| handle.lock().kicks.is_empty());
    }
}
