//! The processor: `KVM_RUN`, with a tally of how it came back.

use std::{
    collections::VecDeque,
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

use hello_kvm::watchdog;
use kvm_bindings::{KVM_EXIT_HLT, KVM_EXIT_IO, KVM_EXIT_MMIO};
use kvm_ioctls::VcpuFd;

use crate::page::RunPage;

/// How often the guest came out, and why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// It gave something to a port.
    pub port_out: u64,
    /// It wanted something of a port.
    pub port_in: u64,
    /// It read memory that is none.
    pub memory_read: u64,
    /// It wrote to memory that is none.
    pub memory_write: u64,
    /// It halted.
    pub halt: u64,
    /// All else.
    pub other: u64,
}

/// A virtual processor.
pub struct Cpu {
    fd: VcpuFd,
    page_bytes: usize,
    calls: u64,
    signals: VecDeque<u64>,
    tally: Tally,
    was_interrupted: bool,
    /// Given once in place of a call of `KVM_RUN`; then the guest halts.
    pretended: Option<Pretended>,
}

/// What a processor pretends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pretended {
    /// `KVM_RUN` fails with this error.
    Error(i32),
    /// It comes back for this reason.
    Reason(u32),
    /// It comes back for `hlt`.
    Halt,
}

impl Cpu {
    /// The processor of `fd`, whose shared page has `page_bytes` (`KVM_GET_VCPU_MMAP_SIZE`). Before
    /// the calls of `KVM_RUN` that have a number in `signals` this thread gets a signal.
    pub fn new(mut fd: VcpuFd, page_bytes: usize, signals: &[u64]) -> Self {
        PAGE.store(ptr::from_mut(fd.get_kvm_run()).cast(), Ordering::Relaxed);
        let handler = on_signal as extern "C" fn(libc::c_int);
        // SAFETY: the handler writes one byte of a page that is mapped for as long as this runs.
        unsafe { libc::signal(libc::SIGUSR1, handler as libc::sighandler_t) };
        Self {
            fd,
            page_bytes,
            calls: 0,
            signals: signals.iter().copied().collect(),
            tally: Tally::default(),
            was_interrupted: false,
            pretended: None,
        }
    }

    /// Has the next call of [`Cpu::run`] pretend this, and the later ones a `hlt`.
    pub fn pretend(&mut self, what: Pretended) {
        self.pretended = Some(what);
    }

    /// Lets the guest run until it needs us (`KVM_RUN`); [`Cpu::page`] then says why.
    ///
    /// # Errors
    ///
    /// `EINTR` when a signal came to this thread: nothing has happened to the guest, and the page
    /// says nothing new. Any other error is KVM's.
    pub fn run(&mut self) -> Result<(), kvm_ioctls::Error> {
        if let Some(what) = self.pretended {
            self.pretended = Some(Pretended::Halt);
            return self.pretended_run(what);
        }
        self.calls += 1;
        if self.signals.front() == Some(&self.calls) {
            self.signals.pop_front();
            // SAFETY: the handler above is installed.
            unsafe { libc::raise(libc::SIGUSR1) };
        }
        let ran = self.fd.run().map(drop);
        self.fd.set_kvm_immediate_exit(0);
        self.was_interrupted = ran.is_err_and(|error| error.errno() == libc::EINTR);
        ran?;
        let page = self.page();
        let (reason, port, memory) = (page.reason(), page.port_access(), page.memory_access());
        watchdog::note(reason);
        let tally = &mut self.tally;
        *match reason {
            KVM_EXIT_IO if port.is_out => &mut tally.port_out,
            KVM_EXIT_IO => &mut tally.port_in,
            KVM_EXIT_MMIO if memory.is_write => &mut tally.memory_write,
            KVM_EXIT_MMIO => &mut tally.memory_read,
            KVM_EXIT_HLT => &mut tally.halt,
            _ => &mut tally.other,
        } += 1;
        Ok(())
    }

    fn pretended_run(&mut self, what: Pretended) -> Result<(), kvm_ioctls::Error> {
        let reason = match what {
            Pretended::Error(error) => return Err(kvm_ioctls::Error::new(error)),
            Pretended::Reason(reason) => reason,
            Pretended::Halt => KVM_EXIT_HLT,
        };
        self.fd.get_kvm_run().exit_reason = reason;
        Ok(())
    }

    /// The page that the kernel shares with us.
    pub fn page(&mut self) -> RunPage<'_> {
        let start: *mut u8 = ptr::from_mut(self.fd.get_kvm_run()).cast();
        // SAFETY: kvm-ioctls has mapped this many bytes there, until `fd` is dropped; the kernel
        // writes them in `KVM_RUN` only, for which `self` would have to be borrowed again.
        RunPage::of(unsafe { std::slice::from_raw_parts_mut(start, self.page_bytes) })
    }

    /// The tally so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Whether the last call of [`Cpu::run`] ended by a signal.
    pub fn was_interrupted(&self) -> bool {
        self.was_interrupted
    }

    /// KVM's descriptor of it.
    pub fn fd(&self) -> &VcpuFd {
        &self.fd
    }
}

static PAGE: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());

/// What every virtual machine monitor does on such a signal: if `KVM_RUN` has been called, the
/// signal ends it; if it is about to be, this flag does.
extern "C" fn on_signal(_signal: libc::c_int) {
    const IMMEDIATE_EXIT: usize = std::mem::offset_of!(kvm_bindings::kvm_run, immediate_exit);
    // SAFETY: the flag is within the page.
    let flag = unsafe { PAGE.load(Ordering::Relaxed).add(IMMEDIATE_EXIT) };
    // SAFETY: the page is mapped for as long as its processor is there, and so is the program's
    // only one.
    unsafe { flag.write_volatile(1) };
}
