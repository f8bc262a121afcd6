//! A driver for tests: it does what Linux does (`drivers/virtio/virtio_mmio.c`, `virtio_ring.c`).

use std::sync::atomic::Ordering;

use sandbox::Trace;
use vm_memory::{Bytes, GuestAddress};

use super::{Device, Transport, mmio};
use crate::{
    devices::{bus::Device as _, interrupt::Interrupt},
    memory::{Memory, Pages},
    ram::Ram,
};

/// The guest's memory.
pub const MEMORY: u64 = 4 << 20;
/// Queues begin here, [`QUEUE`] bytes for each.
const QUEUES: u64 = 0x1_0000;
const QUEUE: u64 = 0x1_0000;
/// Buffers begin here.
const BUFFERS: u64 = 0x20_0000;

pub const NEXT: u16 = 1;
pub const WRITE: u16 = 2;

/// A device, and its driver in a guest that does not exist.
pub struct Driver<D> {
    pub device: Transport<D>,
    pub memory: Ram,
    queues: Vec<Ring>,
    next_buffer: u64,
    last_byte: u64,
}

/// The driver's end of a queue.
#[derive(Clone, Default)]
struct Ring {
    size: u16,
    next_descriptor: u16,
    next_used: u16,
    /// The writable buffers of each chain, by its first descriptor.
    answers: Vec<(u16, Vec<(u64, u32)>)>,
}

pub fn memory() -> Ram {
    Memory::new(MEMORY, Pages::Small, &mut Trace::new(false)).unwrap().ram().clone()
}

impl<D: Device> Driver<D> {
    /// A driver that has gone through all of the setup.
    pub fn of(device: D) -> Self {
        let mut driver = Self::unready(device);
        driver.set_up(u64::MAX);
        driver
    }

    /// One that has not begun.
    pub fn unready(device: D) -> Self {
        let memory = memory();
        let device = Transport::new(device, memory.clone(), Interrupt::new().unwrap());
        Self { device, memory, queues: Vec::new(), next_buffer: BUFFERS, last_byte: 0 }
    }

    pub fn read(&mut self, offset: u64) -> u32 {
        let mut data = [0; 4];
        self.device.read(offset, &mut data);
        u32::from_le_bytes(data)
    }

    pub fn write(&mut self, offset: u64, value: u32) {
        self.device.write(offset, &value.to_le_bytes());
    }

    /// Agrees to what the device offers of `features`, and lays out every queue.
    pub fn set_up(&mut self, features: u64) {
        assert_eq!((self.read(0), self.read(4)), (0x7472_6976, 2));
        self.write(0x70, 0);
        self.write(0x70, 1);
        self.write(0x70, 1 | 2);
        for half in [0, 1] {
            self.write(0x14, half);
            let offered = self.read(0x10);
            self.write(0x24, half);
            self.write(0x20, offered & (features >> (32 * half)) as u32);
        }
        self.write(0x70, 1 | 2 | 8);
        assert_eq!(self.read(0x70), 1 | 2 | 8);
        self.queues.clear();
        for number in 0..self.device.queues() as u32 {
            self.lay_out(number);
        }
        self.write(0x70, 1 | 2 | 8 | 4);
        assert_eq!(self.read(0x70), 1 | 2 | 8 | 4);
    }

    fn lay_out(&mut self, number: u32) {
        self.write(0x30, number);
        assert_eq!(self.read(0x44), 0);
        let size = self.read(0x34);
        self.write(0x38, size);
        for (register, place) in [(0x80, self.at(number, 0)), (0x90, self.at(number, 1))] {
            self.write(register, place as u32);
            self.write(register + 4, 0);
        }
        self.write(0xa0, self.at(number, 2) as u32);
        self.write(0xa4, 0);
        for table in 0..3 {
            let place = GuestAddress(self.at(number, table));
            self.memory.write_slice(&[0; 0x2000], place).unwrap();
        }
        self.write(0x44, 1);
        assert_eq!(self.read(0x44), 1);
        self.queues.push(Ring { size: size as u16, ..Ring::default() });
    }

    /// Where queue `number` has its descriptors (0), available ring (1) and used ring (2).
    pub fn at(&self, number: u32, table: u64) -> u64 {
        QUEUES + u64::from(number) * QUEUE + table * 0x4000
    }

    /// Writes descriptor `index` of queue `number` as it is given.
    pub fn describe(
        &mut self,
        number: usize,
        index: u16,
        address: u64,
        length: u32,
        flags: u16,
        next: u16,
    ) {
        let mut bytes = address.to_le_bytes().to_vec();
        bytes.extend(length.to_le_bytes());
        bytes.extend(flags.to_le_bytes());
        bytes.extend(next.to_le_bytes());
        let place = self.at(number as u32, 0) + 16 * u64::from(index);
        self.memory.write_slice(&bytes, GuestAddress(place)).unwrap();
    }

