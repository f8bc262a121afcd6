//! Question 3: what does it find inside? The microVM's answer; see `container::rootfs` for the
//! other.
//!
//! A container finds a file system and a kernel. A bare microVM finds memory: its program, and the
//! tables without which the processor would not run it. There is nobody to call but the host.

use std::{fs, io, path::Path};

use guest::{Builtin, abi, abi::map};
use sandbox::{Event, Limits, Mailbox, Question, Trace};

use crate::{
    Mode,
    elf::{self, Elf, ElfError, Segment},
    error::{Error, Result},
    layout::{MAX_BYTES, PAGE},
    memory::{Memory, Pages},
    tables,
};

/// Memory of a program that brings its own file, unless it is limited otherwise.
const FILE_MEMORY: u64 = 16 << 20;
/// A file that is longer cannot be a program for this machine; it is not even read.
const MAX_FILE_BYTES: u64 = 256 << 20;
/// Where firmware has loaded boot sectors since 1981.
const BOOT_SECTOR: u64 = 0x7c00;
/// The end of the memory that a real-mode program may use.
const REAL_MODE_END: u64 = 0xa_0000;

/// With what power a program starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// 16 bits, no protection: as a boot sector.
    Real,
    /// 64 bits, ring 0: as a kernel.
    Kernel,
    /// 64 bits, ring 3: as a process.
    User,
}

/// Where and how a program begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryState {
    /// With what power.
    pub power: Power,
    /// The first instruction.
    pub instruction: u64,
    /// The top of its stack.
    pub stack: u64,
    /// The first byte after its memory, which it finds in `rdi`.
    pub memory_end: u64,
}

/// A program that is to run, read and checked before any machine is made for it.
pub struct Program {
    file: Vec<u8>,
    builtin: Option<Builtin>,
    arguments: Vec<u64>,
    /// With what power it starts.
    pub power: Power,
    /// How much memory its machine has.
    pub memory_bytes: u64,
}

impl Program {
    /// `program`, in a machine with these limits.
    ///
    /// # Errors
    ///
    /// When there is no such program, when it is none, or when its memory is too small for it.
    pub fn of(program: &sandbox::Program, mode: Mode, limits: &Limits) -> Result<Self> {
        match program {
            sandbox::Program::Builtin(builtin, arguments) => {
                let needed = map::HEAP.saturating_add(builtin.heap_bytes(arguments));
                Ok(Self {
                    file: Vec::new(),
                    builtin: Some(*builtin),
                    arguments: builtin.with_defaults(arguments),
                    power: Power::User,
                    memory_bytes: memory_bytes(limits, needed, needed, builtin.name())?,
                })
            }
            sandbox::Program::Command(words) => {
                let (file, arguments) = match words.split_first() {
                    Some((file, arguments)) => (Path::new(file), arguments),
                    None => return Err(Error::NotFound { program: "".into() }),
                };
                if !arguments.is_empty() {
                    return Err(Error::Unsupported {
                        what: "pass arguments to a program that has no operating system".into(),
                        fix: "build them into the file, or run a command in --in container".into(),
                    });
                }
                let memory_bytes =
                    memory_bytes(limits, FILE_MEMORY, PAGE, &file.display().to_string())?;
                let bytes = read(file)?;
                let power = power(&bytes, mode);
                let loaded =
                    Self { file: bytes, builtin: None, arguments: Vec::new(), power, memory_bytes };
                match loaded.elf() {
                    Ok(_) => Ok(loaded),
                    Err(source) => Err(Error::Load { program: file.to_owned(), source }),
                }
            }
        }
    }

    /// A flat binary that is known to fit, in the smallest memory.
    pub(crate) fn flat(code: &[u8], power: Power) -> Self {
        let (file, arguments) = (code.to_vec(), Vec::new());
        Self { file, builtin: None, arguments, power, memory_bytes: PAGE }
    }

    /// In which pages the host should find its memory: all the largest, but for `touch`, which is
    /// to be seen touching small ones on every sandbox.
    pub fn pages(&self) -> Pages {
        match self.builtin {
            Some(Builtin::Touch) => Pages::Small,
            _ => Pages::Large,
        }
    }

    /// Whether the host shares a mailbox with it.
    pub fn has_mailbox(&self) -> bool {
        self.builtin.is_some()
    }

    /// Writes the arguments to where a bare program looks for them.
    ///
    /// # Errors
    ///
    /// When the mailbox cannot be written.
    pub fn address(&self, mailbox: &Mailbox) -> Result<()> {
        for (index, argument) in self.arguments.iter().enumerate().take(abi::MAX_ARGUMENTS) {
            mailbox.set_word(abi::ARGUMENTS + index, *argument).map_err(Error::system::<
                io::Error,
            >(
                "write the arguments to the mailbox",
            ))?;
        }
        Ok(())
    }

    /// What is to be loaded, and that it fits.
    fn elf(&self) -> std::result::Result<Elf<'_>, ElfError> {
        let memory_end = tables::memory_end(self.memory_bytes);
        let file = match self.builtin {
            Some(builtin) => builtin.bare_elf(),
            None => &self.file,
        };
        if elf::is_elf(file) {
            if self.power == Power::Real {
                return Err(ElfError::NotFlat);
            }
            let elf = elf::parse(file)?;
            elf.check_room(tables::END, map::STACK_BOTTOM..map::STACK_TOP, memory_end)?;
            return Ok(elf);
        }
        let (address, end) = match self.power {
            Power::Real => (BOOT_SECTOR, REAL_MODE_END),
            Power::Kernel | Power::User => (map::PROGRAM, memory_end),
        };
        let room = end.saturating_sub(address);
        match file.len() as u64 {
            0 => Err(ElfError::Empty),
            size if size > room => Err(ElfError::TooLarge { bytes: file.len(), room, address }),
            size => {
                Ok(Elf { entry: address, segments: vec![Segment { address, bytes: file, size }] })
            }
        }
    }
}

