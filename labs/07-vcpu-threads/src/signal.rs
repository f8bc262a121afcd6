//! Signals for the threads of virtual CPUs: each ends the `KVM_RUN` that its thread is in.

use nix::unistd::Pid;

/// Sends a signal to each of these threads, which does nothing but arrive.
pub(crate) fn send(threads: impl Iterator<Item = Pid>) {
    let handler = on_signal as extern "C" fn(libc::c_int);
    // SAFETY: the handler does nothing.
    unsafe { libc::signal(libc::SIGUSR1, handler as libc::sighandler_t) };
    let process = std::process::id();
    for thread in threads {
        // SAFETY: the call takes three numbers. A thread that has ended gets nothing.
        unsafe {
            libc::syscall(libc::SYS_tgkill, process, thread.as_raw(), libc::SIGUSR1);
        }
    }
}

extern "C" fn on_signal(_signal: libc::c_int) {}
