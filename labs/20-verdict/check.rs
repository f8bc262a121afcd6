//! What must be true of lab 20, look after look.

#[path = "check/carriers.rs"]
mod carriers;
#[path = "check/judgements.rs"]
mod judgements;
#[path = "check/practice.rs"]
mod practice;
#[path = "check/probes.rs"]
mod probes;
#[path = "check/reference.rs"]
mod reference;
#[path = "check/series.rs"]
mod series;

use std::{fs, io, os::unix::fs::MetadataExt, process::ExitCode};

use carriers::ensure_carrier;
use judgements::{Judged, ensure_judgements};
use lab::check::{Bench, Checked, Setup, Student, fail};
use practice::MadeUp;
use probes::{Fact, ensure_probes, facts};
use reference::Reference;
use report::Records;
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
        let facts = look_inside(bench, &mut student, point)?;
        if measured {
            bench.measured("exposed", facts.iter().filter(|fact| fact.exposed).count() as f64);
        }
        student.go()?;
        let next = match point {
            "container" => "shared",
            "shared" => "machine",
            _ => "probed",
        };
        student.meet(next)?;
        let sandbox = if point == "machine" { "microvm" } else { "container" };
        ensure_probes(sandbox, &parsed::<Vec<_>>(&student, &format!("probes.{point}"))?, &facts)?;
    }
    student.go()?;

    // The run's own data: some fifty starts of each sandbox.
    student.meet_within("judged", bench.timeout() * 3)?;
    let path = student.said("records")?.trim_start_matches('/');
    let records = Records::read(&student.main().path("root").join(path));
    let records = records.map_err(io::Error::other)?;
    let signs = Signs::of_this_host()?;
    bench.saw("microvm::flavour and CPUID", carriers::in_words(&signs));
    ensure_carrier(&signs, parsed(&student, "carrier")?)?;
    let mut reference = Reference::of(&records);
    for (row, metric) in ROWS {
        reference.ensure_sentence(metric, None, parsed(&student, &format!("row.{metric}"))?)?;
        let found = reference.compare(metric, "microvm", "container");
        let words = found.map(|found| format!("{:?}, {:.2}", found.relation, found.ratio));
        bench.saw(format!("records.json, {row}"), words.as_deref().unwrap_or("not measured"));
    }
    if let Some(found) = reference.compare(ROWS[0].1, "microvm", "container") {
        bench.measured("start-up", found.ratio);
    }
    let textbook = textbook();
    let judged = textbook.iter().enumerate().map(|(number, (_, claim))| {
        let said = parsed(&student, &format!("claim.{number}"))?;
        Ok(Judged { claim, signs: &signs, said })
    });
    ensure_judgements(&mut reference, &judged.collect::<Checked<Vec<_>>>()?)?;
    student.go()?;
    student.finish()
}

/// The functions on data that were made up a moment ago, one function after the other.
fn practise(bench: &mut Bench, student: &mut Student) -> Checked<()> {
    student.meet("practice")?;
    let MadeUp { practice, rows } = practice::make(bench);
    student.go_with(&serde_json::to_string(&practice).map_err(io::Error::from)?)?;

    student.meet("carriers")?;
    let mut hosts: Vec<_> = practice.signs.iter().enumerate().collect();
    hosts.sort_by_key(|(_, signs)| carriers::rank(signs));
    for (number, signs) in hosts {
        ensure_carrier(signs, parsed(student, &format!("carrier.{number}"))?)?;
    }
    bench.saw("made-up hosts", format!("{}, carriers right", practice.signs.len()));
    student.go()?;

    // Some bootstraps, where the whole processor may be emulated.
    student.meet_within("sentences", bench.timeout() * 3)?;
    let mut reference = Reference::of(&practice.records);
    for (kind, metric) in &rows {
        let said = parsed(student, &format!("sentence.{metric}"))?;
        reference.ensure_sentence(metric, Some(*kind), said)?;
    }
    bench.saw("made-up rows", format!("{}, sentences right", rows.len()));
    student.go()?;

    student.meet("probes")?;
    for (number, view) in practice.states.iter().enumerate() {
        let said: Vec<_> = parsed(student, &format!("probes.{number}"))?;
        ensure_probes(&view.sandbox, &said, &facts(view))?;
    }
    bench.saw("made-up sandboxes", format!("{}, probes right", practice.states.len()));
    student.go()?;

    // Some sixty bootstraps.
    student.meet_within("practised", bench.timeout() * 3)?;
    let mut judged = Vec::new();
    for (number, claim) in practice.claims.iter().enumerate() {
        for (on, signs) in practice.hosts_for(number) {
            let said = parsed(student, &format!("judgement.{number}.{on}"))?;
            judged.push(Judged { claim, signs, said });
        }
    }
    ensure_judgements(&mut reference, &judged)?;
    bench.saw("made-up claims", format!("{}, judgements right", practice.claims.len()));
    student.go()?;
    student.meet("container")
}

/// Which of [`PROBES`] show the host in what is there now, by the kernel's own account.
fn look_inside(bench: &mut Bench, student: &mut Student, point: &str) -> Checked<[Fact; 4]> {
    let fact = |exposed, words| Fact { exposed, words, is_nothing: false };
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
        let words = "a microVM without a process of this kernel".to_owned();
        return Ok([(); 4].map(|()| fact(!inside.is_empty(), words.clone())));
    }
    let [child] = inside[..] else {
        return Err(io::Error::other(format!("{} processes inside", inside.len())).into());
    };
    let shared =
        |kind: &str| -> Checked<bool> { Ok(child.namespace(kind)? == main.namespace(kind)?) };
    let file = fs::metadata(child.path("root/marker")).ok();
    let exposed = [
        // A process has the kernel that lists it in /proc.
        ("it is a process of this kernel", child.is_alive()),
        ("its uts namespace is the host's", shared("uts")?),
        ("its pid namespace is the host's", shared("pid")?),
        (
            "the file in its root is the host's",
            file.is_some_and(|file| (file.dev(), file.ino()) == (marker.dev(), marker.ino())),
        ),
    ];
    let facts = exposed.map(|(what, exposed)| {
        fact(exposed, format!("{what}: {}", if exposed { "yes" } else { "no" }))
    });
    for (probe, fact) in PROBES.iter().zip(&facts) {
        bench.saw(format!("process {} in `{point}`, {probe}", child.pid), &fact.words);
    }
    Ok(facts)
}

/// What the program's own part has written down for the student's functions.
fn parsed<T: DeserializeOwned>(student: &Student, name: &str) -> Checked<T> {
    let text = student.said(name)?;
    serde_json::from_str(text).map_err(|_| fail("wrong-words").fact("said", format!("`{name}`")))
}
