//! A balloon: memory that a guest gives back while it runs. virtio, section 5.5.
//!
//! A host cannot see which of a guest's pages matter to it. So it puts a balloon into the guest:
//! when the host asks, its driver takes pages from its own system, as any driver may, and tells
//! their numbers. Nobody in the guest touches them then, and the host takes the memory from under
//! them. The guest can also report what happens to lie free, unasked.
//!
//! ```text
//!   queue 0  numbers of pages that are in the balloon now
//!   queue 1  numbers of pages that the driver has taken out: they come back as zeros
//!   queue 2  statistics: a buffer that waits with the host until it wants new ones
//!   queue 3  free pages themselves
//! ```

use nix::sys::mman::{MmapAdvise, madvise};
use serde::Deserialize;
use serde_json::{Value, json};
use vm_memory::{GuestAddress, GuestMemoryBackend, VolatileSlice};

use super::{Broken, Chain, Device, Queues, Shape};

const INFLATE: usize = 0;
const DEFLATE: usize = 1;
const STATISTICS: usize = 2;

/// A balloon counts in these, whatever pages either side has.
const PAGE: u64 = 4096;
/// Where the driver says how many pages it holds.
const ACTUAL: u64 = 4;

/// Features (section 5.5.3).
mod feature {
    pub const STATISTICS: u64 = 1 << 1;
    /// The driver may take pages out by itself before the guest runs out of memory.
    pub const DEFLATE_ON_OOM: u64 = 1 << 2;
    pub const REPORTING: u64 = 1 << 5;
}

/// What a guest says of its memory (section 5.5.6.3), by number; bytes and counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    /// How often the guest has answered.
    pub answers: u64,
    /// Bytes that nobody uses.
    pub free: Option<u64>,
    /// All of it.
    pub total: Option<u64>,
    /// Bytes that could be had without swapping.
    pub available: Option<u64>,
    /// Bytes of files that are kept in case.
    pub caches: Option<u64>,
    /// Page faults that waited for a disk.
    pub major_faults: Option<u64>,
    /// Page faults that did not.
    pub minor_faults: Option<u64>,
}

/// A balloon in a guest's memory.
#[derive(Debug, Default)]
pub struct Balloon {
    target: u32,
    actual: u32,
    features: u64,
    /// The buffer in which the next statistics are to come.
    waiting: Option<u16>,
    statistics: Statistics,
}

impl Balloon {
    /// The guest shall give so much back, or may take as much as is above it; for
    /// [`Transport::configure`](super::Transport::configure).
    pub fn set_target(&mut self, bytes: u64) {
        self.target = u32::try_from(bytes / PAGE).unwrap_or(u32::MAX);
    }

    /// How much the guest says that it has given.
    pub fn actual_bytes(&self) -> u64 {
        u64::from(self.actual) * PAGE
    }

    /// What the guest said last of its memory.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// Asks for new statistics; for [`Transport::work`](super::Transport::work).
    ///
    /// # Errors
    ///
    /// When the queue is broken.
    pub fn ask(&mut self, queues: &mut Queues<'_>) -> Result<(), Broken> {
        match self.waiting.take() {
            Some(head) => queues.push(STATISTICS, head, 0),
            None => Ok(()),
        }
    }

    /// Takes the memory from under the pages whose numbers are in `chain`.
    fn inflate(&self, chain: &Chain<'_>, queues: &Queues<'_>) -> Result<(), Broken> {
        let mut bytes = vec![0; chain.readable.length()];
        chain.readable.copy_to(&mut bytes);
        let (numbers, _) = bytes.as_chunks();
        let mut pages: Vec<u32> = numbers.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
        pages.sort_unstable();
        // Neighbours go in one call; a page that is named twice goes twice.
        for run in pages.chunk_by(|page, next| page.checked_add(1) == Some(*next)) {
            let (address, length) = (u64::from(run[0]) * PAGE, run.len() as u64 * PAGE);
            for slice in queues.memory.get_slices(GuestAddress(address), length as usize) {
                release(&slice.map_err(|_| Broken::Outside { address, length })?);
            }
        }
        Ok(())
    }

