//! A hostile bare program: its devices, and where there is KVM the whole loop of exits around it.
//!
//! A program is a list of acts ([`code`]). Without KVM its `out` instructions go to the devices
//! alone. With it the program runs, in ring 3 or ring 0, and what it has written must be what the
//! list says.
#![no_main]

mod code;

use std::{
    cell::RefCell,
    fs,
    path::PathBuf,
    rc::Rc,
    sync::{Arc, LazyLock},
    time::Duration,
};

use arbitrary::Arbitrary;
use guest::abi::{CONSOLE_BYTES, DOORBELL, Request, map};
use libfuzzer_sys::{Corpus, fuzz_target};
use microvm::{
    Handle, MicroVm, Mode,
    devices::bare::Devices,
    guest_exit::GuestExit,
    memory::{Memory, Pages},
};
use sandbox::{Error, Limits, Sandbox as _, Status, Stdio, Timeline, Trace, Workload};
use tempfile::NamedTempFile;

use code::{Act, Port, Special, Width, assemble};

const MEMORY: u64 = 2 << 20;
/// No program here needs a hundredth of it.
const DEADLINE: Duration = Duration::from_secs(5);

/// A program: whether it runs, in which ring, and what it does.
#[derive(Debug, Arbitrary)]
struct Program {
    /// One in sixteen does: that takes a hundred times as long.
    runs: u8,
    kernel: bool,
    acts: Vec<Act>,
}

thread_local! {
    static MEMORY_OF_DEVICES: Arc<Memory> = Arc::new(
        Memory::new(MEMORY, Pages::Small, &mut Trace::new(false)).expect("a fuzzer has memory"),
    );
    static FILE: Rc<RefCell<NamedTempFile>> =
        Rc::new(RefCell::new(NamedTempFile::new().expect("memory for a file")));
}

static HAS_KVM: LazyLock<bool> = LazyLock::new(|| match microvm::available() {
    Ok(()) => true,
    Err(error) => {
        eprintln!("skipped: the loop of exits: {}", sandbox::chain(&error));
        false
    }
});

fuzz_target!(|program: Program| -> Corpus {
    let waits = |act: &Act| {
        let word = match act {
            Act::Ring(wish, operand) => operand.with(*wish),
            Act::Out(Port::Doorbell | Port::Any(DOORBELL), _, value) => *value,
            _ => return false,
        };
        Request::from_number(word as u8) == Some(Request::WaitForStop)
    };
    if program.acts.len() > 64 || program.acts.iter().any(waits) {
        return Corpus::Reject;
    }
    let written = devices_alone(&program.acts);
    let expected = expected(&program.acts);
    assert!(written.starts_with(&expected.output), "{written:?} is not {:?}", expected.output);
    if program.runs.is_multiple_of(16) && *HAS_KVM {
        whole(&program, expected);
    }
    Corpus::Keep
});

/// What the list says that it writes and how it ends, as far as that can be said.
struct Expected {
    output: Vec<u8>,
    /// Nothing is said once it has done what may fail or change itself.
    end: Option<Result<u8, ()>>,
}

/// The devices by themselves, at every `out`. Gives what was written.
fn devices_alone(acts: &[Act]) -> Vec<u8> {
    let handle = Arc::new(Handle::new(Timeline::start(), None));
    MEMORY_OF_DEVICES.with(|memory| {
        let devices = Devices::new(Stdio::Capture, memory, &handle);
        memory.write("console buffer", map::CONSOLE, &[0; CONSOLE_BYTES]).expect("it is there");
        for act in acts {
            let (port, data) = match act {
                Act::Out(port, width, value) => {
                    (port.number(), value.to_le_bytes()[..width.bytes()].to_vec())
                }
                Act::Ring(wish, operand) => {
                    (Port::Doorbell.number(), operand.with(*wish).to_le_bytes().to_vec())
                }
                Act::Fill(letter) => {
                    memory
                        .write("console buffer", map::CONSOLE, &[*letter; CONSOLE_BYTES])
                        .expect("it is there");
                    continue;
                }
                _ => continue,
            };
            devices.buses.ports.write_port(port, &data);
            match handle.take_end() {
                None => {}
                Some(Ok(GuestExit::Exited(_) | GuestExit::Fault(_) | GuestExit::TooMuchOutput)) => {
                    break;
                }
                other => panic!("{act:?} ends in {other:?}"),
            }
        }
        devices.into_output()
    })
}

