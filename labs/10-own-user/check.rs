//! What must be true of lab 10, look after look.

use std::{fs, io, os::unix::fs::MetadataExt, process::ExitCode};

use lab::check::{Bench, Checked, Process, Setup, ensure, fail};

fn main() -> ExitCode {
    lab::check::main("10", check)
}

/// So many ticks of CPU time, 100 in a second, no wait takes.
const BUSY: u64 = 20;

/// Judges the program on the bench.
pub fn check(bench: &mut Bench) -> Checked<()> {
    let token = bench.token();
    let mut student = bench.start(Setup::ordinary().with_namespaces().argument("token", &token))?;
    let host = student.host();

    // The new process is born: it is nobody yet, all-powerful where nothing is, and it waits.
    student.meet("born").map_err(|finding| {
        let own = finding.is_refusal("wait_at_gate", "not permitted");
        if own { fail("L10-child-maps").fact("map", "refused: EPERM") } else { finding }
    })?;
    let (main, child) = (student.main(), student.only_child()?);
    let (own, hosts) = (child.namespace("user")?, host.namespace("user")?);
    bench.saw(child.path("ns/user").display(), format!("{own}; host {hosts}"));
    let early = child.read("uid_map")?;
    bench.saw(child.path("uid_map").display(), if early.is_empty() { "empty" } else { &early });
    ensure(early.is_empty(), || fail("L10-child-maps").fact("map", words(&early)))?;
    let (all, power) = (host.status("CapEff")?, child.status("CapEff")?);
    bench.saw(format!("{}, CapEff", child.path("status").display()), &power);
    ensure(power == all, || fail("L10-no-handshake").fact("power", &power).fact("all", &all))?;
    let ticks = child.stat(14)? + child.stat(15)?;
    bench.saw(format!("{}, fields 14 and 15", child.path("stat").display()), ticks);
    ensure(ticks < BUSY, || fail("L10-spins").fact("ticks", ticks))?;
    // 35 and 230 are nanosleep and clock_nanosleep; this file may be kept from us.
    if let Ok(call) = child.read("syscall") {
        bench.saw(child.path("syscall").display(), call.trim());
        let sleeps = call.starts_with("35 ") || call.starts_with("230 ");
        ensure(!sleeps, || fail("L10-sleeps").fact("call", call.trim()))?;
    }
    // Its output and its errors are one pipe, too.
    let opened = child.descriptors()?.into_iter().filter(|(number, _)| *number > 2);
    let mut pipes: Vec<String> = opened.map(|(_, file)| file).collect();
    pipes.retain(|file| file.starts_with("pipe:"));
    bench.saw(child.path("fd").display(), pipes.join(" "));
    let both = pipes.iter().find(|pipe| pipes.iter().filter(|other| other == pipe).count() > 1);
    ensure(both.is_none(), || fail("L10-own-end").fact("pipe", both.cloned().unwrap_or_default()))?;
    student.go()?;

    // Another one, whose parent will not come: it must not wait for ever, nor go on.
    student.meet("orphaned")?;
    let orphan = student.said("orphan")?;
    bench.saw("wait_at_gate() at the end of the file", orphan);
    ensure(orphan != "waits", || fail("L10-waits"))?;
    ensure(orphan == "error", || fail("L10-end-ignored"))?;
    student.go()?;

    // The maps are there, by the parent's hand.
    student.meet("written")?;
    let answer = student.said("write_maps")?.to_owned();
    let files = ["uid_map", "setgroups", "gid_map"];
    let [user, setgroups, group] = files.map(|file| child.read(file).map(|text| words(&text)));
    let (user, setgroups, group) = (user?, setgroups?, group?);
    for (file, text) in files.into_iter().zip([&user, &setgroups, &group]) {
        bench.saw(child.path(file).display(), if text.is_empty() { "empty" } else { text });
    }
    let denied = answer.contains("not permitted") || answer.contains("EPERM");
    // Refused: an id that is not one's own, or gid_map and setgroups in the wrong order.
    let invalid = answer.contains("os error 22") || answer.contains("EINVAL");
    ensure(!invalid, || fail("L10-invalid-map").fact("answer", &answer))?;
    let refused = match (user.is_empty(), group.is_empty(), &*setgroups) {
        (true, ..) => fail("L10-identity-map").fact("map_file", "uid_map"),
        (false, true, "deny") => fail("L10-identity-map").fact("map_file", "gid_map"),
        _ => fail("L10-setgroups").fact("setgroups", &setgroups),
    };
    ensure(!denied, || refused.fact("answer", &answer))?;
    if answer != "ok" {
        return Err(fail("L10-maps-refused").fact("answer", &answer));
    }
    for (file, map, field) in [("uid_map", user, "Uid"), ("gid_map", group, "Gid")] {
        ensure(!map.is_empty(), || fail("L10-no-map").fact("map_file", file))?;
        let you = first_word(&main.status(field)?);
        let wanted = format!("0 {you} 1");
        let finding = || fail("L10-not-root").fact("map_file", file).fact("you", &you);
        ensure(map == wanted, || finding().fact("wanted", &wanted).fact("map", &map))?;
    }
    student.go()?;

    // Root inside, an ordinary user outside.
    student.meet("inside").map_err(|finding| {
        let shut = finding.is_refusal("wait_at_gate", "");
        if shut { fail("L10-gate-shut").fact("answer", finding.get("error")) } else { finding }
    })?;
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
    let owner = fs::metadata(&file)?.uid().to_string();
    let seen = student.number("owner")?;
    bench.saw(file.display(), format!("belongs to {owner} outside, to {seen} inside"));
    if owner != mains || seen != 0 {
        return Err(io::Error::other("the maps are right, and the file's owner is not").into());
    }
    student.go()?;
    student.finish()
}

/// The words of a map, which the kernel sets in columns.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn first_word(text: &str) -> String {
    text.split_whitespace().next().unwrap_or_default().to_owned()
}
