//! The functions by themselves: what the registers say, and what the doorbell does to a ring.

use lab::check::{Bench, Checked, Finding, Student, ensure, fail};
use three_virtualizations::{
    READY_TO_SEND, SIZE,
    trials::{Trial, places},
};

use super::{first_difference, wire};

/// In the line status: the line is idle as well, which it always is when there is room.
const IDLE: u64 = 1 << 6;

pub fn ports(bench: &mut Bench, student: &mut Student, nowhere: u64) -> Checked<()> {
    student.meet("registers")?;
    let (status, read) = (student.number("line-status")?, student.number("nowhere")?);
    bench.saw("`read_port`, line status", format!("{status:#04x}"));
    bench.saw(format!("`read_port`, port {nowhere:#x}"), format!("{read:#04x}"));
    let finding = |id| fail(id).fact("status", format!("{status:#04x}"));
    ensure(status & u64::from(READY_TO_SEND) != 0, || finding("L05-not-ready"))?;
    let others = status & !(u64::from(READY_TO_SEND) | IDLE);
    ensure(others == 0, || finding("L05-line-status"))?;
    let nowhere = format!("{nowhere:#x}");
    ensure(read == 0xff, || {
        fail("L05-empty-port").fact("port", &nowhere).fact("read", format!("{read:#04x}"))
    })?;
    student.go()?;
    student.meet("ports").map_err(|finding| refused(finding, &nowhere))?;
    let sent = wire(student, "ports")?;
    bench.saw(format!("`write_port`, port {nowhere}"), format!("{} bytes sent", sent.len()));
    ensure(sent.is_empty(), || fail("L05-every-port").fact("port", &nowhere))?;
    student.go()
}

fn refused(finding: Finding, port: &str) -> Finding {
    if finding.is_refusal("write_port", "") {
        return fail("L05-every-port").fact("port", port);
    }
    finding
}

/// What is written to the doorbell: a byte that does not wait in the first of the rings.
pub fn bell(first: u32) -> u8 {
    places(first)[200]
}

/// Rings of every kind, each with one doorbell.
pub fn ring(
    bench: &mut Bench,
    student: &mut Student,
    start: u32,
    (first, bell): (u32, u8),
) -> Checked<()> {
    let (places, mut before) = (places(first), 0);
    for trial in Trial::all(start) {
        student.meet(&format!("ring-{}", trial.name)).map_err(|finding| {
            let overflow = finding.id() == "panicked" && finding.get("panic").contains("overflow");
            let panic = finding.get("panic").to_owned();
            let reported = || fail("L05-overflow").fact("panic", panic);
            if overflow { of(&trial, reported()) } else { finding }
        })?;
        let all = wire(student, "ring")?;
        let sent = &all[before..];
        before = all.len();
        let (rung, tail) = (student.said("rung")?, student.number("tail")?);
        bench.saw(
            format!("a ring, head {}, tail {}", trial.head, trial.tail),
            format!("{rung}; {} bytes sent; tail {tail}", sent.len()),
        );
        if trial.waiting() > SIZE {
            let refused = sent.is_empty() && rung != "success";
            ensure(refused, || of(&trial, fail("L05-trusted-index")).fact("sent", sent.len()))?;
        } else {
            let wanted = trial.wanted(&places);
            ensure(rung == "success", || of(&trial, fail("L05-full-refused")))?;
            ensure(sent == wanted, || {
                let same = first_difference(sent, &wanted);
                let finding = fail(mistake(&trial, sent, &wanted, bell)).fact("wrong", same);
                let finding = finding.fact("sent", sent.len()).fact("bell", format!("{bell:#x}"));
                of(&trial, finding.fact("start", trial.tail % SIZE))
            })?;
            ensure(tail == u64::from(trial.head), || {
                of(&trial, fail("L05-tail")).fact("found", tail)
            })?;
            let reads = student.number("reads")?;
            ensure(reads == 1, || fail("L05-head-twice").fact("reads", reads))?;
        }
        student.go()?;
    }
    Ok(())
}

/// Which mistake sends these bytes.
fn mistake(trial: &Trial, sent: &[u8], wanted: &[u8], bell: u8) -> &'static str {
    let others: Vec<u8> = sent.iter().copied().filter(|byte| *byte != bell).collect();
    let to_the_end = (SIZE - trial.tail % SIZE) as usize;
    match first_difference(sent, wanted) {
        _ if sent.is_empty() => "L05-doorbell",
        _ if sent.len() == wanted.len() + 1 && others == wanted => "L05-doorbell-value",
        same if same == to_the_end && sent.len() == wanted.len() => "L05-not-wrapped",
        _ => "L05-lost",
    }
}

fn of(trial: &Trial, finding: Finding) -> Finding {
    let finding = finding.fact("head", trial.head).fact("tail", trial.tail);
    finding.fact("claimed", trial.waiting())
}
