//! Question 3: what does a Linux guest find inside? Its kernel, and what a boot loader leaves it.
//!
//! On a real machine the firmware finds the memory and the devices, the boot loader reads the
//! kernel, and the kernel's own first part, in 16 bits, switches to 64 and unpacks the rest. A
//! virtual machine monitor has made the machine itself: it writes down what it knows in a page
//! that Linux calls the zero page, and begins at the kernel's 64-bit entry.
//! [`layout`](super::layout) draws where it all lies.

use std::io;

use sandbox::{Event, Question, Trace};

use crate::{
    error::{Error, Result},
    kernel::KernelImage,
    layout::{DEVICE_GAP, PAGE},
    linux::{
        acpi,
        boot_params::{self, BootParams},
        layout::{COMMAND_LINE, HIGH_MEMORY, START_INFO, ZERO_PAGE},
        source::Source,
    },
    machine::Machine,
    memory::Memory,
    tables,
};

/// Linux wants this much beside itself and its initramfs, or it panics before it can say why.
const LEAST_ROOM: u64 = 16 << 20;

/// How many times an initramfs needs its own size: the archive is kept until it is unpacked, and it
/// is unpacked into a tmpfs, which takes no more than half of what memory is left beside it.
const UNPACKED: u64 = 3;

/// So much is mapped at the 64-bit entry; all that Linux needs before it has tables of its own.
const MAPPED: u64 = 1 << 30;

/// The kernel's own limit (`COMMAND_LINE_SIZE` less the terminating zero).
pub const MAX_COMMAND_LINE: usize = 2047;

/// Which of the kernel's entries to begin at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EntryPoint {
    /// In 64 bits, with page tables: Linux's own boot protocol.
    #[default]
    Long64,
    /// In 32 bits without paging: PVH, the protocol of Xen that others have taken over.
    Pvh,
}

/// How the first processor begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// In which mode.
    pub entry_point: EntryPoint,
    /// The first instruction.
    pub instruction: u64,
    /// The address of what the boot loader has written down.
    pub information: u64,
}

/// What is to be booted, read and checked before any machine is made for it.
#[derive(Debug)]
pub struct BootConfig {
    /// The kernel.
    pub kernel: KernelImage,
    /// Where to begin.
    pub entry_point: EntryPoint,
    /// The first file system, in pieces that the kernel unpacks one over the other.
    pub initramfs: Vec<Source>,
    /// The kernel's command line.
    pub command_line: String,
    /// The size of the machine's memory.
    pub memory_bytes: u64,
}

impl BootConfig {
    /// Checks what can be checked without a machine.
    ///
    /// # Errors
    ///
    /// When the kernel lacks the entry, or when kernel, initramfs or command line do not fit.
    pub fn check(&self) -> Result<()> {
        let unsupported = |what, fix| Err(Error::Unsupported { what, fix });
        if self.entry_point == EntryPoint::Pvh && self.kernel.pvh_entry().is_none() {
            let what = "begin at the PVH entry of a kernel that was built without CONFIG_PVH";
            return unsupported(what.into(), "use its 64-bit entry".into());
        }
        if self.command_line.len() > MAX_COMMAND_LINE {
            let what = format!("boot with a command line of {} bytes", self.command_line.len());
            let fix = format!("shorten --append: the kernel takes {MAX_COMMAND_LINE} bytes");
            return unsupported(what, fix);
        }
        if let Some(low) = self.kernel.segments().iter().find(|it| it.address < HIGH_MEMORY) {
            let address = low.address;
            let what = format!("load a kernel to {address:#x}, below the first megabyte's end");
            return unsupported(
                what,
                "use a kernel for PCs, which lies at 0x100000 or above".into(),
            );
        }
        let (kernel, initramfs) = (self.kernel.end(), self.initramfs_bytes());
        let loaded = kernel.saturating_add(initramfs).saturating_add(LEAST_ROOM);
        if loaded > DEVICE_GAP.start {
            let (initramfs, most) = (initramfs >> 20, DEVICE_GAP.start >> 20);
            let what = format!(
                "boot with an initramfs of {initramfs} MiB: what is loaded has to end below {most} MiB"
            );
            return unsupported(what, "put the files on a disk: `--disk`".into());
        }
        let needed = memory_needed(kernel, initramfs);
        if needed > self.memory_bytes {
            let (given, needed) = (self.memory_bytes >> 20, needed >> 20);
            let what =
                format!("boot in {given} MiB of memory: kernel and initramfs need {needed} MiB");
            return unsupported(what, format!("use --memory {needed}M or more"));
        }
        Ok(())
    }

