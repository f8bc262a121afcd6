//! Making a thread leave `KVM_RUN`.
//!
//! A guest leaves `KVM_RUN` when it likes, which may be never. A signal to its thread makes it
//! leave; and should the signal come just before `KVM_RUN`, its handler has set the
//! `immediate_exit` byte in the page that the thread shares with KVM (Linux,
//! `Documentation/virt/kvm/api.rst`, section 5).

use std::{cell::Cell, ptr, sync::Once, time::Duration};

use kvm_bindings::kvm_run;
use kvm_ioctls::VcpuFd;
use nix::{
    time::{ClockId, clock_gettime},
    unistd::gettid,
};

thread_local! {
    /// The page that this thread shares with KVM, while it runs a guest.
    static SHARED: Cell<*mut kvm_run> = const { Cell::new(ptr::null_mut()) };
}

/// What it takes to make a thread leave `KVM_RUN`.
#[derive(PartialEq, Eq)]
pub(crate) struct Kick {
    thread: libc::pthread_t,
    /// The kernel's number of the thread, by which its CPU time is asked for.
    number: libc::pid_t,
}

impl Kick {
    /// Of the calling thread, which is going to run `cpu`, or none.
    pub fn of_this_thread(cpu: Option<&mut VcpuFd>) -> Self {
        SHARED.set(cpu.map_or(ptr::null_mut(), |cpu| ptr::from_mut(cpu.get_kvm_run())));
        listen();
        Self::name()
    }

    /// The calling thread runs no guest any more; gives its `Kick`, to be taken back.
    pub fn end_of_this_thread() -> Self {
        SHARED.set(ptr::null_mut());
        Self::name()
    }

    fn name() -> Self {
        // SAFETY: returns the calling thread's own name and touches nothing.
        Self { thread: unsafe { libc::pthread_self() }, number: gettid().as_raw() }
    }

    /// CPU time that the thread has taken so far, the guest's in it; nothing if it is gone.
    pub fn cpu_time(&self) -> Option<Duration> {
        // The clock of a thread: `CPUCLOCK_PERTHREAD_MASK | CPUCLOCK_SCHED` below its number
        // (Linux, include/linux/posix-timers_types.h), as pthread_getcpuclockid(3) gives it.
        const OF_A_THREAD: libc::clockid_t = 0b110;
        let clock = ClockId::from_raw(!self.number << 3 | OF_A_THREAD);
        clock_gettime(clock).ok().map(Duration::from)
    }

    /// Makes the thread leave. Its owner sees to it that the thread lives.
    pub fn kick(&self) {
        // SAFETY: the thread lives: it takes this `Kick` back under the lock before it ends.
        let _ = unsafe { libc::pthread_kill(self.thread, kick_signal()) };
    }
}

fn kick_signal() -> libc::c_int {
    libc::SIGRTMIN()
}

/// Makes the kick interrupt system calls in this thread, and the next `KVM_RUN` return at once.
pub(crate) fn listen() {
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
