//! The tables in which a machine describes itself to the operating system: ACPI.
//!
//! A PC's operating system finds most devices by asking a bus; what no bus tells, firmware writes
//! into tables. This machine has no firmware, so its monitor writes them. It says that it is
//! hardware-reduced, without the timers, buttons and interrupt controllers of old PCs, so that
//! Linux does not look for them: every look would be a trip to the host.
//!
//! ```text
//!   RSDP --> XSDT --> FADT: what there is not, how to turn off --> DSDT: the devices, in bytecode
//!                 --> MADT: processors and interrupt controllers
//! ```
//!
//! Advanced Configuration and Power Interface Specification 6.5, chapter 5.

use acpi_tables::{
    Aml,
    aml::{self, Device, Name, ResourceTemplate, Scope},
    fadt::{FADTBuilder, Flags},
    gas::{AccessSize, AddressSpace, GAS},
    madt::{EnabledStatus, IoApic, LocalInterruptController, MADT, ProcessorLocalApic},
    rsdp::Rsdp,
    sdt::Sdt,
    xsdt::XSDT,
};

use crate::{
    devices::{
        reset::{KeyboardController, PowerManagement},
        serial,
    },
    error::Result,
    linux::layout::ACPI_TABLES,
    memory::Memory,
};

const OEM: [u8; 6] = *b"ISOLAB";
const OEM_TABLE: [u8; 8] = *b"MICROVM ";
const REVISION: u32 = 1;
/// What every table begins with.
const HEADER_BYTES: u32 = 36;

/// The interrupt controllers' fixed places (SDM volume 3, section 11.4.1; 82093AA data sheet).
const LOCAL_APIC: u32 = 0xfee0_0000;
const IO_APIC: u32 = 0xfec0_0000;

/// No VGA to probe, no real-time clock at the ports of an AT (`IAPC_BOOT_ARCH`, table 5.11). That
/// the bit of the 8042 is clear says that there is no keyboard either.
const BOOT_ARCHITECTURE: u16 = 1 << 2 | 1 << 5;

/// A device in memory that only the tables tell of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MmioDevice {
    /// Where its registers begin.
    pub address: u32,
    /// How long they are.
    pub length: u32,
    /// The input of the interrupt controller that it raises.
    pub line: u32,
}

/// The serial port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SerialPort {
    /// The first of its eight ports.
    pub port: u16,
    /// The input of the interrupt controller that it raises.
    pub line: u32,
}

/// What the tables describe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hardware {
    /// Number of processors; their interrupt controllers are numbered from 0.
    pub processors: u8,
    /// The serial port, if there is one.
    pub serial: Option<SerialPort>,
    /// Virtio devices.
    pub virtio: Vec<MmioDevice>,
}

/// Writes the tables to `memory` and gives the address of the first.
///
/// # Errors
///
/// When the memory ends before them.
pub fn write(memory: &Memory, hardware: &Hardware) -> Result<u64> {
    let mut next = ACPI_TABLES + Rsdp::len().next_multiple_of(16) as u64;
    let mut place = |table: &dyn Aml| {
        let mut bytes = Vec::new();
        table.to_aml_bytes(&mut bytes);
        let address = next;
        next += bytes.len().next_multiple_of(16) as u64;
        memory.write("ACPI table", address, &bytes).map(|()| address)
    };
    let devices = place(&devices(hardware))?;
    let fixed = place(&fixed(devices))?;
    let processors = place(&processors(hardware.processors))?;
    let mut root = XSDT::new(OEM, OEM_TABLE, REVISION);
    root.add_entry(fixed);
    root.add_entry(processors);
    let root = place(&root)?;
    let mut pointer = Vec::new();
    Rsdp::new(OEM, root).to_aml_bytes(&mut pointer);
    memory.write("ACPI root pointer", ACPI_TABLES, &pointer)?;
    Ok(ACPI_TABLES)
}

/// FADT: what this machine has not, and the registers that turn it off and reset it.
fn fixed(devices: u64) -> impl Aml {
    let port = |port: u64| GAS::new(AddressSpace::SystemIo, 8, 0, AccessSize::ByteAccess, port);
    let mut table = FADTBuilder::new(OEM, OEM_TABLE, REVISION)
        .dsdt_64(devices)
        .flag(Flags::HwReducedAcpi)
        .flag(Flags::ResetRegSup)
        .flag(Flags::PwrButton)
        .flag(Flags::SlpButton);
    table.iapc_boot_arch = BOOT_ARCHITECTURE.into();
    table.reset_reg = port(KeyboardController::PORT);
    table.reset_value = KeyboardController::RESET;
    table.sleep_control_reg = port(PowerManagement::PORT);
    table.sleep_status_reg = port(PowerManagement::PORT + 1);
    table.finalize()
}

