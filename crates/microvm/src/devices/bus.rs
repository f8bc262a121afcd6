//! The buses of a machine: which device answers at which port or address.
//!
//! A guest's `out 0x3f8, al` makes `KVM_RUN` return with the port and the byte. The bus finds the
//! device that was put there and hands it the byte with its offset, as a chipset would. Ports and
//! memory addresses are two buses; a device sits on one of them.
//!
//! ```text
//!   KVM_EXIT_IO  port 0x3fd  -->  ports  -->  0x3f8 + 8: serial, offset 5
//!   KVM_EXIT_MMIO 0xd0000050 -->  memory -->  0xd0000000 + 0x1000: virtio, offset 0x50
//! ```

use std::{
    cell::RefCell,
    fmt,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::hex::Hex;

/// A device, as its driver in the guest sees it: registers from offset 0 on.
///
/// The guest is an adversary: it reads and writes at any offset, any length, at any time and in any
/// order. A device answers or ignores it; it never panics and never waits.
pub trait Device {
    /// The word for it in traces: `serial`.
    fn name(&self) -> &'static str;

    /// The guest reads: fills `data` from the registers at `offset`. Of a device that is only written
    /// to, it reads ones.
    fn read(&mut self, _offset: u64, data: &mut [u8]) {
        data.fill(0xff);
    }

    /// The guest writes `data` to the registers at `offset`.
    fn write(&mut self, offset: u64, data: &[u8]);

    /// All that it knows and will need when it goes on; nothing, if it knows nothing.
    fn save(&self) -> Value {
        Value::Null
    }

    /// Goes on from what [`Device::save`] gave, be it another's or a liar's. What had happened and
    /// was not told yet, it tells now.
    ///
    /// # Errors
    ///
    /// Why it cannot have been so.
    fn restore(&mut self, saved: &Value) -> Result<(), String> {
        match saved {
            Value::Null => Ok(()),
            _ => Err("it has no state".into()),
        }
    }
}

/// How a bus holds a device.
pub trait DeviceCell {
    /// Does `work` with the device, and lets nobody else reach it meanwhile.
    fn with<T>(&self, work: impl FnOnce(&mut dyn Device) -> T) -> T;
}

/// A device that several threads reach: the virtual CPUs, and whoever brings it input.
pub type Shared = Arc<Mutex<dyn Device + Send>>;

impl DeviceCell for Shared {
    fn with<T>(&self, work: impl FnOnce(&mut dyn Device) -> T) -> T {
        work(&mut *self.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A device that one thread alone reaches, that of the only virtual CPU: it needs no lock.
pub type Unshared = Rc<RefCell<dyn Device>>;

impl DeviceCell for Unshared {
    fn with<T>(&self, work: impl FnOnce(&mut dyn Device) -> T) -> T {
        work(&mut *self.borrow_mut())
    }
}

/// Devices by where they are. It is built before the guest runs, then only looked at, so that
/// virtual CPUs wait for each other only at the same device.
pub struct Bus<D = Shared> {
    /// Sorted by `start`, without overlaps.
    slots: Vec<Slot<D>>,
}

struct Slot<D> {
    start: u64,
    length: u64,
    name: &'static str,
    /// Whether it only takes bytes, as many at once as are written.
    is_sink: bool,
    device: D,
}

impl<D> Default for Bus<D> {
    fn default() -> Self {
        Self { slots: Vec::new() }
    }
}

impl<D: DeviceCell> Slot<D> {
    fn write(&self, offset: u64, data: &[u8]) -> Option<&'static str> {
        self.device.with(|device| device.write(offset, data));
        Some(self.name)
    }
}

/// Two devices were put at the same place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} at {start:#x}..{end:#x} overlaps {other}", end = start + length)]
pub struct Overlap {
    /// The device that came second.
    pub name: &'static str,
    /// Where it was to begin.
    pub start: u64,
    /// The length of its registers.
    pub length: u64,
    /// The device that is there already.
    pub other: &'static str,
}

/// Saved devices that cannot be those of this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// They are others, or others are missing.
    #[error("the snapshot's devices ({saved}) differ from this machine's ({built})")]
    OtherDevices {
        /// What was saved.
        saved: String,
        /// What was built.
        built: String,
    },
    /// A device cannot have been as it is said to be.
    #[error("the snapshot is damaged: invalid state of {device}: {why}")]
    InvalidState {
        /// The device.
        device: String,
        /// Why not.
        why: String,
    },
}

/// A device as it was when its machine was saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    device: String,
    at: Hex,
    state: Value,
}

impl fmt::Display for Saved {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at {}", self.device, self.at)
    }
}

impl<D: DeviceCell> Bus<D> {
    /// What its devices know, in the order of their places.
    pub fn save(&self) -> impl Iterator<Item = Saved> {
        self.slots.iter().map(|slot| Saved {
            device: slot.name.into(),
            at: Hex(slot.start),
            state: slot.device.with(|device| device.save()),
        })
    }