    /// Puts the chain that begins at `head` into the available ring.
    pub fn offer(&mut self, number: usize, head: u16) {
        let ring = self.at(number as u32, 1);
        let index: u16 = self.memory.load(GuestAddress(ring + 2), Ordering::Acquire).unwrap();
        let slot = u64::from(index % self.queues[number].size);
        self.memory.write_obj(head, GuestAddress(ring + 4 + 2 * slot)).unwrap();
        let next = index.wrapping_add(1);
        self.memory.store(next, GuestAddress(ring + 2), Ordering::Release).unwrap();
    }

    /// Lays a chain of `readable` buffers and writable ones of these lengths into queue `number`.
    pub fn add(&mut self, number: usize, readable: &[&[u8]], writable: &[u32]) {
        let mut buffers = Vec::new();
        for bytes in readable {
            let address = self.buffer(bytes.len() as u64);
            self.memory.write_slice(bytes, GuestAddress(address)).unwrap();
            buffers.push((address, bytes.len() as u32, 0));
        }
        let mut answer = Vec::new();
        for &length in writable {
            let address = self.buffer(length.into());
            buffers.push((address, length, WRITE));
            answer.push((address, length));
            self.last_byte = address + u64::from(length.max(1)) - 1;
        }
        let size = self.queues[number].size;
        let head = self.queues[number].next_descriptor;
        let count = buffers.len();
        for (at, (address, length, flags)) in buffers.into_iter().enumerate() {
            let index = self.queues[number].next_descriptor;
            let next = (index + 1) % size;
            let more = if at + 1 < count { NEXT } else { 0 };
            self.describe(number, index, address, length, flags | more, next);
            self.queues[number].next_descriptor = next;
        }
        self.queues[number].answers.push((head, answer));
        self.offer(number, head);
    }

    fn buffer(&mut self, length: u64) -> u64 {
        if self.next_buffer + length > MEMORY {
            self.next_buffer = BUFFERS;
        }
        let address = self.next_buffer;
        self.next_buffer += length.next_multiple_of(16);
        assert!(self.next_buffer <= MEMORY, "a test asks for more than the guest has");
        address
    }

    /// Rings, if the device wants to hear it, as Linux would.
    pub fn ring(&mut self, number: usize) {
        self.write(mmio::DOORBELL, number as u32);
    }

    /// Takes the next chain that the device gave back: what it wrote there.
    pub fn used(&mut self, number: usize) -> Option<Vec<u8>> {
        let ring = self.at(number as u32, 2);
        let index: u16 = self.memory.load(GuestAddress(ring + 2), Ordering::Acquire).unwrap();
        let queue = &mut self.queues[number];
        if index == queue.next_used {
            return None;
        }
        let slot = u64::from(queue.next_used % queue.size);
        queue.next_used = queue.next_used.wrapping_add(1);
        let entry: u64 = self.memory.read_obj(GuestAddress(ring + 4 + 8 * slot)).unwrap();
        let position =
            queue.answers.iter().position(|(head, _)| u64::from(*head) == entry & 0xffff_ffff);
        let (_, buffers) = queue.answers.remove(position.expect("a chain that was offered"));
        let mut bytes = Vec::new();
        for (address, length) in buffers {
            let start = bytes.len();
            bytes.resize(start + length as usize, 0);
            self.memory.read_slice(&mut bytes[start..], GuestAddress(address)).unwrap();
        }
        let written = (entry >> 32) as usize;
        assert!(written <= bytes.len(), "{written} bytes in a buffer of {}", bytes.len());
        bytes.truncate(written);
        Some(bytes)
    }

    /// Asks and waits for the answer.
    pub fn ask(&mut self, number: usize, readable: &[&[u8]], writable: &[u32]) -> Vec<u8> {
        self.add(number, readable, writable);
        self.ring(number);
        self.used(number).expect("the device answers")
    }

    /// The last byte of the writable buffers that were added last, whether it was written or not.
    pub fn last_byte(&self) -> u8 {
        self.memory.read_obj(GuestAddress(self.last_byte)).unwrap()
    }

    /// Whether the line was raised for `reason` since the last look; acknowledges it.
    pub fn was_interrupted(&mut self, reason: u32) -> bool {
        let reasons = self.read(0x60);
        self.write(0x64, reasons);
        self.device.was_raised() && reasons & reason != 0
    }
}
