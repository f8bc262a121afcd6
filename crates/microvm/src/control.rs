//! The watchdog's chain: how other threads reach a guest that is running, or end it.

use std::{
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use kvm_ioctls::VcpuFd;
use sandbox::{Control, Mailbox, Milestone, Timeline, monotonic_now};

use crate::{
    error::{Error, Result},
    exits::End,
    kick::Kick,
};

struct State {
    timeline: Timeline,
    stop: bool,
    /// How the guest has come, or is to come, to its end; the first who says so decides.
    end: Option<Result<End>>,
    kicks: Vec<Kick>,
    finished: bool,
}

/// What the guest's threads share with each other and with those who wait for them or end them.
pub struct Handle {
    state: Mutex<State>,
    /// Whether `state.end` was ever set, to be read at every exit.
    ended: AtomicBool,
    changed: Condvar,
    mailbox: Option<Mailbox>,
}

/// A kick may be lost on a thread that is about to write to a full pipe: it is repeated.
const KICK_AGAIN: Duration = Duration::from_millis(10);

impl Handle {
    /// The handle of a guest that does not run yet.
    pub fn new(timeline: Timeline, mailbox: Option<Mailbox>) -> Self {
        let (kicks, end) = (Vec::new(), None);
        let state = State { timeline, stop: false, end, kicks, finished: false };
        let ended = AtomicBool::new(false);
        Self { state: Mutex::new(state), ended, changed: Condvar::new(), mailbox }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The memory shared with a built-in program.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        self.mailbox.as_ref()
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

    /// How it ended. Only the first caller is told.
    pub fn take_end(&self) -> Option<Result<End>> {
        self.lock().end.take()
    }

    /// Sleeps until the guest is to come to an end, by itself or otherwise.
    pub fn wait_for_stop(&self) {
        let waiting = |state: &mut State| !state.stop && !self.has_ended();
        drop(self.changed.wait_while(self.lock(), waiting));
    }

    /// Lets the calling thread be kicked: out of running `cpu`, or out of a system call.
    pub fn begin(&self, cpu: Option<&mut VcpuFd>) {
        let kick = Kick::of_this_thread(cpu);
        let mut state = self.lock();
        if self.has_ended() {
            kick.kick();
        }
        state.kicks.push(kick);
    }

    /// The calling thread is done with the guest.
    pub fn end(&self) {
        let kick = Kick::end_of_this_thread();
        self.lock().kicks.retain(|other| *other != kick);
    }

    /// The calling thread has freed all that the guest held.
    pub fn finish(&self) {
        self.lock().finished = true;
        self.changed.notify_all();
    }

    /// Brings the guest to its `end`, unless it has come to another before.
    pub fn give(&self, end: End) {
        self.settle(&mut self.lock(), Ok(end));
    }

    /// Brings the guest to its end because the host's own part failed.
    pub fn fail(&self, error: Error) {
        self.settle(&mut self.lock(), Err(error));
    }

    fn settle(&self, state: &mut State, end: Result<End>) {
        if !self.ended.swap(true, Ordering::AcqRel) {
            state.end = Some(end);
        }
        state.kicks.iter().for_each(Kick::kick);
        self.changed.notify_all();
    }

    /// Sleeps until the guest's threads have finished; at `deadline`, on the clock of
    /// [`monotonic_now`], brings them to it.
    pub fn until_finished(&self, deadline: Option<Duration>) {
        let mut state = self.lock();
        while !state.finished {
            let patience = match (self.has_ended(), deadline) {
                (true, _) => Some(KICK_AGAIN),
                (false, Some(deadline)) => Some(deadline.saturating_sub(monotonic_now())),
                (false, None) => None,
            };
            state = match patience {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(patience) => {
                    let slept = self.changed.wait_timeout(state, patience);
                    slept.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            if deadline.is_some_and(|deadline| deadline <= monotonic_now()) {
                self.settle(&mut state, Ok(End::Deadline));
            } else if self.has_ended() {
                state.kicks.iter().for_each(Kick::kick);
            }
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
                self.changed.notify_all();
            }
            None => self.signal(libc::SIGTERM),
        }
    }

    fn kill(&self) {
        self.give(End::Signaled(libc::SIGKILL));
    }

    /// A guest without a kernel has no signals. Those that a process ignores unless it asked for
    /// them do nothing; every other ends the guest, as it would end a process.
    fn signal(&self, signal: i32) {
        const IGNORED: [i32; 4] = [libc::SIGCHLD, libc::SIGCONT, libc::SIGURG, libc::SIGWINCH];
        if signal > 0 && !IGNORED.contains(&signal) {
            self.give(End::Signaled(signal));
        }
    }
}
