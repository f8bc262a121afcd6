//! What must be true of lab 04, look after look.

#[path = "check/state.rs"]
mod state;
#[path = "check/tables.rs"]
mod tables;

use std::process::ExitCode;

use hello_kvm::{look::exits, watchdog::STOPPED};
use lab::check::{Bench, Checked, Finding, Setup, Student, ensure, fail};
use long_mode::scenario::{MEMORY_BYTES, Scenario};
use microvm::tables::{HALTS, VECTORS};

use state::{CR0_PE_PG, CR4_PAE, EFER_LMA};

fn main() -> ExitCode {
    lab::check::main("04", check)
}

/// Judges the program on the bench.
pub fn check(bench: &mut Bench) -> Checked<()> {
    let seed = bench.random(u64::MAX);
    let scenario = Scenario::of(seed);
    let mut student = bench.start(Setup::ordinary().with_kvm().argument("seed", seed))?;

    // The tables, in the guest's memory.
    student.meet("written").map_err(wrote_elsewhere)?;
    tables::map_to_themselves(bench, &student, &scenario)?;
    student.go()?;
    student.meet("remapped").map_err(wrote_elsewhere)?;
    tables::are_remapped(bench, &student, &scenario)?;
    student.go()?;

    // The state, before KVM is asked to take it: it would say EINVAL and not why.
    student.meet("state")?;
    let registers = state::is_long_mode(bench, &student, "struct kvm_sregs, by long_mode")?;
    let ring = student.number("dpl_of_3")?;
    bench.saw("cs.dpl, by long_mode for ring 3", ring);
    ensure(ring == 3, || fail("L04-ring").fact("dpl", ring))?;
    student.go()?;
    student.meet("ready").map_err(|found| match found.get("step") {
        "KVM_SET_SREGS" => {
            let finding = fail("L04-impossible-state").fact("error", found.get("error"));
            finding.fact("registers", registers)
        }
        _ => found,
    })?;
    state::is_long_mode(bench, &student, "KVM_GET_SREGS")?;
    let before = exits(bench, &student)?;
    student.go()?;

    student.meet(STOPPED)?;
    report(bench, &student, &scenario, before)?;
    student.go()?;
    student.finish()
}

/// How it ended, and what the guest says of itself.
fn report(bench: &mut Bench, student: &Student, scenario: &Scenario, before: u64) -> Checked<()> {
    let (how, rip) = (student.said("how")?.to_owned(), student.number("rip")?);
    bench.saw("KVM_GET_REGS", format!("rip {rip:#x}; after the hlt: {:#x}", scenario.end()));
    if how == "halted" && (HALTS + 1..=HALTS + VECTORS).contains(&rip) {
        return Err(fail("L04-exception").fact("vector", rip - HALTS - 1));
    }
    ensure(how == "halted" && rip == scenario.end(), || {
        fail("L04-not-ended").fact("how", &how).fact("rip", hex(rip))
    })?;
    let memory = student.number("memory")?;
    let report = student.main().memory(memory + scenario.report, 40)?;
    let word = |at: usize| {
        report[8 * at..].iter().take(8).rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
    };
    let [cr0, cr4, efer, token, device] = [word(0), word(1), word(2), word(3), word(4)];
    let (mmio, at) = (student.number("mmio")?, student.number("mmio_at")?);
    let report = format!(
        "cr0 {cr0:#x}, cr4 {cr4:#x}, efer {efer:#x}, token {token:#x}, hole {device:#x}; \
         MMIO exits {mmio}, the last at {at:#x}"
    );
    bench.saw("the guest's report", &report);
    let is_long = cr0 & CR0_PE_PG == CR0_PE_PG && cr4 & CR4_PAE != 0 && efer & EFER_LMA != 0;
    let is_read = token == scenario.token && device == u64::from(scenario.device);
    let hole = scenario.hole.1 + scenario.offset;
    ensure(is_long && is_read && (mmio, at) == (1, hole), || {
        let finding = fail("L04-report").fact("report", &report).fact("token", hex(scenario.token));
        finding.fact("device", hex(scenario.device.into())).fact("hole", hex(hole))
    })?;
    let counted = exits(bench, student)?.saturating_sub(before);
    ensure(counted > mmio, || fail("wrong-words").fact("said", format!("`mmio {mmio}`")))?;
    bench.measured("exits", (mmio + 1) as f64);
    Ok(())
}

/// A write to guest memory that there is not.
fn wrote_elsewhere(found: Finding) -> Finding {
    match found.get("step") {
        step @ ("write_pages" | "remap") => fail("L04-write-outside")
            .fact("step", step)
            .fact("error", found.get("error"))
            .fact("end", hex(MEMORY_BYTES)),
        _ => found,
    }
}

fn hex(number: u64) -> String {
    format!("{number:#x}")
}
