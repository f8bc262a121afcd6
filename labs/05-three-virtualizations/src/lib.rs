//! Lab 05: the same bytes leave a guest in three ways. The part that makes the guests, runs them
//! and counts their exits.

pub mod device;
mod drivers;
mod ring;
mod scene;
pub mod trials;

use std::{fs::File, io, num::NonZeroUsize, process::ExitCode};

use kvm_ioctls::VmFd;
use lab::program::{Host, Trouble, run};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};

pub use drivers::Driver;
pub use kvm_bindings::kvm_userspace_memory_region;
pub use ring::{Broken, SIZE, SharedRing, Wire};
pub use scene::{Board, THREAD};

use device::Device;
use drivers::{DEVICE, hostile, passthrough};
use scene::Scene;

/// The first port of the serial device: its register 0, into which goes a byte to send.
pub const SEND: u16 = 0x3f8;
/// The line status: register 5 of the serial device.
pub const LINE_STATUS: u16 = 0x3fd;
/// In the line status: there is room for another byte.
pub const READY_TO_SEND: u8 = 1 << 5;
/// The port of our own device. What is written there says nothing: it only rings.
pub const DOORBELL: u16 = 0x10;

/// How many bytes leave the guest.
pub const BYTES: usize = 1000;

/// The student's functions.
pub struct Answer {
    /// What the guest reads from a port.
    pub read_port: fn(u16) -> u8,
    /// What happens when it writes to one.
    pub write_port: fn(&mut Board, u16, u8) -> Result<(), Broken>,
    /// The guest's half of para-virtualization.
    pub para_driver: fn() -> Driver,
    /// Lets the guest see a page of the host.
    pub map_shared: fn(&VmFd, &File, u64) -> io::Result<()>,
}

/// The program: four guests, one after the other.
pub fn program(answer: &Answer) -> ExitCode {
    run(|host| {
        let bytes = bytes(host.argument("bytes"));
        let start = host.number("start", u64::from(u32::MAX - 500)) as u32;
        let make = |name: &str, code: Vec<u8>| {
            let scene = host.step("create a machine", || Scene::new(name, &code, &bytes, start))?;
            host.say(&format!("stats-{name}"), scene.statistics_number());
            Ok::<Scene, Trouble>(scene)
        };
        if host.is_checked() {
            let mut ports = make("ports", Vec::new())?;
            trials::ports(host, answer, ports.board())?;
        }
        let mut full = make("full", Driver::Polling { port: SEND }.code())?;
        host.step("run the guest with a serial port", || full.run(answer))?;
        full.tell(host, "full");
        host.meet("full");
        let driver = (answer.para_driver)();
        host.say("driver", driver.name());
        if host.is_checked() {
            let mut ring = make("ring", Vec::new())?;
            trials::ring(host, answer, ring.board())?;
        }
        let mut para = make("para", driver.code())?;
        host.step("run the guest with a ring", || para.run(answer))?;
        para.tell(host, "para");
        let mut hostile = make("hostile", hostile())?;
        // What comes of this one is seen on its wire.
        let refused = hostile.run(answer).is_err();
        host.say("hostile", if refused { "refused" } else { "served" });
        host.meet("sent");

        let mut direct = make("passthrough", passthrough())?;
        let device = host.step("make a device of one page", Device::new)?;
        let map = || (answer.map_shared)(direct.vm(), device.page(), DEVICE);
        host.step("map_shared", map)?;
        host.step("mmap", guard)?;
        host.say("slot-1", if has_slot_1(direct.vm()) { "taken" } else { "free" });
        let ran = direct.run_beside(answer, || meet_at_device(host, &device));
        host.step("run the guest with a device of its own", || ran)??;
        direct.tell(host, "passthrough");
        Ok(())
    })
}

/// Takes the places of mappings that were undone, so that no other memory of this process comes to
/// lie there: KVM fails at these pages.
fn guard() -> nix::Result<()> {
    const PAGE: NonZeroUsize = NonZeroUsize::new(4096).expect("not 0");
    for _ in 0..8 {
        // SAFETY: a fresh mapping at an address of the kernel's choice replaces nothing.
        unsafe { mmap_anonymous(None, PAGE, ProtFlags::PROT_NONE, MapFlags::MAP_PRIVATE) }?;
    }
    Ok(())
}

/// Whether the machine has a slot 1: KVM refuses to change the size of one that is there.
fn has_slot_1(vm: &VmFd) -> bool {
    const BEYOND: u64 = 1 << 36;
    let slot = |memory_size| kvm_userspace_memory_region {
        slot: 1,
        flags: 0,
        guest_phys_addr: BEYOND,
        memory_size,
        userspace_addr: BEYOND,
    };
    // SAFETY: no guest runs while a slot may be there that leads to no memory.
    let taken = unsafe { vm.set_user_memory_region(slot(3 << 12)) }.is_err();
    if !taken {
        // SAFETY: a slot of size 0 is one taken away.
        let _ = unsafe { vm.set_user_memory_region(slot(0)) };
    }
    taken
}

/// Waits while guest and device speak to each other. The device is the check; by hand, this program
/// plays it.
fn meet_at_device(host: &Host, device: &Device) -> Result<(), Trouble> {
    if !host.is_checked() {
        host.step("play the device", || device.play())?;
    }
    host.meet("passthrough");
    Ok(())
}

/// The bytes that are to leave the guest, in hexadecimal digits; by hand, some.
fn bytes(digits: &str) -> Vec<u8> {
    let given = digits.as_bytes().chunks_exact(2).map_while(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    let mut bytes: Vec<u8> = given.collect();
    let some = (bytes.len()..BYTES).map(|place| (place * 167 + 13) as u8);
    bytes.extend(some);
    bytes
}
