//! Lab 05: send the same bytes out of a guest in three ways, and count the exits of each.
//!
//! Write the five functions. `isolab lab check 05` tells you how far you are.
#![allow(unused, clippy::needless_pass_by_value, reason = "until all steps are written")]

use std::{fs::File, io, num::NonZeroUsize, process::ExitCode};

use kvm_ioctls::VmFd;
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use three_virtualizations::{
    Answer, Board, Broken, DOORBELL, Driver, LINE_STATUS, READY_TO_SEND, SEND, SIZE, SharedRing,
    Wire, kvm_userspace_memory_region,
};

/// What the guest reads from `port`: an exit that needs an answer.
///
/// Its driver was written for the chip of 1987 and asks at [`LINE_STATUS`] whether there is room
/// for a byte, before each one. Our wire always has room; nothing is received, and there are no
/// errors (bits 0 to 4 and 7). A port without a device reads as 0xff.
fn read_port(port: u16) -> u8 {
    todo!("lab 5, step 1: the one register that the driver reads")
}

/// The guest writes `byte` to `port`: another exit.
///
/// At [`SEND`] it is a byte for the wire. At [`DOORBELL`] (step 3) its value does not matter: it
/// says that there are bytes in the ring. Other ports do nothing.
fn write_port(board: &mut Board, port: u16, byte: u8) -> Result<(), Broken> {
    todo!("lab 5, step 1: a byte for the wire; step 3: the doorbell")
}

/// The guest's half of paravirtualization: a driver that knows that there is no chip.
///
/// Choose one of [`Driver`]'s variants. The ring has room for [`SIZE`] bytes; all 1,000 may take
/// 8 exits at most.
fn para_driver() -> Driver {
    todo!("lab 5, step 2: which driver leaves the guest at most 8 times?")
}

/// Sends all bytes that are waiting in the ring to the wire, and marks them as taken.
///
/// The two counters never go back, they overflow: subtract and add with `wrapping_sub` and
/// `wrapping_add`. Byte number `n` is at index `n % SIZE`. And the guest may claim whatever it likes:
/// if more than [`SIZE`] bytes are said to wait, that is [`Broken`], and nothing is sent.
fn drain(ring: &mut SharedRing, wire: &mut Wire) -> Result<(), Broken> {
    todo!("lab 5, step 3: read head once, validate it, send head - tail bytes, set the tail")
}

/// Makes the first 4,096 bytes of `page` a part of the guest's physical memory, from `address` on.
///
/// First they are mapped here (mmap(2)): what is written through the mapping must reach the file.
/// Then slot 1 of the machine tells KVM that guest physical `address` is that mapping in this
/// process (`KVM_SET_USER_MEMORY_REGION`). Both stay until the process ends.
fn map_shared(vm: &VmFd, page: &File, address: u64) -> io::Result<()> {
    const BYTES: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
    todo!("lab 5, step 4: unsafe {{ mmap(...) }}, then unsafe {{ vm.set_user_memory_region(...) }}")
}

fn main() -> ExitCode {
    three_virtualizations::program(&Answer { read_port, write_port, para_driver, map_shared })
}
