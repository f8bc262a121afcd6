//! A hostile guest that reads a shared directory: messages of FUSE, one after the other.
//!
//! ```text
//!   operation:8 node:8 room:16 length:8 arguments[length]   ...
//! ```
//!
//! Each is laid into the device's queue as a driver does it, with a header that is right: what is in
//! queues is `virtqueue`'s. An answer with what lies beside the directory, or a directory that has
//! changed, is a finding.
#![no_main]

#[path = "virtqueue/guarded.rs"]
mod guarded;

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use libfuzzer_sys::fuzz_target;
use microvm::{
    devices::{
        bus::Device as _,
        interrupt::Interrupt,
        virtio::{
            Transport,
            fs::{SharedDirectory, SharedTree},
            mmio,
        },
    },
    ram::Ram,
};
use nix::{sys::stat::Mode, unistd::mkfifo};
use vm_memory::{Bytes, GuestAddress};

static GUEST: LazyLock<Ram> = LazyLock::new(guarded::memory);
/// What is shared, in a directory with a secret beside it.
static SHARED: LazyLock<PathBuf> = LazyLock::new(shared);

const SECRET: &[u8] = b"the host's secret";
const HEADER: usize = 40;
/// Of which the guest may have so many open.
const OPEN: usize = 4;

// Where the queue and the buffers are in the guest's memory.
const DESCRIPTORS: u64 = 0;
const AVAILABLE: u64 = 0x400;
const USED: u64 = 0x600;
const MESSAGE: u64 = 0x1000;
const ANSWER: u64 = 0x2000;
/// An answer has no more room than this.
const ROOM: u16 = (guarded::MEMORY as u64 - ANSWER) as u16;

fuzz_target!(|input: &[u8]| {
    let tree = SharedTree::open(&SHARED, true).expect("it is there");
    let line = Interrupt::new().expect("a descriptor more");
    let device = SharedDirectory::new(tree, "fuzzed", OPEN);
    let mut device = Transport::new(device, GUEST.clone(), line);
    set_up(&mut device);
    let (mut rest, mut count) = (input, 0u16);
    while let Some((sent, room, behind)) = message(rest) {
        rest = behind;
        GUEST.write_slice(&sent, GuestAddress(MESSAGE)).expect("there is room for it");
        describe(0, MESSAGE, sent.len() as u32, 1);
        describe(1, ANSWER, room.into(), 2);
        count = count.wrapping_add(1);
        // The one chain begins at descriptor 0, as every entry of the ring says.
        GUEST.write_obj(count, GuestAddress(AVAILABLE + 2)).expect("in memory");
        device.write(mmio::DOORBELL, &1u32.to_le_bytes());
        if device.broken().is_some() {
            return;
        }
        let mut answer = vec![0; room.into()];
        GUEST.read_slice(&mut answer, GuestAddress(ANSWER)).expect("in memory");
        assert!(!answer.windows(SECRET.len()).any(|bytes| bytes == SECRET));
    }
    assert_eq!(fs::read(SHARED.join("file")).expect("it is there"), b"content");
    assert_eq!(fs::read_dir(&*SHARED).expect("it is there").count(), 4);
});

/// The next message of the input as the guest sends it, the room for its answer, and what is behind.
fn message(input: &[u8]) -> Option<(Vec<u8>, u16, &[u8])> {
    let ([operation, node, low, high, length], rest) = input.split_first_chunk()?;
    let (arguments, rest) = rest.split_at_checked((*length).into())?;
    let mut sent = ((HEADER + arguments.len()) as u32).to_ne_bytes().to_vec();
    sent.extend(u32::from(*operation).to_ne_bytes());
    sent.extend(1u64.to_ne_bytes());
    sent.extend(u64::from(*node).to_ne_bytes());
    sent.resize(HEADER, 0);
    sent.extend(arguments);
    Some((sent, u16::from_le_bytes([*low, *high]) % ROOM, rest))
}

fn describe(index: u64, address: u64, length: u32, flags: u16) {
    let next = u128::from(index == 0);
    let bytes =
        u128::from(address) | u128::from(length) << 64 | u128::from(flags) << 96 | next << 112;
    let place = GuestAddress(DESCRIPTORS + 16 * index);
    GUEST.write_slice(&bytes.to_le_bytes(), place).expect("in memory");
}

/// Goes through the setup as a driver does, with a queue of 16.
fn set_up(device: &mut Transport<SharedDirectory>) {
    GUEST.write_slice(&[0; guarded::MEMORY], GuestAddress(0)).expect("it is as long");
    let tables = [(0x80, DESCRIPTORS), (0x90, AVAILABLE), (0xa0, USED)];
    let words = [(0x70, 0), (0x70, 3), (0x24, 1), (0x20, 1), (0x70, 11), (0x30, 1), (0x38, 16)];
    let words = words.into_iter().chain(tables.map(|(register, at)| (register, at as u32)));
    for (register, value) in words.chain([(0x44, 1), (0x70, 15)]) {
        device.write(register, &u32::to_le_bytes(value));
    }
}

/// Makes it, with something of each kind in it.
fn shared() -> PathBuf {
    let place = tempfile::tempdir().expect("a fuzzer has some room").keep();
    let inside = place.join("inside");
    let made = |path: &Path| {
        fs::create_dir_all(path).and_then(|()| {
            fs::write(place.join("secret"), SECRET)?;
            fs::write(inside.join("file"), "content")?;
            fs::write(inside.join("directory/file"), "content")?;
            symlink("../secret", inside.join("link"))
        })
    };
    made(&inside.join("directory")).expect("it is empty");
    mkfifo(&inside.join("pipe"), Mode::S_IRWXU).expect("it is empty");
    inside
}
