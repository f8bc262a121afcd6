//! The tables, walked as the processor will.

use lab::check::{Bench, Checked, Finding, Student, ensure, fail};
use long_mode::{
    scenario::{MEMORY_BYTES, PAGE, Scenario},
    walk::{ADDRESS, LARGE, PRESENT, Walk},
};
use microvm::tables::{DIRECTORIES, DIRECTORY_POINTERS, PAGE_MAP};

use super::hex;

/// Below `mapped` every page is itself.
pub fn map_to_themselves(bench: &mut Bench, student: &Student, scenario: &Scenario) -> Checked<()> {
    for page in 0..scenario.mapped / PAGE {
        let address = page * PAGE + scenario.offset;
        let walk = walked(student, address)?;
        if page == 0 || page == scenario.mapped / PAGE - 1 {
            bench.saw(format!("{address:#x} by CR3 {PAGE_MAP:#x}"), &walk);
        }
        leads(&walk, address, address, "L04-identity")?;
    }
    Ok(())
}

/// Two pages are other ones, and nothing else has changed.
pub fn are_remapped(bench: &mut Bench, student: &Student, scenario: &Scenario) -> Checked<()> {
    for (page, physical) in [scenario.window, scenario.hole] {
        let (address, wanted) = (page + scenario.offset, physical + scenario.offset);
        let walk = walked(student, address)?;
        bench.saw(format!("{address:#x} by CR3 {PAGE_MAP:#x}"), &walk);
        leads(&walk, address, wanted, "L04-remap")?;
        bench.measured("looks", walk.looks.len() as f64);
    }
    let others = (0..scenario.mapped / PAGE).map(|page| page * PAGE);
    for page in others.filter(|page| ![scenario.window.0, scenario.hole.0].contains(page)) {
        let address = page + scenario.offset;
        let walk = walked(student, address)?;
        ensure(walk.physical == Some(address) && walk.is_writable(), || {
            let found = walk.physical.map_or("-".to_owned(), hex);
            fail("L04-remap-more")
                .fact("address", hex(address))
                .fact("walk", &walk)
                .fact("found", found)
        })?;
    }
    Ok(())
}

fn walked(student: &Student, address: u64) -> Checked<Walk> {
    let memory = student.number("memory")?;
    Ok(Walk::to(address, PAGE_MAP, |physical| {
        let inside = physical.checked_add(8).is_some_and(|end| end <= MEMORY_BYTES);
        let word = inside.then(|| student.main().memory(memory + physical, 8).ok()).flatten()?;
        Some(u64::from_le_bytes(word.try_into().ok()?))
    }))
}

/// Whether the walk leads where it should, or else why it does not, level after level; `id` if only
/// its end is another one.
fn leads(walk: &Walk, address: u64, wanted: u64, id: &str) -> Checked<()> {
    let finding = |id: &str, at: u64| {
        let found = walk.physical.map_or("-".to_owned(), hex);
        let finding = fail(id).fact("address", hex(address)).fact("walk", walk);
        let finding = finding.fact("found", found).fact("wanted", hex(wanted));
        finding.fact("at", hex(at)).fact("end", hex(MEMORY_BYTES))
    };
    for look in &walk.looks {
        let above = [DIRECTORY_POINTERS, DIRECTORIES].get(look.level);
        let next = look.entry.map_or(0, |entry| entry & ADDRESS);
        let id = match (look.entry, above) {
            (None, _) => "L04-table-outside",
            (Some(entry), _) if entry & PRESENT == 0 => "L04-not-present",
            (Some(entry), Some(_)) if entry & LARGE != 0 => "L04-ps-above",
            (Some(_), Some(_)) if next >= MEMORY_BYTES => "L04-table-outside",
            (Some(_), Some(table)) if next != *table => {
                let table = hex(*table);
                return Err(table_elsewhere(
                    finding("L04-table-elsewhere", look.at),
                    look.table(),
                    table,
                ));
            }
            (Some(entry), None) if entry & LARGE == 0 => "L04-ps",
            _ => continue,
        };
        return Err(finding(id, look.at));
    }
    ensure(walk.physical == Some(wanted), || finding(id, 0))?;
    ensure(walk.is_writable(), || finding("L04-read-only", 0))
}

fn table_elsewhere(finding: Finding, of: &str, table: String) -> Finding {
    finding.fact("of", of).fact("table", table)
}
