//! What must be true of lab 03, look after look.

#[path = "check/trials.rs"]
mod trials;

use std::{
    io::{ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    process::ExitCode,
};

use exit_loop::scenario::{BLOCK, BLOCK_BYTES, RECEIVED, SUMS, Scenario};
use hello_kvm::{look::exits, watchdog::STOPPED};
use lab::check::{Bench, Checked, Finding, Setup, ensure, fail};

fn main() -> ExitCode {
    lab::check::main("03", check)
}

/// Judges the program on the bench.
pub fn check(bench: &mut Bench) -> Checked<()> {
    let seed = bench.random(u64::MAX);
    let scenario = Scenario::of(seed);
    let mut student = bench.start(Setup::ordinary().with_kvm().argument("seed", seed))?;

    // The check is at the far end of the guest's serial line.
    student.meet("ready")?;
    let far: i32 = student.said("far")?.parse().unwrap_or(-1);
    let mut far = UnixStream::from(student.main().descriptor(far)?);
    far.write_all(&scenario.input)?;
    let before = exits(bench, &student)?;
    student.go()?;

    student.meet(STOPPED).map_err(trials::overflow)?;
    let (how, last) = (student.said("how")?.to_owned(), student.said("last")?.to_owned());
    let rip = format!("{:#x}", student.number("rip")?);
    let sent = received(&mut far)?;
    bench.saw("the serial line", shown(&sent));
    bench.saw("KVM_GET_REGS", format!("rip {rip}; after the hlt: {:#x}", scenario.end));
    bench.saw("struct kvm_run, the last exits", &last);
    let greeting = &scenario.output[..scenario.greeting];
    if how == "stuck" {
        // It cannot have sent more before what it waits for is there.
        let right = sent.is_empty() || sent.starts_with(greeting);
        ensure(right, || wrong_output(&sent, greeting))?;
        let id = match last.replace("hlt", "").trim() {
            "" => "L03-halt",
            "none" => "L03-stuck",
            _ => "L03-in",
        };
        let exits = student.number("exits")?;
        return Err(fail(id).fact("rip", rip).fact("last", last).fact("exits", exits));
    }
    let names = ["port_out", "port_in", "memory_read", "memory_write", "halt", "other"];
    let tally: Checked<Vec<u64>> = names.map(|name| student.number(name)).into_iter().collect();
    let tally = tally?;
    let all: u64 = tally.iter().sum();
    let list: Vec<String> =
        names.iter().zip(&tally).map(|(n, count)| format!("{n} {count}")).collect();
    bench.saw("struct kvm_run, exit_reason", list.join(", "));
    ensure(student.number("interrupted")? == 0, || fail("L03-eintr").fact("exits", all))?;
    if how == "refused" {
        let error = student.said("error")?;
        return Err(fail("L03-refused").fact("error", error).fact("rip", rip));
    }
    ensure(student.number("rip")? == scenario.end, || {
        let end = format!("{:#x}", scenario.end);
        fail("L03-left-early").fact("exits", all).fact("rip", &rip).fact("end", end)
    })?;

    // What came of it: on the line, and in the guest's memory.
    ensure(sent == scenario.output, || wrong_output(&sent, &scenario.output))?;
    let memory = student.number("memory")?;
    let mut kept = |place: u16, wanted: &[u8]| -> Checked<Vec<u8>> {
        let found = student.main().memory(memory + u64::from(place), wanted.len())?;
        bench.saw(format!("guest memory, {place:#x}"), shown(&found));
        Ok(found)
    };
    let block = kept(BLOCK, &scenario.block)?;
    let single = kept(RECEIVED, &scenario.received)?;
    let sums = kept(SUMS, &scenario.sums)?;
    let first_only = block[0] == scenario.block[0];
    let id = if first_only { "L03-count" } else { "L03-received" };
    ensure(block == scenario.block, || wrong(id, &block, &scenario.block))?;
    ensure(single == scenario.received, || wrong("L03-received", &single, &scenario.received))?;
    ensure(sums == scenario.sums, || wrong("L03-memory", &sums, &scenario.sums))?;

    // As often as the guest needs it, by the kernel's count too.
    let counted = exits(bench, &student)?.saturating_sub(before);
    let block_exits = tally[1].saturating_sub(scenario.single_reads());
    let exact = [scenario.output.len() as u64, tally[1], scenario.uses[0], scenario.uses[1], 1, 0];
    let right = tally == exact && (1..=BLOCK_BYTES as u64).contains(&block_exits);
    ensure(right && counted >= all, || {
        fail("L03-tally").fact("tally", list.join(", ")).fact("kernel", counted)
    })?;
    bench.measured("out", 100.0 * tally[0] as f64 / scenario.output.len() as f64);
    bench.measured("block", block_exits as f64);
    student.go()?;

    // What this guest does not do, and this kernel does not show.
    trials::exits(bench, &mut student, &mut far, seed)?;
    trials::runs(bench, &mut student)?;
    student.finish()
}

/// Bytes that are not those that they should be.
fn wrong(id: &str, found: &[u8], wanted: &[u8]) -> Finding {
    let same = found.iter().zip(wanted).take_while(|(one, other)| one == other).count();
    fail(id).fact("found", shown(found)).fact("wanted", shown(wanted)).fact("same", same)
}

/// The same of what the guest has sent: not a byte is right if they were fetched elsewhere.
fn wrong_output(sent: &[u8], wanted: &[u8]) -> Finding {
    let elsewhere = !sent.is_empty() && sent.iter().zip(wanted).all(|(one, other)| one != other);
    wrong(if elsewhere { "L03-data-offset" } else { "L03-out" }, sent, wanted)
}

/// The first few of them, and their number.
fn shown(bytes: &[u8]) -> String {
    let first: Vec<String> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let more = if bytes.len() > 8 { " ..." } else { "" };
    format!(
        "[{}]{}{more}",
        bytes.len(),
        first.iter().map(|byte| format!(" {byte}")).collect::<String>()
    )
}

/// All that the guest has sent since the last look.
fn received(far: &mut UnixStream) -> Checked<Vec<u8>> {
    let mut bytes = Vec::new();
    match far.read_to_end(&mut bytes) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(bytes),
        read => Ok(read.map(|_| bytes)?),
    }
}
