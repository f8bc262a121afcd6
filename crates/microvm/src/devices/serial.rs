//! A serial port: the 16550 of every PC, and Linux's first console.
//!
//! Each byte that the guest prints is a trip to the host, and so is each look whether the port is
//! ready for the next. That is full emulation: the guest drives a chip of 1987, and the host plays
//! it register by register. Compare `virtio`, where both know that there is no chip.
//!
//! ```text
//!   offset  read                     write
//!   0       received byte            byte to send
//!   1       interrupts allowed       the same
//!   2       what interrupted         queues on or off
//!   3       line: 8 bits, parity...  the same; bit 7 puts the divisor at offsets 0 and 1
//!   4       modem lines out          the same; bit 4 loops them back
//!   5       line status: ready to send, byte received
//!   6       modem lines in
//!   7       scratch                  scratch
//! ```
//!
//! National Semiconductor, PC16550D data sheet, 1995.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{bus::Device, interrupt::Interrupt};

/// The registers' length on the bus.
pub const PORTS: u64 = 8;

/// The chip's own queue has 16 bytes; ours holds what arrives while the guest is busy.
pub const QUEUE: usize = 256;

const ALLOW_RECEIVED: u8 = 1 << 0;
const ALLOW_SENT: u8 = 1 << 1;
const ALLOW_ALL: u8 = 0x0f;

const NOTHING_PENDING: u8 = 0b0001;
const SENT_PENDING: u8 = 0b0010;
const RECEIVED_PENDING: u8 = 0b0100;
const QUEUES_ON: u8 = 0b1100_0000;

const DIVISOR_AT_0: u8 = 1 << 7;
const LOOP_BACK: u8 = 1 << 4;

const RECEIVED: u8 = 1 << 0;
const READY_TO_SEND: u8 = 1 << 5 | 1 << 6;

/// A serial port whose cable leads to `sink`.
pub struct Serial<S> {
    interrupt: Interrupt,
    sink: S,
    chip: Chip,
}

/// What the chip knows.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Chip {
    received: VecDeque<u8>,
    ier: u8,
    sent_pending: bool,
    fcr: bool,
    line: u8,
    modem: u8,
    scratch: u8,
    divisor: [u8; 2],
}

impl<S: FnMut(u8) + Send> Serial<S> {
    /// A port after reset.
    pub fn new(interrupt: Interrupt, sink: S) -> Self {
        let chip = Chip {
            received: VecDeque::new(),
            ier: 0,
            sent_pending: false,
            fcr: false,
            line: 0b11,
            modem: 0,
            scratch: 0,
            divisor: [12, 0],
        };
        Self { interrupt, sink, chip }
    }

    /// How many bytes it can receive now.
    pub fn room(&self) -> usize {
        QUEUE - self.chip.received.len()
    }

    /// `text` arrives over the cable; what is beyond [`Serial::room`] is lost, as on a real one.
    pub fn receive(&mut self, text: &[u8]) {
        let room = self.room();
        self.chip.received.extend(&text[..text.len().min(room)]);
        self.interrupt_if_allowed();
    }

    fn interrupt_if_allowed(&self) {
        let received = self.chip.ier & ALLOW_RECEIVED != 0 && !self.chip.received.is_empty();
        let sent = self.chip.ier & ALLOW_SENT != 0 && self.chip.sent_pending;
        if received || sent {
            self.interrupt.raise();
        }
    }

    fn send(&mut self, byte: u8) {
        if self.chip.modem & LOOP_BACK != 0 {
            return self.receive(&[byte]);
        }
        (self.sink)(byte);
        // It takes no time to send, so the port is ready again at once.
        self.chip.sent_pending = true;
        self.interrupt_if_allowed();
    }

    fn iir(&mut self) -> u8 {
        let queues = if self.chip.fcr { QUEUES_ON } else { 0 };
        if self.chip.ier & ALLOW_RECEIVED != 0 && !self.chip.received.is_empty() {
            return queues | RECEIVED_PENDING;
        }
        if self.chip.ier & ALLOW_SENT != 0 && std::mem::take(&mut self.chip.sent_pending) {
            return queues | SENT_PENDING;
        }
        queues | NOTHING_PENDING
    }

    /// The modem's lines: connected and ready; looped back, what the guest sets itself.
    fn modem_lines(&self) -> u8 {
        const CONNECTED: u8 = 0b1011_0000;
        if self.chip.modem & LOOP_BACK == 0 {
            return CONNECTED;
        }
        let out = |bit: u8| self.chip.modem >> bit & 1;
        out(1) << 4 | out(0) << 5 | out(2) << 6 | out(3) << 7
    }

    fn register(&mut self, offset: u64) -> u8 {
        match offset {
            0 | 1 if self.chip.line & DIVISOR_AT_0 != 0 => self.chip.divisor[offset as usize],
            0 => {
                let byte = self.chip.received.pop_front().unwrap_or(0);
                self.interrupt_if_allowed();
                byte
            }
            1 => self.chip.ier,
            2 => self.iir(),
            3 => self.chip.line,
            4 => self.chip.modem,
            5 => READY_TO_SEND | if self.chip.received.is_empty() { 0 } else { RECEIVED },
            6 => self.modem_lines(),
            7 => self.chip.scratch,
            _ => 0xff,
        }
    }
}

