//! A virtqueue: how a driver hands buffers to a device, and gets them back.
//!
//! Three tables in the guest's memory. The driver writes the first two, the device the third; both
//! only ever read the other's. Neither waits for the other, and neither has a lock.
//!
//! ```text
//!   descriptors          available ring         used ring
//!   0: address length    flags                  flags
//!      flags next        index  (counts up)     index  (counts up)
//!   1: ...               ring[size]: the first  ring[size]: the first descriptor of a
//!   ...                  descriptor of a chain  chain, and how much was written to it
//!   size - 1             used event             available event
//! ```
//!
//! The two events say when to ring: "not before you are past this index". They save most of the
//! doorbells and interrupts under load.
//!
//! The driver may be an attacker. It may write anything anywhere here at any moment, while we read.
//! So every number is read once, judged, and then used: never read again. What cannot be is
//! [`Broken`], and the device stops until the driver resets it.
//!
//! virtio, section 2.7.

use std::{
    num::Wrapping,
    sync::atomic::{Ordering, fence},
};

use serde::{Deserialize, Serialize};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend};

use super::{Broken, Chain, Shape, descriptor::Descriptor};
use crate::ram::Ram;

/// Lengths in the tables.
const DESCRIPTOR: u64 = 16;
const HEADER: u64 = 4;
const AVAILABLE: u64 = 2;
const USED: u64 = 8;
const EVENT: u64 = 2;
/// The index comes after the flags.
const INDEX: u64 = 2;

/// In the available ring's flags: the driver wants no interrupts.
const NO_INTERRUPT: u16 = 1;

/// The device's end of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    shape: Shape,
    /// What the driver says of it, before it is ready.
    pub setup: Setup,
    ready: bool,
    /// Whether both sides say when to ring.
    pub events: bool,
    /// The next entry of the available ring to read, and of the used ring to write.
    next_available: Wrapping<u16>,
    next_used: Wrapping<u16>,
    /// `next_used` when we last considered an interrupt.
    considered: Wrapping<u16>,
    /// How many more chains may be taken in this turn.
    turn: u16,
    /// Whether a chain was left because the turn was over.
    cut_short: bool,
}

/// What the device's end knows that is not in the guest's memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    setup: Setup,
    /// Whether the driver has set it up.
    pub ready: bool,
    next_available: u16,
    next_used: u16,
}

/// Where a queue lies in the guest's memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// Number of descriptors.
    pub size: u16,
    /// Address of the descriptors.
    pub descriptors: u64,
    /// Address of the available ring.
    pub available: u64,
    /// Address of the used ring.
    pub used: u64,
}

impl Setup {
    /// Whether a queue of at most `largest` can be there.
    fn is_sound(&self, largest: u16, memory: &Ram) -> bool {
        let size = u64::from(self.size);
        let lies = |address: u64, alignment: u64, bytes: u64| {
            address.is_multiple_of(alignment)
                && memory.check_range(GuestAddress(address), bytes as usize)
        };
        self.size.is_power_of_two()
            && self.size <= largest
            && lies(self.descriptors, 16, DESCRIPTOR * size)
            && lies(self.available, 2, HEADER + AVAILABLE * size + EVENT)
            && lies(self.used, 4, HEADER + USED * size + EVENT)
    }
}

impl Queue {
    /// A queue that no driver has set up.
    pub fn new(shape: Shape) -> Self {
        let zero = Wrapping(0);
        Self {
            shape,
            setup: Setup { size: shape.size, ..Setup::default() },
            ready: false,
            events: false,
            next_available: zero,
            next_used: zero,
            considered: zero,
            turn: shape.size,
            cut_short: false,
        }
    }

    /// Begins a turn, in which as many chains may be taken as the queue has descriptors.
    ///
    /// A driver can lay no more than that into a queue before it gets some of them back. But the
    /// rings are the guest's memory: another processor can add to them for as long as we look, and
    /// so can the device itself, when a disk is read into the ring from which it is told to read.
    /// Without turns, one doorbell would keep the thread that serves it for good.
    pub fn begin_turn(&mut self) {
        self.turn = self.setup.size;
        self.cut_short = false;
    }

    /// Whether chains were left in this turn, for which the driver need not ring again.
    pub fn is_cut_short(&self) -> bool {
        self.cut_short
    }

    /// What may be put into it.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Whether the driver has set it up.
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// The driver has set it up: from here on `setup` is believed, so it is judged here.
    ///
    /// # Errors
    ///
    /// When it does not lie in memory as a queue must.
    pub fn make_ready(&mut self, memory: &Ram) -> Result<(), Broken> {
        if !self.setup.is_sound(self.shape.size, memory) {
            return Err(Broken::Setup { size: self.setup.size });
        }
        self.ready = true;
        Ok(())
    }

