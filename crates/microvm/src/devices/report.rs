//! A port at which the guest's first process tells how far it is, a line at a time.
//!
//! It works from the first instruction of user space on, before any driver is loaded; what it says
//! is documented in `guest::plan`. As everything of the guest's it is hearsay: a line that is none
//! of a report, or has no end, is thrown away.

use super::bus::Device;

/// No report is longer.
const LINE_BYTES: usize = 64;

/// The port, and who hears the lines.
pub struct ReportPort<H> {
    line: Vec<u8>,
    hear: H,
}

impl<H: FnMut(&str) + Send> ReportPort<H> {
    /// A port whose lines are told to `hear`.
    pub fn new(hear: H) -> Self {
        Self { line: Vec::new(), hear }
    }
}

/// Where it is.
pub const PORT: u16 = 0xf5;

impl<H: FnMut(&str) + Send> Device for ReportPort<H> {
    fn name(&self) -> &'static str {
        "report"
    }

    fn read(&mut self, _: u64, data: &mut [u8]) {
        data.fill(0);
    }

    fn write(&mut self, _: u64, data: &[u8]) {
        for byte in data {
            match byte {
                b'\n' => {
                    let line = std::mem::take(&mut self.line);
                    if let Ok(line) = std::str::from_utf8(&line) {
                        (self.hear)(line);
                    }
                }
                _ if self.line.len() < LINE_BYTES => self.line.push(*byte),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_heard_whole_and_none_grows_without_end() {
        let mut heard = Vec::new();
        let mut port = ReportPort::new(|line: &str| heard.push(line.to_owned()));
        for byte in b"ready\nex" {
            port.write(0, &[*byte]);
        }
        port.write(0, b"it 0\n\xff\n");
        port.write(0, &[b'x'; 1000]);
        port.write(0, b"\n");
        assert_eq!(heard[..2], ["ready", "exit 0"]);
        assert_eq!((heard.len(), heard[2].len()), (3, LINE_BYTES));
    }
}
