//! The guests: a few instructions each, in 64-bit ring 3 of a microVM, and what became of them.

use std::{
    fs::File,
    io::{self, Read as _},
    os::fd::AsRawFd,
    time::Duration,
};

use guest::abi::{DOORBELL, Request, map};
use microvm::{MicroVm, Mode, devices::page, shared_memory::SharedMemory};
use nix::sys::memfd::{MFdFlags, memfd_create};
use sandbox::{Event, Limits, Milestone, Outcome, Workload};

use super::{Count, Exit, TIMES, Way};
use crate::{Error, Result};

/// Writing to this port ends a guest.
pub(super) const OFF_SWITCH: u8 = 0xf4;
/// Where the serial port of a PC is.
const SERIAL: u16 = 0x3f8;
/// Behind the program, where the bytes lie that are to leave.
const BYTES_AT: usize = 64;
/// No guest takes a hundredth of this.
const LONGEST: Duration = Duration::from_secs(5);
/// The bytes of a vendor's name in leaf 0 of `cpuid`.
const VENDOR: usize = 12;
/// A page of the device's.
const PAGE: usize = 4096;

/// A whole run.
pub(super) struct Run {
    /// All exits that isolab handled; the last one ends the guest.
    pub exits: Vec<Exit>,
    /// What it came to.
    pub count: Count,
}

/// Runs a guest from its first instruction to its end, and looks whether its bytes have arrived.
pub(super) fn run(way: Way) -> Result<Run> {
    let failed = |what: &str| Error::system(format!("[{}] {what}", way.key()));
    let bytes = bytes();
    let program = host::sealed_memfd(&*program(way, &bytes));
    let program = program.map_err(failed("write the guest's program"))?;
    let mut device = device().map_err(failed("create the device's page"))?;
    let machine = MicroVm {
        mode: Mode::User64,
        limits: Limits { memory_bytes: Some(2 << 20), ..Limits::default() },
        ..MicroVm::default()
    };
    // A file without a name: it goes with this process, however that ends.
    let path = format!("/proc/self/fd/{}", program.as_raw_fd());
    let workload =
        Workload { trace: true, every_exit: true, ..Workload::command([path]).deadline(LONGEST) };
    // Every guest has the device; one of them uses it.
    let memory = SharedMemory::of(&device, PAGE).map_err(sandbox::Error::from)?;
    let outcome = machine.spawn_with_device(&workload, memory)?.wait()?;
    let mut stored = vec![0; bytes.len()];
    device.read_exact(&mut stored).map_err(failed("read the device's page"))?;
    let arrived = match way {
        Way::Full | Way::Para => outcome.output == bytes,
        Way::Direct => stored == bytes,
        Way::Cpuid => true,
    };
    if !arrived {
        return Err(failed("compare the bytes")(io::Error::other(
            "the bytes received differ from those sent",
        )));
    }
    let vendor = (way == Way::Cpuid).then(|| vendor(&stored));
    Ok(run_of(way, vendor, &outcome))
}

/// The vendor that `cpuid` returned, from the words that the guest stored; empty if they are 0.
fn vendor(stored: &[u8]) -> String {
    String::from_utf8_lossy(&stored[..VENDOR]).trim_end_matches('\0').into()
}

/// The device's page, empty.
fn device() -> io::Result<File> {
    let file = File::from(memfd_create(c"isolab-demo", MFdFlags::MFD_CLOEXEC)?);
    file.set_len(PAGE as u64)?;
    Ok(file)
}

/// What leaves the guest: the alphabet, again and again.
fn bytes() -> Vec<u8> {
    (b'a'..=b'z').cycle().take(TIMES as usize).collect()
}

/// A flat binary for [`map::PROGRAM`] (Intel SDM, volume 2).
fn program(way: Way, bytes: &[u8]) -> Vec<u8> {
    // `mov r32, imm32`
    let set = |register: u8, value: u32| [&[register][..], &value.to_le_bytes()].concat();
    let [eax, ecx, edx, ebp, esi, edi] = [0xb8, 0xb9, 0xba, 0xbd, 0xbe, 0xbf];
    let from = set(esi, map::PROGRAM as u32 + BYTES_AT as u32);
    let copy_to = |address: u64| {
        let copy = vec![0xf3, 0xa4]; // rep movsb
        [from.clone(), set(edi, address as u32), set(ecx, TIMES), copy].concat()
    };
    let mut code = match way {
        Way::Full => {
            // again: lodsb; out dx, al; dec ecx; jnz again
            let send = vec![0xac, 0xee, 0xff, 0xc9, 0x75, 0xfa];
            [from.clone(), set(ecx, TIMES), set(edx, SERIAL.into()), send].concat()
        }
        Way::Para => {
            let request = set(eax, Request::Write as u32 | TIMES << 8);
            let ring = vec![0xe7, DOORBELL as u8]; // out DOORBELL, eax
            [copy_to(map::CONSOLE), request, ring].concat()
        }
        Way::Direct => copy_to(page::ADDRESS),
        Way::Cpuid => {
            // again: xor eax, eax; cpuid; dec ebp; jnz again
            let ask = vec![0x31, 0xc0, 0x0f, 0xa2, 0xff, 0xcd, 0x75, 0xf8];
            // mov [rdi], ebx; mov [rdi + 4], edx; mov [rdi + 8], ecx
            let store = vec![0x89, 0x1f, 0x89, 0x57, 4, 0x89, 0x4f, 8];
            [set(ebp, TIMES), ask, set(edi, page::ADDRESS as u32), store].concat()
        }
    };
    code.extend([0xb0, 0, 0xe6, OFF_SWITCH, 0xeb, 0xfe]); // mov al, 0; out OFF_SWITCH, al; jmp $
    code.resize(BYTES_AT, 0);
    [&code, bytes].concat()
}

/// The run, from what isolab recorded of it.
fn run_of(way: Way, vendor: Option<String>, outcome: &Outcome) -> Run {
    let entered = outcome.timeline.since_start(Milestone::Entered).unwrap_or_default();
    let entered = outcome.timeline.started_at() + entered;
    // To a tenth: a clock is no better.
    let microseconds = |time: Duration| (time.as_secs_f64() * 1e7).round() as f32 / 10.0;
    let exits: Vec<Exit> = outcome
        .trace
        .entries
        .iter()
        .filter_map(|entry| {
            let Event::VmExit { reason, device } = &entry.event else { return None };
            Some(Exit {
                at: microseconds(entry.began.saturating_sub(entered)),
                reason: reason.clone(),
                device: device.as_deref().unwrap_or("nobody").into(),
                took: microseconds(entry.took),
            })
        })
        .collect();
    let count = Count {
        way,
        answered: exits.len().saturating_sub(1) as u32,
        by_kvm: outcome.usage.vm_exits_in_kernel,
        took: exits.last().map_or(0.0, |end| end.at),
        vendor,
    };
    Run { exits, count }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_ends_before_its_bytes_begin() {
        for way in Way::ALL {
            let program = program(way, &bytes());
            assert_eq!(program.len(), BYTES_AT + TIMES as usize, "{way:?}");
            assert_eq!(program[BYTES_AT - 1], 0, "{way:?}");
        }
    }

    #[test]
    fn a_vendor_is_what_the_processor_returned_or_empty() {
        assert_eq!(vendor(b"AuthenticAMDabc"), "AuthenticAMD");
        assert_eq!(vendor(&[0; 1000]), "");
    }
}
