//! A virtual CPU that waits for a thread.

use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};

use kvm_ioctls::{VcpuExit, VcpuFd};
use nix::{errno::Errno, unistd::Pid};

/// Writing to this port turns a virtual CPU off.
pub(crate) const OFF: u8 = 0xf4;

/// A virtual CPU: a descriptor of KVM's. What makes it run is the thread that [enters](Vcpu::enter)
/// it.
pub struct Vcpu {
    pub(crate) number: usize,
    pub(crate) cpu: VcpuFd,
    pub(crate) seat: Arc<Seat>,
}

/// Why a virtual CPU has come back to its thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It has nothing to do until an interrupt comes: the guest executed `hlt`.
    Halted,
    /// A signal made the thread leave; the guest notices nothing and goes on.
    Interrupted,
    /// The guest has turned it off. It will not run again.
    Off,
}

impl Vcpu {
    /// Its number, from 0 on.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Runs the guest on the calling thread until it comes back: `KVM_RUN`.
    ///
    /// # Errors
    ///
    /// Those of `KVM_RUN`; `ENOEXEC` for an exit that these guests do not have.
    pub fn enter(&mut self) -> nix::Result<Exit> {
        self.seat.take();
        match self.cpu.run() {
            Ok(VcpuExit::Hlt) => Ok(Exit::Halted),
            Ok(VcpuExit::IoOut(port, _)) if port == u16::from(OFF) => Ok(Exit::Off),
            Ok(_) => Err(Errno::ENOEXEC),
            Err(error) if [libc::EINTR, libc::EAGAIN].contains(&error.errno()) => {
                Ok(Exit::Interrupted)
            }
            Err(error) => Err(Errno::from_raw(error.errno())),
        }
    }

    /// Lets the calling thread sleep until there is an interrupt for this virtual CPU.
    pub fn wait_for_interrupt(&self) {
        self.seat.sleep();
    }
}

/// What a virtual CPU shares with the rest of the machine: who runs it, and its interrupts.
///
/// A real machine has an interrupt controller here; this is only a number of interrupts that have
/// not been taken yet.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    thread: OnceLock<Pid>,
    interrupts: Mutex<u64>,
    raised: Condvar,
}

impl Seat {
    fn take(&self) {
        self.thread.get_or_init(nix::unistd::gettid);
    }

    /// The thread that has entered it.
    pub(crate) fn thread(&self) -> Option<Pid> {
        self.thread.get().copied()
    }

    pub(crate) fn interrupt(&self) {
        *self.interrupts.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.raised.notify_one();
    }

    fn sleep(&self) {
        let interrupts = self.interrupts.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.raised.wait_while(interrupts, |interrupts| *interrupts == 0);
        *waited.unwrap_or_else(PoisonError::into_inner) -= 1;
    }
}
