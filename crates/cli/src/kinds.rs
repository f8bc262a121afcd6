//! The kinds of sandbox by their names on the command line.

use clap::ValueEnum;

/// What to run a program in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// A plain process of this host: no walls, the baseline
    Process,
    /// Namespaces, a cgroup and a root of its own
    Container,
    /// A KVM virtual machine: a built-in program, FILE.bin or FILE.elf
    Microvm,
    /// A KVM virtual machine with a Linux kernel of its own
    Linux,
}

impl Kind {
    /// The word in tables and in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Container => "container",
            Self::Microvm => "microvm",
            Self::Linux => "linux",
        }
    }
}
