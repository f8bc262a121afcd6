//! Lab 04: page tables and 64-bit mode.
