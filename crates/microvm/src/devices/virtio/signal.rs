//! Why a device interrupts, and the line on which it does: virtio, section 4.2.2,
//! `InterruptStatus` and `InterruptACK`.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::devices::interrupt::Interrupt;

/// A device gave buffers back.
pub const USED: u32 = 1 << 0;
/// What a driver reads in the device's configuration has changed, or the device has stopped.
pub const CONFIGURATION: u32 = 1 << 1;

/// It has no lock: the guest asks for the reasons in its interrupt handler, and should not wait
/// there until the device has finished what it is about.
#[derive(Debug)]
pub struct Signal {
    reasons: AtomicU32,
    line: Interrupt,
}

impl Signal {
    pub fn new(line: Interrupt) -> Self {
        Self { reasons: AtomicU32::new(0), line }
    }

    pub fn raise(&self, reason: u32) {
        self.reasons.fetch_or(reason, Ordering::SeqCst);
        self.line.raise();
    }

    /// Goes on with these reasons; those that were not acknowledged are told again, for the edge on
    /// the line may have been lost with the machine that it was for.
    pub fn resume(&self, reasons: u32) {
        self.reasons.store(reasons & (USED | CONFIGURATION), Ordering::SeqCst);
        if self.reasons() != 0 {
            self.line.raise();
        }
    }

    pub fn reasons(&self) -> u32 {
        self.reasons.load(Ordering::SeqCst)
    }

    pub fn acknowledge(&self, reasons: u32) {
        self.reasons.fetch_and(!reasons, Ordering::SeqCst);
    }

    #[cfg(test)]
    pub fn was_raised(&self) -> bool {
        self.line.was_raised()
    }
}
