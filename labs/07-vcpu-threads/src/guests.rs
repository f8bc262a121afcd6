//! The machine, and the programs of its virtual CPUs.

use std::{fs::File, os::unix::fs::FileExt, path::Path, sync::Arc};

use microvm::{
    loader::{EntryState, Power},
    machine::Machine,
    memory::{Memory, PAGE, Pages},
    shared_memory::SharedMemory,
    tables, vcpu,
};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use sandbox::Trace;

use crate::vcpu::{OFF, Seat, Vcpu};

/// From one counter to the next: a cache line, so that they do not disturb each other.
pub const COUNTER_BYTES: u64 = 64;

const CODE: u64 = 0x10_0000;
const CODE_BYTES: u64 = 0x1000;
const STACK: u64 = 0x18_0000;
const COUNTERS: u64 = 0x20_0000;
const PAGE_BYTES: usize = 4096;
/// In the page of the counters: not zero when all are to end.
const STOP: u64 = 0xf00;

/// A machine whose virtual CPUs are ready to run.
pub(crate) struct Guests {
    // Dropped in this order: the CPUs before their machine, the machine before what it maps.
    vcpus: Vec<Vcpu>,
    _machine: Machine,
    _shared: SharedMemory,
    counters: File,
    seats: Vec<Arc<Seat>>,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Guests {
    /// `busy` virtual CPUs that count, and one that halts.
    pub(crate) fn new(busy: usize) -> Result<Self, Failure> {
        const ALL_32_BITS: u64 = 4 << 30;
        let mut machine = Machine::create(Path::new("/dev/kvm"), Trace::default())?;
        let memory = Memory::new(PAGE, Pages::Small, &mut machine.trace())?;
        let memory = machine.attach(memory)?;
        let memory = Arc::clone(memory);
        tables::write_pages(&memory, ALL_32_BITS)?;
        tables::write_descriptors(&memory)?;
        let counters = File::from(memfd_create("counters", MemfdFlags::CLOEXEC)?);
        ftruncate(&counters, PAGE_BYTES as u64)?;
        let shared = SharedMemory::of(&counters, PAGE_BYTES)?;
        machine.share(&shared, COUNTERS)?;
        let seats: Vec<Arc<Seat>> = (0..=busy).map(|_| Arc::default()).collect();
        let mut vcpus = Vec::new();
        for (number, seat) in seats.iter().enumerate() {
            let counter = COUNTERS + number as u64 * COUNTER_BYTES;
            let instruction = CODE + number as u64 * CODE_BYTES;
            let (power, code) = match number == busy {
                false => (Power::User, counting(counter)),
                true => (Power::Kernel, halting(counter)),
            };
            memory.write("program", instruction, &code)?;
            let cpu = machine.cpu(u8::try_from(number)?)?;
            vcpu::prepare(
                &cpu,
                &EntryState { power, instruction, stack: STACK, memory_end: PAGE },
                &mut machine.trace(),
            )?;
            vcpus.push(Vcpu { number, cpu, seat: seat.clone() });
        }
        Ok(Self { vcpus, _machine: machine, _shared: shared, counters, seats })
    }

    pub(crate) fn take_vcpus(&mut self) -> Vec<Vcpu> {
        std::mem::take(&mut self.vcpus)
    }

    /// Of each virtual CPU, in their order.
    pub(crate) fn seats(&self) -> &[Arc<Seat>] {
        &self.seats
    }

    /// An interrupt for the virtual CPU that halts.
    pub(crate) fn ring(&self) {
        if let Some(last) = self.seats.last() {
            last.interrupt();
        }
    }

    /// Lets all virtual CPUs end.
    pub(crate) fn turn_off(&self) {
        // A page of memory of our own.
        let _ = self.counters.write_all_at(&1u32.to_le_bytes(), STOP);
        self.ring();
    }
}

/// Counts until it is told to stop.
fn counting(counter: u64) -> Vec<u8> {
    let mut code = Vec::new();
    count_and_repeat(&mut code, counter);
    code
}

/// Halts, counts the interrupt that has ended it, and halts again.
fn halting(counter: u64) -> Vec<u8> {
    let mut code = vec![0xf4]; // hlt
    count_and_repeat(&mut code, counter);
    code
}

fn count_and_repeat(code: &mut Vec<u8>, counter: u64) {
    let absolute = |address: u64| (address as u32).to_le_bytes();
    code.extend([0x48, 0xff, 0x04, 0x25]); // inc qword [counter]
    code.extend(absolute(counter));
    code.extend([0x83, 0x3c, 0x25]); // cmp dword [STOP], 0
    code.extend(absolute(COUNTERS + STOP));
    code.push(0);
    let back = -(code.len() as i8 + 2);
    code.extend([0x74, back as u8]); // je to the beginning
    code.extend([0xe6, OFF, 0xeb, 0xfe]); // out OFF, al; jmp to itself
}