    fn hear(&mut self, chain: &Chain<'_>) {
        let mut bytes = vec![0; chain.readable.length()];
        chain.readable.copy_to(&mut bytes);
        let (entries, _) = bytes.as_chunks::<10>();
        let mut heard =
            Statistics { answers: self.statistics.answers + 1, ..Statistics::default() };
        for [low, high, value @ ..] in entries {
            let value = Some(u64::from_le_bytes(*value));
            match u16::from_le_bytes([*low, *high]) {
                2 => heard.major_faults = value,
                3 => heard.minor_faults = value,
                4 => heard.free = value,
                5 => heard.total = value,
                6 => heard.available = value,
                7 => heard.caches = value,
                _ => {}
            }
        }
        self.statistics = heard;
    }

    /// Queues that were not agreed on have no number (Linux, `vm_find_vqs`).
    fn reporting(&self) -> usize {
        if self.features & feature::STATISTICS != 0 { 3 } else { 2 }
    }
}

/// Gives the pages that lie wholly within `slice` back to the host. What the guest finds there next
/// are zeros, or in a restored guest what its snapshot has there; it must count on neither.
fn release(slice: &VolatileSlice<'_>) {
    let guard = slice.ptr_guard_mut();
    let skipped = guard.as_ptr().align_offset(PAGE as usize);
    let length = guard.len().saturating_sub(skipped) / PAGE as usize * PAGE as usize;
    let Some(start) = std::ptr::NonNull::new(guard.as_ptr().wrapping_add(skipped)) else { return };
    if length > 0 {
        // SAFETY: the range is a part of the guest's memory, which the slice borrows from its
        // mapping. What was in it is gone; it was the guest's, and nothing of ours refers to it.
        // Should the host refuse, the guest keeps its page, which harms nobody.
        let _ = unsafe { madvise(start.cast(), length, MmapAdvise::MADV_DONTNEED) };
    }
}

