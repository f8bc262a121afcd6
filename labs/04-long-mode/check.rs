//! What must be true of lab 04, look after look.

use std::process::ExitCode;

use hello_kvm::{look::exits, watchdog::STOPPED};
use lab::check::{Bench, Checked, Finding, Setup, Student, ensure, fail};
use long_mode::{
    scenario::{MEMORY_BYTES, Scenario},
    walk::Walk,
};
use microvm::tables::{HALTS, VECTORS};

// The bits without which there is no 64-bit mode (Intel SDM, volume 3, 4.1.1 and 10.8.5).
const CR0_PE_PG: u64 = 1 << 31 | 1;
const CR4_PAE: u64 = 1 << 5;
const EFER_LME: u64 = 1 << 8;
const EFER_LMA: u64 = 1 << 10;

fn main() -> ExitCode {
    lab::check::main("04", check)
}

/// Judges the program on the bench.
pub fn check(bench: &mut Bench) -> Checked<()> {
    let seed = bench.random(u64::MAX);
    let scenario = Scenario::of(seed);
    let mut student = bench.start(Setup::ordinary().with_kvm().argument("seed", seed))?;

    // The state, before KVM is asked to take it: it would say EINVAL and not why.
    student.meet("state")?;
    look_at_state(bench, &student, "struct kvm_sregs, by long_mode")?;
    let (memory, cr3) = (student.number("memory")?, student.number("cr3")?);

    // The tables, in the guest's memory.
    let read = |physical: u64| {
        let inside = physical.checked_add(8).is_some_and(|end| end <= MEMORY_BYTES);
        let word = inside.then(|| student.main().memory(memory + physical, 8).ok()).flatten()?;
        Some(u64::from_le_bytes(word.try_into().ok()?))
    };
    let mut walk = |id: &str, address: u64, wanted: u64| -> Checked<Walk> {
        let walk = Walk::to(address, cr3, read);
        bench.saw(format!("{address:#x} by CR3 {cr3:#x}"), &walk);
        ensure(walk.physical == Some(wanted), || lost(id, &walk, address, wanted))?;
        Ok(walk)
    };
    walk("L04-identity", scenario.entry, scenario.entry)?;
    let report = walk("L04-identity", scenario.report, scenario.report)?;
    let window = scenario.window.0 + scenario.offset;
    let looks = walk("L04-remap", window, scenario.window.1 + scenario.offset)?.looks.len();
    let hole = scenario.hole.1 + scenario.offset;
    walk("L04-remap", scenario.hole.0 + scenario.offset, hole)?;
    ensure(report.is_writable(), || fail("L04-read-only").fact("walk", &report))?;
    bench.measured("looks", looks as f64);
    student.go()?;

    student.meet("ready")?;
    look_at_state(bench, &student, "KVM_GET_SREGS")?;
    let before = exits(bench, &student)?;
    student.go()?;

    // How it ended, and what the guest says of itself.
    student.meet(STOPPED)?;
    let (how, rip) = (student.said("how")?.to_owned(), student.number("rip")?);
    bench.saw("KVM_GET_REGS", format!("rip {rip:#x}; after the hlt: {:#x}", scenario.end()));
    if how == "halted" && (HALTS + 1..=HALTS + VECTORS).contains(&rip) {
        return Err(fail("L04-exception").fact("vector", rip - HALTS - 1));
    }
    ensure(how == "halted" && rip == scenario.end(), || {
        fail("L04-not-ended").fact("how", &how).fact("rip", hex(rip))
    })?;
    let report = student.main().memory(memory + scenario.report, 40)?;
    let word = |at: usize| {
        report[8 * at..].iter().take(8).rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
    };
    let [cr0, cr4, efer, token, device] = [word(0), word(1), word(2), word(3), word(4)];
    let report =
        format!("cr0 {cr0:#x}, cr4 {cr4:#x}, efer {efer:#x}, token {token:#x}, hole {device:#x}");
    bench.saw("the guest's report", &report);
    let is_long = cr0 & CR0_PE_PG == CR0_PE_PG && cr4 & CR4_PAE != 0 && efer & EFER_LMA != 0;
    ensure(is_long && token == scenario.token && device == u64::from(scenario.device), || {
        fail("L04-report").fact("report", &report).fact("token", hex(scenario.token))
    })?;
    let (mmio, at) = (student.number("mmio")?, student.number("mmio_at")?);
    bench.saw("KVM_EXIT_MMIO", format!("{mmio} at {at:#x}"));
    ensure((mmio, at) == (1, hole), || {
        fail("L04-hole").fact("exits", mmio).fact("at", hex(at)).fact("wanted", hex(hole))
    })?;
    let counted = exits(bench, &student)?.saturating_sub(before);
    ensure(counted > mmio, || fail("wrong-words").fact("said", format!("`mmio {mmio}`")))?;
    bench.measured("exits", (mmio + 1) as f64);
    student.go()?;
    student.finish()
}

/// The registers that make 64-bit mode, in the order in which the manual asks for them.
fn look_at_state(bench: &mut Bench, student: &Student, place: &str) -> Checked<()> {
    let [cr0, cr3, cr4, efer] = ["cr0", "cr3", "cr4", "efer"].map(|name| student.number(name));
    let (cr0, cr3, cr4, efer) = (cr0?, cr3?, cr4?, efer?);
    bench.saw(place, format!("cr0 {cr0:#x}, cr3 {cr3:#x}, cr4 {cr4:#x}, efer {efer:#x}"));
    let names = ["present", "type", "s", "dpl", "l", "db"];
    let cs: Checked<Vec<u64>> =
        names.map(|name| student.number(&format!("cs_{name}"))).into_iter().collect();
    let cs = cs?;
    let list: Vec<String> =
        names.iter().zip(&cs).map(|(name, bits)| format!("{name} {bits}")).collect();
    bench.saw(format!("{place}, cs"), list.join(", "));
    ensure(cr4 & CR4_PAE != 0, || fail("L04-pae").fact("cr4", hex(cr4)))?;
    ensure(efer & EFER_LME != 0, || fail("L04-lme").fact("efer", hex(efer)))?;
    ensure(cr0 & CR0_PE_PG == CR0_PE_PG, || fail("L04-cr0").fact("cr0", hex(cr0)))?;
    ensure(efer & EFER_LMA != 0, || fail("L04-lma").fact("efer", hex(efer)))?;
    let is_code_64 = matches!(cs[..], [1, 8..=15, 1, 0, 1, 0]);
    ensure(is_code_64, || fail("L04-cs").fact("cs", list.join(", ")))
}

/// Why a walk does not lead where it should.
fn lost(id: &str, walk: &Walk, address: u64, wanted: u64) -> Finding {
    let last = walk.looks.last().copied();
    let id = match last {
        Some(look) if look.entry.is_none() && look.level < 3 => "L04-table-outside",
        // The page was taken for one more table.
        Some(look) if look.level == 3 => "L04-ps",
        Some(_) if walk.physical.is_none() => "L04-not-present",
        _ => id,
    };
    let physical = walk.physical.map_or_else(|| "-".to_owned(), hex);
    let finding = fail(id).fact("address", hex(address)).fact("walk", walk).fact("found", physical);
    let at = last.map_or(0, |look| look.at);
    finding.fact("wanted", hex(wanted)).fact("at", hex(at)).fact("end", hex(MEMORY_BYTES))
}

fn hex(number: u64) -> String {
    format!("{number:#x}")
}
