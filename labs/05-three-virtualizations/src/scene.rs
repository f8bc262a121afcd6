//! A machine with one of the guests, its run loop, and the tally of its exits.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
    sync::{Arc, mpsc},
    thread,
};

use kvm_ioctls::{VcpuExit, VcpuFd, VmFd};
use lab::program::Host;
use microvm::{
    loader::{EntryState, Power},
    machine::Machine,
    memory::{Memory, PAGE, Pages},
    tables, vcpu,
};
use sandbox::Trace;

use crate::{
    Answer, DOORBELL,
    drivers::{CODE, DATA, END},
    ring::{SharedRing, Wire},
};

/// What the guest's ports lead to.
pub struct Board {
    /// What is sent goes here.
    pub wire: Wire,
    /// The ring in the guest's memory.
    pub ring: SharedRing,
}

/// How often the guest left `KVM_RUN`, but for its end.
#[derive(Debug, Default)]
struct Tally {
    all: u64,
    doorbell: u64,
}

/// A guest that is ready to run.
pub(crate) struct Scene {
    // Dropped in this order: the CPU before its machine.
    cpu: VcpuFd,
    machine: Machine,
    board: Board,
    tally: Tally,
    /// What the kernel counts of this CPU, if it does. The check looks at it too.
    statistics: Option<OwnedFd>,
}

/// The name of the thread in which a guest runs beside the program.
pub const THREAD: &str = "guest";

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Scene {
    /// A machine of 2 MiB that will run `code` in ring 3, with `bytes` to send and a ring that has
    /// seen `start` bytes before.
    pub(crate) fn new(name: &str, code: &[u8], bytes: &[u8], start: u32) -> Result<Self, Failure> {
        const ALL_32_BITS: u64 = 4 << 30;
        const STACK: u64 = 0x18_0000;
        let mut machine = Machine::create(Path::new("/dev/kvm"), Trace::default())?;
        let memory = Memory::new(PAGE, Pages::Small, &mut machine.trace())?;
        let memory = machine.attach(memory)?;
        let memory = Arc::clone(memory);
        tables::write_pages(&memory, ALL_32_BITS)?;
        tables::write_descriptors(&memory)?;
        memory.write("program", CODE, code)?;
        memory.write("bytes", DATA, bytes)?;
        let cpu = machine.cpu(0)?;
        let entry =
            EntryState { power: Power::User, instruction: CODE, stack: STACK, memory_end: PAGE };
        vcpu::prepare(&cpu, &entry, &mut machine.trace())?;
        let statistics = microvm::statistics::file(&cpu).ok().map(OwnedFd::from);
        let board = Board { wire: Wire::new(name)?, ring: SharedRing::new(memory, start)? };
        Ok(Self { cpu, machine, board, tally: Tally::default(), statistics })
    }

    pub(crate) fn board(&mut self) -> &mut Board {
        &mut self.board
    }

    pub(crate) fn vm(&self) -> &VmFd {
        self.machine.vm()
    }

    /// The number of the descriptor with the kernel's counts; -1 of a kernel without them.
    pub(crate) fn statistics_number(&self) -> i32 {
        self.statistics.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }

    /// Runs the guest to its end.
    pub(crate) fn run(&mut self, answer: &Answer) -> Result<(), Failure> {
        loop {
            match self.cpu.run() {
                Ok(VcpuExit::IoOut(port, _)) if port == u16::from(END) => return Ok(()),
                Ok(VcpuExit::IoOut(port, bytes)) => {
                    self.tally.all += 1;
                    self.tally.doorbell += u64::from(port == DOORBELL);
                    for &byte in bytes.iter() {
                        (answer.write_port)(&mut self.board, port, byte)?;
                    }
                }
                Ok(VcpuExit::IoIn(port, bytes)) => {
                    self.tally.all += 1;
                    bytes.fill_with(|| (answer.read_port)(port));
                }
                Ok(VcpuExit::MmioWrite(..)) => self.tally.all += 1,
                Ok(VcpuExit::MmioRead(_, bytes)) => {
                    self.tally.all += 1;
                    // Nobody answers: the bus floats at ones.
                    bytes.fill(0xff);
                }
                // A signal, or a wish of the kernel's to be called again.
                Err(errno) if [libc::EINTR, libc::EAGAIN].contains(&errno.errno()) => {}
                Err(errno) => return Err(io::Error::from(errno).into()),
                Ok(other) => return Err(format!("a strange exit: {other:?}").into()),
            }
        }
    }

    /// The same in a thread, while `meanwhile` happens in this one.
    pub(crate) fn run_beside<T>(
        &mut self,
        answer: &Answer,
        meanwhile: impl FnOnce() -> T,
    ) -> Result<T, Failure> {
        thread::scope(|scope| {
            let guest = thread::Builder::new().name(THREAD.to_owned());
            let (says, has_begun) = mpsc::channel();
            let guest = guest.spawn_scoped(scope, move || {
                // It has its name by now.
                let _ = says.send(());
                self.run(answer)
            })?;
            let _ = has_begun.recv();
            let value = meanwhile();
            match guest.join() {
                Ok(ended) => ended.map(|()| value),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Says how many exits there were.
    pub(crate) fn tell(&self, host: &Host, name: &str) {
        host.say(&format!("exits-{name}"), self.tally.all);
        host.say(&format!("doorbells-{name}"), self.tally.doorbell);
    }
}
