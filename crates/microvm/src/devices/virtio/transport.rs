//! A virtio device, shared by those who reach it: processors through its door, the event loop
//! through its doorbells, and the host.
//!
//! One lock holds all of it but the reasons for an interrupt, so that a guest's interrupt handler
//! does not wait for a device that is at work.
//!
//! A device works in turns, each of which takes at most as many chains from a queue as it has
//! descriptors ([`Queue::begin_turn`](super::Queue::begin_turn)). If that leaves some, the lock goes
//! and the event loop is asked for another turn. So whoever else wants the device, and the order to
//! stop, comes in between however much a guest lays into its queues.

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use serde_json::Value;
use vmm_sys_util::eventfd::EventFd;

use super::{
    Broken, Device, Queues,
    mmio::{CONFIG, DOORBELL, INTERRUPT_ACKNOWLEDGE, INTERRUPT_STATUS, Registers, STATUS},
    signal::{CONFIGURATION, Signal, USED},
};
use crate::{
    devices::{bus, interrupt::Interrupt},
    ram::Ram,
};

/// A virtio device with its door. A clone is the same device.
#[derive(Debug)]
pub struct Transport<D> {
    registers: Arc<Mutex<Registers<D>>>,
    signal: Arc<Signal>,
    /// How the event loop is asked for another turn.
    again: Arc<OnceLock<EventFd>>,
    /// Whether the guest is to end.
    over: Arc<AtomicBool>,
    name: &'static str,
    /// Whether only the event loop may serve it.
    by_the_loop: bool,
}

impl<D> Clone for Transport<D> {
    fn clone(&self) -> Self {
        Self {
            registers: self.registers.clone(),
            signal: self.signal.clone(),
            again: self.again.clone(),
            over: self.over.clone(),
            name: self.name,
            by_the_loop: self.by_the_loop,
        }
    }
}

impl<D: Device> Transport<D> {
    /// `device` with a door, its queues in `memory`, and a line on which it interrupts.
    pub fn new(device: D, memory: Ram, line: Interrupt) -> Self {
        let (name, by_the_loop) = (device.name(), device.needs_its_own_thread());
        let registers = Arc::new(Mutex::new(Registers::new(device, memory)));
        let (signal, again) = (Arc::new(Signal::new(line)), Arc::default());
        Self { registers, signal, again, over: Arc::default(), name, by_the_loop }
    }

    /// The same device, which stops in the middle of its queues once `over` is true.
    pub fn until(self, over: Arc<AtomicBool>) -> Self {
        Self { over, ..self }
    }

    /// Lets `again` be written to when a turn has left something in a queue. Who reads it calls
    /// [`Transport::look_everywhere`].
    pub(super) fn ask_for_turns(&self, again: EventFd) {
        // A device is in one event loop; the first keeps it.
        let _ = self.again.set(again);
    }

    fn lock(&self) -> MutexGuard<'_, Registers<D>> {
        self.registers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of queues, and so of doorbells.
    pub fn queues(&self) -> usize {
        self.lock().queues.len()
    }

    /// The driver rang for queue `number`.
    pub fn ring(&self, number: usize) {
        self.work(|device, queues| device.serve(number, queues));
    }

    /// There may be something new in one of the device's own files.
    pub fn wake(&self) {
        self.work(Device::wake);
    }

    /// Looks at the device from the host's side.
    pub fn look<T>(&self, look: impl FnOnce(&D) -> T) -> T {
        look(&self.lock().device)
    }

    /// Changes the device's configuration, and tells the driver.
    pub fn configure(&self, change: impl FnOnce(&mut D)) {
        let mut registers = self.lock();
        change(&mut registers.device);
        registers.reconfigured();
        if registers.is_running() {
            self.signal.raise(CONFIGURATION);
        }
    }

    /// What stopped the device, if anything did since the driver last reset it.
    pub fn broken(&self) -> Option<Broken> {
        self.lock().broken
    }

    /// Whether the line was raised since the last look.
    #[cfg(test)]
    pub(super) fn was_raised(&self) -> bool {
        self.signal.was_raised()
    }

    /// Lets the device work on its queues, if the driver is ready, and interrupts if the driver
    /// wants to know.
    pub fn work(&self, work: impl FnOnce(&mut D, &mut Queues<'_>) -> Result<(), Broken>) {
        let mut registers = self.lock();
        if !registers.is_running() {
            return;
        }
        match registers.work(&self.over, work) {
            Ok(turn) => {
                if turn.interrupts {
                    self.signal.raise(USED);
                }
                if turn.is_cut_short && !self.over.load(Ordering::Acquire) {
                    self.ask_for_another_turn();
                }
            }
            Err(broken) => {
                registers.stop(broken);
                self.signal.raise(CONFIGURATION);
            }
        }
    }

    /// Without an event loop the rest waits for the next doorbell.
    fn ask_for_another_turn(&self) {
        if let Some(again) = self.again.get() {
            // It fails only when the counter is full, and then the loop has been asked.
            let _ = again.write(1);
        }
    }

    fn set_status(&self, value: u32) {
        let mut registers = self.lock();
        if value == 0 {
            registers.reset();
            self.signal.acknowledge(u32::MAX);
            return;
        }
        let started = registers.advance(value);
        drop(registers);
        if started {
            // A driver may have filled its queues, and rung, before it was ready.
            self.serve_where_it_may(Self::look_everywhere);
        }
    }

    /// A processor has something for the device. It serves it, or asks the event loop to do so, if
    /// only that may.
    fn serve_where_it_may(&self, serve: impl FnOnce(&Self)) {
        match self.by_the_loop && self.again.get().is_some() {
            true => self.ask_for_another_turn(),
            false => serve(self),
        }
    }

    /// Gives every queue a turn, and looks into the device's own files.
    pub(super) fn look_everywhere(&self) {
        (0..self.queues()).for_each(|number| self.ring(number));
        self.wake();
    }
}

impl<D: Device> bus::Device for Transport<D> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn read(&mut self, offset: u64, data: &mut [u8]) {
        data.fill(0);
        if let Some(offset) = offset.checked_sub(CONFIG) {
            let config = self.lock().device.config();
            let rest = config.get(offset as usize..).unwrap_or_default();
            let count = rest.len().min(data.len());
            data[..count].copy_from_slice(&rest[..count]);
            return;
        }
        // All registers have four bytes, and are read and written whole (section 4.2.2.2).
        let Ok(register) = <&mut [u8; 4]>::try_from(data) else { return };
        *register = match offset {
            INTERRUPT_STATUS => self.signal.reasons(),
            _ => self.lock().register(offset),
        }
        .to_le_bytes();
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        if let Some(offset) = offset.checked_sub(CONFIG) {
            return self.lock().device.write_config(offset, data);
        }
        let Ok(value) = data.try_into().map(u32::from_le_bytes) else { return };
        match offset {
            DOORBELL => self.serve_where_it_may(|device| device.ring(value as usize)),
            INTERRUPT_ACKNOWLEDGE => self.signal.acknowledge(value),
            STATUS => self.set_status(value),
            _ => self.lock().set_register(offset, value),
        }
    }

    fn save(&self) -> Value {
        let registers = self.lock();
        registers.save(self.signal.reasons())
    }

    fn restore(&mut self, saved: &Value) -> Result<(), String> {
        let reasons = self.lock().restore(saved)?;
        self.signal.resume(reasons);
        // A ring may have been on its way, and the host's files have news of their own.
        self.look_everywhere();
        Ok(())
    }
}
