//! The devices of a bare program.
//!
//! A real machine has hundreds of devices. This one has a doorbell, at which a bare program asks
//! its host for something, a console that takes bytes, and a switch that turns the machine off.
//! Everything else is empty air: reading gives ones, writing does nothing.

use guest::abi::{CONSOLE_BYTES, DOORBELL, Request, map};
use sandbox::Stdio;

use super::output::Output;
use crate::{control::Handle, error::Result, fault::Fault, guest_exit::GuestExit, memory::Memory};

/// Two ports that take a byte of text each: Bochs' debug console and the first serial port.
const CONSOLE_PORTS: [u16; 2] = [0xe9, 0x3f8];
/// Writing a byte to this port turns the machine off with that code, as `isa-debug-exit` does.
pub(super) const OFF_SWITCH: u16 = 0xf4;

/// The devices of one machine.
pub struct Devices {
    output: Output,
}

impl Devices {
    /// Devices whose console leads to `stdio`.
    pub fn new(stdio: Stdio) -> Self {
        Self { output: Output::of(stdio) }
    }

    /// What was written to a captured console.
    pub fn into_output(self) -> Vec<u8> {
        self.output.into_captured()
    }

    /// The device at `port`, by the word for it in traces.
    pub fn at(port: u16) -> Option<&'static str> {
        match port {
            DOORBELL => Some("doorbell"),
            OFF_SWITCH => Some("off switch"),
            _ => CONSOLE_PORTS.contains(&port).then_some("console"),
        }
    }

    /// The guest wrote `data` to `port`; `Some` if it ended with that.
    ///
    /// # Errors
    ///
    /// When the guest asked for something that cannot be.
    pub fn port_write(
        &mut self,
        port: u16,
        data: &[u8],
        memory: &Memory,
        handle: &Handle,
    ) -> Result<Option<GuestExit>> {
        #[cfg(feature = "hole")]
        crate::cell::hole::serve(port, data, memory.ram());
        match (port, data) {
            (DOORBELL, &[number, low, middle, high]) => {
                let operand = u32::from_le_bytes([low, middle, high, 0]);
                self.ring(Request::from_number(number), number, operand, memory, handle)
            }
            (OFF_SWITCH, &[code, ..]) => Ok(Some(GuestExit::Exited(code))),
            _ if CONSOLE_PORTS.contains(&port) => self.output.write(data, handle),
            _ => Ok(None),
        }
    }

    fn ring(
        &mut self,
        request: Option<Request>,
        number: u8,
        operand: u32,
        memory: &Memory,
        handle: &Handle,
    ) -> Result<Option<GuestExit>> {
        match request {
            Some(Request::Nothing) => Ok(None),
            Some(Request::Write) => {
                let length = operand as usize;
                if length > CONSOLE_BYTES {
                    return Ok(Some(GuestExit::Fault(Fault::LongWrite { length })));
                }
                let mut text = [0; CONSOLE_BYTES];
                memory.read("console buffer", map::CONSOLE, &mut text[..length])?;
                self.output.write(&text[..length], handle)
            }
            Some(Request::WaitForStop) => {
                handle.wait_for_stop();
                Ok(None)
            }
            Some(Request::Exit) => Ok(Some(GuestExit::Exited(operand as u8))),
            None => Ok(Some(GuestExit::Fault(Fault::UnknownRequest { number }))),
        }
    }
}
