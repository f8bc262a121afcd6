//! The watchdog's chain: how another thread reaches a guest that is running.
//!
//! A guest leaves `KVM_RUN` when it likes, which may be never. A signal to its thread makes it
//! leave; and should the signal come just before `KVM_RUN`, its handler has set the
//! `immediate_exit` byte in the page that the thread shares with KVM (Linux,
//! `Documentation/virt/kvm/api.rst`, section 5).

use std::{
    cell::Cell,
    ptr,
    sync::{Condvar, Mutex, MutexGuard, Once, PoisonError},
    time::Duration,
};

use kvm_bindings::kvm_run;
use kvm_ioctls::VcpuFd;
use sandbox::{Control, Mailbox, Milestone, Timeline, monotonic_now};

/// What the guest's thread is to do instead of going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// End as a process does that gets this signal.
    End(i32),
    /// End because the deadline has passed.
    Deadline,
}

struct State {
    timeline: Timeline,
    stop: bool,
    order: Option<Order>,
    kick: Option<Kick>,
    finished: bool,
}

/// What the guest's thread shares with those who wait for it or end it.
pub struct Handle {
    state: Mutex<State>,
    changed: Condvar,
    mailbox: Option<Mailbox>,
}

/// A kick may be lost on a thread that is about to write to a full pipe: it is repeated.
const KICK_AGAIN: Duration = Duration::from_millis(10);

impl Handle {
    /// The handle of a guest that does not run yet.
    pub fn new(timeline: Timeline, mailbox: Option<Mailbox>) -> Self {
        let state = State { timeline, stop: false, order: None, kick: None, finished: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), mailbox }
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

    /// What the guest's thread is to do instead of going on, if anything.
    pub fn order(&self) -> Option<Order> {
        self.lock().order
    }

    /// Whether there is an order.
    pub fn has_order(&self) -> bool {
        self.order().is_some()
    }

    /// Sleeps until the guest is to come to an end, by itself or otherwise.
    pub fn wait_for_stop(&self) {
        let waiting = |state: &mut State| !state.stop && state.order.is_none();
        drop(self.changed.wait_while(self.lock(), waiting));
    }

    /// Lets the calling thread, which is going to run `cpu`, be kicked out of it.
    pub fn begin(&self, cpu: &mut VcpuFd) {
        SHARED.set(cpu.get_kvm_run());
        let kick = Kick::of_this_thread();
        let mut state = self.lock();
        if state.order.is_some() {
            kick.kick();
        }
        state.kick = Some(kick);
    }

    /// The calling thread no longer runs the guest.
    pub fn end(&self) {
        self.lock().kick = None;
        SHARED.set(ptr::null_mut());
    }

    /// The calling thread has freed all that the guest held.
    pub fn finish(&self) {
        self.lock().finished = true;
        self.changed.notify_all();
    }

    /// Gives `order`, unless there was one before.
    pub fn give(&self, order: Order) {
        let mut state = self.lock();
        state.order.get_or_insert(order);
        if let Some(kick) = &state.kick {
            kick.kick();
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Sleeps until the guest's thread has finished; at `deadline`, on the clock of
    /// [`monotonic_now`], orders it to.
    pub fn until_finished(&self, deadline: Option<Duration>) {
        let mut state = self.lock();
        while !state.finished {
            let patience = match (state.order, deadline) {
                (Some(_), _) => Some(KICK_AGAIN),
                (None, Some(deadline)) => Some(deadline.saturating_sub(monotonic_now())),
                (None, None) => None,
            };
            state = match patience {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(patience) => {
                    let slept = self.changed.wait_timeout(state, patience);
                    slept.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            if deadline.is_some_and(|deadline| deadline <= monotonic_now()) {
                state.order.get_or_insert(Order::Deadline);
                self.changed.notify_all();
            }
            if state.order.is_some()
                && let Some(kick) = &state.kick
            {
                kick.kick();
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
        self.give(Order::End(libc::SIGKILL));
    }

    /// A guest without a kernel has no signals. Those that a process ignores unless it asked for
    /// them do nothing; every other ends the guest, as it would end a process.
    fn signal(&self, signal: i32) {
        const IGNORED: [i32; 4] = [libc::SIGCHLD, libc::SIGCONT, libc::SIGURG, libc::SIGWINCH];
        if signal > 0 && !IGNORED.contains(&signal) {
            self.give(Order::End(signal));
        }
    }
}

thread_local! {
    /// The page that this thread shares with KVM, while it runs a guest.
    static SHARED: Cell<*mut kvm_run> = const { Cell::new(ptr::null_mut()) };
}

/// What it takes to make a thread leave `KVM_RUN`.
struct Kick {
    thread: libc::pthread_t,
}

impl Kick {
    fn of_this_thread() -> Self {
        listen();
        // SAFETY: returns the calling thread's own name and touches nothing.
        Self { thread: unsafe { libc::pthread_self() } }
    }

    fn kick(&self) {
        // SAFETY: the thread lives: it takes this `Kick` back under the lock before it ends.
        let _ = unsafe { libc::pthread_kill(self.thread, kick_signal()) };
    }
}

fn kick_signal() -> libc::c_int {
    libc::SIGRTMIN()
}

/// Makes the kick interrupt system calls in this thread, and the next `KVM_RUN` return at once.
fn listen() {
    extern "C" fn leave(_: libc::c_int) {
        let shared = SHARED.get();
        if !shared.is_null() {
            // SAFETY: not null only between `begin` and `end`, in which the thread that this
            // handler interrupts owns the `VcpuFd` whose mapping this is.
            let leave = unsafe { &raw mut (*shared).immediate_exit };
            // SAFETY: a byte of that mapping, which only this thread and KVM look at.
            unsafe { leave.write_volatile(1) };
        }
    }
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: all-zero is a valid `sigaction`: no flags (so no SA_RESTART) and an empty mask.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = leave as extern "C" fn(libc::c_int) as usize;
        // SAFETY: the handler writes one byte of its own thread's, so it may run at any time in any
        // thread: the cell is constant from the start and never allocates. The number is
        // the first real-time signal, which has no other meaning.
        unsafe { libc::sigaction(kick_signal(), &raw const action, ptr::null_mut()) };
    });
    // A launcher that blocks signals to take them by sigwait(2) has threads that block them too.
    // SAFETY: an all-zero `sigset_t` is a valid object for `sigemptyset` to fill.
    let mut kick: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `kick` is a set of our own.
    unsafe { libc::sigemptyset(&raw mut kick) };
    // SAFETY: as above, and the number is a signal's.
    unsafe { libc::sigaddset(&raw mut kick, kick_signal()) };
    // SAFETY: changes the mask of the calling thread alone, which is ours.
    unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const kick, ptr::null_mut()) };
}
