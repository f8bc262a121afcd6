//! A hostile guest against every virtio device: anything it likes to its registers, its queues and
//! its memory, and nothing to the host.
//!
//! The first byte names the device, and whether another processor of the guest's changes its memory
//! meanwhile ([`other`]); the others are what the guest does ([`act`]) and what is in its
//! memory at first. A device that panics, waits, takes memory without bound, or touches a byte
//! beyond the guest's ([`guarded`]) is a finding. Its sibling in `crates/microvm`,
//! `devices::virtio::hostile`, does the same with random guests in every test run.
#![no_main]

mod act;
mod fed;
mod guarded;
mod other;

use std::{
    fs::File,
    io::Write,
    os::fd::OwnedFd,
    sync::{Arc, LazyLock},
};

use libfuzzer_sys::fuzz_target;
use microvm::devices::{
    bus::Device as _,
    interrupt::Interrupt,
    virtio::{
        Device, Transport,
        balloon::Balloon,
        block::Block,
        console::Console,
        disk::{Access, Disk},
        mmio,
        net::Net,
        port::Port,
        ports::Ports,
        rng::Rng,
        tap::Tap,
    },
};
use microvm::ram::Ram;
use nix::sys::{
    memfd::{MFdFlags, memfd_create},
    socket::{AddressFamily, SockFlag, SockType, socketpair},
};
use vm_memory::{Bytes, GuestAddress};

use act::{Act, Acts};
use guarded::MEMORY;

static GUEST: LazyLock<Ram> = LazyLock::new(guarded::memory);
const DISK: u64 = 8192;

fuzz_target!(|input: &[u8]| {
    let Some((device, acts)) = input.split_first() else { return };
    let _other = (device & 0x80 != 0).then(|| other::Processor::at_work(acts));
    match device % 8 {
        0 => drop(play(Rng, acts, |_, _| ())),
        1 => drop(play(Balloon::default(), acts, |balloon, value| {
            balloon.set_target(u64::from(value) << (value % 64));
        })),
        2 => drop(play(Console::new(port(true), 80, 25), acts, |console, value| {
            console.resize(value.into(), value.into());
        })),
        3 => drop(play(Ports::new([("a", port(true)), ("b", port(false))]), acts, |_, _| ())),
        4 => disk(Access::Write, acts),
        5 => disk(Access::Read, acts),
        6 => drop(play(Block::new(fed::disk(), "fed"), acts, |_, _| ())),
        _ => {
            let (card, mut cable) = card_and_cable();
            drop(play(card, acts, |_, value| {
                // A cable that is full loses what comes.
                let _ = cable.write(&vec![value; 1 + usize::from(value) * 7]);
            }));
        }
    }
});

fn port(endless: bool) -> Port {
    let input = endless.then(|| File::open("/dev/zero").expect("every system has it"));
    Port::new(Box::new(|_| ()), input)
}

/// A disk, which stays as long as it is whatever the guest does; and as it is, if it may only be
/// read.
fn disk(access: Access, acts: &[u8]) {
    let file = memfd_create(c"disk", MFdFlags::MFD_CLOEXEC).expect("a fuzzer has some memory");
    let file = File::from(file);
    file.set_len(DISK).expect("it is in memory");
    let disk = Disk::of(file.try_clone().expect("a descriptor more"), access).expect("a file");
    drop(play(Block::new(disk, "fuzzed"), acts, |_, _| ()));
    let mut content = vec![0; DISK as usize];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut content, 0).expect("it is in memory");
    assert_eq!(file.metadata().expect("it is open").len(), DISK);
    assert!(access == Access::Write || content.iter().all(|byte| *byte == 0));
}

/// A card whose tap is one end of a socket pair that keeps messages whole, and its other end.
fn card_and_cable() -> (Net, File) {
    let (flags, kind) = (SockFlag::SOCK_NONBLOCK, SockType::SeqPacket);
    let pair: (OwnedFd, OwnedFd) =
        socketpair(AddressFamily::Unix, kind, None, flags).expect("two descriptors more");
    (Net::new(Arc::new(Tap::of(pair.0, "pair")), [2, 0, 0, 0, 0, 7]), pair.1.into())
}

/// Where the tables of queue `number` are: some queues share a place.
fn places(number: u32, place: u32) -> [u32; 3] {
    let base = (number + place) % 3 * 0x1000;
    [base, base + 0x400, base + 0x600]
}

fn set<D: Device>(device: &mut Transport<D>, words: &[(u64, u32)]) {
    words.iter().for_each(|(register, value)| device.write(*register, &value.to_le_bytes()));
}

fn set_up<D: Device>(device: &mut Transport<D>, size: u32, place: u32, features: u32) {
    // Bit 29, "both say when to ring", is told by the place.
    let features = features | u32::from(place == 0) << 29;
    set(device, &[(0x70, 0), (0x70, 3), (0x24, 0), (0x20, features), (0x24, 1), (0x20, 1)]);
    set(device, &[(0x70, 11)]);
    for number in 0..device.queues() as u32 {
        let [descriptors, available, used] = places(number, place);
        set(device, &[(0x30, number), (0x38, size)]);
        set(device, &[(0x80, descriptors), (0x90, available), (0xa0, used), (0x44, 1)]);
    }
    set(device, &[(0x70, 15)]);
}

/// Plays a guest with `device`, and gives the device back.
fn play<D: Device>(device: D, acts: &[u8], mut configure: impl FnMut(&mut D, u8)) -> Transport<D> {
    let memory = &*GUEST;
    fill(memory, acts);
    let line = Interrupt::new().expect("a descriptor more");
    let mut device = Transport::new(device, memory.clone(), line);
    let mut place = 0;
    set_up(&mut device, 16, place, 0);
    for act in Acts(acts) {
        match act {
            Act::SetUp { size, place: at, features } => {
                place = at;
                set_up(&mut device, size, place, features);
            }
            Act::Write(at, bytes) => {
                let _ = memory.write(bytes, GuestAddress(at));
            }
            Act::Describe { queue, index, address, length, flags, next } => {
                let bytes = u128::from(address)
                    | u128::from(length) << 64
                    | u128::from(flags) << 96
                    | u128::from(next) << 112;
                let at = u64::from(places(queue, place)[0]) + 16 * u64::from(index);
                let _ = memory.write(&bytes.to_le_bytes(), GuestAddress(at));
            }
            Act::Offer { queue, head, more } => {
                let ring = GuestAddress(u64::from(places(queue, place)[1]) + 2);
                let index: u16 = memory.read_obj(ring).unwrap_or(0);
                let slot = GuestAddress(ring.0 + 2 + u64::from(index % 16) * 2);
                let _ = memory.write_obj(head, slot);
                let _ = memory.write_obj(index.wrapping_add(more), ring);
                device.write(mmio::DOORBELL, &queue.to_le_bytes());
            }
            Act::Register(at, data) => device.write(at, data),
            Act::Read(at, length) => device.read(at, &mut vec![0; length]),
            Act::Wake => device.wake(),
            Act::Configure(value) => device.configure(|device| configure(device, value)),
        }
    }
    device
}

/// What the guest has in its memory at first: nothing where its queues may be, then the fuzzer's
/// bytes again and again.
fn fill(memory: &Ram, bytes: &[u8]) {
    const QUEUES: usize = 0x3000;
    let data = bytes.iter().chain(&[0]).cycle().take(MEMORY - QUEUES);
    let content: Vec<u8> = [0; QUEUES].into_iter().chain(data.copied()).collect();
    memory.write_slice(&content, GuestAddress(0)).expect("it is as long");
}
