//! A deliberate hole in the VMM, through which a guest has its threads make any system call.
//!
//! Faults of this kind are what the cell is for, and none is known. So its tests bring one along.
//! It is not in isolab: it takes the cargo feature `hole`, or this crate's own tests.
//!
//! ```text
//!   guest memory at A    number:64  arguments: 6 x 64     result:64, or minus the errno
//!   out PORT, A          in the thread of the processor
//!   out PORT + 4, A      in the thread of the devices
//! ```
//!
//! An argument of the guest's memory, a path for one, is its address with [`POINTER`] in its top.

use std::{
    os::fd::{AsRawFd, RawFd},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use nix::errno::Errno;
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend};
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

use crate::{
    devices::bus::Device,
    error::{Error, Result},
    ram::Ram,
};

/// Where it is.
pub const PORT: u16 = 0x5e0;
/// What marks an address of the guest's among the arguments.
pub const POINTER: u64 = 0xa5 << 56;
/// The words at the guest's address: a number, arguments, and room for the result.
pub const WORDS: usize = 8;

/// Makes the call in this very thread; gives its result, or minus the errno.
pub fn call(number: i64, arguments: [u64; 6]) -> i64 {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: none can be given: it is whatever a guest that owns the VMM wants. The tests ask for
    // nothing that writes to memory of this process but to what they own.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if result == -1 { -i64::from(Errno::last_raw()) } else { result }
}

/// A bare guest wrote `data` to the port.
pub fn serve(data: &[u8], ram: &Ram) {
    if let Ok(address) = data.try_into() {
        perform(u32::from_le_bytes(address), ram);
    }
}

/// Makes the call that lies at the guest's `address`.
fn perform(address: u32, ram: &Ram) {
    let mut words = [0u64; WORDS];
    for (at, word) in (u64::from(address)..).step_by(8).zip(&mut words) {
        let Ok(value) = ram.read_obj(GuestAddress(at)) else { return };
        *word = value;
    }
    let own = |argument: u64| match argument >> 56 == POINTER >> 56 {
        true => ram
            .get_host_address(GuestAddress(argument & !POINTER))
            .map_or(0, |pointer| pointer as u64),
        false => argument,
    };
    let [number, arguments @ .., _] = words;
    let result = call(number as i64, arguments.map(own));
    // A guest without that memory learns nothing.
    let _ = ram.write_obj(result, GuestAddress(u64::from(address) + 8 * (WORDS as u64 - 1)));
}

/// The hole of a Linux guest's machine: one end at a port, one in the devices' thread.
pub struct Hole {
    ram: Ram,
    address: Arc<AtomicU32>,
    doorbell: EventFd,
}

impl Hole {
    /// Both ends.
    ///
    /// # Errors
    ///
    /// When this process cannot have more descriptors.
    pub fn pair(ram: Ram) -> Result<(Self, Self)> {
        let doorbell =
            EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC).map_err(Error::system("eventfd2"))?;
        let other = doorbell.try_clone().map_err(Error::system("duplicate an eventfd"))?;
        let address = Arc::<AtomicU32>::default();
        let far = Self { ram: ram.clone(), address: address.clone(), doorbell: other };
        Ok((Self { ram, address, doorbell }, far))
    }

    /// Makes the call that the other end was asked for.
    pub fn serve(&self) {
        perform(self.address.load(Ordering::Acquire), &self.ram);
    }
}

impl AsRawFd for Hole {
    fn as_raw_fd(&self) -> RawFd {
        self.doorbell.as_raw_fd()
    }
}

impl Device for Hole {
    fn name(&self) -> &'static str {
        "hole"
    }

    fn read(&mut self, _: u64, data: &mut [u8]) {
        data.fill(0);
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        let Ok(address) = data.try_into().map(u32::from_le_bytes) else { return };
        self.address.store(address, Ordering::Release);
        match offset {
            0 => self.serve(),
            _ => drop(self.doorbell.write(1)),
        }
    }
}
