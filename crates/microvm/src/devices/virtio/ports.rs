//! Ports: ways for plain bytes between programs at both ends, with names. virtio, section 5.3.
//!
//! A terminal changes what goes through it: it ends lines its own way, and turns Ctrl-C into a
//! signal. A command's output must arrive as it is, its errors apart from it, and its input must
//! have an end. Linux shows each port as `/dev/vport0p1`, with its name in
//! `/sys/class/virtio-ports`.
//!
//! ```text
//!   queue 0, 1     port 0: input, output
//!   queue 2, 3     control messages: to the guest, from the guest
//!   queue 4, 5     port 1
//!   queue 2n + 2   port n
//!
//!   guest: I am ready       -->
//!                           <-- there is port 0, there is port 1 ...
//!   guest: I have port 0    -->
//!                           <-- it is called so; its other end is open
//!   guest: it is open here  -->
//!                           <-- its other end is closed
//! ```
//!
//! Linux throws away what comes to a port that no program has open, so nothing is sent there; and
//! it lets nobody write to a port whose other end is closed. So input that has an end needs a port
//! of its own.

use std::{collections::VecDeque, os::fd::BorrowedFd};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Broken, Device, Queues, Shape,
    port::{self, Port},
};

const TO_GUEST: usize = 2;
const FROM_GUEST: usize = 3;

/// Feature: there is more than one port, and messages about them (section 5.3.3).
const MULTIPORT: u64 = 1 << 1;

/// Messages (section 5.3.6.2): port:32 event:16 value:16, and a name in one of them.
mod event {
    pub const DEVICE_READY: u16 = 0;
    pub const DEVICE_ADD: u16 = 1;
    pub const PORT_READY: u16 = 3;
    pub const PORT_OPEN: u16 = 6;
    pub const PORT_NAME: u16 = 7;
}

const MESSAGE: usize = 8;
/// So many messages may wait for a guest that takes none; one that says "ready" without end is
/// answered no more.
const MESSAGES: usize = 64;

/// Named ports.
#[derive(Debug)]
pub struct Ports {
    ports: Vec<Named>,
    messages: VecDeque<Vec<u8>>,
}

#[derive(Debug)]
struct Named {
    name: &'static str,
    port: Port,
    /// Whether a program in the guest has it open.
    open: bool,
    /// Whether the guest was told that there is no more to come.
    closed: bool,
}

/// What the guest has said of the ports, and what it is still to hear.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    /// Of each: whether it is open, whether the guest was told of its end, input that waits.
    ports: Vec<(bool, bool, Vec<u8>)>,
    messages: VecDeque<Vec<u8>>,
}

