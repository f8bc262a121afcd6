//! The registers that make 64-bit mode.

use lab::check::{Bench, Checked, Student, ensure, fail};
use long_mode::walk::ADDRESS;
use microvm::tables::PAGE_MAP;

use super::hex;

// The bits without which there is no 64-bit mode (Intel SDM, volume 3, 4.1.1 and 10.8.5).
pub const CR0_PE_PG: u64 = 1 << 31 | 1;
pub const CR4_PAE: u64 = 1 << 5;
pub const EFER_LME: u64 = 1 << 8;
pub const EFER_LMA: u64 = 1 << 10;
/// Of a code segment: present, readable and accessed, of ring 0, 64 bits.
const CODE: [(&str, u64); 7] =
    [("present", 1), ("type", 0xb), ("s", 1), ("dpl", 0), ("l", 1), ("db", 0), ("selector", 0x10)];

/// That they do, in the order in which the manual asks for them; gives them in words.
pub fn is_long_mode(bench: &mut Bench, student: &Student, place: &str) -> Checked<String> {
    let [cr0, cr3, cr4, efer] = ["cr0", "cr3", "cr4", "efer"].map(|name| student.number(name));
    let (cr0, cr3, cr4, efer) = (cr0?, cr3?, cr4?, efer?);
    let registers = format!("cr0 {cr0:#x}, cr3 {cr3:#x}, cr4 {cr4:#x}, efer {efer:#x}");
    bench.saw(place, &registers);
    let cs: Checked<Vec<u64>> =
        CODE.iter().map(|(name, _)| student.number(&format!("cs_{name}"))).collect();
    let cs = cs?;
    let in_words = |values: &mut dyn Iterator<Item = u64>| -> String {
        let names = CODE.iter().map(|(name, _)| name);
        let words = names.zip(values).map(|(name, value)| match *name {
            "type" | "selector" => format!("{name} {value:#x}"),
            _ => format!("{name} {value}"),
        });
        words.collect::<Vec<_>>().join(", ")
    };
    let list = in_words(&mut cs.iter().copied());
    bench.saw(format!("{place}, cs"), &list);
    ensure(cr3 & ADDRESS == PAGE_MAP, || {
        fail("L04-cr3").fact("cr3", hex(cr3)).fact("wanted", hex(PAGE_MAP))
    })?;
    ensure(cr4 & CR4_PAE != 0, || fail("L04-pae").fact("cr4", hex(cr4)))?;
    ensure(efer & EFER_LME != 0, || fail("L04-lme").fact("efer", hex(efer)))?;
    ensure(cr0 & CR0_PE_PG == CR0_PE_PG, || fail("L04-cr0").fact("cr0", hex(cr0)))?;
    ensure(efer & EFER_LMA != 0, || fail("L04-lma").fact("efer", hex(efer)))?;
    let wanted = || CODE.iter().map(|(_, value)| *value);
    ensure(wanted().eq(cs.iter().copied()), || {
        fail("L04-cs").fact("cs", &list).fact("wanted", in_words(&mut wanted()))
    })?;
    Ok(format!("{registers}; cs {list}"))
}
