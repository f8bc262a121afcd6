//! A guest that does not come to an end: where is it?
//!
//! While a guest runs, its thread is in `KVM_RUN` and the virtual CPU is locked. A signal ends that
//! call (`EINTR`), and what runs next is the signal's handler, on the same thread: it can ask the
//! CPU for its registers, tells them to the check, and ends the program.

use std::{
    fmt::Write,
    os::fd::AsRawFd,
    sync::atomic::{AtomicI32, AtomicU8, AtomicUsize, Ordering},
};

use kvm_bindings::kvm_regs;
use kvm_ioctls::VcpuFd;
use lab::program::Host;

/// How much CPU time a guest has: a right one needs a hundredth, however busy the host is.
const MICROSECONDS: i64 = 500_000;
/// The meeting of a program whose guest has stopped, by itself or not.
pub const STOPPED: &str = "stopped";

static CPU: AtomicI32 = AtomicI32::new(-1);
static LINE: AtomicI32 = AtomicI32::new(1);
/// The last exits' reasons, and how many there were.
static LAST: [AtomicU8; 6] = [const { AtomicU8::new(0) }; 6];
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Ends the program when it has used half a second of CPU time without a [`rest`]; says
/// `how stuck`, `rip`, `exits` and `last`, and meets at [`STOPPED`].
pub fn watch(cpu: &VcpuFd, host: &Host) {
    CPU.store(cpu.as_raw_fd(), Ordering::Relaxed);
    LINE.store(if host.is_checked() { 0 } else { 1 }, Ordering::Relaxed);
    let handler = on_time as extern "C" fn(libc::c_int);
    // SAFETY: the handler makes system calls and touches nothing but atomics and its own stack, so
    // it may come at any moment.
    unsafe { libc::signal(libc::SIGPROF, handler as libc::sighandler_t) };
    set_timer(MICROSECONDS);
}

/// Ends the watch.
pub fn rest() {
    set_timer(0);
}

/// Notes the reason of an exit, for `last`.
pub fn note(reason: u32) {
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    LAST[number % LAST.len()].store(reason as u8, Ordering::Relaxed);
}

/// The last exits' reasons that were noted, by their names, the latest at the end.
pub fn last() -> String {
    let mut text = Text::default();
    text.last();
    text.as_str().to_owned()
}

fn set_timer(microseconds: i64) {
    let zero = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let time = libc::itimerval {
        it_interval: zero,
        it_value: libc::timeval { tv_usec: microseconds, ..zero },
    };
    // SAFETY: the call reads a structure that is there; no old one is asked for.
    unsafe { libc::setitimer(libc::ITIMER_PROF, &time, std::ptr::null_mut()) };
}

extern "C" fn on_time(_signal: libc::c_int) {
    const KVM_GET_REGS: libc::c_ulong = 0x8090_ae81;
    let mut registers = kvm_regs::default();
    // SAFETY: the descriptor is a virtual CPU's, and the request fills a structure of this type.
    unsafe { libc::ioctl(CPU.load(Ordering::Relaxed), KVM_GET_REGS, &raw mut registers) };
    let mut text = Text::default();
    let exits = COUNT.load(Ordering::Relaxed);
    // A text that is full is cut.
    let _ = write!(text, "say how stuck\nsay rip {}\nsay exits {exits}\nsay last ", registers.rip);
    text.last();
    let _ = write!(text, "\nmeet {STOPPED}\n");
    let line = LINE.load(Ordering::Relaxed);
    // SAFETY: the text is there, and has this length.
    unsafe { libc::write(line, text.bytes.as_ptr().cast(), text.length) };
    let mut byte = 0u8;
    // The check looks meanwhile; by hand nobody does.
    while line == 0 && byte != b'\n' {
        // SAFETY: one byte is read into one byte.
        if unsafe { libc::read(0, (&raw mut byte).cast(), 1) } != 1 {
            break;
        }
    }
    // SAFETY: the call ends the process, at any moment.
    unsafe { libc::_exit(1) }
}

/// A text without an allocation, which a handler may not make.
struct Text {
    bytes: [u8; 512],
    length: usize,
}

impl Default for Text {
    fn default() -> Self {
        Self { bytes: [0; 512], length: 0 }
    }
}

impl Text {
    fn last(&mut self) {
        let count = COUNT.load(Ordering::Relaxed);
        for number in count.saturating_sub(LAST.len())..count {
            let reason = LAST[number % LAST.len()].load(Ordering::Relaxed);
            let _ = match u32::from(reason) {
                kvm_bindings::KVM_EXIT_IO => write!(self, "io "),
                kvm_bindings::KVM_EXIT_MMIO => write!(self, "mmio "),
                kvm_bindings::KVM_EXIT_HLT => write!(self, "hlt "),
                kvm_bindings::KVM_EXIT_SHUTDOWN => write!(self, "shutdown "),
                other => write!(self, "{other} "),
            };
        }
        if count == 0 {
            let _ = write!(self, "none");
        }
    }

    fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[..self.length]).unwrap_or_default().trim_end()
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        self.bytes
            .get_mut(self.length..end)
            .ok_or(std::fmt::Error)?
            .copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}
