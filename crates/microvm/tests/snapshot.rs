//! Saving a machine and letting it go on, tried with kernels of a few instructions.
//!
//! They count in a register and in memory, print both, and say in between that they may be frozen.

mod common;

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, chown},
    path::Path,
    time::Duration,
};

use common::{chain, kernel, kvm, out};
use microvm::{
    LinuxVm,
    devices::virtio::disk::{Access, DiskFile},
    linux::{GuestRoot, SavedVm},
    snapshot::{Snapshot, SnapshotStore},
};
use proptest::prelude::*;
use sandbox::{Outcome, Sandbox as _, Status, Workload};

const SERIAL: u16 = 0x3f8;
const FREEZE: u16 = 0xf8;
const EXIT: u16 = 0xf4;

/// `mov dx, port; out dx, al`
fn out_al(port: u16) -> Vec<u8> {
    let [low, high] = port.to_le_bytes();
    vec![0x66, 0xba, low, high, 0xee]
}

/// Counts, and prints how far as a digit and a letter: `1a`, `2b`.
fn count() -> Vec<u8> {
    let in_memory = [0xfe, 0x04, 0x25, 0, 0, 0x20, 1]; // inc byte [0x1200000]
    let digit = [0x8a, 0x04, 0x25, 0, 0, 0x20, 1, 0x04, b'0']; // mov al, [0x1200000]; add al, '0'
    let in_register = [0xff, 0xc3]; // inc ebx
    let letter = [0x88, 0xd8, 0x04, b'a' - 1]; // mov al, bl; add al, 'a' - 1
    [&in_memory[..], &in_register, &digit, &out_al(SERIAL), &letter, &out_al(SERIAL)].concat()
}

/// Prints the four bytes that are read from the port where a guest may be frozen.
fn print_seed() -> Vec<u8> {
    let [low, high] = FREEZE.to_le_bytes();
    let mut code = vec![0x66, 0xba, low, high, 0xed]; // mov dx, FREEZE; in eax, dx
    for _ in 0..4 {
        code.extend(out_al(SERIAL));
        code.extend([0xc1, 0xe8, 8]); // shr eax, 8
    }
    code
}

fn counting() -> Vec<u8> {
    [count(), count(), out(FREEZE, 0), print_seed(), count(), count(), out(EXIT, 7)].concat()
}

/// Starts a second processor, which counts in real mode; waits until it does, may be frozen, and
/// waits again.
fn two_processors() -> Vec<u8> {
    [
        // 0x8000: inc word [0x9000]; jmp 0x8000
        &[0xc7, 0x04, 0x25, 0, 0x80, 0, 0, 0xff, 0x06, 0, 0x90][..],
        &[0x66, 0xc7, 0x04, 0x25, 4, 0x80, 0, 0, 0xeb, 0xfa],
        // wrmsr APIC_BASE: x2APIC
        &[0xb9, 0x1b, 0, 0, 0, 0xb8, 0, 0x0d, 0xe0, 0xfe, 0x31, 0xd2, 0x0f, 0x30],
        // wrmsr ICR: INIT to 1; SIPI to 1, at 0x8000
        &[0xb9, 0x30, 0x08, 0, 0, 0xba, 1, 0, 0, 0, 0xb8, 0, 0x45, 0, 0, 0x0f, 0x30],
        &[0xb8, 0x08, 0x46, 0, 0, 0x0f, 0x30],
        // cmp word [0x9000], 0; je
        &[0x66, 0x83, 0x3c, 0x25, 0, 0x90, 0, 0, 0, 0x74, 0xf5],
        &out(FREEZE, 0),
        // mov ax, [0x9000]; cmp [0x9000], ax; je
        &[0x66, 0x8b, 0x04, 0x25, 0, 0x90, 0, 0],
        &[0x66, 0x39, 0x04, 0x25, 0, 0x90, 0, 0, 0x74, 0xf6],
        &out(SERIAL, b'k'),
        &out(EXIT, 0),
    ]
    .concat()
}

