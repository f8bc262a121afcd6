//! A terminal: `/dev/hvc0` in Linux. virtio, section 5.3.
//!
//! Compare [`serial`](crate::devices::serial): there, a line of 80 letters is 160 trips to the
//! host; here it is one buffer and one ring.

use std::os::fd::BorrowedFd;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Broken, Device, Queues, Shape,
    port::{self, Port},
};

const INPUT: usize = 0;
const OUTPUT: usize = 1;

/// Feature: the driver can learn the terminal's size (section 5.3.3).
const SIZE: u64 = 1 << 0;

/// A console.
#[derive(Debug)]
pub struct Console {
    port: Port,
    columns: u16,
    rows: u16,
}

impl Console {
    /// A console of so many columns and rows; 0 for what nobody knows.
    pub fn new(port: Port, columns: u16, rows: u16) -> Self {
        Self { port, columns, rows }
    }

    /// The terminal at the host has another size now; for
    /// [`Transport::configure`](super::Transport::configure).
    pub fn resize(&mut self, columns: u16, rows: u16) {
        (self.columns, self.rows) = (columns, rows);
    }
}

impl Device for Console {
    fn name(&self) -> &'static str {
        "virtio-console"
    }

    fn number(&self) -> u32 {
        3
    }

    fn features(&self) -> u64 {
        SIZE
    }

    fn queues(&self) -> Vec<Shape> {
        vec![port::SHAPE; 2]
    }

    fn config(&self) -> Vec<u8> {
        [self.columns, self.rows].map(u16::to_le_bytes).concat()
    }

    fn serve(&mut self, number: usize, queues: &mut Queues<'_>) -> Result<(), Broken> {
        match number {
            INPUT => self.port.give_input(INPUT, queues),
            OUTPUT => self.port.pass_output(OUTPUT, queues),
            _ => Ok(()),
        }
    }

    fn files(&self) -> Vec<BorrowedFd<'_>> {
        self.port.input().into_iter().collect()
    }

    fn wake(&mut self, queues: &mut Queues<'_>) -> Result<(), Broken> {
        self.port.give_input(INPUT, queues)
    }

    fn save(&self) -> Value {
        json!(self.port.save())
    }

    fn restore(&mut self, saved: &Value) -> Result<(), String> {
        self.port.restore(Vec::deserialize(saved).map_err(|error| error.to_string())?)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::{
        fs::File,
        io::Write,
        sync::{Arc, Mutex},
    };

    use super::{super::driver::Driver, *};

    /// What a sink was given.
    #[derive(Clone, Default)]
    pub struct CapturedOutput(Arc<Mutex<Vec<u8>>>);

    impl CapturedOutput {
        pub fn port(&self, input: Option<File>) -> Port {
            let output = self.0.clone();
            Port::new(Box::new(move |text| output.lock().unwrap().extend(text)), input)
        }

        pub fn take(&self) -> Vec<u8> {
            std::mem::take(&mut self.0.lock().unwrap())
        }
    }

    /// A pipe: what the host writes, and what a port reads.
    pub fn pipe() -> (File, File) {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        (File::from(writer), File::from(reader))
    }

    #[test]
    fn what_the_guest_prints_arrives_in_order() {
        let output = CapturedOutput::default();
        let mut driver = Driver::of(Console::new(output.port(None), 80, 25));
        driver.ask(OUTPUT, &[b"hello", b", ", b"world\n"], &[]);
        assert_eq!(output.take(), b"hello, world\n");
        let long: Vec<u8> = (0..100_000u32).map(|at| at as u8).collect();
        driver.ask(OUTPUT, &[&long], &[]);
        assert_eq!(output.take(), long);
    }

    #[test]
    fn input_waits_until_the_guest_has_room_for_it() {
        let (mut keyboard, input) = pipe();
        let mut driver =
            Driver::of(Console::new(CapturedOutput::default().port(Some(input)), 80, 25));
        keyboard.write_all(b"hello").unwrap();
        driver.device.wake();
        assert_eq!(driver.used(INPUT), None);
        driver.add(INPUT, &[], &[3]);
        driver.ring(INPUT);
        assert_eq!(driver.used(INPUT).unwrap(), b"hel");
        assert_eq!(driver.ask(INPUT, &[], &[10]), b"lo");
        driver.add(INPUT, &[], &[10]);
        driver.ring(INPUT);
        assert_eq!(driver.used(INPUT), None);
        keyboard.write_all(b"!").unwrap();
        driver.device.wake();
        assert_eq!(driver.used(INPUT).unwrap(), b"!");
        assert!(driver.was_interrupted(1));
    }

    #[test]
    fn input_that_ends_is_let_go() {
        let (mut keyboard, input) = pipe();
        let mut driver =
            Driver::of(Console::new(CapturedOutput::default().port(Some(input)), 80, 25));
        keyboard.write_all(b"end").unwrap();
        drop(keyboard);
        assert_eq!(driver.ask(INPUT, &[], &[10]), b"end");
        driver.device.wake();
        driver.device.look(|console| assert!(console.port.has_ended()));
    }

    #[test]
    fn the_guest_learns_the_terminals_size() {
        let mut driver = Driver::of(Console::new(CapturedOutput::default().port(None), 80, 25));
        assert_eq!(driver.read(0x100), 25 << 16 | 80);
        driver.device.configure(|console| console.resize(132, 43));
        assert_eq!(driver.read(0x100), 43 << 16 | 132);
        assert!(driver.was_interrupted(2));
    }

    /// A file on a disk cannot be waited for; what is in it is read all the same.
    #[test]
    fn input_may_come_from_a_file() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"text").unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        let mut driver =
            Driver::of(Console::new(CapturedOutput::default().port(Some(file)), 80, 25));
        assert_eq!(driver.ask(INPUT, &[], &[10]), b"text");
    }

    #[test]
    fn a_guest_cannot_read_what_is_meant_to_be_written() {
        let output = CapturedOutput::default();
        let mut driver = Driver::of(Console::new(output.port(None), 80, 25));
        // A writable buffer in the queue for output, a readable one in that for input.
        driver.ask(OUTPUT, &[], &[16]);
        assert!(output.take().is_empty());
        let (mut keyboard, input) = pipe();
        let mut driver = Driver::of(Console::new(output.port(Some(input)), 80, 25));
        keyboard.write_all(b"secret").unwrap();
        assert_eq!(driver.ask(INPUT, &[b"......"], &[]), b"");
        assert_eq!(driver.ask(INPUT, &[], &[6]), b"secret");
    }
}
