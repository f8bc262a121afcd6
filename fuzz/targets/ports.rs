//! A hostile guest against the devices that are no virtio ones: serial port, reports, freezing, and
//! the three switches that end a machine, on the bus on which a Linux guest finds them.
#![no_main]

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use microvm::{
    Handle,
    devices::{
        bus::{Bus, Device},
        freeze::{self, FreezePort},
        interrupt::Interrupt,
        report::{self, ReportPort},
        reset::{ExitPort, KeyboardController, PowerManagement},
        serial::{self, Serial},
    },
};
use sandbox::Timeline;

/// Where the first serial port is.
const SERIAL: u16 = 0x3f8;

/// Where a guest reaches.
#[derive(Debug, Arbitrary)]
enum PortAddress {
    Serial(u8),
    Report,
    Freeze(u8),
    Keyboard,
    Power(u8),
    Exit,
    Any(u16),
}

impl PortAddress {
    fn port(&self) -> u16 {
        match *self {
            Self::Serial(register) => SERIAL + u16::from(register % 9),
            Self::Report => report::PORT,
            Self::Freeze(offset) => freeze::PORT + u16::from(offset % 5),
            Self::Keyboard => KeyboardController::PORT as u16,
            Self::Power(offset) => PowerManagement::PORT as u16 + u16::from(offset % 3),
            Self::Exit => ExitPort::PORT as u16,
            Self::Any(port) => port,
        }
    }
}

/// What a guest does, or the host.
#[derive(Debug, Arbitrary)]
enum Act<'a> {
    Write(PortAddress, &'a [u8]),
    Read(PortAddress, u8),
    /// Somebody types.
    Receive(&'a [u8]),
    /// The serial port goes on from what somebody says that it was.
    Restore(&'a [u8]),
    /// It is saved, and goes on from that.
    Save,
}

fuzz_target!(|acts: Vec<Act<'_>>| {
    let handle = Arc::new(Handle::new(Timeline::start(), None));
    let [sent, frozen] = [(); 2].map(|()| Arc::<AtomicUsize>::default());
    let cable = sent.clone();
    let line = Interrupt::new().expect("a descriptor more");
    let serial = Serial::new(line, move |_| {
        cable.fetch_add(1, Relaxed);
    });
    let serial = Arc::new(Mutex::new(serial));
    let asked = frozen.clone();
    let freeze = FreezePort::new(move || {
        asked.fetch_add(1, Relaxed);
    });
    let report = ReportPort::new(|line: &str| assert!(line.len() <= 64 && !line.contains('\n')));
    let mut bus = Bus::default();
    let mut put = |port: u64, length, device: Arc<Mutex<dyn Device + Send>>| {
        bus.put(port, length, device).expect("each has its own place");
    };
    put(SERIAL.into(), serial::PORTS, serial.clone());
    put(report::PORT.into(), 1, Arc::new(Mutex::new(report)));
    put(freeze::PORT.into(), freeze::LENGTH, Arc::new(Mutex::new(freeze)));
    put(KeyboardController::PORT, 1, Arc::new(Mutex::new(KeyboardController(handle.clone()))));
    let power = PowerManagement(handle.clone());
    put(PowerManagement::PORT, PowerManagement::PORTS, Arc::new(Mutex::new(power)));
    put(ExitPort::PORT, 1, Arc::new(Mutex::new(ExitPort(handle.clone()))));
    let mut written = 0;
    for act in acts {
        match act {
            Act::Write(address, data) => {
                // A write of nothing is one.
                written += data.len().max(1);
                bus.write_port(address.port(), data);
            }
            Act::Read(address, length) => {
                let mut data = vec![0; length.into()];
                let answered = bus.read_port(address.port(), &mut data);
                assert!(answered.is_some() || data.iter().all(|byte| *byte == 0xff));
            }
            Act::Receive(text) => serial.lock().expect("nobody panics").receive(text),
            Act::Restore(text) => {
                let Ok(state) = serde_json::from_slice(text) else { continue };
                let _ = serial.lock().expect("nobody panics").restore(&state);
            }
            Act::Save => {
                let mut serial = serial.lock().expect("nobody panics");
                let (state, room) = (serial.save(), serial.room());
                serial.restore(&state).expect("it has been so");
                // What had arrived stays, and all of it arrives anew as far as there is room.
                let empty = serial::QUEUE;
                assert_eq!(empty - serial.room(), empty.min(2 * (empty - room)));
            }
        }
    }
    // Each byte is sent, and asks for the freeze, at most once.
    assert!(sent.load(Relaxed) <= written && frozen.load(Relaxed) <= written);
    let _ = handle.take_end();
});
