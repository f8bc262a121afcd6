//! Exits that this guest does not cause, and calls of `KVM_RUN` that do not succeed.

use std::{io::Write, os::unix::net::UnixStream};

use exit_loop::trials::{Exit, Trial, UNKNOWN, hex};
use lab::check::{Bench, Checked, Finding, Student, ensure, fail};

use super::{received, shown, wrong};

/// Each exit is handled as the text says, whatever this kernel would have made of it.
pub fn exits(
    bench: &mut Bench,
    student: &mut Student,
    far: &mut UnixStream,
    seed: u64,
) -> Checked<()> {
    for trial in Trial::all(seed) {
        student.meet(&format!("before-{}", trial.name))?;
        // What an earlier trial was to read is still there.
        far.write_all(&trial.input)?;
        student.go()?;
        student.meet(trial.name).map_err(overflow)?;
        let sent = received(far)?;
        let (next, data) = (student.said("next")?, student.said("data")?);
        let sum = student.number("sum")? as u32;
        let line = shown(&sent);
        bench.saw(
            format!("a recorded exit, {}", trial.name),
            format!("{next}; sent {line}; data {data}; sum {sum:#x}"),
        );
        judge(&trial, &Outcome { next, data, sum, sent })?;
        student.go()?;
    }
    Ok(())
}

/// What has become of a trial.
struct Outcome<'o> {
    next: &'o str,
    data: &'o str,
    sum: u32,
    sent: Vec<u8>,
}

fn judge(trial: &Trial, found: &Outcome<'_>) -> Checked<()> {
    match (&trial.exit, trial.name) {
        (Exit::Port(access, values), "string-out") => {
            ensure(found.sent != values[..1], || wrong("L03-count", &found.sent, values))?;
            ensure(found.sent == *values, || {
                let offset = format!("{:#x}", access.data_offset);
                wrong("L03-fixed-offset", &found.sent, values).fact("offset", offset)
            })?;
        }
        (Exit::Port(_, values), "wide-out") => {
            ensure(found.sent == *values, || wrong("L03-size", &found.sent, values))?;
        }
        (Exit::Port(..), "string-in") => {
            let id = if found.data.starts_with(&hex(&trial.input[..1])) {
                "L03-count"
            } else {
                "L03-received"
            };
            ensure(found.data == hex(&trial.input), || {
                fail(id).fact("found", found.data).fact("wanted", hex(&trial.input))
            })?;
        }
        (Exit::Port(access, values), "port-out") => {
            ensure(found.sent.is_empty(), || {
                let finding = fail("L03-every-port").fact("values", shown(values));
                finding.fact("port", format!("{:#x}", access.port))
            })?;
        }
        (Exit::Port(access, values), _) => {
            ensure(found.data == "ffff", || {
                let finding = fail("L03-empty-port").fact("found", found.data);
                let finding = finding.fact("stale", hex(values)).fact("line", hex(&trial.input));
                finding.fact("port", format!("{:#x}", access.port))
            })?;
        }
        (Exit::Memory(_, data), "adder") => {
            let number = u32::from(u16::from_le_bytes([data[0], data[1]]));
            let wanted = trial.sum.wrapping_add(number);
            ensure(found.sum == wanted, || {
                let summands = format!("{:#x} + {number:#x}", trial.sum);
                let finding = fail("L03-memory").fact("found", format!("{:#x}", found.sum));
                finding.fact("wanted", format!("{wanted:#x}, for {summands}"))
            })?;
        }
        (Exit::Memory(access, _), "memory-write") => {
            ensure(found.sum == trial.sum, || {
                let finding = fail("L03-every-address").fact("found", format!("{:#x}", found.sum));
                finding.fact("address", format!("{:#x}", access.address))
            })?;
        }
        (Exit::Memory(access, data), _) => {
            ensure(found.data == "ffffffff", || {
                let finding = fail("L03-empty-address").fact("found", found.data);
                let finding = finding.fact("stale", hex(&data[..access.length]));
                let finding = finding.fact("sum", hex(&trial.sum.to_le_bytes()));
                finding.fact("address", format!("{:#x}", access.address))
            })?;
        }
        (Exit::Other, _) => {
            let reason = UNKNOWN;
            let error = found.next.strip_prefix("an error: ");
            let Some(error) = error else {
                return Err(fail("L03-unknown").fact("reason", reason).fact("next", found.next));
            };
            let hexadecimal = format!("{reason:#x}");
            let names = [&reason.to_string(), &hexadecimal, "nternal", "NTERNAL"];
            let is_named = names.iter().any(|name| error.contains(*name));
            let finding = || fail("L03-unnamed").fact("reason", reason).fact("error", error);
            return ensure(is_named, finding);
        }
    }
    ensure(found.next == "Next::Run", || {
        fail("L03-next").fact("trial", trial.name).fact("next", found.next)
    })
}

/// An addition that fails is told as such.
pub fn overflow(finding: Finding) -> Finding {
    if finding.id() == "panicked" && finding.get("panic").contains("overflow") {
        return fail("L03-overflow").fact("panic", finding.get("panic"));
    }
    finding
}

/// `run` gives up where `KVM_RUN` or `handle_exit` does, and nowhere else.
pub fn runs(bench: &mut Bench, student: &mut Student) -> Checked<()> {
    for name in ["EIO", "EAGAIN", "unknown-exit"] {
        let id = if name == "unknown-exit" { "L03-error-dropped" } else { "L03-retried" };
        let wrong = |returned: &str| fail(id).fact("what", name).fact("returned", returned);
        student.meet(name).map_err(|finding| {
            let stuck = finding.id() == "wrong-words" && finding.get("said").contains("stopped");
            if stuck { wrong("nothing") } else { finding }
        })?;
        let returned = student.said("returned")?;
        bench.saw(format!("`run`, a processor that pretends {name}"), returned);
        ensure(returned != "success", || wrong(returned))?;
        student.go()?;
    }
    Ok(())
}
