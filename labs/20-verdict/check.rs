//! What must be true of lab 20, look after look.

mod practice;
mod reference;

use std::{fs, io, os::unix::fs::MetadataExt, process::ExitCode};

use lab::check::{Bench, Checked, Setup, Student, ensure, fail};
use reference::{Reference, ensure_carrier, signs_in_words};
use report::{Probe, Records};
use serde::de::DeserializeOwned;
use verdict::{PROBES, ROWS, Signs, textbook};

fn main() -> ExitCode {
    lab::check::main("20", check)
}

/// Judges the program on the bench.
pub fn check(bench: &mut Bench) -> Checked<()> {
    // A container that shares something, never the same.
    let which = 1 + bench.random(7);
    let shares = ["name", "launcher", "marker"].into_iter().enumerate();
    let shares: Vec<&str> =
        shares.filter(|(bit, _)| which & (1 << bit) != 0).map(|(_, word)| word).collect();
    let setup = Setup::ordinary().with_namespaces().with_kvm().argument("marker", bench.token());
    let mut student = bench.start(setup.argument("shares", shares.join(",")))?;

    practise(bench, &mut student)?;
    for (point, measured) in [("container", true), ("shared", false), ("machine", false)] {
        let exposed = look_inside(bench, &mut student, point)?;
        if measured {
            bench.measured("exposed", exposed.iter().filter(|exposed| **exposed).count() as f64);
        }
        student.go()?;
        let next = match point {
            "container" => "shared",
            "shared" => "machine",
            _ => "probed",
        };
        student.meet(next)?;
        ensure_probes(&student, point, &exposed)?;
    }
    student.go()?;

    // The run's own data: some fifty starts of each sandbox.
    student.meet_within("judged", bench.timeout() * 3)?;
    let path = student.said("records")?.trim_start_matches('/');
    let records = Records::read(&student.main().path("root").join(path));
    let records = records.map_err(io::Error::other)?;
    let signs = Signs::of_this_host()?;
    bench.saw("microvm::flavour and CPUID", signs_in_words(&signs));
    ensure_carrier(&signs, parsed(&student, "carrier")?)?;
    let mut reference = Reference::of(&records);
    for (row, metric) in ROWS {
        reference.ensure_sentence(metric, parsed(&student, &format!("row.{metric}"))?)?;
        let found = reference.compare(metric, "microvm", "container");
        let words = found.map(|found| format!("{:?}, {:.2}", found.relation, found.ratio));
        bench.saw(format!("records.json, {row}"), words.as_deref().unwrap_or("not measured"));
    }
    if let Some(found) = reference.compare(ROWS[0].1, "microvm", "container") {
        bench.measured("start-up", found.ratio);
    }
    for (number, (_, claim)) in textbook().iter().enumerate() {
        let said = parsed(&student, &format!("claim.{number}"))?;
        reference.ensure_judgement(claim, &signs, said)?;
    }
    student.go()?;
    student.finish()
}

/// The functions on data that were made up a moment ago.
fn practise(bench: &mut Bench, student: &mut Student) -> Checked<()> {
    student.meet("practice")?;
    let practice = practice::make(bench);
    student.go_with(&serde_json::to_string(&practice).map_err(io::Error::from)?)?;
    // Some seventy bootstraps, where the whole processor may be emulated.
    student.meet_within("practised", bench.timeout() * 3)?;
    for (number, signs) in practice.signs.iter().enumerate() {
        ensure_carrier(signs, parsed(student, &format!("carrier.{number}"))?)?;
    }
    let mut reference = Reference::of(&practice.records);
    for (_, metric) in ROWS {
        reference.ensure_sentence(metric, parsed(student, &format!("sentence.{metric}"))?)?;
    }
    for (number, claim) in practice.claims.iter().enumerate() {
        for (on, signs) in practice.hosts_for(number) {
            let said = parsed(student, &format!("judgement.{number}.{on}"))?;
            reference.ensure_judgement(claim, signs, said)?;
        }
    }
    bench.saw("made-up data", format!("{} series, 4 hosts", practice.records.series.len()));
    student.go()?;
    student.meet("container")
}

/// Which of [`PROBES`] show the host in what is there now, by the kernel's own account.
fn look_inside(bench: &mut Bench, student: &mut Student, point: &str) -> Checked<[bool; 4]> {
    let main = student.main();
    let marker = main.path("root").join(student.said("marker")?.trim_start_matches('/'));
    let marker = fs::metadata(marker)?;
    let inside = main.descendants();
    if point == "machine" {
        // It is there, and no process of this kernel is.
        let machine = main.descriptors()?.into_iter().find(|(_, what)| what == "anon_inode:kvm-vm");
        let (number, what) = machine.ok_or_else(|| io::Error::other("there is no machine"))?;
        bench.saw(main.path(&format!("fd/{number}")).display(), what);
        bench.saw("processes inside the microVM", inside.len());
        return Ok([!inside.is_empty(); 4]);
    }
    let [child] = inside[..] else {
        return Err(io::Error::other(format!("{} processes inside", inside.len())).into());
    };
    let shared =
        |kind: &str| -> Checked<bool> { Ok(child.namespace(kind)? == main.namespace(kind)?) };
    let file = fs::metadata(child.path("root/marker")).ok();
    let exposed = [
        // A process has the kernel that lists it in /proc.
        child.is_alive(),
        shared("uts")?,
        shared("pid")?,
        file.is_some_and(|file| (file.dev(), file.ino()) == (marker.dev(), marker.ino())),
    ];
    for (probe, exposed) in PROBES.iter().zip(exposed) {
        bench.saw(format!("process {} in `{point}`, {probe}", child.pid), exposed);
    }
    Ok(exposed)
}

/// The student's probes, beside what was seen from outside.
fn ensure_probes(student: &Student, point: &str, exposed: &[bool; 4]) -> Checked<()> {
    let said: Vec<Probe> = parsed(student, &format!("probes.{point}"))?;
    let sandbox = if point == "machine" { "microvm" } else { "container" };
    for (name, exposed) in PROBES.iter().zip(exposed) {
        let found = said.iter().find(|probe| probe.probe == *name && probe.sandbox == sandbox);
        let answer = found.map_or("nothing".into(), |probe| probe.exposed.to_string());
        ensure(answer == exposed.to_string(), || {
            let finding = fail("L20-probe").fact("probe", name).fact("sandbox", sandbox);
            let seen = found.map_or("nothing", |probe| &probe.seen);
            finding.fact("said", answer).fact("wanted", exposed).fact("seen", seen)
        })?;
    }
    Ok(())
}

/// What the program's own part has written down for the student's functions.
fn parsed<T: DeserializeOwned>(student: &Student, name: &str) -> Checked<T> {
    let text = student.said(name)?;
    serde_json::from_str(text).map_err(|_| fail("wrong-words").fact("said", format!("`{name}`")))
}