/// MADT: a local interrupt controller for each processor, and one for the devices.
fn processors(count: u8) -> impl Aml {
    let local = LocalInterruptController::Address(LOCAL_APIC);
    let mut table = MADT::new(OEM, OEM_TABLE, REVISION, local);
    for id in 0..count {
        table.add_structure(ProcessorLocalApic::new(id, id, EnabledStatus::Enabled));
    }
    table.add_structure(IoApic::new(0, IO_APIC, 0));
    table
}

/// DSDT: the devices, and the number of the sleep state that means off.
fn devices(hardware: &Hardware) -> impl Aml {
    let mut devices = Vec::new();
    if let Some(serial) = hardware.serial {
        let ports = aml::IO::new(serial.port, serial.port, 1, serial::PORTS as u8);
        let name = aml::EISAName::new("PNP0501");
        describe("COM1", &name, 0, [&ports, &edge(serial.line)], &mut devices);
    }
    for (number, virtio) in hardware.virtio.iter().enumerate() {
        let registers = aml::Memory32Fixed::new(true, virtio.address, virtio.length);
        let path = format!("VM{number:02X}");
        describe(&path, &"LNRO0005", number, [&registers, &edge(virtio.line)], &mut devices);
    }
    let mut table = Sdt::new(*b"DSDT", HEADER_BYTES, 6, OEM, OEM_TABLE, REVISION);
    table.append_slice(&Scope::raw("_SB_".into(), devices));
    let mut off = Vec::new();
    let package = aml::Package::new(vec![&PowerManagement::OFF]);
    Name::new("_S5_".into(), &package).to_aml_bytes(&mut off);
    table.append_slice(&off);
    table
}

fn edge(line: u32) -> aml::Interrupt {
    let (consumer, edge, active_low, shared) = (true, true, false, false);
    aml::Interrupt::new(consumer, edge, active_low, shared, line)
}

/// A device with the name by which its driver knows it, and where to find it.
fn describe(path: &str, name: &dyn Aml, number: usize, resources: [&dyn Aml; 2], to: &mut Vec<u8>) {
    let name = Name::new("_HID".into(), name);
    let number = Name::new("_UID".into(), &number);
    let resources = Name::new("_CRS".into(), &ResourceTemplate::new(resources.to_vec()));
    Device::new(path.into(), vec![&name, &number, &resources]).to_aml_bytes(to);
}

#[cfg(test)]
mod tests {
    use sandbox::Trace;

    use super::*;

    /// The table at `address`, whose length is in its second word.
    fn table(memory: &Memory, address: u64) -> Vec<u8> {
        let mut header = [0; 8];
        memory.read("table", address, &mut header).unwrap();
        let length = u32::from_le_bytes(header[4..].try_into().unwrap());
        let mut bytes = vec![0; length as usize];
        memory.read("table", address, &mut bytes).unwrap();
        bytes
    }

    fn address(bytes: &[u8], at: usize) -> u64 {
        u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
    }

    #[test]
    fn every_table_is_found_from_the_root_and_adds_up_to_zero() {
        let memory = Memory::of_a_pc(4 << 20, &mut Trace::default()).unwrap();
        let virtio = MmioDevice { address: 0xd000_0000, length: 0x1000, line: 5 };
        let serial = Some(SerialPort { port: 0x3f8, line: 4 });
        let hardware = Hardware { processors: 2, serial, virtio: vec![virtio; 20] };
        let root = write(&memory, &hardware).unwrap();
        let mut pointer = [0; 36];
        memory.read("root", root, &mut pointer).unwrap();
        let xsdt = table(&memory, address(&pointer, 24));
        let [fadt, madt] = [36, 44].map(|at| table(&memory, address(&xsdt, at)));
        let dsdt = table(&memory, address(&fadt, 140));
        let tables = [(&b"XSDT"[..], &xsdt), (b"FACP", &fadt), (b"APIC", &madt), (b"DSDT", &dsdt)];
        for (signature, table) in tables {
            assert!(table.starts_with(signature));
            let sum = table.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
            assert_eq!(sum, 0, "{signature:?}");
        }
        let count = |word: &[u8]| dsdt.windows(word.len()).filter(|it| *it == word).count();
        assert_eq!((count(b"LNRO0005"), count(b"COM1"), count(b"_S5_")), (20, 1, 1));
    }
}
