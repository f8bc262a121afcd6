//! The machine and its kernel: I/O ports, random numbers, the clock, and power-off.

use crate::{
    calls::{O_WRONLY, Result, call, close, open},
    system::number,
};

/// Gives this process access to `count` I/O ports.
pub fn allow_ports(port: u16, count: usize) -> Result<()> {
    call(number::IOPERM, [port.into(), count, 1]).map(drop)
}

/// Drops this process's access to all I/O ports.
pub fn forbid_ports() -> Result<()> {
    call(number::IOPERM, [0, 65536, 0]).map(drop)
}

/// Adds `seed` to the kernel's entropy pool, credits it as secret, and reseeds the random number
/// generator (random(4)).
pub fn seed_random_numbers(seed: [u32; 8]) -> Result<()> {
    const RNDADDENTROPY: usize = 0x4008_5203;
    const RNDRESEEDCRNG: usize = 0x5207;
    let bytes = size_of_val(&seed) as u32;
    // struct rand_pool_info: bits that count, bytes, the bytes.
    let mut pool = [8 * bytes, bytes, 0, 0, 0, 0, 0, 0, 0, 0];
    pool[2..].copy_from_slice(&seed);
    let device = open(c"/dev/urandom", O_WRONLY)?;
    let seeded = call(number::IOCTL, [device, RNDADDENTROPY, &raw const pool as usize])
        .and_then(|_| call(number::IOCTL, [device, RNDRESEEDCRNG]));
    close(device);
    seeded.map(drop)
}

/// Sets the clock, in nanoseconds since 1970.
pub fn set_clock(nanoseconds: u64) -> Result<()> {
    const CLOCK_REALTIME: usize = 0;
    const SECOND: u64 = 1_000_000_000;
    let time = [nanoseconds / SECOND, nanoseconds % SECOND];
    call(number::CLOCK_SETTIME, [CLOCK_REALTIME, &raw const time as usize]).map(drop)
}

/// Writes all cached data to the disks.
pub fn sync() {
    let _ = call(number::SYNC, []);
}

/// Reboots the machine, if it can.
pub fn reboot() {
    request_of_reboot(0x0123_4567);
}

/// Powers the machine off, if it can.
pub fn power_off() {
    request_of_reboot(0x4321_fedc);
}

fn request_of_reboot(request: usize) {
    const MAGIC: [usize; 2] = [0xfee1_dead, 0x2812_1969];
    let _ = call(number::REBOOT, [MAGIC[0], MAGIC[1], request]);
}
