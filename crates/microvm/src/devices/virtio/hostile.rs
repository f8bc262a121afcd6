//! What a hostile guest can do to a device: anything it likes to its registers, its queues and its
//! memory, and nothing to the host.
//!
//! The guest's memory lies between two pages that must stay as they are. A device that panics,
//! hangs or writes a byte beyond fails here.

use std::{fs::File, io::Write};

use proptest::{collection::vec, prelude::*};
use vm_memory::{
    Bytes, GuestAddress, GuestMemoryBackend, GuestRegionMmap, mmap::MmapRegionBuilder,
};

use super::{
    Device, Transport,
    balloon::Balloon,
    block::Block,
    console::{
        Console,
        tests::{CapturedOutput, pipe},
    },
    disk::{Access, Disk, tests::image},
    fs::{SharedDirectory, SharedTree},
    mmio,
    net::tests::card_and_cable,
    ports::Ports,
    rng::Rng,
};
use crate::{
    devices::{
        bus::{self, Device as _},
        interrupt::Interrupt,
    },
    ram::Ram,
};

/// Small, so that random addresses hit.
const MEMORY: usize = 16 << 10;
const GUARD: usize = 4096;
const GUARDED: u8 = 0x5a;

/// Memory between two guards.
struct Guarded {
    memory: Ram,
    whole: Ram,
}

const GUARDS: [GuestAddress; 2] = [GuestAddress(0), GuestAddress((GUARD + MEMORY) as u64)];

impl Guarded {
    fn new() -> Self {
        let whole = GuestRegionMmap::from_range(GuestAddress(0), GUARD + MEMORY + GUARD, None);
        let whole = Ram::from_regions(vec![whole.unwrap().into()]).unwrap();
        for guard in GUARDS {
            whole.write_slice(&[GUARDED; GUARD], guard).unwrap();
        }
        let start = whole.get_host_address(GuestAddress(GUARD as u64)).unwrap();
        // SAFETY: the range lies within `whole`, which outlives all of a test's devices.
        let region = unsafe { MmapRegionBuilder::new(MEMORY).with_raw_mmap_pointer(start).build() };
        let region = GuestRegionMmap::new(region.unwrap(), GuestAddress(0)).unwrap();
        Self { memory: Ram::from_regions(vec![region.into()]).unwrap(), whole }
    }

    fn is_whole(&self) -> bool {
        GUARDS.into_iter().all(|guard| {
            let mut bytes = [0; GUARD];
            self.whole.read_slice(&mut bytes, guard).unwrap();
            bytes == [GUARDED; GUARD]
        })
    }
}

/// What a guest does.
#[derive(Debug, Clone)]
enum Act {
    /// Goes through the setup as it should, with queues of `size` at `place`.
    SetUp { size: u32, place: u32 },
    /// Writes to memory.
    Write(u16, Vec<u8>),
    /// Writes a descriptor, as one that looks right.
    Describe { index: u16, address: u16, length: u16, flags: u16, next: u16 },
    /// Says that so many more chains are there, the first of them at `head`.
    Offer { queue: u32, head: u16, more: u16 },
    /// Writes a register.
    Register(u64, Vec<u8>),
    /// Reads one.
    Read(u64, usize),
    /// The host has news.
    Wake,
}

fn act() -> impl Strategy<Value = Act> {
    let flags = prop_oneof![8 => 0..4u16, 1 => any::<u16>()];
    let length = prop_oneof![8 => 0..1100u16, 1 => any::<u16>()];
    let address = prop_oneof![8 => 0..MEMORY as u16, 1 => any::<u16>()];
    let describe = (0..16u16, address, length, flags, 0..16u16);
    let power = prop_oneof![8 => Just(4u32), 1 => 0..9u32];
    let register = prop_oneof![8 => (0..0x48u64).prop_map(|word| word * 4), 1 => 0..mmio::LENGTH];
    let writes = (0..MEMORY as u16, vec(any::<u8>(), 1..32));
    prop_oneof![
        1 => (power, 0..4u32).prop_map(|(power, place)| Act::SetUp { size: 1 << power, place }),
        2 => writes.prop_map(|(at, bytes)| Act::Write(at, bytes)),
        9 => describe.prop_map(|(index, address, length, flags, next)| Act::Describe {
            index, address, length, flags, next
        }),
        9 => (0..4u32, 0..17u16, 0..3u16)
            .prop_map(|(queue, head, more)| Act::Offer { queue, head, more }),
        1 => (register.clone(), vec(any::<u8>(), 4..=4)).prop_map(|(at, data)| Act::Register(at, data)),
        1 => (0..mmio::LENGTH, vec(any::<u8>(), 0..9)).prop_map(|(at, data)| Act::Register(at, data)),
        1 => (register, 0..9usize).prop_map(|(at, length)| Act::Read(at, length)),
        1 => Just(Act::Wake),
    ]
}

/// Where the tables of queue `number` are: some queues share a place, some tables overlap.
fn places(number: u32, place: u32) -> [u32; 3] {
    let base = (number + place) % 3 * 0x1000;
    [base, base + 0x400, base + 0x600]
}

/// Writes words to registers.
fn set(device: &mut impl bus::Device, words: &[(u64, u32)]) {
    words.iter().for_each(|(register, value)| device.write(*register, &value.to_le_bytes()));
}

