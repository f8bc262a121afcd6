//! The tables in the guest's memory, walked as the processor will.

use lab::check::{Bench, Checked, Finding, Student, ensure, fail};
use long_mode::{
    scenario::{MAPPED, MEMORY_BYTES, PAGE, Scenario},
    walk::{LARGE, Walk},
};
use microvm::tables::{DIRECTORIES, DIRECTORY_POINTERS, PAGE_MAP};

use super::hex;

/// Where each level's table is to be.
const TABLES: [u64; 3] = [PAGE_MAP, DIRECTORY_POINTERS, DIRECTORIES];
const TABLE_BYTES: u64 = 4096;

/// Every page below the end leads to itself, but for the two that were mapped anew; and so do those
/// of another memory, with another end. Gives how many looks one walk takes.
pub fn walks(bench: &mut Bench, student: &Student, scenario: &Scenario) -> Checked<usize> {
    let memory = student.number("memory")?;
    let mut walk = |id: &str, address: u64, wanted: u64| -> Checked<usize> {
        let walk = walk_in(student, memory, address);
        bench.saw(format!("{address:#x} by CR3 {PAGE_MAP:#x}"), &walk);
        judge(id, &walk, address, wanted)?;
        Ok(walk.looks.len())
    };
    walk("L04-identity", scenario.entry, scenario.entry)?;
    walk("L04-identity", scenario.report, scenario.report)?;
    let window = scenario.window.0 + scenario.offset;
    let looks = walk("L04-remap", window, scenario.window.1 + scenario.offset)?;
    let hole = scenario.hole.0 + scenario.offset;
    walk("L04-remap", hole, scenario.hole.1 + scenario.offset)?;
    for page in (0..MAPPED).step_by(PAGE as usize) {
        let is_mapped_anew = [scenario.window.0, scenario.hole.0].contains(&page);
        if !is_mapped_anew {
            all(&walk_in(student, memory, page), page, MAPPED)?;
        }
    }
    let other = student.number("other")?;
    for page in (0..scenario.pages * PAGE).step_by(PAGE as usize) {
        all(&walk_in(student, other, page), page, scenario.pages * PAGE)?;
    }
    let says = format!("{} and {} pages of 2 MiB", MAPPED / PAGE, scenario.pages);
    bench.saw("mapped to themselves, in two memories", says);
    Ok(looks)
}

/// The walk to `address` by the tables in the memory that this process has at `memory`.
fn walk_in(student: &Student, memory: u64, address: u64) -> Walk {
    Walk::to(address, PAGE_MAP, |physical| {
        let inside = physical.checked_add(8).is_some_and(|end| end <= MEMORY_BYTES);
        let word = inside.then(|| student.main().memory(memory + physical, 8).ok()).flatten()?;
        Some(u64::from_le_bytes(word.try_into().ok()?))
    })
}

/// One of many pages: either it is mapped as the first ones are, or it was left out.
fn all(walk: &Walk, page: u64, mapped: u64) -> Checked<()> {
    ensure(walk.physical.is_some(), || {
        let finding = fail("L04-not-all").fact("page", hex(page)).fact("walk", walk);
        finding.fact("mapped", hex(mapped))
    })?;
    judge("L04-identity", walk, page, page)
}

fn judge(id: &str, walk: &Walk, address: u64, wanted: u64) -> Checked<()> {
    for (look, table) in walk.looks.iter().zip(TABLES) {
        let is_there = (table..table + TABLE_BYTES).contains(&look.at);
        ensure(is_there || look.entry.is_none(), || {
            told("L04-elsewhere", walk, address, wanted).fact("table", look.table())
        })?;
        // In a table's entry the bit is reserved, or makes it a page of 1 GiB.
        let is_table = look.level < 2 && look.entry.is_some_and(|entry| entry & LARGE != 0);
        ensure(!is_table, || {
            told("L04-large-table", walk, address, wanted).fact("table", look.table())
        })?;
    }
    ensure(walk.physical == Some(wanted), || lost(id, walk, address, wanted))?;
    ensure(walk.is_writable(), || told("L04-read-only", walk, address, wanted))
}

/// Why a walk does not lead where it should.
fn lost(id: &str, walk: &Walk, address: u64, wanted: u64) -> Finding {
    let id = match walk.looks.last().copied() {
        Some(look) if look.entry.is_none() && look.level < 3 => "L04-table-outside",
        // The page was taken for one more table.
        Some(look) if look.level == 3 => "L04-ps",
        Some(_) if walk.physical.is_none() => "L04-not-present",
        _ => id,
    };
    told(id, walk, address, wanted)
}

fn told(id: &str, walk: &Walk, address: u64, wanted: u64) -> Finding {
    let physical = walk.physical.map_or_else(|| "-".to_owned(), hex);
    let finding = fail(id).fact("address", hex(address)).fact("walk", walk).fact("found", physical);
    let at = walk.last().map_or(0, |look| look.at);
    finding.fact("wanted", hex(wanted)).fact("at", hex(at)).fact("end", hex(MEMORY_BYTES))
}
