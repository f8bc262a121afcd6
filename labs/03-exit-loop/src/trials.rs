//! Exits that this guest does not cause, or this kernel does not give: each is put into a page as a
//! kernel would leave it, and handed to `handle_exit`; and calls of `KVM_RUN` that do not succeed.

use hello_kvm::{scenario::Random, watchdog};
use lab::program::Host;

use crate::{
    Answer, Devices, Next,
    cpu::{Cpu, Pretended},
    page::{MemoryAccess, PortAccess, Recorded, RunPage, recorded},
    scenario::{ADDER, PORT},
};

/// `KVM_EXIT_INTERNAL_ERROR`, for which nobody has a device.
pub const UNKNOWN: u32 = kvm_bindings::KVM_EXIT_INTERNAL_ERROR;

/// An exit for `handle_exit`.
#[derive(Debug, Clone)]
pub struct Trial {
    /// What it is about.
    pub name: &'static str,
    /// The bytes that the check sends to the far end of the line first.
    pub input: Vec<u8>,
    /// What the adder holds before it.
    pub sum: u32,
    /// The exit.
    pub exit: Exit,
}

/// Its operands.
#[derive(Debug, Clone)]
pub enum Exit {
    /// For a port.
    Port(PortAccess, Vec<u8>),
    /// For memory that is none.
    Memory(MemoryAccess, [u8; 8]),
    /// For a reason without a device.
    Other,
}

impl Trial {
    /// Those of this `seed`: the check and the program build the same ones.
    pub fn all(seed: u64) -> Vec<Self> {
        let mut random = Random::new(seed ^ 0x7269_616c);
        let mut bytes = |count: usize| -> Vec<u8> {
            // Not 0 and not 0xff, which is what lies where nobody has put anything.
            (0..count).map(|_| 1 + random.below(254) as u8).collect()
        };
        let (string, wide, received) = (bytes(5), bytes(4), bytes(5));
        let (lost, unread, stale) = (bytes(3), bytes(2), bytes(2));
        let (added, beside, old) = (bytes(8), bytes(8), bytes(8));
        let mut random = Random::new(seed ^ 0x6f66_6673);
        let mut port = |is_out, size, count, port| {
            let data_offset = 0x800 + random.below(0x700);
            PortAccess { is_out, size, port, count, data_offset }
        };
        let elsewhere = [0x3f9, 0x2f8, 0x80, 0x378][(seed % 4) as usize];
        let other = ADDER + [4, 0x1000, 0x8000][(seed % 3) as usize];
        let memory = |is_write, address, length| MemoryAccess { is_write, address, length };
        let of = |words: Vec<u8>| -> [u8; 8] { std::array::from_fn(|at| words[at]) };
        let trial = |name, exit| Self { name, input: Vec::new(), sum: 0, exit };
        vec![
            trial("string-out", Exit::Port(port(true, 1, 5, PORT), string)),
            trial("wide-out", Exit::Port(port(true, 2, 2, PORT), wide)),
            Self {
                input: received,
                ..trial("string-in", Exit::Port(port(false, 1, 5, PORT), vec![0; 5]))
            },
            trial("port-out", Exit::Port(port(true, 1, 3, elsewhere), lost)),
            Self {
                input: unread,
                ..trial("port-in", Exit::Port(port(false, 2, 1, elsewhere), stale))
            },
            // A carry out of the 32 bits.
            Self {
                sum: u32::MAX,
                ..trial("adder", Exit::Memory(memory(true, ADDER, 2), of(added)))
            },
            trial("memory-write", Exit::Memory(memory(true, other, 4), of(beside))),
            Self {
                sum: 0x5a5a_5a5a,
                ..trial("memory-read", Exit::Memory(memory(false, other, 4), of(old)))
            },
            trial("unknown", Exit::Other),
        ]
    }

    /// Its data after it, in a page.
    fn data(&self, page: &mut [u8]) -> Vec<u8> {
        match &self.exit {
            Exit::Port(access, values) => page[access.data_offset..][..values.len()].to_vec(),
            Exit::Memory(..) => RunPage::of(page).memory_data().to_vec(),
            Exit::Other => Vec::new(),
        }
    }
}

/// Hands each to `handle_exit`, and says what has become of it.
pub(super) fn exits(host: &Host, answer: &Answer, devices: &mut Devices) {
    for trial in Trial::all(host.number("seed", 3)) {
        host.meet(&format!("before-{}", trial.name));
        let mut page = recorded(match &trial.exit {
            Exit::Port(access, values) => Recorded::Port(*access, values),
            Exit::Memory(access, data) => Recorded::Memory(*access, *data),
            Exit::Other => Recorded::Other(UNKNOWN),
        });
        devices.sum = trial.sum;
        let next = (answer.handle_exit)(&mut RunPage::of(&mut page), devices);
        host.say(
            "next",
            match next {
                Ok(Next::Run) => "Next::Run".to_owned(),
                Ok(Next::Stop) => "Next::Stop".to_owned(),
                Err(error) => format!("an error: {error}"),
            },
        );
        host.say("data", hex(&trial.data(&mut page)));
        host.say("sum", devices.sum);
        host.meet(trial.name);
    }
}

/// Calls `run` with a processor that pretends, and says what it returned.
pub(super) fn runs(host: &Host, answer: &Answer, cpu: &mut Cpu, devices: &mut Devices) {
    let pretended = [
        ("EIO", Pretended::Error(libc::EIO)),
        ("EAGAIN", Pretended::Error(libc::EAGAIN)),
        ("unknown-exit", Pretended::Reason(UNKNOWN)),
    ];
    for (name, what) in pretended {
        cpu.pretend(what);
        watchdog::watch(cpu.fd(), host);
        let ran = (answer.run)(cpu, devices);
        watchdog::rest();
        host.say(
            "returned",
            match ran {
                Ok(()) => "success".to_owned(),
                Err(error) => format!("an error: {error}"),
            },
        );
        host.meet(name);
    }
}

/// Two digits each.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
