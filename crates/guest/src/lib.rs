//! The built-in programs: small workloads whose behaviour is known down to the last instruction.
//!
//! Each is written once, in `programs/`, and compiled twice by `build.rs`: bare, for 64-bit ring 3
//! of a virtual machine without a kernel, and as a static Linux program for a plain process or a
//! container. So the machine code of the measured part is the same on both sides.
#![forbid(unsafe_code)]

pub mod abi;
pub mod frames;
pub mod plan;
pub mod ring;
#[cfg(test)]
mod words;

use std::{fmt, str::FromStr};

/// A built-in program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Builtin {
    /// Says hello.
    Hello,
    /// Integer work of a fixed count: `spin ITERATIONS`.
    Spin,
    /// Memory bandwidth, `a[i] = b[i] + 3 c[i]`: `stream MEBIBYTES ROUNDS`.
    Stream,
    /// Memory latency, each load's address read by the one before: `chase MEBIBYTES STEPS`.
    Chase,
    /// First touch of memory, one byte a page: `touch PAGES`.
    Touch,
    /// Boundary crossings, a system call or a VM exit each: `cross TRIPS`.
    Cross,
    /// Gaps in its own CPU time, seen by the clock: `slices TICKS THRESHOLD`.
    Slices,
    /// Nothing, until it is told to stop.
    Idle,
}

/// The first process of a Linux guest, a static program that follows a [`plan`].
pub const INIT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/init.init"));

/// A static program that confines itself and tries to get out, for demonstrations: `breakout WALL
/// CELL ATTEMPT OPERAND...`; see `programs/breakout.rs`.
pub const BREAKOUT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/breakout.breakout"));

struct Facts {
    name: &'static str,
    /// What it does, in a line for help texts.
    about: &'static str,
    /// The name and the default of each argument.
    arguments: &'static [(&'static str, u64)],
    linux: &'static [u8],
    bare: &'static [u8],
}

macro_rules! facts {
    ($name:literal, $about:literal, $arguments:expr) => {
        Facts {
            name: $name,
            about: $about,
            arguments: &$arguments,
            linux: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".linux")),
            bare: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".bare")),
        }
    };
}

impl Builtin {
    /// All built-in programs.
    pub const ALL: [Builtin; 8] = [
        Self::Hello,
        Self::Spin,
        Self::Stream,
        Self::Chase,
        Self::Touch,
        Self::Cross,
        Self::Slices,
        Self::Idle,
    ];

    fn facts(self) -> Facts {
        match self {
            Self::Hello => facts!("hello", "say hello", []),
            Self::Spin => facts!("spin", "integer work", [("iterations", 100_000_000)]),
            Self::Stream => {
                facts!("stream", "memory bandwidth", [("mebibytes", 48), ("rounds", 5)])
            }
            Self::Chase => {
                facts!("chase", "memory latency", [("mebibytes", 64), ("steps", 1_000_000)])
            }
            Self::Touch => facts!("touch", "first touch of 4 KiB pages", [("pages", 4096)]),
            Self::Cross => facts!(
                "cross",
                "boundary crossings, a system call or a VM exit each",
                [("trips", 10_000)]
            ),
            Self::Slices => {
                facts!(
                    "slices",
                    "gaps in its own running",
                    [("ticks", 2_000_000_000), ("threshold", 200_000)]
                )
            }
            Self::Idle => facts!("idle", "nothing, until told to stop", []),
        }
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// What it does, in a few words.
    pub fn about(self) -> &'static str {
        self.facts().about
    }

    /// The names of its arguments, each with its default.
    pub fn arguments(self) -> &'static [(&'static str, u64)] {
        self.facts().arguments
    }

    /// The given arguments, with defaults for missing ones; extra ones are ignored.
    pub fn with_defaults(self, given: &[u64]) -> Vec<u64> {
        let defaults = self.arguments().iter().map(|&(_, default)| default);
        defaults.enumerate().map(|(i, default)| *given.get(i).unwrap_or(&default)).collect()
    }

    /// The bytes of heap it needs, at most, with these arguments.
    pub fn heap_bytes(self, given: &[u64]) -> u64 {
        let first = self.with_defaults(given).first().copied().unwrap_or(0);
        match self {
            // Three arrays, rounded up to whole pages of 2 MiB each.
            Self::Stream => first.saturating_mul(1 << 20).saturating_add(8 << 20),
            Self::Chase => first.saturating_mul(1 << 20).saturating_add(4 << 20),
            Self::Touch => first.saturating_mul(4096).saturating_add(4 << 20),
            _ => 0,
        }
    }

    /// The static Linux program, an ELF file.
    pub fn linux_elf(self) -> &'static [u8] {
        self.facts().linux
    }

    /// The bare program, an ELF file to be loaded at its physical addresses; see [`abi::map`].
    pub fn bare_elf(self) -> &'static [u8] {
        self.facts().bare
    }
}

impl fmt::Display for Builtin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// An unknown name of a built-in program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotBuiltin(pub String);

impl fmt::Display for NotBuiltin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} is not a built-in program", self.0)
    }
}

impl std::error::Error for NotBuiltin {}

impl FromStr for Builtin {
    type Err = NotBuiltin;

    fn from_str(name: &str) -> Result<Self, NotBuiltin> {
        Self::ALL
            .into_iter()
            .find(|builtin| builtin.name() == name)
            .ok_or_else(|| NotBuiltin(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_is_found_by_its_name() {
        for builtin in Builtin::ALL {
            assert_eq!(builtin.name().parse(), Ok(builtin));
        }
        assert!("sh".parse::<Builtin>().is_err());
    }

    #[test]
    fn every_program_is_a_few_kilobytes_of_elf() {
        for builtin in Builtin::ALL {
            for elf in [builtin.linux_elf(), builtin.bare_elf()] {
                assert!(elf.starts_with(b"\x7fELF"), "{builtin}");
                assert!(elf.len() < 16 << 10, "{builtin} has {} bytes", elf.len());
            }
        }
        assert!(INIT.starts_with(b"\x7fELF") && INIT.len() < 36 << 10, "{}", INIT.len());
        let bytes = BREAKOUT.len();
        assert!(BREAKOUT.starts_with(b"\x7fELF") && bytes < 16 << 10, "{bytes}");
    }

    #[test]
    fn missing_arguments_take_their_defaults() {
        assert_eq!(Builtin::Stream.with_defaults(&[7]), [7, 5]);
        assert_eq!(Builtin::Hello.with_defaults(&[7]), [0; 0]);
    }
}