fn workload() -> Workload {
    Workload::command(["/init"]).deadline(Duration::from_secs(20))
}

/// Saves the guest with this kernel in `folder`; gives what the guest did then.
fn save(code: &[u8], vcpus: u64, folder: &Path) -> sandbox::Result<Outcome> {
    save_with(code, vcpus, Vec::new(), folder)
}

fn save_with(
    code: &[u8],
    vcpus: u64,
    disks: Vec<DiskFile>,
    folder: &Path,
) -> sandbox::Result<Outcome> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, kernel(code)).unwrap();
    let mut machine =
        LinuxVm { root: GuestRoot::Initramfs(Vec::new()), disks, ..LinuxVm::new(file.path()) };
    machine.limits.memory_bytes = Some(40 << 20);
    machine.limits.vcpus = Some(vcpus.try_into().unwrap());
    machine.spawn_and_save(&workload(), folder)?.wait()
}

fn restore(folder: &Path) -> sandbox::Result<Outcome> {
    SavedVm::new(folder).run(&workload())
}

#[test]
fn a_guest_goes_on_where_it_was_saved_and_so_does_each_clone() {
    if !kvm() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("counting");
    let original = save(&counting(), 1, &folder).unwrap();
    assert_eq!((&original.output[..4], &original.output[8..]), (&b"1a2b"[..], &b"3c4d"[..]));
    assert_eq!(original.status, Status::Exited(7));
    let clones = [(); 3].map(|()| restore(&folder).unwrap());
    let mut seeds = vec![&original.output[4..8]];
    for clone in &clones {
        assert_eq!((&clone.output[4..], clone.status), (&b"3c4d"[..], Status::Exited(7)));
        assert!(!seeds.contains(&&clone.output[..4]), "each has random numbers of its own");
        seeds.push(&clone.output[..4]);
    }
    let list = SnapshotStore(place.path().into()).list();
    assert_eq!((list.len(), &*list[0].name), (1, "counting"));
    assert!(list[0].bytes_on_disk < 1 << 20, "{} bytes", list[0].bytes_on_disk);
    assert_eq!(list[0].state.as_ref().unwrap().recipe.command, ["/init"]);
}

#[test]
fn clones_run_side_by_side() {
    if !kvm() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("counting");
    save(&counting(), 1, &folder).unwrap();
    let clones = [(); 8].map(|()| SavedVm::new(&folder).spawn(&workload()).unwrap());
    for clone in clones {
        assert_eq!(clone.wait().unwrap().output[4..], *b"3c4d");
    }
}

#[test]
fn every_processor_goes_on() {
    if !kvm() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("two");
    assert_eq!(save(&two_processors(), 2, &folder).unwrap().output, b"k");
    for _ in 0..2 {
        assert_eq!(restore(&folder).unwrap().output, b"k");
    }
}

#[test]
fn a_processor_that_was_never_started_waits_for_it_in_the_clone_too() {
    if !kvm() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("counting");
    save(&counting(), 3, &folder).unwrap();
    assert_eq!(restore(&folder).unwrap().output[4..], *b"3c4d");
}

#[test]
fn saving_alone_ends_the_guest_and_a_guest_that_ends_before_is_not_saved() {
    if !kvm() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut machine =
        LinuxVm { root: GuestRoot::Initramfs(Vec::new()), ..LinuxVm::new(file.path()) };
    machine.limits.memory_bytes = Some(40 << 20);
    let folder = place.path().join("counting");
    fs::write(&file, kernel(&counting())).unwrap();
    machine.save(&workload(), &folder).unwrap();
    assert_eq!(restore(&folder).unwrap().output[4..], *b"3c4d");
    let error = machine.save(&workload(), &folder).unwrap_err();
    assert!(chain(&error).contains("already"), "{}", chain(&error));
    let folder = place.path().join("never");
    fs::write(&file, kernel(&out(EXIT, 0))).unwrap();
    let error = machine.save(&workload(), &folder).unwrap_err();
    assert!(chain(&error).contains("ended before it could be saved"), "{}", chain(&error));
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "nothing is left of it");
}