impl Ports {
    /// These ports, from number 0 on.
    pub fn new(ports: impl IntoIterator<Item = (&'static str, Port)>) -> Self {
        let named = |(name, port)| Named { name, port, open: false, closed: false };
        Self { ports: ports.into_iter().map(named).collect(), messages: VecDeque::new() }
    }

    fn say(&mut self, port: usize, event: u16, value: u16, name: &str) {
        if self.messages.len() == MESSAGES {
            return;
        }
        let mut message = (port as u32).to_le_bytes().to_vec();
        message.extend([event, value].map(u16::to_le_bytes).concat());
        message.extend(name.as_bytes());
        self.messages.push_back(message);
    }

    fn hear(&mut self, message: [u8; MESSAGE]) {
        let word = u64::from_le_bytes(message);
        let (port, event, value) = (word as u32 as usize, (word >> 32) as u16, word >> 48);
        match event {
            event::DEVICE_READY if value == 1 => {
                (0..self.ports.len()).for_each(|port| self.say(port, event::DEVICE_ADD, 1, ""));
            }
            event::PORT_READY if value == 1 => {
                let Some(named) = self.ports.get(port) else { return };
                self.say(port, event::PORT_NAME, 1, named.name);
                self.say(port, event::PORT_OPEN, 1, "");
            }
            event::PORT_OPEN => {
                let Some(named) = self.ports.get_mut(port) else { return };
                named.open = value == 1;
            }
            _ => {}
        }
    }

    fn control(&mut self, queues: &mut Queues<'_>) -> Result<(), Broken> {
        while let Some(chain) = queues.pop(FROM_GUEST)? {
            let mut message = [0; MESSAGE];
            if chain.readable.copy_to(&mut message) == MESSAGE {
                self.hear(message);
            }
            queues.push(FROM_GUEST, chain.head, 0)?;
        }
        self.deliver(queues)
    }

    /// Gives the guest its messages, and all that has arrived; a port that has ended is closed.
    fn deliver(&mut self, queues: &mut Queues<'_>) -> Result<(), Broken> {
        for number in 0..self.ports.len() {
            let named = &mut self.ports[number];
            if !named.open {
                continue;
            }
            named.port.give_input(input_queue(number), queues)?;
            if named.port.has_ended() && !named.closed {
                named.closed = true;
                self.say(number, event::PORT_OPEN, 0, "");
            }
        }
        while !self.messages.is_empty()
            && let Some(chain) = queues.pop(TO_GUEST)?
        {
            let message = self.messages.pop_front().unwrap_or_default();
            let count = chain.writable.copy_from(&message);
            queues.push(TO_GUEST, chain.head, count as u32)?;
        }
        Ok(())
    }
}

fn input_queue(port: usize) -> usize {
    if port == 0 { 0 } else { 2 * port + 2 }
}

impl Device for Ports {
    fn name(&self) -> &'static str {
        "virtio-ports"
    }

    fn number(&self) -> u32 {
        3
    }

    fn features(&self) -> u64 {
        MULTIPORT
    }

    fn queues(&self) -> Vec<Shape> {
        vec![port::SHAPE; 2 * self.ports.len() + 2]
    }

    fn config(&self) -> Vec<u8> {
        [0, self.ports.len() as u32].map(u32::to_le_bytes).concat()
    }

    fn serve(&mut self, number: usize, queues: &mut Queues<'_>) -> Result<(), Broken> {
        match number {
            FROM_GUEST => self.control(queues),
            output if output % 2 == 1 => {
                let port = if output == 1 { 0 } else { (output - 3) / 2 };
                match self.ports.get_mut(port) {
                    Some(named) => named.port.pass_output(output, queues),
                    None => Ok(()),
                }
            }
            _ => self.deliver(queues),
        }
    }

