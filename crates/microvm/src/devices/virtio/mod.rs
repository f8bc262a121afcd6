//! Virtio: devices for a guest that knows that it is one.
//!
//! A serial port is played by the host register by register, a trip for each byte. A virtio device
//! is made for a machine that has no wires: guest and host share memory, the guest lays its
//! requests into a queue there, and rings once for as many as there are. That is
//! para-virtualization: both sides know.
//!
//! ```text
//!   guest: a driver of Linux                 | host: this folder
//!   registers (0x1000 bytes), to set it up  --> mmio: what is asked for at the door
//!   queues in the guest's own memory       <--> queue: what is passed through; chain: its bytes
//!   doorbell: a write to QueueNotify        --> the device: console, block, net, fs, rng, balloon
//!   an interrupt                           <--  signal: why, and the line
//! ```
//!
//! Everything here holds to *Virtual I/O Device (VIRTIO) Version 1.2*, named "virtio" below;
//! devices before version 1 are not spoken.
//!
//! # How a machine gets one
//!
//! Each device has [`mmio::LENGTH`] bytes of registers, an interrupt line of its own, and a device
//! `LNRO0005` in the ACPI tables that names both.
//!
//! ```
//! # use std::sync::{Arc, Mutex};
//! # use microvm::devices::{bus::{Bus, Shared}, interrupt::Interrupt, virtio::{Transport, mmio, rng::Rng}};
//! # use microvm::memory::{Memory, Pages};
//! # let memory = Memory::new(4096, Pages::Small, &mut sandbox::Trace::new(false))?;
//! # let mut bus = Bus::<Shared>::default();
//! let line = Interrupt::new()?; // KVM_IRQFD takes line.eventfd()
//! let rng = Transport::new(Rng, memory.ram().clone(), line);
//! bus.put(0xd000_0000, mmio::LENGTH, Arc::new(Mutex::new(rng.clone())))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The guest's doorbell then rings in the thread of the processor that pressed it, which serves the
//! queue itself. To let the processor go on meanwhile, give each doorbell to KVM instead
//! (`KVM_IOEVENTFD`) and serve it in the machine's event loop: [`events::EventLoop`].

pub mod balloon;
pub mod block;
mod broken;
pub mod chain;
pub mod console;
mod descriptor;
pub mod disk;
pub mod events;
pub mod fs;
pub mod image_format;
pub mod mmio;
pub mod net;
pub mod port;
pub mod ports;
pub mod queue;
pub mod rate;
pub mod rng;
mod saved;
mod signal;
pub mod tap;
mod transport;
mod vectored;

#[cfg(test)]
mod driver;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod turns;

use std::{
    os::fd::BorrowedFd,
    sync::atomic::{AtomicBool, Ordering},
};

use serde_json::Value;

pub use broken::Broken;
pub use chain::{Buffers, Chain};
pub use queue::Queue;
pub use transport::Transport;

use crate::ram::Ram;

/// What a device does behind its registers; all else is the same for every device.
///
/// The guest is an adversary. What it has laid into a queue was checked when it comes here: every
/// buffer lies in its memory and a chain has no more bytes than [`Shape::bytes`]. What is in them
/// is for the device to judge. It never panics and never waits.
pub trait Device: Send + 'static {
    /// The word for it in traces: `virtio-rng`.
    fn name(&self) -> &'static str;

    /// Its number in virtio, chapter 5.
    fn number(&self) -> u32;

    /// What it can do beyond what the transport can; bits as in its section of chapter 5.
    fn features(&self) -> u64 {
        0
    }

    /// Its queues, by their numbers.
    fn queues(&self) -> Vec<Shape>;

    /// What a driver reads of it without a queue, from offset 0 on; zeros follow.
    fn config(&self) -> Vec<u8> {
        Vec::new()
    }

    /// The driver writes `data` there.
    fn write_config(&mut self, _offset: u64, _data: &[u8]) {}

    /// The driver is ready, and has agreed to `features`.
    fn start(&mut self, _features: u64) {}

    /// The driver rang: there may be something new in queue `number`. What is left when the turn is
    /// over is served in another, which this need not see to.
    ///
    /// # Errors
    ///
    /// When the driver breaks the rules, so that nothing it says can be believed. The device stops.
    fn serve(&mut self, number: usize, queues: &mut Queues<'_>) -> Result<(), Broken>;

    /// The host's files in which there may be something new for the guest.
    fn files(&self) -> Vec<BorrowedFd<'_>> {
        Vec::new()
    }

    /// There may be something new in one of [`Device::files`].
    ///
    /// # Errors
    ///
    /// As [`Device::serve`].
    fn wake(&mut self, _queues: &mut Queues<'_>) -> Result<(), Broken> {
        Ok(())
    }

    /// Whether only the thread of its event loop may serve it: it makes system calls that no virtual
    /// CPU is left.
    fn needs_its_own_thread(&self) -> bool {
        false
    }

    /// Forgets the driver and what it had asked for.
    fn reset(&mut self) {}

    /// What it knows of its driver beyond features and queues.
    fn save(&self) -> Value {
        Value::Null
    }

    /// Goes on from what [`Device::save`] gave, after [`Device::start`] if its driver was ready.
    ///
    /// # Errors
    ///
    /// Why it cannot have been so.
    fn restore(&mut self, saved: &Value) -> Result<(), String> {
        match saved {
            Value::Null => Ok(()),
            _ => Err("it has no state".into()),
        }
    }
}

/// What may be put into a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// So many descriptors; a power of two.
    pub size: u16,
    /// So many bytes in one chain. Nothing else keeps a guest from naming all its memory many
    /// times over in one request, and the host busy with it.
    pub bytes: u64,
}

/// A device's queues, while it serves them.
pub struct Queues<'m> {
    queues: &'m mut [Queue],
    memory: &'m Ram,
    /// Whether the guest is to end: then nothing more is taken.
    over: &'m AtomicBool,
}

impl<'m> Queues<'m> {
    /// Takes the next chain out of queue `number`; none if it is empty, if there is no such queue,
    /// if this turn has served as many as the queue has descriptors, or if the guest is to end. So
    /// `while let Some(chain) = queues.pop(number)?` has an end whatever the guest does.
    ///
    /// # Errors
    ///
    /// When the driver laid something there that is no chain.
    pub fn pop(&mut self, number: usize) -> Result<Option<Chain<'m>>, Broken> {
        match self.queues.get_mut(number) {
            Some(queue) if !self.over.load(Ordering::Acquire) => queue.pop(self.memory),
            _ => Ok(None),
        }
    }

    /// Gives the chain that began at `head` back to the driver, with `written` bytes in its
    /// writable part.
    ///
    /// # Errors
    ///
    /// When the queue is not where it was said to be.
    pub fn push(&mut self, number: usize, head: u16, written: u32) -> Result<(), Broken> {
        match self.queues.get_mut(number) {
            Some(queue) => queue.push(self.memory, head, written),
            None => Ok(()),
        }
    }
}