/// Puts another file, with another content, into the place of one that can only be read.
fn change(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).unwrap();
    change(&mut bytes);
    fs::remove_file(file).unwrap();
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_memory_that_was_checked_is_checked_again_once_somebody_has_changed_it() {
    if !kvm() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("counting");
    save(&counting(), 1, &folder).unwrap();
    let mark = fs::read(folder.join("checked")).expect("who writes it knows what is in it");
    for _ in 0..2 {
        assert_eq!(restore(&folder).unwrap().output[4..], *b"3c4d");
        assert_eq!(fs::read(folder.join("checked")).unwrap(), mark, "it was checked once more");
    }
    // Without a mark it is checked, and marked for the next one.
    fs::remove_file(folder.join("checked")).unwrap();
    assert_eq!(restore(&folder).unwrap().output[4..], *b"3c4d");
    assert_eq!(fs::read(folder.join("checked")).unwrap(), mark);
    change(&folder.join("memory"), |bytes| bytes[0x100_0000] ^= 1);
    let message = chain(&restore(&folder).unwrap_err());
    assert!(message.contains("at byte 0x1000000 or later"), "{message}");
}

/// Makes `state.json` add up again.
fn forge(folder: &Path) {
    let text = fs::read(folder.join("state.json")).unwrap();
    let sum = format!("{:016x}  state.json\n", twox_hash::XxHash3_64::oneshot(&text));
    change(&folder.join("checksum"), |bytes| *bytes = sum.into_bytes());
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for name in ["state.json", "memory", "checksum"] {
        fs::hard_link(from.join(name), to.join(name)).unwrap();
    }
}

#[test]
fn what_is_damaged_or_of_another_is_refused_by_name() {
    if !kvm() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("good");
    save(&counting(), 1, &folder).unwrap();
    type Damage = fn(&Path);
    fn in_state(folder: &Path, old: &str, new: &str) {
        change(&folder.join("state.json"), |bytes| {
            let text = String::from_utf8(bytes.clone()).unwrap();
            assert!(text.contains(old), "{old}");
            *bytes = text.replacen(old, new, 1).into_bytes();
        });
        forge(folder);
    }
    let cases: [(Damage, &str); 15] = [
        (|it| fs::remove_file(it.join("memory")).unwrap(), "memory\" is missing"),
        (|it| fs::remove_file(it.join("state.json")).unwrap(), "state.json\" is missing"),
        (|it| fs::remove_file(it.join("checksum")).unwrap(), "checksum\" is missing"),
        (
            |it| change(&it.join("memory"), |bytes| bytes.truncate(1 << 20)),
            "has 1048576 bytes, not",
        ),
        (|it| change(&it.join("memory"), |bytes| bytes.push(0)), "has 41943041 bytes, not"),
        (
            |it| change(&it.join("memory"), |bytes| bytes[0x100_0000] ^= 1),
            "at byte 0x1000000 or later",
        ),
        (
            |it| change(&it.join("memory"), |bytes| bytes[0x200_0003] = 1),
            "at byte 0x2000003 or later",
        ),
        (
            |it| change(&it.join("state.json"), |bytes| bytes[99] ^= 4),
            "state.json\" was changed after",
        ),
        (|it| change(&it.join("state.json"), |bytes| bytes.push(b' ')), "state.json\" was changed"),
        (|it| change(&it.join("checksum"), |bytes| bytes.push(0)), "checksum\" has 30 bytes"),
        (|it| in_state(it, "\"format\": 4", "\"format\": 9"), "the snapshot was written by isolab"),
        (|it| in_state(it, "\"vendor\": \"", "\"vendor\": \"Other"), "for another processor"),
        (
            |it| in_state(it, "\"bytes\": 41943040", "\"bytes\": 41943039"),
            "a memory that cannot be",
        ),
        (
            |it| in_state(it, "\"serial\"", "\"cereal\""),
            "(cereal at 0x3f8) differ from this machine's (serial at 0x3f8)",
        ),
        (|it| in_state(it, "\"modem\"", "\"mode\""), "invalid state of serial at 0x3f8"),
    ];
    for (number, (damage, expected)) in cases.into_iter().enumerate() {
        let damaged = place.path().join(format!("damaged{number}"));
        copy(&folder, &damaged);
        damage(&damaged);
        let message = chain(&restore(&damaged).unwrap_err());
        assert!(message.contains(expected), "{expected}: {message}");
    }
    assert!(chain(&restore(&place.path().join("no")).unwrap_err()).contains("no snapshot at"));
    let damaged = SnapshotStore(place.path().into()).list();
    assert_eq!(damaged.iter().filter(|listed| listed.state.is_err()).count(), 10);
    assert_eq!(restore(&folder).unwrap().output[4..], *b"3c4d", "the good one still is");
}

