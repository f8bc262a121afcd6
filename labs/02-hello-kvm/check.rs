//! What must be true of lab 02, look after look.

use std::process::ExitCode;

use hello_kvm::{
    look::exits,
    scenario::{MEMORY_BYTES, Scenario},
    watchdog::STOPPED,
};
use lab::check::{Bench, Checked, Setup, ensure, fail};

/// The kernel wants whole pages.
const PAGE: u64 = 4096;
/// The bit of RFLAGS that is always set.
const FIXED: u64 = 1 << 1;

fn main() -> ExitCode {
    lab::check::main("02", check)
}

/// Judges the program on the bench.
pub fn check(bench: &mut Bench) -> Checked<()> {
    let (seed, token) = (bench.random(u64::MAX), bench.random(1 << 32) as u32);
    let (scenario, wanted) = (Scenario::of(seed), Scenario::of(seed).of_token(token));
    let setup = Setup::ordinary().with_kvm().argument("seed", seed).argument("token", token);
    let mut student = bench.start(setup)?;

    // The slot, before it is offered to the kernel: 0 is nobody's address.
    student.meet("slot")?;
    let [guest, bytes, at, memory] =
        ["slot_guest", "slot_bytes", "slot_host", "memory"].map(|name| student.number(name));
    let (guest, bytes, at, memory) = (guest?, bytes?, at?, memory?);
    bench.saw("struct kvm_userspace_memory_region", format!("{guest:#x}, {bytes:#x}, {at:#x}"));
    let (number, flags) = (student.number("slot_number")?, student.number("slot_flags")?);
    ensure((number, flags) == (0, 0), || {
        fail("L02-slot-number").fact("slot", number).fact("flags", hex(flags))
    })?;
    for (field, value) in
        [("guest_phys_addr", guest), ("memory_size", bytes), ("userspace_addr", at)]
    {
        let finding = || fail("L02-unaligned").fact("field", field).fact("value", hex(value));
        ensure(value % PAGE == 0, finding)?;
    }
    let code = scenario.code();
    let found = student.main().memory(at + u64::from(scenario.entry), code.len());
    let place =
        format!("{}, {} bytes at {:#x}", student.main().path("mem").display(), code.len(), at);
    let here = found.as_ref().is_ok_and(|found| *found == code);
    bench.saw(place, if here { "the guest's program" } else { "something else" });
    ensure(guest == 0 && bytes == MEMORY_BYTES && here, || {
        let finding = fail("L02-wrong-slot").fact("guest", hex(guest)).fact("bytes", hex(bytes));
        finding.fact("host", hex(at)).fact("memory", hex(memory)).fact("wanted", hex(MEMORY_BYTES))
    })?;
    student.go()?;

    student.meet("given")?;
    let given = student.said("given")?;
    bench.saw("KVM_SET_USER_MEMORY_REGION, is guest address 0 taken", given);
    ensure(given == "yes", || fail("L02-not-given"))?;
    student.go()?;

    // The machine, before its first instruction.
    student.meet("ready").map_err(|finding| {
        let by_kernel = finding.is_refusal("set_entry", "");
        let error = finding.get("error").to_owned();
        if by_kernel { fail("L02-special-refused").fact("error", error) } else { finding }
    })?;
    let descriptors = student.main().descriptors()?;
    let mut count = |kind: &str| {
        let these = descriptors.iter().filter(|(_, target)| target.starts_with(kind));
        let these: Vec<String> = these.map(|(fd, target)| format!("{fd} -> {target}")).collect();
        bench.saw(student.main().path("fd").display(), these.join(", "));
        these.len()
    };
    let (machines, cpus) = (count("anon_inode:kvm-vm"), count("anon_inode:kvm-vcpu:"));
    ensure((machines, cpus) == (1, 1), || {
        fail("L02-no-machine").fact("machines", machines).fact("cpus", cpus)
    })?;
    let is_first = descriptors.iter().any(|(_, target)| target == "anon_inode:kvm-vcpu:0");
    ensure(is_first, || fail("L02-vcpu-number"))?;
    bench.measured("descriptors", (machines + cpus) as f64);
    let (base, rip) = (student.number("cs_base")?, student.number("rip")?);
    let (rflags, asked) = (student.number("rflags")?, student.number("wanted_rip")?);
    bench.saw("KVM_GET_SREGS and KVM_GET_REGS", format!("cs.base {base:#x}, rip {rip:#x}"));
    bench.saw("struct kvm_regs", format!("rip {asked:#x}, rflags {rflags:#x}"));
    let first = base.wrapping_add(rip);
    ensure(base != 0xffff_0000, || fail("L02-reset-vector").fact("first", hex(first)))?;
    ensure(rflags & FIXED != 0, || fail("L02-rflags").fact("rflags", hex(rflags)))?;
    ensure(rflags == FIXED, || fail("L02-more-flags").fact("rflags", hex(rflags)))?;
    ensure(base == 0, || fail("L02-code-segment").fact("base", hex(base)).fact("rip", hex(rip)))?;
    let selector = student.number("cs_selector")?;
    ensure(selector == 0, || fail("L02-selector").fact("selector", hex(selector)))?;
    let rest = student.said("rest")?;
    bench.saw("KVM_GET_SREGS, all but cs.base and cs.selector", rest);
    ensure(rest == "as after reset", || fail("L02-special-registers"))?;
    ensure(first == u64::from(scenario.entry), || {
        fail("L02-wrong-entry").fact("first", hex(first)).fact("entry", hex(scenario.entry.into()))
    })?;
    let before = exits(bench, &student)?;
    student.go()?;

    // What the guest has done.
    student.meet(STOPPED)?;
    let rip = student.number("rip")?;
    let how = student.said("how")?.to_owned();
    ensure(how != "stuck", || fail("L02-stuck").fact("rip", hex(rip)))?;
    let counted = exits(bench, &student)?.saturating_sub(before);
    let left = student.main().memory(memory + u64::from(scenario.answer), 4)?;
    let left = left.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte));
    bench.saw(format!("guest memory, {:#x}", scenario.answer), format!("{left:#010x}"));
    bench.saw("KVM_GET_REGS", format!("rip {rip:#x}; after the hlt: {:#x}", scenario.end()));
    ensure(counted > 0, || fail("L02-not-run").fact("answer", hex(left.into())))?;
    if how == "refused" {
        let error = student.said("error")?;
        return Err(fail("L02-strange-exit").fact("error", error).fact("rip", hex(rip)));
    }
    ensure(rip == scenario.end(), || {
        fail("L02-left-early").fact("rip", hex(rip)).fact("end", hex(scenario.end()))
    })?;
    ensure(counted >= scenario.exits(), || fail("L02-not-run").fact("answer", hex(left.into())))?;
    let wrong = |value: u32| {
        fail("L02-wrong-answer").fact("value", hex(value.into())).fact("wanted", hex(wanted.into()))
    };
    ensure(left == wanted, || wrong(left))?;
    let said = student.number("answer")? as u32;
    ensure(said == wanted, || wrong(said))?;
    student.go()?;

    // Guests that come out for another reason.
    for (point, reason) in [("in", "KVM_EXIT_IO, in"), ("mmio", "KVM_EXIT_MMIO")] {
        student.meet(point).map_err(|finding| {
            let stuck = finding.id() == "wrong-words" && finding.get("said").contains(STOPPED);
            if stuck { fail("L02-other-exit").fact("reason", reason) } else { finding }
        })?;
        let returned = student.said("returned")?;
        bench.saw(format!("`run`, a guest with {reason}"), returned);
        ensure(returned != "success", || fail("L02-other-exit").fact("reason", reason))?;
        student.go()?;
    }
    student.finish()
}

fn hex(number: u64) -> String {
    format!("{number:#x}")
}