/// Fills `memory`: first the tables, then the program.
///
/// # Errors
///
/// When `memory` is not as large as the program needs.
pub fn load(memory: &Memory, program: &Program, trace: &mut Trace) -> Result<EntryState> {
    let memory_end = tables::memory_end(memory.bytes());
    // The built-in programs see their own memory and nothing else. A file may be a driver that
    // wants to reach devices, which lie below 4 GiB: whatever is no memory there is an exit.
    let mapped = match program.builtin {
        Some(_) => memory.bytes(),
        None => memory.bytes().max(4 << 30),
    };
    match program.power {
        Power::Real => {
            trace.record(
                Question::Inside,
                Event::note("write the vectors of real mode"),
                || tables::write_vectors(memory),
            )?;
        }
        Power::Kernel | Power::User => {
            let call = format!("write page tables: 0x0..{mapped:#x} in pages of 2 MiB");
            trace.record(Question::Inside, Event::note(call), || {
                tables::write_pages(memory, mapped)
            })?;
            trace.record(
                Question::Inside,
                Event::note("write segment descriptors, interrupt gates, task state"),
                || tables::write_descriptors(memory),
            )?;
        }
    }
    // It was checked when the program was read; the memory of a machine is never smaller.
    let elf = program.elf().map_err(|source| Error::Load { program: "".into(), source })?;
    for segment in &elf.segments {
        let end = segment.address + segment.size;
        let call = format!("load the program to {:#x}..{end:#x}", segment.address);
        trace.record(Question::Inside, Event::note(call), || {
            memory.write("segment", segment.address, segment.bytes)
        })?;
    }
    let stack = match program.power {
        Power::Real => BOOT_SECTOR,
        // As after a call: compiled code expects 8 bytes of return address below a multiple of 16.
        Power::Kernel | Power::User => map::STACK_TOP - 8,
    };
    Ok(EntryState { power: program.power, instruction: elf.entry, stack, memory_end })
}

/// The memory of a machine: as limited, or as is usual, in whole pages of 2 MiB.
fn memory_bytes(limits: &Limits, usual: u64, needed: u64, program: &str) -> Result<u64> {
    let unsupported = |what: String, fix: String| Err(Error::Unsupported { what, fix });
    let wanted = match limits.memory_bytes {
        Some(limit) => limit / PAGE * PAGE,
        None => usual.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX),
    };
    if wanted < needed {
        let limit = limits.memory_bytes.unwrap_or(0);
        let mebibytes = needed.div_ceil(PAGE) * (PAGE >> 20);
        return unsupported(
            format!("run {program} in {limit} bytes of memory: it needs {mebibytes} MiB"),
            format!("use --memory {mebibytes}M or more"),
        );
    }
    if wanted > MAX_BYTES {
        return unsupported(
            format!("have {} GiB of memory", wanted >> 30),
            format!("use at most --memory {}G, or smaller arguments", MAX_BYTES >> 30),
        );
    }
    Ok(wanted)
}

fn power(file: &[u8], mode: Mode) -> Power {
    match mode {
        Mode::Auto if elf::is_elf(file) => Power::Kernel,
        Mode::Auto | Mode::Real16 => Power::Real,
        Mode::Long64 => Power::Kernel,
        Mode::User64 => Power::User,
    }
}

fn read(program: &Path) -> Result<Vec<u8>> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            Error::NotFound { program: program.to_owned() }
        }
        _ => Error::Read { program: program.to_owned(), source },
    };
    let about = fs::metadata(program).map_err(failed)?;
    if !about.is_file() {
        return Err(failed(io::Error::other("it is not a regular file")));
    }
    if about.len() > MAX_FILE_BYTES {
        return Err(failed(io::ErrorKind::FileTooLarge.into()));
    }
    fs::read(program).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(bytes: u64) -> Limits {
        Limits { memory_bytes: Some(bytes), ..Limits::default() }
    }

    #[test]
    fn too_little_memory_says_how_much_it_takes() {
        let program = sandbox::Program::Builtin(Builtin::Chase, vec![64]);
        let refused = Program::of(&program, Mode::Auto, &with(8 << 20)).err().unwrap();
        assert!(refused.to_string().contains("it needs 70 MiB"), "{refused}");
        assert!(Program::of(&program, Mode::Auto, &with(70 << 20)).is_ok());
    }

    #[test]
    fn a_limit_is_never_passed() {
        let program = sandbox::Program::Builtin(Builtin::Hello, vec![]);
        let program = Program::of(&program, Mode::Auto, &with((5 << 20) + 1)).unwrap();
        assert_eq!(program.memory_bytes, 4 << 20);
    }

    #[test]
    fn absurd_arguments_are_refused_without_overflow() {
        let program = sandbox::Program::Builtin(Builtin::Touch, vec![u64::MAX]);
        let refused = Program::of(&program, Mode::Auto, &Limits::default());
        assert!(matches!(refused, Err(Error::Unsupported { .. })));
        let refused = Program::of(&program, Mode::Auto, &with(1 << 30));
        assert!(matches!(refused, Err(Error::Unsupported { .. })));
    }
}
