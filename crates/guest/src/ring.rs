//! A way for bytes from a guest to its host without a single trip: memory that both see.
//!
//! ```text
//!   word 0    bytes written so far    the guest counts
//!   word 1    bytes taken so far      the host counts
//!   64 ...    byte number n is at 64 + n % (length - 64)
//! ```
//!
//! Each side writes its own count only, and writes it last. The guest waits while the ring is full;
//! the host looks now and then. This file is compiled into this library and into the first process
//! of a Linux guest.

/// Where the bytes begin; the counts lie before, in a cache line of their own.
pub const BYTES_AT: usize = 64;
/// The index of the guest's count, in words of 64 bits.
pub const WRITTEN: usize = 0;
/// The index of the host's count.
pub const TAKEN: usize = 1;
