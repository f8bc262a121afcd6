//! What must be true of lab 10, look after look.

#[path = "check/gate.rs"]
mod gate;
#[path = "check/maps.rs"]
mod maps;

use std::{fs, io, os::unix::fs::MetadataExt, process::ExitCode};

use lab::check::{Bench, Checked, Process, Setup, ensure, fail};
use maps::{first_word, words};

fn main() -> ExitCode {
    lab::check::main("10", check)
}

/// Judges the program on the bench.
pub fn check(bench: &mut Bench) -> Checked<()> {
    let token = bench.token();
    let mut student = bench.start(Setup::ordinary().with_namespaces().argument("token", &token))?;
    let host = student.host();

    // The new process is born: it is nobody yet, all-powerful where nothing is, and it waits.
    student.meet("born").map_err(gate::explain)?;
    let main = student.main();
    let child = student.only_child().map_err(|_| fail("L10-child-ended"))?;
    let (own, hosts) = (child.namespace("user")?, host.namespace("user")?);
    bench.saw(child.path("ns/user").display(), format!("{own}; host {hosts}"));
    let early = child.read("uid_map")?;
    bench.saw(child.path("uid_map").display(), if early.is_empty() { "empty" } else { &early });
    ensure(early.is_empty(), || fail("L10-child-maps").fact("map", words(&early)))?;
    let (all, power) = (host.status("CapEff")?, child.status("CapEff")?);
    bench.saw(format!("{}, CapEff", child.path("status").display()), &power);
    ensure(power == all, || fail("L10-no-handshake").fact("power", &power).fact("all", &all))?;
    let number = student.number("gate")?;
    gate::judge_ends(bench, child, number)?;
    gate::judge_wait(bench, child, number)?;
    student.go()?;

    // At two other gates: one whose parent is gone, one with a byte.
    student.meet("tried").map_err(gate::explain)?;
    gate::judge_trial(bench, &student)?;
    student.go()?;

    // The maps are there, by the parent's hand.
    student.meet("written").map_err(gate::explain_end)?;
    maps::judge(bench, &student, main, child)?;
    student.go()?;
    student.meet("opened").map_err(gate::explain_end)?;
    gate::judge_opening(bench, &student)?;
    student.go()?;

    // Root inside, an ordinary user outside.
    student.meet("inside").map_err(gate::explain_end)?;
    let outer = |process: Process| process.status("Uid").map(|ids| first_word(&ids));
    let (ids, mains) = (outer(child)?, outer(main)?);
    let (power, mains_power) = (child.status("CapEff")?, main.status("CapEff")?);
    bench.saw(format!("{}, Uid", child.path("status").display()), format!("{ids}; parent {mains}"));
    let says = format!("{power}; parent {mains_power}");
    bench.saw(format!("{}, CapEff", child.path("status").display()), says);
    ensure(power == all && student.number("uid")? == 0, || {
        fail("L10-no-handshake").fact("power", &power).fact("all", &all)
    })?;
    let none = mains_power.chars().all(|digit| digit == '0');
    if !none {
        return Err(io::Error::other("the parent is not an ordinary user").into());
    }
    let file = host.path(&format!("root/tmp/lab10-{token}"));
    let (owner, seen) = (fs::metadata(&file)?.uid().to_string(), student.number("owner")?);
    bench.saw(file.display(), format!("belongs to {owner} outside, to {seen} inside"));
    if owner != mains || seen != 0 {
        return Err(io::Error::other("a file belongs to another user than its maker").into());
    }
    student.go()?;
    student.finish()
}
