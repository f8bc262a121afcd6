//! The ways in which a guest ends its machine: three ports, each with a switch behind it.
//!
//! A real PC is reset by its keyboard controller, because in 1984 that chip had a pin left, and
//! turned off by its power management. Test machines have a third switch that ends them with a
//! code, as QEMU's `isa-debug-exit`.

use std::sync::Arc;

use super::bus::Device;
use crate::{control::Handle, guest_exit::GuestExit};

/// The keyboard controller, without a keyboard.
pub struct KeyboardController(pub Arc<Handle>);

impl KeyboardController {
    /// Its command and status port. Its data port, 0x60, has nothing to say.
    pub const PORT: u64 = 0x64;
    /// Pulses the pin that resets the processor.
    pub const RESET: u8 = 0xfe;
}

impl Device for KeyboardController {
    fn name(&self) -> &'static str {
        "i8042"
    }

    fn read(&mut self, _: u64, data: &mut [u8]) {
        // Nothing typed, and ready for a command.
        data.fill(0);
    }

    fn write(&mut self, _: u64, data: &[u8]) {
        if data == [Self::RESET] {
            self.0.give(GuestExit::Reset);
        }
    }
}

/// Power management, as much of it as turns the machine off: the sleep control and status
/// registers of a machine without legacy hardware (ACPI 6.5, section 4.8.3.7).
pub struct PowerManagement(pub Arc<Handle>);

impl PowerManagement {
    /// The sleep control register; the status register follows it.
    pub const PORT: u64 = 0x600;
    /// Both together.
    pub const PORTS: u64 = 2;
    /// The sleep type that means off; `_S5` in the tables says so.
    pub const OFF: u8 = 5;
    /// Enter the sleep type of bits 2 to 4.
    const ENABLE: u8 = 1 << 5;
}

impl Device for PowerManagement {
    fn name(&self) -> &'static str {
        "power"
    }

    fn read(&mut self, _: u64, data: &mut [u8]) {
        data.fill(0);
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        if offset == 0 && data.first() == Some(&(Self::OFF << 2 | Self::ENABLE)) {
            self.0.give(GuestExit::PowerOff);
        }
    }
}

/// A switch that ends the machine with a code: the lowest byte of what is written, as exit(2) takes
/// it of a number.
pub struct ExitPort(pub Arc<Handle>);

impl ExitPort {
    /// Where it is, as QEMU has it by default.
    pub const PORT: u64 = 0xf4;
}

impl Device for ExitPort {
    fn name(&self) -> &'static str {
        "exit"
    }

    fn read(&mut self, _: u64, data: &mut [u8]) {
        data.fill(0);
    }

    fn write(&mut self, _: u64, data: &[u8]) {
        if let &[code, ..] = data {
            self.0.give(GuestExit::Exited(code));
        }
    }
}

#[cfg(test)]
mod tests {
    use sandbox::Timeline;

    use super::*;

    /// How the machine of `device` ends when the guest writes `data`.
    fn ending<D: Device>(
        device: fn(Arc<Handle>) -> D,
        offset: u64,
        data: &[u8],
    ) -> Option<GuestExit> {
        let handle = Arc::new(Handle::new(Timeline::start(), None));
        device(handle.clone()).write(offset, data);
        handle.take_end().map(Result::unwrap)
    }

    #[test]
    fn each_switch_ends_the_machine_in_its_own_way() {
        assert!(matches!(ending(KeyboardController, 0, &[0xfe]), Some(GuestExit::Reset)));
        assert!(matches!(ending(PowerManagement, 0, &[0x34]), Some(GuestExit::PowerOff)));
        assert!(matches!(ending(ExitPort, 0, &[42]), Some(GuestExit::Exited(42))));
        // In 16 and in 32 bits.
        assert!(matches!(ending(ExitPort, 0, &[42, 1]), Some(GuestExit::Exited(42))));
        assert!(matches!(ending(ExitPort, 0, &[42, 0, 0, 0]), Some(GuestExit::Exited(42))));
        assert!(matches!(ending(PowerManagement, 0, &[0x34, 0]), Some(GuestExit::PowerOff)));
    }

    #[test]
    fn anything_else_ends_nothing() {
        for byte in 0..=0xfd {
            assert!(ending(KeyboardController, 0, &[byte]).is_none());
        }
        for byte in (0..=0xff).filter(|byte| *byte != 0x34) {
            assert!(ending(PowerManagement, 0, &[byte]).is_none());
        }
        assert!(ending(PowerManagement, 1, &[0x34]).is_none());
        assert!(ending(KeyboardController, 0, &[]).is_none());
        assert!(ending(ExitPort, 0, &[]).is_none());
        assert!(ending(PowerManagement, 0, &[]).is_none());
    }

    #[test]
    fn the_first_switch_decides() {
        let handle = Arc::new(Handle::new(Timeline::start(), None));
        ExitPort(handle.clone()).write(0, &[7]);
        KeyboardController(handle.clone()).write(0, &[0xfe]);
        assert!(matches!(handle.take_end(), Some(Ok(GuestExit::Exited(7)))));
    }
}