    fn initramfs_bytes(&self) -> u64 {
        let padded = |piece: &Source| piece.length().next_multiple_of(4);
        self.initramfs.iter().map(padded).fold(0, u64::saturating_add)
    }

    /// The end of the memory below the devices.
    fn low_end(&self) -> u64 {
        self.memory_bytes.min(DEVICE_GAP.start)
    }
}

/// The least memory in which a kernel boots that ends at this address, with an initramfs that has so
/// many bytes and is not compressed: a size that a guest can have.
pub fn memory_needed(kernel_end: u64, initramfs: u64) -> u64 {
    let unpacked = initramfs.saturating_mul(UNPACKED);
    let needed = kernel_end.saturating_add(unpacked).saturating_add(LEAST_ROOM);
    needed.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX)
}

/// How large an initramfs may be at most beside such a kernel, in so much memory.
pub fn initramfs_room(kernel_end: u64, memory_bytes: u64) -> u64 {
    let beside = |bytes: u64| bytes.saturating_sub(kernel_end).saturating_sub(LEAST_ROOM);
    (beside(memory_bytes) / UNPACKED).min(beside(DEVICE_GAP.start))
}

/// Fills the memory of `machine` with all that the guest finds inside, the description of its
/// `hardware` first.
///
/// # Errors
///
/// When the machine has no memory or too little of it, when a file can no longer be read, or has
/// changed so that it does not fit.
pub fn load(machine: &Machine, config: &BootConfig, hardware: &acpi::Hardware) -> Result<Start> {
    let memory = machine.attached_memory()?;
    let work = Event::note("write ACPI tables: what hardware there is, and what there is not");
    let trace = &mut *machine.trace();
    let tables = trace.record(Question::Inside, work, || acpi::write(memory, hardware))?;
    load_into(memory, config, tables, trace)
}

/// The rest of it; `rsdp` is where the ACPI tables begin.
fn load_into(memory: &Memory, config: &BootConfig, rsdp: u64, trace: &mut Trace) -> Result<Start> {
    let call = format!("load the kernel: {} segments", config.kernel.segments().len());
    trace.record(Question::Inside, Event::note(call), || {
        config
            .kernel
            .load(|at, bytes| memory.write("kernel", at, bytes).map_err(io::Error::other))
            .map_err(Error::system::<io::Error>("read the kernel into the guest's memory"))
    })?;
    let initramfs = load_initramfs(memory, config, trace)?;
    let call = format!("write the command line: {}", config.command_line);
    let mut text = config.command_line.clone().into_bytes();
    text.push(0);
    trace.record(Question::Inside, Event::note(call), || {
        memory.write("command line", COMMAND_LINE, &text)
    })?;
    let command_line = text.len() as u64 - 1;
    let params = BootParams { rsdp, initramfs, command_line, map: boot_params::map(memory) };
    match config.entry_point {
        EntryPoint::Long64 => {
            trace.record(
                Question::Inside,
                Event::note("write page tables and descriptors"),
                || {
                    tables::write_pages(memory, MAPPED)?;
                    tables::write_descriptors(memory)
                },
            )?;
            trace.record(
                Question::Inside,
                Event::note("write the zero page: what a boot loader tells"),
                || memory.write("zero page", ZERO_PAGE, &params.zero_page()),
            )?;
            let (instruction, information) = (config.kernel.entry(), ZERO_PAGE);
            Ok(Start { entry_point: EntryPoint::Long64, instruction, information })
        }
        EntryPoint::Pvh => {
            trace.record(Question::Inside, Event::note("write PVH's start information"), || {
                params.write_start_info(memory)
            })?;
            let instruction = config.kernel.pvh_entry().map_or(config.kernel.entry(), u64::from);
            Ok(Start { entry_point: EntryPoint::Pvh, instruction, information: START_INFO })
        }
    }
}

