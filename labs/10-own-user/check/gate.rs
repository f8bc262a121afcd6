//! How the new process waits: on which end of the pipe, in which system call, and for what.

use lab::check::{Bench, Checked, Finding, Process, Student, ensure, fail};

/// Clock ticks (hundredths of a second) after which a process that should wait has only computed.
const TICKS: u64 = 15;
/// System calls by their numbers on x86-64: those that sleep for a time, those that read, and poll
/// and ppoll, which take a number of milliseconds and a time as their third argument.
const SLEEPS: [i64; 2] = [35, 230];
const READS: [i64; 2] = [0, 19];
const POLL: i64 = 7;
const PPOLL: i64 = 271;

/// Why the program has not come to where the new process waits.
pub fn explain(finding: Finding) -> Finding {
    if !finding.is_refusal("wait_at_gate", "") {
        return finding;
    }
    let error = finding.get("error");
    match error.contains("not permitted") {
        true => fail("L10-child-maps").fact("map", "refused: EPERM"),
        false => fail("L10-wait-refused").fact("error", error),
    }
}

/// Why the parent has not come to where its part is done: the child tells it by its own error.
pub fn explain_end(finding: Finding) -> Finding {
    match finding.is_refusal("wait_at_gate", "") {
        true => fail("L10-parent-ended").fact("error", finding.get("error")),
        false => finding,
    }
}

/// Of the gate's pipe it has the end that is read from, and no other.
pub fn judge_ends(bench: &mut Bench, child: Process, gate: u64) -> Checked<()> {
    let pipe = format!("pipe:[{gate}]");
    let ends = child.descriptors()?.into_iter().filter(|(_, file)| *file == pipe);
    let (mut reading, mut writing) = (Vec::new(), Vec::new());
    for (number, _) in ends {
        // proc_pid_fdinfo(5): the last octal digit of the flags is 0 for reading only.
        let about = child.read(&format!("fdinfo/{number}"))?;
        let flags = about.lines().find_map(|line| line.strip_prefix("flags:"));
        let reads = flags.is_some_and(|flags| flags.trim().ends_with('0'));
        if reads { reading.push(number) } else { writing.push(number) }
    }
    let says = format!("{pipe}: {} for reading, {} for writing", reading.len(), writing.len());
    bench.saw(child.path("fd").display(), says);
    ensure(!reading.is_empty(), || {
        fail("L10-no-end").fact("pipe", &pipe).fact("writing", writing.len())
    })?;
    ensure(writing.is_empty(), || fail("L10-own-end").fact("pipe", &pipe))
}

/// It waits in a read from the gate.
pub fn judge_wait(bench: &mut Bench, child: Process, gate: u64) -> Checked<()> {
    let ticks = child.stat(14)? + child.stat(15)?;
    ensure(ticks < TICKS, || fail("L10-spins").fact("time", format!("0.{ticks:02} s")))?;
    let call = match child.read("syscall") {
        Ok(call) => call.trim().to_owned(),
        // Not every kernel has this file, and not everybody may read it.
        Err(error) => {
            bench.unjudged("wait", error);
            return Ok(());
        }
    };
    bench.saw(child.path("syscall").display(), &call);
    let words: Vec<i64> = call.split(' ').map_while(number).collect();
    let [call_number, first, _, third, ..] = words[..] else { return Ok(()) };
    ensure(!SLEEPS.contains(&call_number), || fail("L10-sleeps").fact("call", call_number))?;
    let reads = || {
        let file = child.link(&format!("fd/{first}")).unwrap_or_default();
        READS.contains(&call_number) && file == format!("pipe:[{gate}]")
    };
    let polls = match call_number {
        POLL => third as i32 == -1,
        PPOLL => third == 0,
        _ => false,
    };
    ensure(polls || reads(), || fail("L10-other-wait").fact("call", call_number))
}

/// A number of `/proc/PID/syscall`: the first is decimal, the others are hexadecimal.
fn number(word: &str) -> Option<i64> {
    match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok().map(u64::cast_signed),
        None => word.parse().ok(),
    }
}

/// At the end of file it has returned an error, and at a byte it has gone on.
pub fn judge_trial(bench: &mut Bench, student: &Student) -> Checked<()> {
    let (end, byte) = (student.said("at_the_end")?, student.said("at_a_byte")?);
    bench.saw("wait_at_gate at the end of file", end);
    bench.saw("wait_at_gate at a byte", byte);
    let ends = ["error", "ok", "waits"].contains(&end);
    ensure(end != "ok", || fail("L10-end-of-file"))?;
    ensure(end != "waits", || fail("L10-waits-on"))?;
    ensure(ends && byte == "ok", || fail("L10-one-byte").fact("answer", byte))
}

/// At another gate, `open_gate` has written a byte.
pub fn judge_opening(bench: &mut Bench, student: &Student) -> Checked<()> {
    let (answer, bytes) = (student.said("open_gate")?, student.number("bytes")?);
    bench.saw("open_gate()", format!("{answer}; bytes written: {bytes}"));
    ensure(answer == "ok", || fail("L10-open-refused").fact("error", answer))?;
    ensure(bytes > 0, || fail("L10-gate-shut"))
}
