//! The devices of a Linux guest, and where each of them is.
//!
//! ```text
//!   ports                           memory
//!   0x064  keyboard controller      0xd000_0000  virtio devices, a page each
//!   0x0f4  exit                     0xfec0_0000  IO-APIC, in the kernel
//!   0x3f8  serial, line 4           0xfee0_0000  local APICs, in the kernel
//!   0x600  power management
//! ```

use std::sync::{Arc, Mutex};

use sandbox::{Story, Workload};

use crate::{
    control::Handle,
    devices::{
        interrupt::Interrupt,
        output::Output,
        reset::{ExitPort, KeyboardController, PowerManagement},
        serial::{self, Serial},
    },
    error::{Error, Result},
    linux::{
        acpi::{self, SerialPort},
        console::SharedConsole,
        run::Buses,
    },
    machine::Machine,
};

/// The first serial port of a PC.
const SERIAL: SerialPort = SerialPort { port: 0x3f8, line: 4 };

/// The devices of one machine.
pub struct Hardware {
    /// The way from the guest to each of them.
    pub buses: Arc<Buses>,
    /// Where the serial port's cable leads.
    pub console: SharedConsole,
}

impl Hardware {
    /// Devices for `machine`, with their interrupts connected.
    ///
    /// # Errors
    ///
    /// When KVM or the system refuses an interrupt.
    pub fn new(
        machine: &Machine,
        workload: &Workload,
        handle: &Arc<Handle>,
        story: &mut Story,
    ) -> Result<Self> {
        let console = SharedConsole::new(Some(Output::of(workload.stdio)), handle.clone());
        let line = Interrupt::new()?;
        machine.connect(&line, SERIAL.line, story)?;
        let far_end = console.clone();
        let serial = Serial::new(line, move |byte| far_end.print(byte));
        let mut buses = Buses::default();
        let keyboard = KeyboardController(handle.clone());
        let power = PowerManagement(handle.clone());
        buses.ports.put(KeyboardController::PORT, 1, shared(keyboard)).map_err(overlap)?;
        buses.ports.put(ExitPort::PORT, 1, shared(ExitPort(handle.clone()))).map_err(overlap)?;
        buses.ports.put(SERIAL.port.into(), serial::PORTS, shared(serial)).map_err(overlap)?;
        buses
            .ports
            .put(PowerManagement::PORT, PowerManagement::PORTS, shared(power))
            .map_err(overlap)?;
        Ok(Self { buses: Arc::new(buses), console })
    }

    /// What the tables say of it, with so many processors.
    pub fn papers(&self, processors: u8) -> acpi::Hardware {
        acpi::Hardware { processors, serial: Some(SERIAL), virtio: Vec::new() }
    }
}

fn shared<D>(device: D) -> Arc<Mutex<D>> {
    Arc::new(Mutex::new(device))
}

fn overlap(overlap: crate::devices::bus::Overlap) -> Error {
    Error::System { call: "put a device on its bus".into(), source: std::io::Error::other(overlap) }
}