    fn files(&self) -> Vec<BorrowedFd<'_>> {
        self.ports.iter().filter_map(|named| named.port.input()).collect()
    }

    fn wake(&mut self, queues: &mut Queues<'_>) -> Result<(), Broken> {
        self.deliver(queues)
    }

    fn save(&self) -> Value {
        let port = |named: &Named| (named.open, named.closed, named.port.save().to_vec());
        json!(Saved {
            ports: self.ports.iter().map(port).collect(),
            messages: self.messages.clone(),
        })
    }

    fn restore(&mut self, saved: &Value) -> Result<(), String> {
        let saved = Saved::deserialize(saved).map_err(|error| error.to_string())?;
        if saved.ports.len() != self.ports.len() || saved.messages.len() > MESSAGES {
            return Err("it has other ports, or unread data".into());
        }
        for (named, (open, closed, arrived)) in self.ports.iter_mut().zip(saved.ports) {
            (named.open, named.closed) = (open, closed);
            named.port.restore(arrived)?;
        }
        self.messages = saved.messages;
        Ok(())
    }

    fn reset(&mut self) {
        self.messages.clear();
        for named in &mut self.ports {
            (named.open, named.closed) = (false, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{
        super::{
            console::tests::{CapturedOutput, pipe},
            driver::Driver,
        },
        *,
    };

    const OUTPUT_0: usize = 1;
    const INPUT_1: usize = 4;
    const OUTPUT_1: usize = 5;

    /// Says a message, and gives what the device says then.
    fn talk(driver: &mut Driver<Ports>, port: u32, event: u16, value: u16) -> Vec<Vec<u8>> {
        let message = [&port.to_le_bytes()[..], &event.to_le_bytes(), &value.to_le_bytes()];
        driver.ask(FROM_GUEST, &[&message.concat()], &[]);
        heard(driver)
    }

    fn heard(driver: &mut Driver<Ports>) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        while let Some(message) = driver.used(TO_GUEST) {
            driver.add(TO_GUEST, &[], &[64]);
            messages.push(message);
        }
        messages
    }

    fn message(port: u8, event: u8, value: u8, name: &str) -> Vec<u8> {
        [&[port, 0, 0, 0, event, 0, value, 0], name.as_bytes()].concat()
    }

    fn ports(output: &CapturedOutput, input: Option<std::fs::File>) -> Driver<Ports> {
        let ports =
            [("org.isolab.output", output.port(None)), ("org.isolab.more", output.port(input))];
        let mut driver = Driver::of(Ports::new(ports));
        (0..8).for_each(|_| driver.add(TO_GUEST, &[], &[64]));
        driver
    }

    #[test]
    fn a_guest_learns_of_the_ports_and_their_names() {
        let mut driver = ports(&CapturedOutput::default(), None);
        assert_eq!(driver.read(0x104), 2);
        let added = talk(&mut driver, 0, event::DEVICE_READY, 1);
        assert_eq!(added, [message(0, 1, 1, ""), message(1, 1, 1, "")]);
        let named = talk(&mut driver, 0, event::PORT_READY, 1);
        assert_eq!(named[..2], [message(0, 7, 1, "org.isolab.output"), message(0, 6, 1, "")]);
    }

    #[test]
    fn each_port_has_its_own_way() {
        let output = CapturedOutput::default();
        let mut driver = ports(&output, None);
        driver.ask(OUTPUT_1, &[b"one"], &[]);
        assert_eq!(output.take(), b"one");
        driver.ask(OUTPUT_0, &[b"nought"], &[]);
        assert_eq!(output.take(), b"nought");
    }

    #[test]
    fn input_comes_when_the_guest_has_the_port_and_has_an_end() {
        let (mut writer, input) = pipe();
        let mut driver = ports(&CapturedOutput::default(), Some(input));
        writer.write_all(b"text").unwrap();
        driver.add(INPUT_1, &[], &[64]);
        driver.ring(INPUT_1);
        assert_eq!(driver.used(INPUT_1), None, "the guest does not know the port yet");
        let opened = talk(&mut driver, 1, event::PORT_READY, 1);
        assert_eq!(opened[1], message(1, 6, 1, ""));
        assert_eq!(driver.used(INPUT_1), None, "no program has it open yet");
        talk(&mut driver, 1, event::PORT_OPEN, 1);
        assert_eq!(driver.used(INPUT_1).unwrap(), b"text");
        driver.add(INPUT_1, &[], &[64]);
        drop(writer);
        driver.device.wake();
        assert_eq!(heard(&mut driver), [message(1, 6, 0, "")]);
        driver.device.wake();
        assert!(heard(&mut driver).is_empty(), "it ends once");
    }

    #[test]
    fn a_guest_that_says_ready_without_end_is_answered_so_often() {
        let mut driver = Driver::of(Ports::new([("output", CapturedOutput::default().port(None))]));
        for _ in 0..10 * MESSAGES {
            driver.ask(FROM_GUEST, &[&message(0, event::DEVICE_READY as u8, 1, "")], &[]);
        }
        assert_eq!(driver.device.look(|ports| ports.messages.len()), MESSAGES);
        driver.ask(FROM_GUEST, &[&message(200, event::PORT_READY as u8, 1, "")], &[]);
        driver.ask(FROM_GUEST, &[b"short"], &[]);
        assert_eq!(driver.device.broken(), None);
    }
}
