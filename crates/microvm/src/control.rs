//! The watchdog's chain: how other threads reach a guest that is running, or end it.

mod hold;

use std::{
    os::fd::OwnedFd,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use kvm_ioctls::VcpuFd;
use sandbox::{Control, Mailbox, Milestone, Timeline, monotonic_now};

use crate::{
    error::{Error, Result},
    guest_exit::GuestExit,
    halt::HaltWatch,
    kick::Kick,
};

pub use hold::{Hold, Shown};

use hold::Freezing;

struct State {
    timeline: Timeline,
    stop: bool,
    /// How the guest has come, or is to come, to its end; the first who says so decides, unless it
    /// is only frozen.
    end: Option<Result<GuestExit>>,
    /// What becomes of it where it says that it may be frozen.
    freezing: Option<Freezing>,
    /// The processors' threads, as far as they have begun.
    kicks: Vec<Kick>,
    /// How many are to begin; none any more once one has ended.
    expected: usize,
    /// The threads that pass on what the guest gave, and are not hurried when it ends by itself.
    servants: Vec<Kick>,
    /// Whether somebody wants the end at once, whoever else waits for what the guest wrote.
    forced: bool,
    /// How many processors have been found halted for good; none if nobody asks them.
    halted: Option<usize>,
    started_up: bool,
    finished: bool,
    /// Whether its processors are to stand still because somebody paused it.
    paused: bool,
    /// Whether they are to because it is being saved.
    held: bool,
    /// How many of them do.
    resting: usize,
    /// How often those that stand still were asked to show their state.
    asked: u64,
    /// How many of them have, since they were asked last.
    shown: usize,
}

/// Takes a signal for the guest, if it can be passed on.
pub type Courier = Box<dyn Fn(i32) -> bool + Send>;

impl State {
    fn stands_still(&self) -> bool {
        self.paused || self.held
    }

    /// How many processors there are, those included that have not begun.
    fn processors(&self) -> usize {
        self.kicks.len().max(self.expected)
    }

    /// Lets every thread that may have to see the end see it.
    fn kick(&self) {
        self.kicks.iter().for_each(Kick::kick);
        if self.forced {
            self.servants.iter().for_each(Kick::kick);
        }
    }
}

/// Until when a guest is waited for, on the clock of [`monotonic_now`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WaitOptions {
    /// It must have ended by then.
    pub deadline: Option<Duration>,
    /// It must have started up by then.
    pub start_up: Option<Duration>,
    /// Whether it ends when all of its processors have halted for good.
    pub watches_halt: bool,
}

impl WaitOptions {
    /// The next instant at which a guest is brought to its end, and to which.
    fn next(self, started_up: bool) -> Option<(Duration, GuestExit)> {
        let deadline = self.deadline.map(|instant| (instant, GuestExit::Deadline));
        let start_up = self.start_up.filter(|_| !started_up);
        let start_up = start_up.map(|instant| (instant, GuestExit::NeverStartedUp));
        deadline.into_iter().chain(start_up).min_by_key(|(instant, _)| *instant)
    }
}

/// What the guest's threads share with each other and with those who wait for them or end them.
pub struct Handle {
    state: Mutex<State>,
    /// Whether `state.end` was ever set, to be read at every exit.
    ended: AtomicBool,
    /// Whether `state.end` was ever set to an end from which the guest does not go on.
    over: Arc<AtomicBool>,
    changed: Condvar,
    mailbox: Option<Mailbox>,
    /// The far end of the guest's standard input.
    input: Mutex<Option<OwnedFd>>,
    /// Who passes signals on, where somebody inside takes them.
    courier: Mutex<Option<Courier>>,
}

/// A kick may be lost on a thread that is about to write to a full pipe: it is repeated.
const KICK_AGAIN: Duration = Duration::from_millis(10);

