//! An interrupt line: how a device calls the guest.
//!
//! The interrupt controllers are in the kernel, so a line into them is a file: writing to an
//! eventfd that `KVM_IRQFD` has tied to an input of the controller raises that input. A device
//! needs nothing of KVM to use it.

use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::error::{Error, Result};

/// A line from a device to an interrupt controller; each raising of it is one edge.
#[derive(Debug)]
pub struct Interrupt(EventFd);

impl Interrupt {
    /// A line that leads nowhere yet.
    ///
    /// # Errors
    ///
    /// When this process cannot have another descriptor.
    pub fn new() -> Result<Self> {
        EventFd::new(EFD_NONBLOCK).map(Self).map_err(Error::system("eventfd2"))
    }

    /// Raises the line.
    pub fn raise(&self) {
        // It fails only when the counter is full, and then the interrupt is already on its way.
        let _ = self.0.write(1);
    }

    /// The end that KVM listens at.
    pub fn eventfd(&self) -> &EventFd {
        &self.0
    }

    /// Whether it was raised since the last look; for tests of devices.
    #[cfg(test)]
    pub fn was_raised(&self) -> bool {
        self.0.read().is_ok()
    }
}
