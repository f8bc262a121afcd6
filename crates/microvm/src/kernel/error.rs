//! Why a file is no kernel that can be booted here.

use std::{borrow::Cow, io};

use super::unpack::UnpackError;

/// What is wrong with a kernel's file.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// It could not be read.
    #[error("the file is not readable")]
    Read(#[from] io::Error),
    /// It is something else.
    #[error(
        "it is {what}, not a Linux kernel: a kernel is a bzImage (vmlinuz) or an ELF file (vmlinux)"
    )]
    NotKernel {
        /// What it is: `a gzip file`.
        what: Cow<'static, str>,
    },
    /// It breaks off.
    #[error("it is truncated: its {part} ends at byte {end}, and the file has {bytes}")]
    Truncated {
        /// What is not all there.
        part: &'static str,
        /// Where that should end.
        end: u64,
        /// How long the file is.
        bytes: u64,
    },
    /// It is not what was built.
    #[error("its checksum is wrong: the file is damaged, or was changed after it was built")]
    WrongChecksum,
    /// It is for another processor.
    #[error("it is a kernel for another processor, {machine}, and this is x86-64")]
    OtherMachine {
        /// Which one.
        machine: Cow<'static, str>,
    },
    /// It does not begin in 64-bit mode.
    #[error("it has no 64-bit entry: {why}")]
    No64BitEntry {
        /// How that is known.
        why: &'static str,
    },
    /// The first version of the boot protocol that names the payload is 2.08, of 2007.
    #[error(
        "its boot protocol is {major}.{minor:02}, which does not say where the kernel lies in the file: 2.08 (Linux 2.6.24) or later does",
        major = version >> 8, minor = version & 0xff
    )]
    OldProtocol {
        /// The version in its header.
        version: u16,
    },
    /// The payload could not be unpacked.
    #[error("unpack its payload")]
    Unpack(#[from] UnpackError),
    /// What is packed in it does not fit where it is to go.
    #[error(
        "unpacked, it is larger than the {} MiB available in the guest",
        limit >> 20
    )]
    NoRoom {
        /// How much may come out.
        limit: u64,
    },
    /// It is longer than any kernel.
    #[error("it has {bytes} bytes; a kernel has at most {limit}")]
    TooLarge {
        /// How long it is.
        bytes: u64,
        /// What is allowed.
        limit: u64,
    },
    /// Its headers contradict each other.
    #[error("its ELF headers are damaged: {what}")]
    Damaged {
        /// What contradicts.
        what: Cow<'static, str>,
    },
}