#[test]
fn nobody_else_may_be_able_to_change_what_is_restored() {
    if !kvm() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("mine");
    save(&counting(), 1, &folder).unwrap();
    let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let files = ["state.json", "checksum", "memory"].map(|name| folder.join(name));
    for path in files.iter().chain([&folder]) {
        let before = fs::metadata(path).unwrap().permissions();
        for open in [0o720, 0o702] {
            mode(path, open);
            let error = restore(&folder).unwrap_err();
            let expected = format!("{path:?}: users other than its owner may write to it");
            assert!(chain(&error).contains(&expected), "{}", chain(&error));
            assert!(error.fix().unwrap().contains("chmod"), "{error}");
        }
        fs::set_permissions(path, before).unwrap();
    }
    assert_eq!(restore(&folder).unwrap().output[4..], *b"3c4d");
    // A link leads to what somebody else may have put there.
    fs::rename(folder.join("memory"), place.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(place.path().join("elsewhere"), folder.join("memory")).unwrap();
    let message = chain(&restore(&folder).unwrap_err());
    assert!(message.contains("read") && message.contains("memory"), "{message}");
}

#[test]
fn what_belongs_to_another_user_is_refused() {
    const NOBODY: u32 = 65534;
    if !kvm() {
        return;
    }
    if !nix::unistd::geteuid().is_root() {
        return eprintln!("skipped: only root can give a file away");
    }
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("given");
    save(&counting(), 1, &folder).unwrap();
    for path in ["", "state.json", "checksum", "memory"].map(|name| folder.join(name)) {
        chown(&path, Some(NOBODY), None).unwrap();
        let error = restore(&folder).unwrap_err();
        let expected = "it belongs to user 65534, who can change it at any time";
        assert!(chain(&error).contains(expected), "{}", chain(&error));
        chown(&path, Some(0), None).unwrap();
    }
    assert_eq!(restore(&folder).unwrap().output[4..], *b"3c4d");
}

/// What comes in an archive belongs to whoever unpacks it, and is another's all the same.
#[test]
fn a_snapshot_from_elsewhere_does_not_say_which_files_are_opened() {
    if !kvm() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let (folder, brought) = (place.path().join("here"), place.path().join("brought"));
    let secret = place.path().join("secret");
    fs::write(&secret, [b's'; 4096]).unwrap();
    let disk = DiskFile { path: secret.clone(), access: Access::Read, is_raw: true };
    save_with(&counting(), 1, vec![disk], &folder).unwrap();
    assert_eq!(
        restore(&folder).unwrap().output[4..],
        *b"3c4d",
        "where it was saved it is believed"
    );
    fs::create_dir(&brought).unwrap();
    for name in ["state.json", "memory", "checksum"] {
        fs::copy(folder.join(name), brought.join(name)).unwrap();
    }
    let error = restore(&brought).unwrap_err();
    let expected = format!("names files of this host as disks: {}", secret.display());
    assert!(chain(&error).contains(&expected), "{}", chain(&error));
    assert!(error.fix().unwrap().contains("--disk FILE"), "{error}");
    let with = |disks| SavedVm { disks, ..SavedVm::new(&brought) }.run(&workload());
    let other = place.path().join("other");
    fs::write(&other, [b'o'; 4096]).unwrap();
    assert_eq!(with(vec![other.clone()]).unwrap().output[4..], *b"3c4d");
    let message = chain(&with(vec![other.clone(), other]).unwrap_err());
    assert!(message.contains("2 disks given, but the guest was saved with 1"), "{message}");
}

/// What KVM gives of a processor changes with the host's kernel.
#[test]
fn a_snapshot_of_another_kernel_says_so() {
    if !kvm() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let good = place.path().join("good");
    save(&counting(), 1, &good).unwrap();
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let release = release.trim();
    let other = |name: &str, features: bool| {
        let folder = place.path().join(name);
        copy(&good, &folder);
        change(&folder.join("state.json"), |bytes| {
            let mut state: serde_json::Value = serde_json::from_slice(bytes).unwrap();
            let host = &mut state["state"]["host"];
            assert!(host["kernel"].as_str().unwrap().starts_with(release), "{host}");
            host["kernel"] = "5.4.0-other #1 SMP".into();
            if features {
                host["features"] = "0x1".into();
            }
            *bytes = serde_json::to_vec(&state).unwrap();
        });
        forge(&folder);
        restore(&folder)
    };
    assert_eq!(other("alike", false).unwrap().output[4..], *b"3c4d", "it gives guests the same");
    let error = other("different", true).unwrap_err();
    let message = chain(&error);
    let expected =
        "the snapshot was saved under the kernel 5.4.0-other #1 SMP, and this host now runs ";
    assert!(message.contains(&format!("{expected}{release} ")), "{message}");
    assert!(error.fix().unwrap().contains("save it anew"), "{error}");
}

#[test]
fn no_damage_goes_unnoticed_and_no_forgery_harms_the_host() {
    if !kvm() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let good = place.path().join("good");
    save(&counting(), 1, &good).unwrap();
    let state = fs::read(good.join("state.json")).unwrap();
    let memory = fs::metadata(good.join("memory")).unwrap().len();
    let bad = place.path().join("bad");
    copy(&good, &bad);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(100));
    let byte = (any::<prop::sample::Index>(), 1..=255u8);
    runner
        .run(&byte, |(at, bits)| {
            let mut text = state.clone();
            text[at.index(state.len())] ^= bits;
            change(&bad.join("state.json"), |bytes| bytes.clone_from(&text));
            prop_assert!(Snapshot::open(&bad).is_err());
            // The same, by somebody who makes it add up.
            forge(&bad);
            let soon = workload().deadline(Duration::from_millis(300));
            let _ = SavedVm::new(&bad).run(&soon);
            change(&bad.join("state.json"), |bytes| bytes.clone_from(&state));
            forge(&bad);
            Ok(())
        })
        .unwrap();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(30));
    change(&bad.join("memory"), |_| ());
    let file = fs::File::options().read(true).write(true).open(bad.join("memory")).unwrap();
    runner
        .run(&byte, |(at, bits)| {
            use std::os::unix::fs::FileExt as _;
            let (at, mut byte) = (at.index(memory as usize) as u64, [0]);
            file.read_exact_at(&mut byte, at).unwrap();
            file.write_all_at(&[byte[0] ^ bits], at).unwrap();
            prop_assert!(Snapshot::open(&bad).unwrap().check_memory().is_err());
            file.write_all_at(&byte, at).unwrap();
            Ok(())
        })
        .unwrap();
    Snapshot::open(&bad).unwrap().check_memory().unwrap();
}