impl Handle {
    /// The handle of a guest that does not run yet.
    pub fn new(timeline: Timeline, mailbox: Option<Mailbox>) -> Self {
        let state = State {
            timeline,
            stop: false,
            end: None,
            freezing: None,
            kicks: Vec::new(),
            expected: 0,
            servants: Vec::new(),
            forced: false,
            halted: None,
            started_up: false,
            finished: false,
            paused: false,
            held: false,
            resting: 0,
            asked: 0,
            shown: 0,
        };
        let ended = AtomicBool::new(false);
        Self {
            state: Mutex::new(state),
            ended,
            over: Arc::default(),
            changed: Condvar::new(),
            mailbox,
            input: Mutex::default(),
            courier: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The memory shared with a built-in program.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        self.mailbox.as_ref()
    }

    /// Being stopped means the end of the input whose far end this is.
    pub fn close_to_stop(&self, input: OwnedFd) {
        *self.input.lock().unwrap_or_else(PoisonError::into_inner) = Some(input);
    }

    /// From when the guest has started up, `courier` passes on the signals that are for it.
    pub fn pass_signals_to(&self, courier: Courier) {
        *self.courier.lock().unwrap_or_else(PoisonError::into_inner) = Some(courier);
    }

    fn passes_on(&self, signal: i32) -> bool {
        let courier = self.courier.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_started_up() && courier.as_ref().is_some_and(|courier| courier(signal))
    }

    /// The milestones so far.
    pub fn timeline(&self) -> Timeline {
        self.lock().timeline
    }

    /// Notes that `milestone` is reached.
    pub fn reach(&self, milestone: Milestone) {
        self.lock().timeline.reach(milestone);
    }

    /// Whether the guest is to come to its end instead of going on.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Becomes true when the guest is to come to its end for good: its devices stop in the middle of
    /// what it has asked for.
    pub fn over(&self) -> Arc<AtomicBool> {
        self.over.clone()
    }

    /// How it ended. Only the first caller is told.
    pub fn take_end(&self) -> Option<Result<GuestExit>> {
        self.lock().end.take()
    }

    /// Sleeps until the guest is to come to an end, by itself or otherwise.
    pub fn wait_for_stop(&self) {
        let waiting = |state: &mut State| !state.stop && !self.has_ended();
        drop(self.changed.wait_while(self.lock(), waiting));
    }

    /// So many processors are about to begin.
    pub fn expect(&self, processors: usize) {
        self.lock().expected = processors;
    }

    /// Lets the calling thread be kicked: out of running `cpu`; or, of a thread without one, out of a
    /// system call in which it waits for somebody to read what the guest wrote. That it may do for
    /// as long as nobody demands an end.
    pub fn begin(&self, cpu: Option<&mut VcpuFd>) {
        let serves = cpu.is_none();
        let kick = Kick::of_this_thread(cpu);
        let mut state = self.lock();
        if self.has_ended() && (!serves || state.forced) || state.stands_still() && !serves {
            kick.kick();
        }
        if serves { state.servants.push(kick) } else { state.kicks.push(kick) }
    }

    /// The calling thread is done with the guest.
    pub fn end(&self) {
        let kick = Kick::end_of_this_thread();
        let mut state = self.lock();
        let begun = state.kicks.len();
        state.kicks.retain(|other| *other != kick);
        if state.kicks.len() < begun {
            state.expected = 0;
        }
        state.servants.retain(|other| *other != kick);
    }

    /// The calling thread has freed all that the guest held.
    pub fn finish(&self) {
        self.lock().finished = true;
        self.changed.notify_all();
    }

    /// Brings the guest to its `end`, unless it has come to another before.
    pub fn give(&self, end: GuestExit) {
        self.settle(&mut self.lock(), Ok(end));
    }

    /// Brings the guest to its end because the host's own part failed.
    pub fn fail(&self, error: Error) {
        self.settle(&mut self.lock(), Err(error));
    }

    /// The guest is to be frozen as soon as it says that it may be.
    pub fn request_freeze(&self) {
        self.lock().freezing = Some(Freezing::Leave);
    }

    /// The guest says that it may be frozen here: its processors leave it, if somebody wants that.
    pub fn freeze_point(&self) {
        let mut state = self.lock();
        match state.freezing.take() {
            None => {}
            Some(Freezing::Leave) => self.settle(&mut state, Ok(GuestExit::Frozen)),
            Some(Freezing::Hold) => {
                state.held = true;
                state.kick();
            }
        }
    }

    /// Whether the guest has stopped and may go on.
    pub fn is_frozen(&self) -> bool {
        self.has_ended() && matches!(self.lock().end, Some(Ok(GuestExit::Frozen)))
    }

    /// Lets a frozen guest go on, unless it has come to another end meanwhile.
    pub fn thaw(&self) {
        let mut state = self.lock();
        if matches!(state.end, Some(Ok(GuestExit::Frozen))) {
            state.end = None;
            self.ended.store(false, Ordering::Release);
        }
    }

    /// Lets the processors stand still at their next chance, which they get at once.
    pub fn pause(&self) {
        let mut state = self.lock();
        state.paused = true;
        state.kick();
    }

    /// Lets them go on.
    pub fn resume(&self) {
        self.lock().paused = false;
        self.changed.notify_all();
    }

    /// Whether the processors are to stand still, how many do, and how many there are.
    pub fn pausing(&self) -> (bool, usize, usize) {
        let state = self.lock();
        (state.stands_still(), state.resting, state.processors())
    }

    /// CPU time of each processor's thread.
    pub fn cpu_times(&self) -> Vec<Duration> {
        self.lock().kicks.iter().filter_map(Kick::cpu_time).collect()
    }

    fn settle(&self, state: &mut State, end: Result<GuestExit>) {
        let was_frozen = matches!(state.end, Some(Ok(GuestExit::Frozen)));
        if !matches!(end, Ok(GuestExit::Frozen)) {
            self.over.store(true, Ordering::Release);
        }
        state.forced |= matches!(
            end,
            Err(_)
                | Ok(GuestExit::Signaled(_)
                    | GuestExit::Deadline
                    | GuestExit::NeverStartedUp
                    | GuestExit::TooMuchOutput)
        );
        if !self.ended.swap(true, Ordering::AcqRel) || was_frozen {
            state.end = Some(end);
        }
        state.kick();
        self.changed.notify_all();
    }

    /// Notes that the guest has started up: what it was started for runs.
    pub fn has_started_up(&self) {
        self.lock().started_up = true;
        self.changed.notify_all();
    }

    /// Whether what the guest was started for has run.
    pub fn is_started_up(&self) -> bool {
        self.lock().started_up
    }

    /// The calling thread has left `KVM_RUN` because it was kicked. If that was to ask whether its
    /// processor has halted for good, it stays out until all have answered: only then have they
    /// been so at one instant. The module `halt` says more.
    pub fn answer_halt_check(&self, has_halted: impl FnOnce() -> bool) {
        if self.lock().halted.is_none() {
            return;
        }
        let has_halted = has_halted();
        let mut state = self.lock();
        let Some(halted) = state.halted else { return };
        state.halted = has_halted.then_some(halted + 1);
        match state.halted {
            None => self.changed.notify_all(),
            Some(all) if all == state.processors() => {
                self.settle(&mut state, Ok(GuestExit::Halted));
            }
            Some(_) => {
                let waiting = |state: &mut State| state.halted.is_some() && !self.has_ended();
                drop(self.changed.wait_while(state, waiting));
            }
        }
    }

    /// Sleeps until the guest's threads have finished, and brings them to it when `options` ends.
    pub fn until_finished(&self, options: WaitOptions) {
        let mut state = self.lock();
        let mut watch = options.watches_halt.then(|| HaltWatch::new(monotonic_now()));
        while !state.finished {
            let next = options.next(state.started_up).map(|(instant, _)| instant);
            let look = watch.as_ref().map(HaltWatch::next_look);
            let instant = next.into_iter().chain(look).min();
            let sleep = match self.has_ended() {
                true => Some(KICK_AGAIN),
                false => instant.map(|instant| instant.saturating_sub(monotonic_now())),
            };
            state = match sleep {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(sleep) => {
                    let slept = self.changed.wait_timeout(state, sleep);
                    slept.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            let now = monotonic_now();
            let over = options.next(state.started_up);
            match over.filter(|(instant, _)| *instant <= now) {
                Some((_, end)) => self.settle(&mut state, Ok(end)),
                None if self.has_ended() => state.kick(),
                None => {
                    if let Some(watch) = watch.as_mut().filter(|watch| watch.next_look() <= now) {
                        self.look_for_halt(&mut state, watch, now);
                    }
                }
            }
        }
    }

    /// Takes back the question that not all processors have answered, or asks it.
    fn look_for_halt(&self, state: &mut State, watch: &mut HaltWatch, now: Duration) {
        if state.halted.take().is_some() {
            self.changed.notify_all();
        }
        let times = state.kicks.iter().map(Kick::cpu_time).collect();
        // Who is not let run has not halted.
        if watch.look(times, now) && !state.stands_still() {
            state.halted = Some(0);
            state.kicks.iter().for_each(Kick::kick);
        }
    }
}

impl Control for Handle {
    fn stop(&self) {
        match &self.mailbox {
            Some(mailbox) => {
                // Writing to a memfd of our own fails only beyond its end.
                let _ = mailbox.stop();
                self.lock().stop = true;
                drop(self.input.lock().unwrap_or_else(PoisonError::into_inner).take());
                self.changed.notify_all();
            }
            None => self.signal(libc::SIGTERM),
        }
    }

    fn kill(&self) {
        self.give(GuestExit::Signaled(libc::SIGKILL));
    }

    /// A guest in which nobody takes them has no signals. Those that a process ignores unless it asked for
    /// them do nothing; every other ends the guest, as it would end a process.
    fn signal(&self, signal: i32) {
        const IGNORED: [i32; 4] = [libc::SIGCHLD, libc::SIGCONT, libc::SIGURG, libc::SIGWINCH];
        if self.passes_on(signal) {
            return;
        }
        if signal > 0 && !IGNORED.contains(&signal) {
            self.give(GuestExit::Signaled(signal));
        }
    }
}
