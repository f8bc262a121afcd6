//! Who gets a name, and which entries count.

use super::*;

fn scratch(test: &str) -> Ledger {
    let name = format!("isolab-ledger-{test}-{}", std::process::id());
    Ledger::at(std::env::temp_dir().join(name)).unwrap()
}

#[test]
fn a_name_is_free_again_once_its_claim_is_dropped() {
    let ledger = scratch("free");
    let entry = LedgerEntry::new("one".into(), "process", vec!["true".into()]);
    let claim = ledger.claim(entry.clone()).unwrap();
    let refused = ledger.claim(entry.clone()).unwrap_err();
    assert!(matches!(refused, LedgerError::NameInUse { .. }), "{refused}");
    assert_eq!(ledger.find("one").unwrap(), Some(entry.clone()));
    drop(claim);
    drop(ledger.claim(entry).unwrap());
    assert_eq!(ledger.entries().unwrap(), []);
    fs::remove_dir(&ledger.directory).unwrap();
}

#[test]
fn names_cannot_leave_the_directory() {
    let ledger = scratch("names");
    for name in ["", "../x", "a/b", ".hidden", "-x", "a b", &"x".repeat(65)] {
        let refused = ledger.claim(LedgerEntry::new(name.into(), "process", vec![])).unwrap_err();
        assert!(matches!(refused, LedgerError::BadName { .. }), "{name}");
    }
    fs::remove_dir(&ledger.directory).unwrap();
}

#[test]
fn only_the_drafts_of_dead_writers_are_swept() {
    let ledger = scratch("sweep");
    let own = ledger.directory.join(format!("one.{}.draft", std::process::id()));
    // Linux uses no process id above 2^22.
    let dead = ledger.directory.join("one.4194305.draft");
    for draft in [&own, &dead] {
        fs::write(draft, "").unwrap();
    }
    ledger.sweep().unwrap();
    assert!(own.exists() && !dead.exists());
    fs::remove_dir_all(&ledger.directory).unwrap();
}

#[test]
fn only_the_entries_of_dead_launchers_are_adopted() {
    let ledger = scratch("adopt");
    let mut entry = LedgerEntry::new("one".into(), "container", vec![]);
    drop(ledger.claim(entry.clone()).unwrap());
    assert!(ledger.adopt(&entry).is_none(), "its launcher is alive");
    entry.launcher.start_time += 1;
    assert!(ledger.adopt(&entry).is_none(), "there is no such entry");
    ledger.claim(entry.clone()).unwrap().keep();
    drop(ledger.adopt(&entry).unwrap());
    fs::remove_dir(&ledger.directory).unwrap();
}

#[test]
fn what_is_adopted_is_the_last_word_of_the_dead() {
    let ledger = scratch("last");
    let mut entry = LedgerEntry::new("one".into(), "container", vec![]);
    entry.launcher.start_time += 1;
    ledger.claim(entry.clone()).unwrap().keep();
    // Another process reads the entry, and before it acts the launcher adds a line and ends.
    let line = |entry: &mut LedgerEntry| entry.resources.push(Resource::Link("late".into()));
    assert!(ledger.amend("one", line).unwrap());
    let claim = ledger.adopt(&entry).unwrap();
    assert_eq!(claim.entry().resources, [Resource::Link("late".into())]);
    drop(claim);
    // Or the launcher ends, and another takes the name.
    let mut other = entry.clone();
    other.launcher.start_time += 1;
    ledger.claim(other).unwrap().keep();
    assert!(ledger.adopt(&entry).is_none());
    fs::remove_dir_all(&ledger.directory).unwrap();
}

#[test]
fn only_files_of_our_own_are_entries() {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};
    let ledger = scratch("own");
    let file = |name: &str| ledger.directory.join(name);
    let entry = |name: &str| {
        let entry = LedgerEntry::new(name.into(), "container", vec![]);
        serde_json::to_vec(&entry).unwrap()
    };
    let write = |name: &str, content: &[u8], mode| {
        fs::write(file(name), content).unwrap();
        fs::set_permissions(file(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    write("good.json", &entry("good"), 0o600);
    write("elsewhere", &entry("linked"), 0o600);
    symlink(file("elsewhere"), file("linked.json")).unwrap();
    symlink(file("elsewhere"), file("good.link.json")).unwrap();
    // Opening a FIFO for reading would block until there is a writer.
    nix::unistd::mkfifo(&file("pipe.json"), Mode::S_IRWXU).unwrap();
    write("shared.json", &entry("shared"), 0o666);
    write("other.json", &entry("good"), 0o600);
    write("long.json", &entry("long"), 0o600);
    let long = File::options().write(true).open(file("long.json")).unwrap();
    long.set_len(1 << 40).unwrap();
    if Uid::effective().is_root() {
        write("foreign.json", &entry("foreign"), 0o600);
        chown(file("foreign.json"), Some(12345), None).unwrap();
    }
    let names: Vec<String> =
        ledger.entries().unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["good"]);
    fs::remove_dir_all(&ledger.directory).unwrap();
}

#[test]
fn a_directory_that_others_may_write_into_is_no_ledger() {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};
    let ledger = scratch("shared");
    let directory = ledger.directory.clone();
    let again = || Ledger::at(directory.clone()).map(|_| ());
    let set = |mode| fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).unwrap();
    for mode in [0o777, 0o1777, 0o770] {
        set(mode);
        for refused in [again(), ledger.entries().map(|_| ()), ledger.sweep()] {
            let refused = refused.unwrap_err();
            assert!(matches!(refused, LedgerError::OthersMayWrite { .. }), "{refused}");
        }
    }
    set(0o700);
    again().unwrap();
    if Uid::effective().is_root() {
        chown(&directory, Some(12345), None).unwrap();
        assert!(matches!(again(), Err(LedgerError::NotOurs { owner: 12345, .. })));
        chown(&directory, Some(0), None).unwrap();
    }
    let moved = directory.with_extension("moved");
    fs::rename(&directory, &moved).unwrap();
    symlink(&moved, &directory).unwrap();
    assert!(again().is_err());
    fs::remove_file(&directory).unwrap();
    fs::remove_dir(&moved).unwrap();
}

#[test]
fn a_line_that_a_killed_launcher_cut_short_leaves_the_one_before_it() {
    let ledger = scratch("cut");
    let mut claim = ledger.claim(LedgerEntry::new("one".into(), "container", vec![])).unwrap();
    claim.update(|entry| entry.resources = vec![Resource::Link("iso00000004".into())]).unwrap();
    let path = ledger.directory.join("one.json");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [&*whole, br#"{"name":"one","sandbox":"cont"#].concat()).unwrap();
    let found = ledger.find("one").unwrap().unwrap();
    assert_eq!(found.resources, claim.entry().resources);
    drop(claim);
    fs::remove_dir(&ledger.directory).unwrap();
}