fn set_up(device: &mut impl bus::Device, size: u32, place: u32) {
    let features = 1 << 29 | u32::from(place == 0);
    set(
        device,
        &[(0x70, 0), (0x70, 3), (0x24, 0), (0x20, features), (0x24, 1), (0x20, 1), (0x70, 11)],
    );
    for number in 0..4 {
        let [descriptors, available, used] = places(number, place);
        set(device, &[(0x30, number), (0x38, size)]);
        set(device, &[(0x80, descriptors), (0x90, available), (0xa0, used), (0x44, 1)]);
    }
    set(device, &[(0x70, 15)]);
}

fn play<D: Device>(device: D, acts: &[Act]) -> Result<(), TestCaseError> {
    let guarded = Guarded::new();
    let memory = guarded.memory.clone();
    let mut device = Transport::new(device, memory.clone(), Interrupt::new().unwrap());
    // What is read as a request is often one of a disk: its type and its sector.
    for record in 0..256u64 {
        let header = u128::from(record % 14) | u128::from(record % 20) << 64;
        memory.write_obj(header.to_le_bytes(), GuestAddress(0x3000 + 16 * record)).unwrap();
    }
    let mut place = 0;
    set_up(&mut device, 16, place);
    for act in acts {
        if device.broken().is_some() {
            set_up(&mut device, 16, place);
        }
        match act {
            Act::SetUp { size, place: at } => {
                place = *at;
                set_up(&mut device, *size, place);
            }
            Act::Write(at, bytes) => {
                let _ = memory.write(bytes, GuestAddress(u64::from(*at)));
            }
            Act::Describe { index, address, length, flags, next } => {
                let bytes = u128::from(*address)
                    | u128::from(*length) << 64
                    | u128::from(*flags) << 96
                    | u128::from(*next) << 112;
                let at = u64::from(places(0, place)[0]) + 16 * u64::from(*index);
                for queue in [0, 0x1000, 0x2000] {
                    let _ = memory.write(&bytes.to_le_bytes(), GuestAddress(at + queue));
                }
            }
            Act::Offer { queue, head, more } => {
                let ring = GuestAddress(u64::from(places(*queue, place)[1]) + 2);
                let index: u16 = memory.read_obj(ring).unwrap();
                let slot = GuestAddress(ring.0 + 2 + u64::from(index % 16) * 2);
                let _ = memory.write_obj(*head, slot);
                memory.write_obj(index.wrapping_add(*more), ring).unwrap();
                device.write(mmio::DOORBELL, &queue.to_le_bytes());
            }
            Act::Register(at, data) => device.write(*at, data),
            Act::Read(at, length) => device.read(*at, &mut vec![0; *length]),
            Act::Wake => device.wake(),
        }
    }
    prop_assert!(guarded.is_whole(), "a byte beyond the guest's memory was written");
    Ok(())
}

fn endless() -> File {
    File::open("/dev/zero").unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_guest_breaks_the_rng(acts in vec(act(), 0..60)) {
        play(Rng, &acts)?;
    }

    #[test]
    fn no_guest_breaks_the_balloon(acts in vec(act(), 0..60)) {
        play(Balloon::default(), &acts)?;
    }

    #[test]
    fn no_guest_breaks_the_ports(acts in vec(act(), 0..60)) {
        let output = CapturedOutput::default();
        play(Ports::new([("a", output.port(Some(endless()))), ("b", output.port(None))]), &acts)?;
    }

    #[test]
    fn no_guest_breaks_the_network_card(acts in vec(act(), 0..60)) {
        let (card, mut cable) = card_and_cable();
        for length in 1..20 {
            cable.write_all(&vec![b'x'; length * length]).unwrap();
        }
        play(card, &acts)?;
    }

    #[test]
    fn no_guest_breaks_the_console(acts in vec(act(), 0..60)) {
        play(Console::new(CapturedOutput::default().port(Some(endless())), 80, 25), &acts)?;
    }

    #[test]
    fn no_guest_breaks_a_shared_directory(acts in vec(act(), 0..60)) {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("file"), "content").unwrap();
        let tree = SharedTree::open(directory.path(), true).unwrap();
        play(SharedDirectory::new(tree, "hostile", 4), &acts)?;
        prop_assert_eq!(std::fs::read(directory.path().join("file")).unwrap(), b"content");
    }

    #[test]
    fn no_guest_breaks_a_disk(acts in vec(act(), 0..60)) {
        let image = image(8192);
        let disk = Disk::open(image.path(), Access::Write).unwrap();
        play(Block::new(disk, "hostile"), &acts)?;
        prop_assert_eq!(image.as_file().metadata().unwrap().len(), 8192);
    }
}

/// The guest changes a chain in another processor while the device walks it.
#[test]
fn a_guest_that_changes_its_queue_meanwhile_breaks_nothing() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let guarded = Guarded::new();
    let (_keyboard, input) = pipe();
    let console = Console::new(CapturedOutput::default().port(Some(input)), 80, 25);
    let memory = guarded.memory.clone();
    let mut device = Transport::new(console, memory.clone(), Interrupt::new().unwrap());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let other = memory.clone();
        let done = &done;
        scope.spawn(move || {
            let mut random = 1u64;
            while !done.load(Ordering::Relaxed) {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = GuestAddress(random >> 40 & 0x1fff);
                let _ = other.write_obj(random as u8 & 0x13, at);
            }
        });
        for round in 0..3000u32 {
            set_up(&mut device, 16, 0);
            set(&mut device, &[(mmio::DOORBELL, round & 1)]);
        }
        done.store(true, Ordering::Relaxed);
    });
    drop(device);
    assert!(guarded.is_whole());
}