fn expected(acts: &[Act]) -> Expected {
    let mut output = Vec::new();
    let mut buffer = [0; CONSOLE_BYTES];
    for act in acts {
        let (request, operand) = match act {
            Act::Fill(letter) => {
                buffer.fill(*letter);
                continue;
            }
            // Beyond the last port there is none, and what then is the processor's.
            Act::In(port, width) | Act::Out(port, width, _)
                if usize::from(port.number()) + width.bytes() > 1 << 16 =>
            {
                return Expected { output, end: None };
            }
            Act::In(..) => continue,
            Act::Out(Port::Debug | Port::Serial | Port::Any(0xe9 | 0x3f8), width, value) => {
                output.extend(&value.to_le_bytes()[..width.bytes()]);
                continue;
            }
            Act::Out(Port::Off | Port::Any(0xf4), _, value) => {
                return Expected { output, end: Some(Ok(*value as u8)) };
            }
            Act::Out(Port::Doorbell | Port::Any(DOORBELL), Width::Long, value) => {
                (*value as u8, value >> 8)
            }
            Act::Ring(wish, operand) => {
                let word = operand.with(*wish);
                (word as u8, word >> 8)
            }
            Act::Out(..) => continue,
            // Registers that are there, and an instruction that no ring forbids.
            Act::Bytes(Special::Cpuid) => continue,
            Act::OutString(..) | Act::Store(..) | Act::Load(_) | Act::Bytes(_) => {
                return Expected { output, end: None };
            }
        };
        match Request::from_number(request) {
            Some(Request::Nothing | Request::WaitForStop) => {}
            Some(Request::Write) if operand as usize <= CONSOLE_BYTES => {
                output.extend(&buffer[..operand as usize]);
            }
            Some(Request::Exit) => return Expected { output, end: Some(Ok(operand as u8)) },
            Some(Request::Write) | None => return Expected { output, end: Some(Err(())) },
        }
    }
    Expected { output, end: Some(Ok(0)) }
}

/// The program in a machine of its own.
fn whole(program: &Program, Expected { output, end }: Expected) {
    let file = FILE.with(Rc::clone);
    let file = file.borrow();
    fs::write(file.path(), assemble(&program.acts)).expect("memory for a file");
    let mode = if program.kernel { Mode::Long64 } else { Mode::User64 };
    let limits = Limits { memory_bytes: Some(MEMORY), ..Limits::default() };
    let sandbox = MicroVm { limits, mode, ..MicroVm::default() };
    let words: [PathBuf; 1] = [file.path().to_owned()];
    let workload = Workload::command(words).stdio(Stdio::Capture).deadline(DEADLINE);
    let (status, written) = match sandbox.run(&workload) {
        Ok(outcome) => (Ok(outcome.status), outcome.output),
        Err(Error::Unavailable { .. }) => return,
        Err(error) => {
            let message = sandbox::chain(&error);
            (Err(message), error.written().map(|it| it.output.clone()).unwrap_or_default())
        }
    };
    assert!(written.starts_with(&output), "{status:?}: {written:?} is not {output:?}");
    match (end, status) {
        (None, _) => {}
        (Some(Ok(code)), Ok(status)) => {
            assert_eq!((status, &written), (Status::Exited(code), &output));
        }
        (Some(Err(())), Err(_)) => {}
        (end, status) => panic!("{end:?} was to be, and {status:?} is"),
    }
}