impl Device for Balloon {
    fn name(&self) -> &'static str {
        "virtio-balloon"
    }

    fn number(&self) -> u32 {
        5
    }

    fn features(&self) -> u64 {
        feature::STATISTICS | feature::DEFLATE_ON_OOM | feature::REPORTING
    }

    fn queues(&self) -> Vec<Shape> {
        let numbers = Shape { size: 64, bytes: 64 << 10 };
        // Free pages are only named, not copied: 32 of at most 4 MiB in Linux.
        vec![numbers, numbers, numbers, Shape { size: 64, bytes: 256 << 20 }]
    }

    fn config(&self) -> Vec<u8> {
        [self.target, self.actual].map(u32::to_le_bytes).concat()
    }

    fn write_config(&mut self, offset: u64, data: &[u8]) {
        if let (ACTUAL, Ok(data)) = (offset, data.try_into()) {
            self.actual = u32::from_le_bytes(data);
        }
    }

    fn start(&mut self, features: u64) {
        self.features = features;
    }

    fn serve(&mut self, number: usize, queues: &mut Queues<'_>) -> Result<(), Broken> {
        while let Some(chain) = queues.pop(number)? {
            match number {
                INFLATE => self.inflate(&chain, queues)?,
                DEFLATE => {}
                _ if number == self.reporting() => chain.writable.slices().iter().for_each(release),
                _ => {
                    self.hear(&chain);
                    // A driver has one such buffer. Of a second, the first goes back.
                    self.ask(queues)?;
                    self.waiting = Some(chain.head);
                    continue;
                }
            }
            queues.push(number, chain.head, 0)?;
        }
        Ok(())
    }

    fn save(&self) -> Value {
        json!((self.actual, self.waiting))
    }

    fn restore(&mut self, saved: &Value) -> Result<(), String> {
        let saved = Deserialize::deserialize(saved).map_err(|error| error.to_string());
        (self.actual, self.waiting) = saved?;
        Ok(())
    }

    fn reset(&mut self) {
        *self = Self { target: self.target, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use vm_memory::Bytes;

    use super::{super::driver::Driver, *};
    use crate::ram::Ram;

    /// How many of the pages from number `first` on have memory of the host.
    fn resident(memory: &Ram, first: u64, count: usize) -> usize {
        let start = memory.get_host_address(GuestAddress(first * PAGE)).unwrap();
        let mut pages = vec![0u8; count];
        // SAFETY: mincore(2) only reads page tables of our own mapping, and `pages` has a byte for
        // each page of the range.
        let result =
            unsafe { libc::mincore(start.cast(), count * PAGE as usize, pages.as_mut_ptr()) };
        assert_eq!(result, 0);
        pages.iter().filter(|page| **page & 1 == 1).count()
    }

    fn touch(memory: &Ram, first: u64, count: u64) {
        for page in first..first + count {
            memory.write_slice(&[7; PAGE as usize], GuestAddress(page * PAGE)).unwrap();
        }
    }

    fn numbers(pages: impl IntoIterator<Item = u32>) -> Vec<u8> {
        pages.into_iter().flat_map(u32::to_le_bytes).collect()
    }

    #[test]
    fn pages_in_the_balloon_are_the_hosts_again() {
        let mut driver = Driver::of(Balloon::default());
        touch(&driver.memory, 800, 64);
        assert_eq!(resident(&driver.memory, 800, 64), 64);
        // In any order, one twice, and two apart from the others.
        let list = numbers((810..830).rev().chain([800, 863, 815]));
        driver.ask(INFLATE, &[&list], &[]);
        assert_eq!(driver.device.broken(), None);
        assert_eq!(resident(&driver.memory, 810, 20), 0);
        assert_eq!(resident(&driver.memory, 800, 64), 64 - 22);
        let byte = |page: u64| driver.memory.read_obj::<u8>(GuestAddress(page * PAGE)).unwrap();
        assert_eq!((byte(820), byte(809), byte(830)), (0, 7, 7));
        driver.ask(DEFLATE, &[&list], &[]);
    }

    #[test]
    fn free_pages_that_are_reported_are_the_hosts_again() {
        let mut driver = Driver::of(Balloon::default());
        touch(&driver.memory, 512, 128);
        let address = 520 * PAGE;
        driver.describe(3, 0, address, 64 * PAGE as u32, super::super::driver::WRITE, 0);
        driver.offer(3, 0);
        driver.ring(3);
        assert_eq!(driver.device.broken(), None);
        assert_eq!(resident(&driver.memory, 520, 64), 0);
        assert_eq!(resident(&driver.memory, 512, 128), 64);
    }

    #[test]
    fn a_page_outside_of_memory_stops_the_device() {
        for page in [u32::MAX, 1024] {
            let mut driver = Driver::of(Balloon::default());
            driver.add(INFLATE, &[&numbers([page])], &[]);
            driver.ring(INFLATE);
            assert!(matches!(driver.device.broken(), Some(Broken::Outside { .. })), "{page:#x}");
        }
    }

    #[test]
    fn the_target_is_told_and_the_answer_heard() {
        let mut driver = Driver::of(Balloon::default());
        driver.device.configure(|balloon| balloon.set_target(1 << 20));
        assert!(driver.was_interrupted(2));
        assert_eq!(driver.read(0x100), 256);
        driver.write(0x104, 255);
        assert_eq!(driver.device.look(Balloon::actual_bytes), 255 * PAGE);
    }

    #[test]
    fn statistics_come_when_they_are_asked_for() {
        let mut driver = Driver::of(Balloon::default());
        let say = |tag: u16, value: u64| [&tag.to_le_bytes()[..], &value.to_le_bytes()].concat();
        let text = [say(4, 1000), say(5, 4000), say(99, 5), say(0x104, 7)].concat();
        driver.add(STATISTICS, &[&text], &[]);
        driver.ring(STATISTICS);
        assert_eq!(driver.used(STATISTICS), None, "the host keeps it until it wants more");
        let statistics = driver.device.look(|balloon| balloon.statistics().clone());
        assert_eq!((statistics.free, statistics.total), (Some(1000), Some(4000)));
        driver.device.work(Balloon::ask);
        assert!(driver.used(STATISTICS).is_some());
        assert!(driver.was_interrupted(1));
        driver.add(STATISTICS, &[&say(4, 900)], &[]);
        driver.ring(STATISTICS);
        let statistics = driver.device.look(|balloon| balloon.statistics().clone());
        assert_eq!((statistics.answers, statistics.free, statistics.total), (2, Some(900), None));
    }
}
