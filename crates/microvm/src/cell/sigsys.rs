//! What becomes of a call that is not on a thread's list: the handler of SIGSYS.

use std::{
    cell::Cell,
    io::{Cursor, Write as _},
    mem, ptr,
    sync::Once,
};

use super::{breach::Breach, process, role::Role};

thread_local! {
    /// The role of this thread, once it has entered its cell.
    static ROLE: Cell<Option<Role>> = const { Cell::new(None) };
    /// The first call that it was refused.
    static REFUSED: Cell<Option<i64>> = const { Cell::new(None) };
}

/// What the calling thread was refused since this was last asked.
pub fn breach() -> Option<Breach> {
    // An unused cell costs no more than this at every exit of a guest.
    let call = REFUSED.take()?;
    ROLE.get().map(|role| Breach { role, call })
}

/// How a launcher that was broken into ends: isolab itself failed.
const EXIT_CODE: i32 = 125;

/// Lets SIGSYS of the calling thread come here.
pub(super) fn listen(role: Role) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: all-zero is a valid `sigaction`, with an empty mask.
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        action.sa_sigaction = refused as extern "C" fn(_, _, _) as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // SAFETY: the handler allocates nothing and touches constants, two cells of its own thread
        // that are constant from the start, and the context that it is given.
        unsafe { libc::sigaction(libc::SIGSYS, &raw const action, ptr::null_mut()) };
    });
    ROLE.set(Some(role));
    // Where it is blocked, the kernel would end the process without a word.
    let mut signals = set_of(&[libc::SIGSYS]);
    mask(libc::SIG_UNBLOCK, &mut signals);
}

/// Blocks all signals of the calling thread but those that are meant for it: others run handlers of
/// the program that uses this library, whose calls are on no list. Its other threads take them.
pub(crate) fn take_own_signals_only() {
    const FAULTS: [libc::c_int; 6] =
        [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGABRT];
    // SAFETY: an all-zero `sigset_t` is a valid object for `sigfillset` to fill.
    let mut all: libc::sigset_t = unsafe { mem::zeroed() };
    // SAFETY: a set of our own.
    unsafe { libc::sigfillset(&raw mut all) };
    mask(libc::SIG_SETMASK, &mut all);
    let mut own = set_of(&FAULTS);
    for signal in [libc::SIGSYS, libc::SIGRTMIN()] {
        // SAFETY: a set of our own, and the number of a signal.
        unsafe { libc::sigaddset(&raw mut own, signal) };
    }
    mask(libc::SIG_UNBLOCK, &mut own);
}

fn set_of(signals: &[libc::c_int]) -> libc::sigset_t {
    // SAFETY: an all-zero `sigset_t` is a valid object for `sigemptyset` to fill.
    let mut set: libc::sigset_t = unsafe { mem::zeroed() };
    // SAFETY: a set of our own.
    unsafe { libc::sigemptyset(&raw mut set) };
    for signal in signals {
        // SAFETY: as above, and the number is a signal's.
        unsafe { libc::sigaddset(&raw mut set, *signal) };
    }
    set
}

fn mask(how: libc::c_int, signals: &mut libc::sigset_t) {
    // SAFETY: changes the mask of the calling thread alone.
    unsafe { libc::pthread_sigmask(how, ptr::from_mut(signals), ptr::null_mut()) };
}

/// The handler of SIGSYS. It runs in the thread that asked for the call, in its place.
extern "C" fn refused(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: the kernel gives a handler with SA_SIGINFO the context of this thread, which waits.
    let registers = unsafe { &mut (*context).uc_mcontext.gregs };
    // The kernel has put the call's number back where its result will be read (seccomp(2)).
    let result = &mut registers[libc::REG_RAX as usize];
    let call = *result;
    let Some(role) = ROLE.get() else {
        // Another's filter, in a thread that is not ours: what the kernel would have done.
        // SAFETY: resets the signal's action, which is async-signal-safe (signal-safety(7)).
        unsafe { libc::signal(libc::SIGSYS, libc::SIG_DFL) };
        // SAFETY: as above; it ends this process when this handler returns.
        unsafe { libc::raise(libc::SIGSYS) };
        return;
    };
    *result = -i64::from(libc::EPERM);
    // With RUST_BACKTRACE, a panic looks for its own file. It is told without.
    if std::thread::panicking() {
        return;
    }
    if process::is_ours() {
        end(Breach { role, call });
    }
    if REFUSED.get().is_none() {
        REFUSED.set(Some(call));
    }
}

/// Says what happened and ends the process, by nothing but two system calls.
fn end(breach: Breach) -> ! {
    let mut text = [0; 256];
    let mut cursor = Cursor::new(&mut text[..]);
    // What does not fit is left out; numbers are written without allocating.
    let _ = write!(
        cursor,
        "isolab: {breach}: either a guest broke into its launcher or isolab has a bug\n  \
         help: keep the guest's files and report it; `isolab clean` removes what is left\n"
    );
    let length = cursor.position() as usize;
    // SAFETY: the bytes are this function's own.
    unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), length) };
    // SAFETY: ends the process without running anything else of it.
    unsafe { libc::_exit(EXIT_CODE) }
}