/// Loads the pieces of the initramfs behind each other; gives where they begin and their length.
fn load_initramfs(memory: &Memory, config: &BootConfig, trace: &mut Trace) -> Result<(u64, u64)> {
    let bytes = config.initramfs_bytes();
    let start = (config.low_end() - bytes) & !0xfff;
    let mut address = start;
    for piece in &config.initramfs {
        let length = piece.length();
        let call = format!("load the initramfs to {address:#x}..{:#x}", address + length);
        trace.record(Question::Inside, Event::note(call), || piece.copy_to(memory, address))?;
        address += length.next_multiple_of(4);
    }
    Ok((start, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kernel of one halting instruction at 16 MiB.
    fn kernel() -> KernelImage {
        let mut file = vec![0; 121];
        let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"\x7fELF\x02\x01\x01");
        put(16, &[2, 0, 62, 0]);
        put(24, &0x100_0000u64.to_le_bytes()); // entry
        put(32, &64u64.to_le_bytes()); // program headers
        put(54, &[56, 0, 1, 0]);
        put(64, &[1]);
        let fields = [120, 0xffff_ffff_8100_0000u64, 0x100_0000, 1, 1];
        fields.iter().enumerate().for_each(|(index, it)| put(72 + index * 8, &it.to_le_bytes()));
        put(120, &[0xf4]);
        KernelImage::from_bytes(file, u64::MAX).unwrap()
    }

    fn config(memory_bytes: u64, initramfs: usize) -> BootConfig {
        let initramfs = vec![Source::Bytes(vec![7; initramfs])];
        let (command_line, entry_point) = ("quiet".into(), EntryPoint::Long64);
        BootConfig { kernel: kernel(), entry_point, initramfs, command_line, memory_bytes }
    }

    #[test]
    fn the_zero_page_tells_where_everything_is() {
        let memory = Memory::of_a_pc(64 << 20, &mut Trace::default()).unwrap();
        let start =
            load_into(&memory, &config(64 << 20, 5), 0xe_0000, &mut Trace::default()).unwrap();
        let mut page = [0; 4096];
        memory.read("zero page", start.information, &mut page).unwrap();
        let word = |at: usize| u32::from_le_bytes(page[at..at + 4].try_into().unwrap());
        assert_eq!((word(0x218), word(0x21c)), ((64 << 20) - 4096, 8));
        assert_eq!(u64::from(word(0x228)), COMMAND_LINE);
        assert_eq!(page[0x1e8], 3);
        let mut line = [0; 6];
        memory.read("command line", COMMAND_LINE, &mut line).unwrap();
        assert_eq!(&line, b"quiet\0");
    }

    #[test]
    fn the_size_that_is_named_is_enough() {
        for initramfs in [0, 5, 1 << 20, (7 << 20) + 1, 24 << 20] {
            let mut small = config(2 << 20, initramfs);
            let Error::Unsupported { fix, .. } = small.check().unwrap_err() else {
                panic!("another error")
            };
            let named = fix.strip_prefix("use --memory ").unwrap();
            let named: u64 = named.strip_suffix("M or more").unwrap().parse().unwrap();
            // As a machine gets it: in whole pages, downwards.
            small.memory_bytes = (named << 20) / PAGE * PAGE;
            assert!(small.check().is_ok(), "{named} MiB for {initramfs} bytes");
            let room = initramfs_room(small.kernel.end(), small.memory_bytes);
            assert!(room >= initramfs as u64, "{room} bytes of room for {initramfs}");
            small.memory_bytes -= PAGE;
            assert!(small.check().is_err(), "less than {named} MiB for {initramfs} bytes");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_size_that_would() {
        assert!(config(64 << 20, 5).check().is_ok());
        let refused = config(32 << 20, 20 << 20).check().unwrap_err();
        assert!(refused.to_string().contains("need 94 MiB"), "{refused}");
        let refused = config(4 << 30, 0).check();
        assert!(refused.is_ok(), "{refused:?}");
        let mut long = config(64 << 20, 0);
        long.command_line = "x".repeat(MAX_COMMAND_LINE + 1);
        assert!(matches!(long.check(), Err(Error::Unsupported { .. })));
        // No memory would do: it would have to end above the devices.
        let sparse = tempfile::NamedTempFile::new().unwrap();
        sparse.as_file().set_len(3 << 30).unwrap();
        let mut high = config(16 << 30, 0);
        high.initramfs = vec![Source::open(sparse.path()).unwrap()];
        let refused = high.check().unwrap_err();
        assert!(refused.to_string().contains("has to end below 3072 MiB"), "{refused}");
        let mut pvh = config(64 << 20, 0);
        pvh.entry_point = EntryPoint::Pvh;
        assert!(pvh.check().unwrap_err().to_string().contains("CONFIG_PVH"));
    }
}