    /// Takes what its devices know from the first of `saved`, and gives the rest.
    ///
    /// # Errors
    ///
    /// When these are not its devices, or a device cannot have been so.
    pub fn restore<'s>(&self, mut saved: &'s [Saved]) -> Result<&'s [Saved], RestoreError> {
        for slot in &self.slots {
            let built = format!("{} at {}", slot.name, Hex(slot.start));
            let next = saved.split_off_first();
            let found = next.map_or("nothing".into(), Saved::to_string);
            let Some(next) = next.filter(|_| found == built) else {
                return Err(RestoreError::OtherDevices { saved: found, built });
            };
            let wrong = |why| RestoreError::InvalidState { device: built, why };
            slot.device.with(|device| device.restore(&next.state)).map_err(wrong)?;
        }
        Ok(saved)
    }

    /// Puts `device` at `length` ports or addresses from `start` on.
    ///
    /// # Errors
    ///
    /// When another device is there.
    pub fn put(&mut self, start: u64, length: u64, device: D) -> Result<(), Overlap> {
        let name = device.with(|device| device.name());
        self.insert(Slot { start, length, name, is_sink: false, device })
    }

    /// Puts `device` at a port that only takes bytes, and at once all that an instruction writes
    /// there: one of 32 bits, or `rep outsb`. What begins at another port does not reach it, and who
    /// reads there finds nothing.
    ///
    /// # Errors
    ///
    /// When another device is there.
    pub fn put_sink(&mut self, port: u16, device: D) -> Result<(), Overlap> {
        let name = device.with(|device| device.name());
        self.insert(Slot { start: port.into(), length: 1, name, is_sink: true, device })
    }

    fn insert(&mut self, new: Slot<D>) -> Result<(), Overlap> {
        let Slot { start, length, name, .. } = new;
        let after = self.slots.partition_point(|slot| slot.start < start);
        let before = after.checked_sub(1).and_then(|index| self.slots.get(index));
        let overlapped = before
            .filter(|slot| slot.start + slot.length > start)
            .or_else(|| self.slots.get(after).filter(|slot| start + length > slot.start));
        if let Some(slot) = overlapped {
            return Err(Overlap { name, start, length, other: slot.name });
        }
        self.slots.insert(after, new);
        Ok(())
    }

    /// The guest reads at `address`; gives the name of the device that answered. Where there is
    /// none, the wires float high: all ones.
    pub fn read(&self, address: u64, data: &mut [u8]) -> Option<&'static str> {
        let Some((slot, offset)) = self.find_registers(address, data.len()) else {
            data.fill(0xff);
            return None;
        };
        slot.device.with(|device| device.read(offset, data));
        Some(slot.name)
    }

    /// The guest writes at `address`; gives the name of the device that took it.
    pub fn write(&self, address: u64, data: &[u8]) -> Option<&'static str> {
        let (slot, offset) = self.find(address, data.len())?;
        slot.write(offset, data)
    }

    /// As [`Bus::read`], for ports: a word is read byte by byte where no device has all of it, as
    /// an ISA bus does for devices of 8 bits.
    pub fn read_port(&self, port: u16, data: &mut [u8]) -> Option<&'static str> {
        if !is_word(data) || self.find_registers(port.into(), data.len()).is_some() {
            return self.read(port.into(), data);
        }
        let bytes = data.chunks_mut(1).zip(u64::from(port)..);
        bytes.fold(None, |first, (byte, port)| {
            let name = self.read(port, byte);
            first.or(name)
        })
    }

    /// As [`Bus::write`], for ports: a word is written byte by byte where no device has all of it.
    pub fn write_port(&self, port: u16, data: &[u8]) -> Option<&'static str> {
        let whole = self.write(port.into(), data);
        if whole.is_some() || !is_word(data) {
            return whole;
        }
        let bytes = data.chunks(1).zip(u64::from(port)..);
        bytes.fold(None, |first, (byte, port)| {
            let found = self.find_registers(port, byte.len());
            let name = found.and_then(|(slot, offset)| slot.write(offset, byte));
            first.or(name)
        })
    }

    /// As [`Bus::find`], where there is more than a sink.
    fn find_registers(&self, address: u64, length: usize) -> Option<(&Slot<D>, u64)> {
        self.find(address, length).filter(|(slot, _)| !slot.is_sink)
    }

    /// The device in whose registers all of `address..address + length` lies, and the offset there.
    fn find(&self, address: u64, length: usize) -> Option<(&Slot<D>, u64)> {
        let after = self.slots.partition_point(|slot| slot.start <= address);
        let slot = self.slots.get(after.checked_sub(1)?)?;
        let offset = address - slot.start;
        let end = offset.checked_add(length as u64)?;
        let is_inside = end <= slot.length || slot.is_sink && offset == 0;
        is_inside.then_some((slot, offset))
    }
}

