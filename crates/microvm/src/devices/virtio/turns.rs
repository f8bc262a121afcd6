//! A guest that always has more to do: no device may serve it for good.
//!
//! Another processor adds to a ring for as long as a device looks into it, or the device does so
//! itself: a disk is read into the very ring from which the disk takes its requests.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use vm_memory::{Bytes, GuestAddress};

use super::{
    Broken, Device, Queues, Shape, Transport,
    block::Block,
    console::Console,
    disk::{Access, Disk},
    driver::{self, NEXT, WRITE},
    events::EventLoop,
    mmio,
    port::Port,
};
use crate::{
    devices::{bus::Device as _, interrupt::Interrupt},
    ram::Ram,
};

/// Nothing here takes a hundredth of it, unless it has no end.
const TIMEOUT: Duration = Duration::from_secs(20);
const SIZE: u32 = 4;

/// Where the tables of queue `number` are: descriptors, available ring, used ring.
fn tables(number: usize) -> [u64; 3] {
    let base = 0x1_0000 + 0x1000 * number as u64;
    [base, base + 0x400, base + 0x800]
}

fn store(memory: &Ram, address: u64, value: u16) {
    memory.store(value, GuestAddress(address), Ordering::Release).unwrap();
}

fn load(memory: &Ram, address: u64) -> u16 {
    memory.load(GuestAddress(address), Ordering::Acquire).unwrap()
}

/// How many chains came back from queue `number`, modulo 65,536.
fn served(memory: &Ram, number: usize) -> u16 {
    load(memory, tables(number)[2] + 2)
}

fn describe(memory: &Ram, table: u64, chain: &[(u64, u32, u16)]) {
    for (index, (address, length, flags)) in (0u16..).zip(chain) {
        let next = u128::from(index + 1) << 112;
        let bytes = u128::from(*address) | u128::from(*length) << 64 | u128::from(*flags) << 96;
        let place = GuestAddress(table + 16 * u64::from(index));
        memory.write_slice(&(bytes | next).to_le_bytes(), place).unwrap();
    }
}

/// A device that is ready, with the tables of its first queue at `first` or where all others are.
fn ready<D: Device>(device: D, memory: &Ram, first: [u64; 3]) -> Transport<D> {
    let mut device = Transport::new(device, memory.clone(), Interrupt::new().unwrap());
    let mut set = |register: u64, value: u64| device.write(register, &(value as u32).to_le_bytes());
    for (register, value) in [(0x70, 3), (0x24, 1), (0x20, 1), (0x70, 11)] {
        set(register, value);
    }
    for number in 0..8 {
        let [descriptors, available, used] = if number == 0 { first } else { tables(number) };
        set(0x30, number as u64);
        set(0x38, SIZE.into());
        set(0x80, descriptors);
        set(0x90, available);
        set(0xa0, used);
        set(0x44, 1);
    }
    set(0x70, 15);
    device
}

/// Does `work` in a thread, which is left behind if it has no end.
fn has_an_end(what: &str, work: impl FnOnce() + Send + 'static) {
    let (done, heard) = mpsc::channel();
    thread::spawn(move || {
        work();
        let _ = done.send(());
    });
    assert!(heard.recv_timeout(TIMEOUT).is_ok(), "{what}: one doorbell is served without end");
}

/// Lets another chain wait in queue `number`, as another processor of the guest might just then.
fn feed(memory: &Ram, number: usize) {
    store(memory, tables(number)[1] + 2, served(memory, number).wrapping_add(2));
}

/// What any device does, beside a processor that has another request for each.
struct Fed(Ram);

impl Device for Fed {
    fn name(&self) -> &'static str {
        "fed"
    }

    fn number(&self) -> u32 {
        77
    }

    fn queues(&self) -> Vec<Shape> {
        vec![Shape { size: 16, bytes: 1024 }; 8]
    }

    fn serve(&mut self, number: usize, queues: &mut Queues<'_>) -> Result<(), Broken> {
        while let Some(chain) = queues.pop(number)? {
            feed(&self.0, number);
            queues.push(number, chain.head, 0)?;
        }
        Ok(())
    }
}

fn disk_of(file: &File) -> Block {
    Block::new(Disk::of(file.try_clone().unwrap(), Access::Write).unwrap(), "fed")
}

