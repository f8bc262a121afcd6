//! What must be true of lab 04, look after look.

#[path = "check/tables.rs"]
mod tables;

use std::process::ExitCode;

use hello_kvm::{look::exits, watchdog::STOPPED};
use lab::check::{Bench, Checked, Setup, Student, ensure, fail};
use long_mode::scenario::Scenario;
use microvm::tables::{HALTS, PAGE_MAP, VECTORS};

// The bits without which there is no 64-bit mode (Intel SDM, volume 3, 4.1.1 and 10.8.5).
const CR0_PE_PG: u64 = 1 << 31 | 1;
const CR4_PAE: u64 = 1 << 5;
const EFER_LME: u64 = 1 << 8;
const EFER_LMA: u64 = 1 << 10;
/// The low bits of CR3, which say how the first table is cached (volume 3, 4.5.2).
const ATTRIBUTES: u64 = 0xfff;

fn main() -> ExitCode {
    lab::check::main("04", check)
}

/// Judges the program on the bench.
pub fn check(bench: &mut Bench) -> Checked<()> {
    let seed = bench.random(u64::MAX);
    let scenario = Scenario::of(seed);
    let mut student = bench.start(Setup::ordinary().with_kvm().argument("seed", seed))?;

    // The state, before KVM is asked to take it: it would say EINVAL and not why.
    student.meet("state").map_err(|finding| {
        let outside = ["write_pages", "remap"].into_iter().find(|it| finding.is_refusal(it, ""));
        let error = finding.get("error").to_owned();
        match outside {
            Some(step) => fail("L04-outside").fact("step", step).fact("error", error),
            None => finding,
        }
    })?;
    look_at_state(bench, &student, "struct kvm_sregs, by long_mode")?;
    let dpl = student.number("dpl_of_ring_3")?;
    bench.saw("struct kvm_sregs, by long_mode for ring 3", format!("cs dpl {dpl}"));
    ensure(dpl == 3, || fail("L04-ring").fact("dpl", dpl))?;

    // The tables, in the guest's memory.
    let memory = student.number("memory")?;
    let hole = scenario.hole.1 + scenario.offset;
    let looks = tables::walks(bench, &student, &scenario)?;
    bench.measured("looks", looks as f64);
    student.go()?;

    student.meet("ready").map_err(|finding| {
        let refused = finding.is_refusal("KVM_SET_SREGS", "");
        let error = finding.get("error").to_owned();
        if refused { fail("L04-state-refused").fact("error", error) } else { finding }
    })?;
    look_at_state(bench, &student, "KVM_GET_SREGS")?;
    let before = exits(bench, &student)?;
    student.go()?;

    // How it ended, and what the guest says of itself.
    student.meet(STOPPED)?;
    let (how, rip) = (student.said("how")?.to_owned(), student.number("rip")?);
    bench.saw("KVM_GET_REGS", format!("rip {rip:#x}; after the hlt: {:#x}", scenario.end()));
    let in_handler = how == "halted" && (HALTS + 1..=HALTS + VECTORS).contains(&rip);
    ensure(how == "halted" && rip == scenario.end(), || {
        let vector = rip.wrapping_sub(HALTS + 1);
        let how = if in_handler { format!("exception {vector}") } else { how };
        fail("L04-not-ended").fact("how", how).fact("rip", hex(rip))
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
    let (mmio, at) = (student.number("mmio")?, student.number("mmio_at")?);
    bench.saw("KVM_EXIT_MMIO", format!("{mmio} at {at:#x}"));
    let has_token = token == scenario.token && device == u64::from(scenario.device);
    ensure(is_long && has_token && (mmio, at) == (1, hole), || {
        let finding = fail("L04-report").fact("report", &report).fact("exits", mmio);
        finding.fact("token", hex(scenario.token)).fact("device", hex(scenario.device.into()))
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
    ensure(cr3 & !ATTRIBUTES == PAGE_MAP, || fail("L04-cr3").fact("cr3", hex(cr3)))?;
    ensure(cs[..] == [1, 0xb, 1, 0, 1, 0], || fail("L04-cs").fact("cs", list.join(", ")))?;
    let selector = student.number("cs_selector")?;
    ensure(selector == 0x10, || fail("L04-selector").fact("selector", hex(selector)))
}

fn hex(number: u64) -> String {
    format!("{number:#x}")
}