/// Whether an access is one of 16 or 32 bits, which an ISA bus can take apart.
fn is_word(data: &[u8]) -> bool {
    matches!(data.len(), 2 | 4)
}

/// The two ways to a device.
pub struct Buses<D = Shared> {
    /// `in` and `out`.
    pub ports: Bus<D>,
    /// Physical addresses that are no memory.
    pub memory: Bus<D>,
}

impl<D> Default for Buses<D> {
    fn default() -> Self {
        Self { ports: Bus::default(), memory: Bus::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers with its first byte and the offset.
    struct Echo(u8, Vec<u8>);

    impl Device for Echo {
        fn name(&self) -> &'static str {
            "echo"
        }

        fn read(&mut self, offset: u64, data: &mut [u8]) {
            data.fill(self.0 + offset as u8);
        }

        fn write(&mut self, _: u64, data: &[u8]) {
            self.1.extend_from_slice(data);
        }
    }

    fn echo(first: u8) -> Shared {
        Arc::new(Mutex::new(Echo(first, Vec::new())))
    }

    #[test]
    fn each_address_reaches_its_device_and_none_other() {
        let mut bus = Bus::default();
        bus.put(0x20, 8, echo(0x20)).unwrap();
        bus.put(0x10, 8, echo(0x10)).unwrap();
        for (address, answer) in [(0x10, 0x10), (0x17, 0x17), (0x20, 0x20), (0x27, 0x27)] {
            let mut data = [0];
            assert_eq!(bus.read(address, &mut data), Some("echo"));
            assert_eq!(data, [answer]);
        }
        for (address, length) in [(0, 1), (0xf, 1), (0x18, 1), (0x28, 1), (0x17, 2), (u64::MAX, 8)]
        {
            let mut data = vec![0; length];
            assert_eq!(bus.read(address, &mut data), None, "{address:#x}");
            assert_eq!(data, vec![0xff; length]);
            assert_eq!(bus.write(address, &data), None);
        }
    }

    #[test]
    fn a_word_at_narrow_ports_is_taken_byte_by_byte() {
        let mut bus = Bus::default();
        bus.put(0x10, 1, echo(0x10)).unwrap();
        bus.put(0x11, 2, echo(0x20)).unwrap();
        let device = Arc::new(Mutex::new(Echo(0, Vec::new())));
        bus.put(0xfffe, 2, device.clone()).unwrap();
        let mut data = [0; 4];
        assert_eq!(bus.read_port(0x10, &mut data), Some("echo"));
        assert_eq!(data, [0x10, 0x20, 0x21, 0xff]);
        // All of it is within one device, which has it whole.
        let mut data = [0; 2];
        bus.read_port(0x11, &mut data);
        assert_eq!(data, [0x20, 0x20]);
        assert_eq!(bus.write_port(0xffff, &[1, 2, 3, 4]), Some("echo"), "beyond the last port");
        assert_eq!(device.lock().unwrap().1, [1]);
        for length in [0, 1, 3, 8, 4096] {
            let mut data = vec![0; length];
            assert_eq!(bus.read_port(0x20, &mut data), None, "{length}");
            assert_eq!(bus.write_port(0x20, &data), None, "{length}");
        }
    }

    #[test]
    fn a_sink_takes_all_that_is_written_at_its_port_and_is_not_there_to_be_read() {
        let mut bus = Bus::<Unshared>::default();
        let device = Rc::new(RefCell::new(Echo(0, Vec::new())));
        bus.put_sink(0x10, device.clone()).unwrap();
        for length in [1, 2, 3, 4, 4096] {
            let mut data = vec![0; length];
            assert_eq!(bus.write_port(0x10, &data), Some("echo"), "{length}");
            assert_eq!(device.borrow_mut().1.drain(..).len(), length);
            assert_eq!(bus.read_port(0x10, &mut data), None, "{length}");
            assert_eq!(data, vec![0xff; length]);
            assert_eq!(bus.write_port(0x11, &data), None, "{length}");
        }
        assert_eq!(bus.write_port(0xf, &[1, 2]), None, "it begins at another port");
        assert!(device.borrow().1.is_empty());
        assert!(bus.put_sink(0x10, Rc::new(RefCell::new(Echo(0, Vec::new())))).is_err());
    }

    #[test]
    fn two_devices_cannot_be_at_one_place() {
        let mut bus = Bus::default();
        bus.put(0x10, 8, echo(0)).unwrap();
        for start in [0x9, 0x10, 0x17] {
            assert!(bus.put(start, 8, echo(0)).is_err(), "{start:#x}");
        }
        bus.put(0x8, 8, echo(0)).unwrap();
        bus.put(0x18, 8, echo(0)).unwrap();
    }
}