impl<S: FnMut(u8) + Send> Device for Serial<S> {
    fn name(&self) -> &'static str {
        "serial"
    }

    fn read(&mut self, offset: u64, data: &mut [u8]) {
        for (offset, byte) in (offset..).zip(data) {
            *byte = self.register(offset);
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        // The registers are bytes. A wider write is none that a driver of this chip makes.
        let &[byte] = data else { return };
        match offset {
            0 | 1 if self.chip.line & DIVISOR_AT_0 != 0 => {
                self.chip.divisor[offset as usize] = byte;
            }
            0 => self.send(byte),
            1 => {
                self.chip.ier = byte & ALLOW_ALL;
                // Allowed anew, the port says again that it is ready.
                self.chip.sent_pending = true;
                self.interrupt_if_allowed();
            }
            2 => self.chip.fcr = byte & 1 != 0,
            3 => self.chip.line = byte,
            4 => self.chip.modem = byte & 0x1f,
            7 => self.chip.scratch = byte,
            _ => {}
        }
    }

    fn save(&self) -> Value {
        json!(self.chip)
    }

    fn restore(&mut self, saved: &Value) -> Result<(), String> {
        let chip = Chip::deserialize(saved).map_err(|error| error.to_string())?;
        if chip.received.len() > QUEUE {
            return Err(format!("{} bytes wait, where {QUEUE} have room", chip.received.len()));
        }
        // What has arrived here meanwhile comes behind it.
        let mut arrived = std::mem::replace(&mut self.chip, chip).received;
        self.receive(arrived.make_contiguous());
        self.interrupt_if_allowed();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;

    use super::*;

    type Sent = Arc<Mutex<Vec<u8>>>;

    fn port() -> (Serial<impl FnMut(u8) + Send>, Sent) {
        let sent = Sent::default();
        let sink = sent.clone();
        let serial = Serial::new(Interrupt::new().unwrap(), move |byte| {
            sink.lock().unwrap().push(byte);
        });
        (serial, sent)
    }

    fn read(serial: &mut impl Device, offset: u64) -> u8 {
        let mut data = [0];
        serial.read(offset, &mut data);
        data[0]
    }

    #[test]
    fn what_the_guest_sends_arrives_and_the_port_is_always_ready() {
        let (mut serial, sent) = port();
        for byte in *b"hello" {
            assert_eq!(read(&mut serial, 5) & READY_TO_SEND, READY_TO_SEND);
            serial.write(0, &[byte]);
        }
        assert_eq!(*sent.lock().unwrap(), b"hello");
        assert!(!serial.interrupt.was_raised(), "nothing was allowed to interrupt");
    }

    #[test]
    fn what_arrives_interrupts_until_it_is_read() {
        let (mut serial, _) = port();
        serial.write(1, &[ALLOW_RECEIVED]);
        serial.receive(b"ab");
        assert!(serial.interrupt.was_raised());
        assert_eq!(read(&mut serial, 2), RECEIVED_PENDING);
        assert_eq!(read(&mut serial, 5) & RECEIVED, RECEIVED);
        assert_eq!(read(&mut serial, 0), b'a');
        assert!(serial.interrupt.was_raised(), "there is another byte");
        assert_eq!(read(&mut serial, 0), b'b');
        assert!(!serial.interrupt.was_raised());
        assert_eq!(read(&mut serial, 2), NOTHING_PENDING);
    }

    #[test]
    fn a_driver_finds_a_16550_by_its_queues_and_its_loop() {
        let (mut serial, sent) = port();
        serial.write(2, &[1]);
        assert_eq!(read(&mut serial, 2) & QUEUES_ON, QUEUES_ON);
        // Linux, drivers/tty/serial/8250/8250_port.c, autoconfig().
        serial.write(4, &[LOOP_BACK | 0x0a]);
        assert_eq!(read(&mut serial, 6) & 0xf0, 0x90);
        serial.write(0, b"x");
        assert_eq!(read(&mut serial, 0), b'x');
        assert!(sent.lock().unwrap().is_empty(), "a looped byte leaves nowhere");
        serial.write(3, &[DIVISOR_AT_0]);
        serial.write(0, &[7]);
        assert_eq!(read(&mut serial, 0), 7);
    }

    #[test]
    fn sending_interrupts_once_when_it_is_allowed_to() {
        let (mut serial, _) = port();
        serial.write(1, &[ALLOW_SENT]);
        assert!(serial.interrupt.was_raised());
        assert_eq!(read(&mut serial, 2), SENT_PENDING);
        assert_eq!(read(&mut serial, 2), NOTHING_PENDING);
        serial.write(0, b"x");
        assert!(serial.interrupt.was_raised());
    }

    #[test]
    fn what_has_arrived_meanwhile_comes_behind_what_was_saved() {
        let (mut serial, _) = port();
        let saved = serial.save();
        // Around the end of the buffer in which they wait.
        serial.receive(&[b'a'; QUEUE]);
        for _ in 0..QUEUE / 2 {
            read(&mut serial, 0);
        }
        serial.receive(&[b'b'; QUEUE / 2]);
        serial.restore(&saved).unwrap();
        assert_eq!(serial.room(), 0);
    }

    proptest! {
        #[test]
        fn no_driver_breaks_it(
            accesses in proptest::collection::vec(
                (any::<bool>(), 0..PORTS, proptest::collection::vec(any::<u8>(), 0..9)),
                0..400,
            ),
        ) {
            let (mut serial, _) = port();
            for (write, offset, mut data) in accesses {
                if write {
                    serial.write(offset, &data);
                } else {
                    serial.read(offset, &mut data);
                }
                serial.receive(b"input");
                prop_assert!(serial.chip.received.len() <= QUEUE);
            }
        }
    }
}
