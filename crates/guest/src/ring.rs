//! A ring buffer for bytes from a guest to its host without VM exits: memory that both share.
//!
//! ```text
//!   word 0    bytes written so far    the guest counts
//!   word 1    bytes taken so far      the host counts
//!   64 ...    byte number n is at 64 + n % (length - 64)
//! ```
//!
//! Each side writes only its own count, and writes it last. The guest waits while the ring is full;
//! the host polls it. This file is compiled into this library and into the first process of a Linux
//! guest.

/// Where the bytes begin; the counts are before them, in a cache line of their own.
pub const BYTES_AT: usize = 64;
/// The index of the guest's count, in words of 64 bits.
pub const WRITTEN: usize = 0;
/// The index of the host's count.
pub const TAKEN: usize = 1;