    /// What it knows, while its device is not at work.
    pub fn save(&self) -> Saved {
        let Self { setup, ready, next_available, next_used, .. } = *self;
        Saved { setup, ready, next_available: next_available.0, next_used: next_used.0 }
    }

    /// Goes on from what [`Queue::save`] gave. The positions need no judgement: wherever they are,
    /// they say only which entries come next.
    ///
    /// # Errors
    ///
    /// When it is ready and does not lie in memory as a queue must.
    pub fn restore(&mut self, saved: &Saved, memory: &Ram) -> Result<(), Broken> {
        *self = Self { setup: saved.setup, ..Self::new(self.shape) };
        self.next_available = Wrapping(saved.next_available);
        self.next_used = Wrapping(saved.next_used);
        self.considered = self.next_used;
        if saved.ready { self.make_ready(memory) } else { Ok(()) }
    }

    /// Takes the next chain that the driver laid here; none once the turn is over.
    ///
    /// # Errors
    ///
    /// When there is something, and it is no chain.
    pub fn pop<'m>(&mut self, memory: &'m Ram) -> Result<Option<Chain<'m>>, Broken> {
        if !self.ready || !self.has_more(memory)? {
            return Ok(None);
        }
        let Some(turn) = self.turn.checked_sub(1) else {
            self.cut_short = true;
            return Ok(None);
        };
        self.turn = turn;
        let slot = u64::from(self.next_available.0 % self.setup.size);
        let head = load(memory, self.setup.available + HEADER + slot * AVAILABLE)?;
        self.next_available += 1;
        let mut chain = Chain::new(head, self.shape.bytes);
        let mut next = Some(head);
        for _ in 0..self.setup.size {
            let Some(index) = next else { return Ok(Some(chain)) };
            let descriptor = self.descriptor(memory, index)?;
            chain.add(memory, &descriptor)?;
            next = descriptor.next();
        }
        if next.is_some() { Err(Broken::Endless) } else { Ok(Some(chain)) }
    }

    /// Whether a chain waits. If not, the driver is asked to ring for the next; and as it may have
    /// added one just before it saw that, we look again.
    fn has_more(&self, memory: &Ram) -> Result<bool, Broken> {
        if self.waiting(memory)? > 0 {
            return Ok(true);
        }
        if !self.events {
            return Ok(false);
        }
        let event = self.setup.used + HEADER + u64::from(self.setup.size) * USED;
        store(memory, event, self.next_available.0)?;
        fence(Ordering::SeqCst);
        Ok(self.waiting(memory)? > 0)
    }

    /// How many chains wait.
    fn waiting(&self, memory: &Ram) -> Result<u16, Broken> {
        let index = load(memory, self.setup.available + INDEX)?;
        let waiting = (Wrapping(index) - self.next_available).0;
        match waiting <= self.setup.size {
            true => Ok(waiting),
            false => Err(Broken::TooMany { waiting, size: self.setup.size }),
        }
    }

    fn descriptor(&self, memory: &Ram, index: u16) -> Result<Descriptor, Broken> {
        if index >= self.setup.size {
            return Err(Broken::NoDescriptor { index, size: self.setup.size });
        }
        let address = self.setup.descriptors + u64::from(index) * DESCRIPTOR;
        let mut bytes = [0; DESCRIPTOR as usize];
        memory.read_slice(&mut bytes, GuestAddress(address)).map_err(|_| outside(address))?;
        Ok(Descriptor(u128::from_le_bytes(bytes)))
    }

    /// Gives a chain back, by the descriptor that it began with.
    ///
    /// # Errors
    ///
    /// When the used ring is not where it was said to be.
    pub fn push(&mut self, memory: &Ram, head: u16, written: u32) -> Result<(), Broken> {
        let slot = u64::from(self.next_used.0 % self.setup.size);
        let address = self.setup.used + HEADER + slot * USED;
        let entry = u64::from(head) | u64::from(written) << 32;
        memory
            .write_slice(&entry.to_le_bytes(), GuestAddress(address))
            .map_err(|_| outside(address))?;
        self.next_used += 1;
        // The entry, and what was written to the chain's buffers, are seen before the index is.
        store(memory, self.setup.used + INDEX, self.next_used.0)
    }

    /// Whether the driver wants an interrupt for what was given back since this was last asked.
    ///
    /// # Errors
    ///
    /// When the available ring is not where it was said to be.
    pub fn wants_interrupt(&mut self, memory: &Ram) -> Result<bool, Broken> {
        let before = std::mem::replace(&mut self.considered, self.next_used);
        if before == self.next_used {
            return Ok(false);
        }
        // The index is seen before we look whether anyone waits for it.
        fence(Ordering::SeqCst);
        if !self.events {
            return Ok(load(memory, self.setup.available)? & NO_INTERRUPT == 0);
        }
        let event = self.setup.available + HEADER + u64::from(self.setup.size) * AVAILABLE;
        let event = Wrapping(load(memory, event)?);
        // It lies in `before..next_used`, in a circle of 65,536.
        Ok(self.next_used - event - Wrapping(1) < self.next_used - before)
    }
}

