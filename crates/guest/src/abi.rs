//! The interface between a built-in program and its host.
//!
//! This file is compiled three times: into this library, into the Linux programs and into the bare
//! ones.

/// Size of the memory that a program shares with its host, in bytes.
pub const MAILBOX_BYTES: usize = 64 << 10;
/// The same in 64-bit words.
pub const MAILBOX_WORDS: usize = MAILBOX_BYTES / 8;

/// The words of the mailbox, by index. All start as zero.
///
/// ```text
///   0  stop            host -> program: end now
///   1  count           of the records that follow
///   2  begin, end      of the measured part, ticks of rdtsc
///   4  begin, end      of the measured part, nanoseconds of CLOCK_MONOTONIC; zero when bare
///   6  result
///   8  arguments       host -> bare program; a Linux program has its argv
///  16  records         pairs of ticks, to the end
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Word {
    /// Not zero: the host asks the program to end.
    Stop = 0,
    /// Number of records written; it may exceed the available space.
    Count = 1,
    /// Tick at the begin of the measured part.
    BeginTicks = 2,
    /// Tick at its end; of the program `slices` the latest tick at which it ran, all the time.
    EndTicks = 3,
    /// `CLOCK_MONOTONIC` at the begin, in nanoseconds.
    BeginNanoseconds = 4,
    /// `CLOCK_MONOTONIC` at the end.
    EndNanoseconds = 5,
    /// What was computed.
    Result = 6,
}

/// Index of the first argument of a bare program.
pub const ARGUMENTS: usize = 8;
/// The maximum number of arguments.
pub const MAX_ARGUMENTS: usize = 8;
/// Index of the first record.
pub const RECORDS: usize = 16;
/// The maximum number of records, two words each.
pub const RECORD_PAIRS: usize = (MAILBOX_WORDS - RECORDS) / 2;

/// The environment variable that names the mailbox of a Linux program: the path of a file, or the
/// number of an inherited descriptor.
pub const MAILBOX_VARIABLE: &str = "ISOLAB_MAILBOX";

/// The environment variable with the mailbox's offset in that file, in bytes; 0 if it is not set.
pub const MAILBOX_AT_VARIABLE: &str = "ISOLAB_MAILBOX_AT";

/// The I/O port at which a bare program calls its host: one `out` of 32 bits, the [`Request`] in
/// the low 8, its operand in the high 24.
pub const DOORBELL: u16 = 0x10;

/// A request of a bare program to its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Request {
    /// No operation: the cheapest VM exit.
    Nothing = 0,
    /// Take this many bytes from the start of the console buffer.
    Write = 1,
    /// Return when the program should end.
    WaitForStop = 2,
    /// Never return: the program has ended with this code.
    Exit = 3,
}

impl Request {
    /// The request with that number, if there is one.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Nothing, Self::Write, Self::WaitForStop, Self::Exit]
            .into_iter()
            .find(|request| *request as u8 == number)
    }
}

/// Size of the console buffer of a bare program, in bytes.
pub const CONSOLE_BYTES: usize = 2048;

/// Guest physical memory of a bare program, mapped 1:1. The host fills in everything below
/// `PROGRAM`.
///
/// ```text
///   0x001000  tables made by the host: page tables, descriptors, task state
///   0x080800  top of the stack, growing down to 0x030000
///   0x080800  console buffer, 2 KiB
///   0x100000  the program
///   0x1f0000  mailbox, 64 KiB (pages of the memfd)
///   0x200000  the heap, to the end of memory
/// ```
///
/// The mailbox ends where the host's large pages begin, so guest RAM is three mappings of the host
/// instead of five. Creating a machine takes the lock of every mapping of its process.
///
/// The stack's first words and the console buffer share a page: with shadow page tables, the first
/// touch of each page costs an exit to the host's kernel.
pub mod map {
    /// The address of the mailbox.
    pub const MAILBOX: u64 = HEAP - super::MAILBOX_BYTES as u64;
    /// The address of the console buffer.
    pub const CONSOLE: u64 = 0x8_0800;
    /// The lowest byte of the stack.
    pub const STACK_BOTTOM: u64 = 0x3_0000;
    /// The first byte above the stack.
    pub const STACK_TOP: u64 = 0x8_0800;
    /// Where programs are linked to.
    pub const PROGRAM: u64 = 0x10_0000;
    /// Where the heap begins; `rdi` holds its end when the program is entered.
    pub const HEAP: u64 = 0x20_0000;
}