/// Lays a request into every queue, and rings for each; gives how many came back from each.
fn ring_everywhere<D: Device>(device: D, memory: &Ram) -> Vec<u16> {
    let (name, queues) = (device.name(), device.queues().len());
    for number in 0..queues {
        describe(memory, tables(number)[0], &[(0x8000, 32, NEXT), (0x9000, 513, WRITE)]);
    }
    let mut device = ready(device, memory, tables(0));
    (0..queues).for_each(|number| store(memory, tables(number)[1] + 2, 1));
    has_an_end(name, move || {
        (0..queues as u32).for_each(|number| device.write(mmio::DOORBELL, &number.to_le_bytes()));
        assert_eq!(device.broken(), None);
    });
    (0..queues).map(|number| served(memory, number)).collect()
}

#[test]
fn a_ring_that_another_processor_fills_is_left_after_one_round() {
    let memory = driver::memory();
    assert_eq!(ring_everywhere(Fed(memory.clone()), &memory), [SIZE as u16; 8]);
}

/// Whoever reads what the guest prints takes his time, and the guest goes on printing.
#[test]
fn a_console_that_is_printed_to_without_end_is_left_after_one_round() {
    let memory = driver::memory();
    let other = memory.clone();
    let port = Port::new(Box::new(move |_| feed(&other, 1)), None);
    assert_eq!(ring_everywhere(Console::new(port, 80, 25), &memory)[1], SIZE as u16);
}

/// Sector n of the disk is what the guest's memory at `0x2000` is to be after the request for it:
/// a request for sector n + 1, and an available ring that says that it waits.
///
/// ```text
///   0x2000  type: read  reserved  sector n + 1     the header that descriptor 0 names
///   0x2010  flags  index n + 2  ring: 0 0 0 0      the available ring
/// ```
fn disk_that_feeds_itself() -> (Transport<Block>, Ram) {
    const PLACE: u64 = 0x2000;
    let image = tempfile::tempfile().unwrap();
    let mut content = vec![0; 512 << 16];
    for (number, sector) in content.chunks_mut(512).enumerate() {
        let next = number as u16;
        sector[8..10].copy_from_slice(&next.wrapping_add(1).to_le_bytes());
        sector[18..20].copy_from_slice(&next.wrapping_add(2).to_le_bytes());
    }
    image.write_all_at(&content, 0).unwrap();
    let memory = driver::memory();
    let chain = [(PLACE, 16, NEXT), (PLACE, 512, NEXT | WRITE), (0x9000, 1, WRITE)];
    let [descriptors, _, used] = tables(0);
    describe(&memory, descriptors, &chain);
    let device = ready(disk_of(&image), &memory, [descriptors, PLACE + 16, used]);
    store(&memory, PLACE + 18, 1);
    (device, memory)
}

#[test]
fn a_disk_that_is_read_into_its_own_ring_gives_its_turn_back() {
    let (mut device, memory) = disk_that_feeds_itself();
    has_an_end("virtio-blk", move || device.write(mmio::DOORBELL, &[0; 4]));
    assert_eq!(u32::from(served(&memory, 0)), SIZE);
}

#[test]
fn what_a_turn_leaves_is_served_without_another_doorbell_until_the_loop_is_to_stop() {
    let (mut device, memory) = disk_that_feeds_itself();
    let mut events = EventLoop::new().unwrap();
    events.watch_files(&device).unwrap();
    let running = events.start(|| Ok(|| ())).unwrap();
    device.write(mmio::DOORBELL, &[0; 4]);
    let began = Instant::now();
    while served(&memory, 0) < 100 * SIZE as u16 {
        assert!(began.elapsed() < TIMEOUT, "{} chains were served", served(&memory, 0));
        thread::yield_now();
    }
    has_an_end("the event loop", move || drop(running));
    let after = served(&memory, 0);
    thread::sleep(Duration::from_millis(20));
    assert_eq!(served(&memory, 0), after, "nobody serves it any more");
}

#[test]
fn a_guest_that_is_to_end_is_served_no_more() {
    let (device, memory) = disk_that_feeds_itself();
    let over = Arc::new(AtomicBool::new(false));
    let mut device = device.until(over.clone());
    let mut events = EventLoop::new().unwrap();
    events.watch_files(&device).unwrap();
    let _running = events.start(|| Ok(|| ())).unwrap();
    device.write(mmio::DOORBELL, &[0; 4]);
    assert_ne!(served(&memory, 0), 0);
    over.store(true, Ordering::Release);
    // The turn that is being served when the order comes ends with its request.
    device.look(|_| ());
    let after = served(&memory, 0);
    device.write(mmio::DOORBELL, &[0; 4]);
    thread::sleep(Duration::from_millis(20));
    assert_eq!(served(&memory, 0), after);
}