fn outside(address: u64) -> Broken {
    Broken::Outside { address, length: DESCRIPTOR }
}

fn load(memory: &Ram, address: u64) -> Result<u16, Broken> {
    let value = memory.load(GuestAddress(address), Ordering::Acquire);
    value.map(u16::from_le).map_err(|_| outside(address))
}

fn store(memory: &Ram, address: u64, value: u16) -> Result<(), Broken> {
    memory
        .store(value.to_le(), GuestAddress(address), Ordering::Release)
        .map_err(|_| outside(address))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Device, Queues,
            driver::{Driver, MEMORY, NEXT, WRITE},
        },
        *,
    };

    const SIZE: u16 = 8;
    const BYTES: u64 = 4096;

    /// Answers what was read, up to the room there is; with `hold` it leaves all that comes lying.
    struct Echo {
        hold: bool,
    }

    impl Device for Echo {
        fn name(&self) -> &'static str {
            "echo"
        }

        fn number(&self) -> u32 {
            1
        }

        fn queues(&self) -> Vec<Shape> {
            vec![Shape { size: SIZE, bytes: BYTES }]
        }

        fn serve(&mut self, number: usize, queues: &mut Queues<'_>) -> Result<(), Broken> {
            while !self.hold
                && let Some(chain) = queues.pop(number)?
            {
                let mut text = vec![0; chain.readable.length()];
                chain.readable.copy_to(&mut text);
                let count = chain.writable.copy_from(&text);
                queues.push(number, chain.head, count as u32)?;
            }
            Ok(())
        }
    }

    fn echo() -> Driver<Echo> {
        Driver::of(Echo { hold: false })
    }

    /// What the device says of the chain at descriptor 0 that `describe` makes.
    fn verdict(describe: impl FnOnce(&mut Driver<Echo>)) -> Option<Broken> {
        let mut driver = echo();
        describe(&mut driver);
        driver.offer(0, 0);
        driver.ring(0);
        driver.device.broken()
    }

    #[test]
    fn a_request_is_the_same_however_it_is_cut() {
        let mut driver = echo();
        for (readable, writable) in [
            (vec![&b"hello"[..]], vec![5]),
            (vec![b"h", b"", b"ell", b"o"], vec![2, 3]),
            (vec![b"he", b"llo"], vec![1, 1, 1, 1, 100]),
        ] {
            assert_eq!(driver.ask(0, &readable, &writable), b"hello");
        }
        assert_eq!(driver.ask(0, &[b"hello"], &[3]), b"hel");
        assert_eq!(driver.ask(0, &[b""], &[]), b"");
    }

    #[test]
    fn the_indices_go_round() {
        let mut driver = echo();
        for number in 0..70_000u32 {
            assert_eq!(driver.ask(0, &[&number.to_le_bytes()], &[4]), number.to_le_bytes());
        }
    }

    #[test]
    fn a_whole_queue_is_served_at_one_ring_with_one_interrupt() {
        let mut driver = echo();
        for number in 0..SIZE / 2 {
            driver.add(0, &[&[number as u8]], &[1]);
        }
        driver.ring(0);
        for number in 0..SIZE / 2 {
            assert_eq!(driver.used(0).unwrap(), [number as u8]);
        }
        assert_eq!(driver.used(0), None);
        assert!(driver.was_interrupted(1));
        driver.ring(0);
        assert!(!driver.was_interrupted(1), "nothing new was given back");
    }

    /// With events, the device asks for the doorbell at its next chain, and the driver for the
    /// interrupt at the one that it names.
    #[test]
    fn each_side_is_rung_when_it_asked_for_it() {
        let mut driver = echo();
        let (available, used) = (driver.at(0, 1), driver.at(0, 2));
        let doorbell_at = GuestAddress(used + HEADER + USED * u64::from(SIZE));
        let interrupt_at = GuestAddress(available + HEADER + AVAILABLE * u64::from(SIZE));
        driver.memory.write_obj(2u16, interrupt_at).unwrap();
        for (asked, interrupts) in [(1u16, false), (2, false), (3, true), (4, false)] {
            driver.ask(0, &[b"x"], &[1]);
            assert_eq!(driver.memory.read_obj::<u16>(doorbell_at).unwrap(), asked);
            assert_eq!(driver.was_interrupted(1), interrupts, "chain {asked}");
        }
    }

    #[test]
    fn without_events_the_driver_can_still_forbid_interrupts() {
        let mut driver = Driver::unready(Echo { hold: false });
        driver.set_up(!(1 << 29));
        let flags = GuestAddress(driver.at(0, 1));
        for (forbidden, interrupts) in [(0u16, true), (1, false), (0, true)] {
            driver.memory.write_obj(forbidden, flags).unwrap();
            driver.ask(0, &[b"x"], &[1]);
            assert_eq!(driver.was_interrupted(1), interrupts);
        }
    }

    #[test]
    fn a_full_queue_is_no_more_than_full() {
        let mut driver = Driver::of(Echo { hold: true });
        for _ in 0..SIZE {
            driver.add(0, &[b"x"], &[]);
        }
        driver.device.configure(|echo| echo.hold = false);
        driver.ring(0);
        assert_eq!(driver.device.broken(), None);
        assert_eq!((0..SIZE).filter_map(|_| driver.used(0)).count() as u16, SIZE);
    }

    #[test]
    fn more_chains_than_there_can_be_are_refused() {
        for index in [SIZE + 1, 0x8000, 0xffff] {
            let mut driver = echo();
            let place = GuestAddress(driver.at(0, 1) + INDEX);
            driver.memory.write_obj(index, place).unwrap();
            driver.ring(0);
            let broken = Broken::TooMany { waiting: index, size: SIZE };
            assert_eq!(driver.device.broken(), Some(broken));
        }
    }

    #[test]
    fn a_chain_leads_to_no_descriptor_beyond_the_table() {
        let broken = verdict(|driver| driver.describe(0, 0, 0, 1, NEXT, SIZE));
        assert_eq!(broken, Some(Broken::NoDescriptor { index: SIZE, size: SIZE }));
    }

    #[test]
    fn a_chain_that_comes_back_is_refused() {
        let itself = verdict(|driver| driver.describe(0, 0, 0, 1, NEXT, 0));
        assert_eq!(itself, Some(Broken::Endless));
        let circle = verdict(|driver| {
            driver.describe(0, 0, 0, 0, NEXT, 1);
            driver.describe(0, 1, 0, 0, NEXT, 0);
        });
        assert_eq!(circle, Some(Broken::Endless));
    }

    #[test]
    fn a_buffer_outside_of_memory_is_refused() {
        for (address, length) in
            [(MEMORY, 1), (MEMORY - 1, 2), (u64::MAX, 1), (u64::MAX - 1, 4096), (1 << 63, 16)]
        {
            for flags in [0, WRITE] {
                let broken = verdict(|driver| driver.describe(0, 0, address, length, flags, 0));
                let outside = Broken::Outside { address, length: length.into() };
                assert_eq!(broken, Some(outside));
            }
        }
        assert_eq!(verdict(|driver| driver.describe(0, 0, MEMORY - 1, 1, 0, 0)), None);
    }

    #[test]
    fn a_chain_of_too_many_bytes_is_refused() {
        let broken = verdict(|driver| {
            driver.describe(0, 0, 0, BYTES as u32, NEXT, 1);
            driver.describe(0, 1, 0, 1, WRITE, 0);
        });
        assert_eq!(broken, Some(Broken::TooLong { limit: BYTES }));
        let broken = verdict(|driver| driver.describe(0, 0, 0, u32::MAX, 0, 0));
        assert_eq!(broken, Some(Broken::TooLong { limit: BYTES }));
    }

    #[test]
    fn what_the_device_reads_comes_first_and_nothing_is_indirect() {
        let broken = verdict(|driver| {
            driver.describe(0, 0, 0, 1, WRITE | NEXT, 1);
            driver.describe(0, 1, 0, 1, 0, 0);
        });
        assert_eq!(broken, Some(Broken::Order));
        let broken = verdict(|driver| driver.describe(0, 0, 0, 16, 4, 0));
        assert_eq!(broken, Some(Broken::Indirect));
    }
}
