//! Lab 04: 64-bit mode and page tables.
//!
//! Write the five functions. `isolab lab check 04` tells you how far you are.
#![allow(unused, clippy::needless_pass_by_value, reason = "until all steps are written")]

use std::process::ExitCode;

use kvm_bindings::{kvm_segment, kvm_sregs};
use long_mode::{Answer, scenario::PAGE};
use microvm::{
    memory::Memory,
    tables::{DIRECTORIES, DIRECTORY_POINTERS, PAGE_MAP},
};

/// An entry of a page table: the physical address of the next table or of the page, and in its low
/// bits, which an aligned address does not need, the flags (Intel SDM, volume 3, table 4-15).
///
/// Present and writable always; for a 2 MiB page also the bit that marks it as one (PS).
fn entry(address: u64, is_large_page: bool) -> u64 {
    todo!("lab 4, step 1: address, bit 0, bit 1, and bit 7 if it is a large page")
}

/// Maps all addresses below `mapped` (at most 1 GiB) to themselves, in pages of 2 MiB.
///
/// Three tables, at these physical addresses of the guest:
///
/// - [`PAGE_MAP`], whose entry 0 points to the directory pointers;
/// - [`DIRECTORY_POINTERS`], whose entry 0 points to the directory;
/// - [`DIRECTORIES`], whose entry n maps the page at n x [`PAGE`].
///
/// An entry has 8 bytes. `memory.write(what, address, &bytes)` writes to a physical address; `what`
/// is for its error message.
fn write_pages(memory: &Memory, mapped: u64) -> microvm::Result<()> {
    let to_the_pointers = entry(DIRECTORY_POINTERS, false);
    todo!("lab 4, step 2: two entries, and one for each page below `mapped`")
}

/// Maps the guest page at `page` to the physical page at `physical`, whether or not there is memory:
/// one entry of the directory changes.
fn remap(memory: &Memory, page: u64, physical: u64) -> microvm::Result<()> {
    todo!("lab 4, step 3: which entry belongs to `page`, and what must it contain?")
}

/// A 64-bit code segment for `ring` (Intel SDM, volume 3, 3.4.5 and 5.2.1): type 0xb (code,
/// readable and accessed), `s` 1, `present` 1, `l` 1 and so `db` 0, `dpl` the ring; in ring 0 its
/// selector is 0x10.
fn code_segment(ring: u8) -> kvm_segment {
    todo!("lab 4, step 4: kvm_segment {{ ..., ..kvm_segment::default() }}")
}

/// Puts the state after reset into 64-bit mode in `ring`.
///
/// A boot loader gets there in five steps, each of which the processor checks (Intel SDM, volume 3,
/// 10.8.5). You write the state that it ends in:
///
/// - CR3: where the first table is;
/// - CR4: PAE (bit 5), without which entries have 4 bytes;
/// - EFER: LME (bit 8) requests long mode, LMA (bit 10) says that it is active. The processor itself
///   sets LMA when paging is turned on; here you write the final state, so you set it;
/// - CR0: PE (bit 0), protected mode, and PG (bit 31), paging;
/// - CS: the segment of step 4.
fn long_mode(state: &mut kvm_sregs, ring: u8) {
    state.cs = code_segment(ring);
    todo!("lab 4, step 5: state.cr3, cr4, efer, cr0")
}

fn main() -> ExitCode {
    long_mode::program(&Answer { write_pages, remap, long_mode })
}
