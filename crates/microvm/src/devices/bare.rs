//! The devices of a bare program.
//!
//! A real machine has hundreds of devices. This one has a doorbell, at which a bare program asks
//! its host for something, a console that takes bytes, and a switch that turns the machine off.
//! Everything else is empty air: reading gives ones, writing does nothing.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use guest::abi::{CONSOLE_BYTES, DOORBELL, Request, map};
use sandbox::Stdio;

use super::{
    bus::{Buses, Device, Unshared},
    output::Output,
    reset::ExitPort,
};
use crate::{control::Handle, error::Result, fault::Fault, guest_exit::GuestExit, memory::Memory};

/// Two ports that take a byte of text each: Bochs' debug console and the first serial port.
const CONSOLE_PORTS: [u16; 2] = [0xe9, 0x3f8];

/// The devices of one machine. Only the thread of its one processor reaches them.
pub struct Devices {
    /// Where the guest finds them.
    pub buses: Buses<Unshared>,
    output: Rc<RefCell<Output>>,
}

impl Devices {
    /// Devices whose console leads to `stdio`, whose doorbell reads `memory`, and which end the
    /// guest by `handle`.
    pub fn new(stdio: Stdio, memory: &Arc<Memory>, handle: &Arc<Handle>) -> Self {
        let output = Rc::new(RefCell::new(Output::of(stdio)));
        let console = Console { output: output.clone(), handle: handle.clone() };
        let doorbell = Doorbell { console: console.clone(), memory: memory.clone() };
        let console: Unshared = Rc::new(RefCell::new(console));
        let mut sinks: Vec<(u16, Unshared)> = vec![
            (DOORBELL, Rc::new(RefCell::new(doorbell))),
            (ExitPort::PORT as u16, Rc::new(RefCell::new(OffSwitch(ExitPort(handle.clone()))))),
        ];
        sinks.extend(CONSOLE_PORTS.map(|port| (port, console.clone())));
        #[cfg(feature = "hole")]
        sinks.push((crate::cell::hole::PORT, Rc::new(RefCell::new(Hole(memory.clone())))));
        let mut buses = Buses::default();
        for (port, device) in sinks {
            buses.ports.put_sink(port, device).expect("each has a port of its own");
        }
        Self { buses, output }
    }

    /// What was written to a captured console.
    pub fn into_output(self) -> Vec<u8> {
        self.output.replace(Output::Captured(Vec::new())).into_captured()
    }
}

/// The way of a guest's text to its host.
#[derive(Clone)]
struct Console {
    output: Rc<RefCell<Output>>,
    handle: Arc<Handle>,
}

impl Device for Console {
    fn name(&self) -> &'static str {
        "console"
    }

    fn write(&mut self, _: u64, text: &[u8]) {
        let written = self.output.borrow_mut().write(text, &self.handle);
        self.settle(written);
    }
}

impl Console {
    /// Brings the guest to its end, if what a device did is one.
    fn settle(&self, done: Result<Option<GuestExit>>) {
        match done {
            Ok(None) => {}
            Ok(Some(end)) => self.handle.give(end),
            Err(error) => self.handle.fail(error),
        }
    }
}

/// Where a program rings with a request and its operand in four bytes. Unlike other devices it may
/// wait, because no other processor is there that would wait for it.
struct Doorbell {
    console: Console,
    memory: Arc<Memory>,
}

impl Device for Doorbell {
    fn name(&self) -> &'static str {
        "doorbell"
    }

    fn write(&mut self, _: u64, data: &[u8]) {
        if let &[number, low, middle, high] = data {
            let operand = u32::from_le_bytes([low, middle, high, 0]);
            let done = self.serve(Request::from_number(number), number, operand);
            self.console.settle(done);
        }
    }
}

impl Doorbell {
    /// Does what was asked for; `Some` if the guest ends with that.
    fn serve(
        &mut self,
        request: Option<Request>,
        number: u8,
        operand: u32,
    ) -> Result<Option<GuestExit>> {
        let handle = &self.console.handle;
        match request {
            Some(Request::Nothing) => Ok(None),
            Some(Request::Write) => {
                let length = operand as usize;
                if length > CONSOLE_BYTES {
                    return Ok(Some(GuestExit::Fault(Fault::LongWrite { length })));
                }
                let mut text = [0; CONSOLE_BYTES];
                self.memory.read("console buffer", map::CONSOLE, &mut text[..length])?;
                self.console.output.borrow_mut().write(&text[..length], handle)
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

/// Writing a byte turns the machine off with that code, as `isa-debug-exit` does.
struct OffSwitch(ExitPort);

impl Device for OffSwitch {
    fn name(&self) -> &'static str {
        "off switch"
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        self.0.write(offset, data);
    }
}

/// The bare guest's end of a deliberate hole.
#[cfg(feature = "hole")]
struct Hole(Arc<Memory>);

#[cfg(feature = "hole")]
impl Device for Hole {
    fn name(&self) -> &'static str {
        "hole"
    }

    fn write(&mut self, _: u64, data: &[u8]) {
        crate::cell::hole::serve(data, self.0.ram());
    }
}
