//! The machine of a Linux guest, tried with kernels of a few instructions: all that can be said of
//! it without Linux itself, on any KVM.

use std::{error::Error as _, io::Write as _, time::Duration};

use microvm::{
    LinuxVm,
    linux::{EntryPoint, GuestRoot},
};
use sandbox::{Error, Limits, Milestone, Outcome, Sandbox as _, Status, Workload};

/// Whether there is KVM; prints why not, and fails where it is required.
fn kvm() -> bool {
    let Err(error) = microvm::available() else { return true };
    let required = std::env::var("ISOLAB_REQUIRE").unwrap_or_default();
    assert!(!required.contains("microvm"), "{error}: {:?}", error.source());
    eprintln!("skipped: {error}: {:?}", error.source());
    false
}

const LOADED_AT: u64 = 0x100_0000;

/// An ELF file of one segment with `code` in it, and a note that names the same entry for PVH.
fn kernel(code: &[u8]) -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(64 + 2 * 56, 0);
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(16, &[2, 0, 62, 0]);
    put(24, &LOADED_AT.to_le_bytes());
    put(32, &64u64.to_le_bytes());
    put(54, &[56, 0, 2, 0]);
    let mut header = |index: usize, kind: u8, offset: u64, length: u64| {
        let at = 64 + index * 56;
        put(at, &[kind]);
        put(at + 8, &offset.to_le_bytes());
        put(at + 16, &0xffff_ffff_8100_0000u64.to_le_bytes());
        put(at + 24, &LOADED_AT.to_le_bytes());
        put(at + 32, &length.to_le_bytes());
        put(at + 40, &length.to_le_bytes());
    };
    let mut note = [4u32, 4, 18].map(u32::to_le_bytes).concat();
    note.extend(b"Xen\0");
    note.extend((LOADED_AT as u32).to_le_bytes());
    header(0, 1, 176, code.len() as u64);
    header(1, 4, 176 + code.len() as u64, note.len() as u64);
    file.extend(code);
    file.extend(note);
    file
}

/// A machine that boots the kernel in this file and nothing else.
fn bare(kernel: &std::path::Path) -> LinuxVm {
    LinuxVm { root: GuestRoot::Initramfs(Vec::new()), ..LinuxVm::new(kernel) }
}

/// Boots `code` in a machine that `change` changes, with a deadline of 20 seconds.
fn boot(code: &[u8], change: impl FnOnce(&mut LinuxVm)) -> sandbox::Result<Outcome> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&kernel(code)).unwrap();
    let mut machine = bare(file.path());
    machine.limits.memory_bytes = Some(64 << 20);
    change(&mut machine);
    machine.run(&Workload::command(["/init"]).deadline(Duration::from_secs(20)))
}

/// The message of an error with all its causes.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}

/// `mov al, value; out port, al`
fn out(port: u16, value: u8) -> Vec<u8> {
    let [low, high] = port.to_le_bytes();
    vec![0x66, 0xba, low, high, 0xb0, value, 0xee]
}

const HANG: [u8; 2] = [0xeb, 0xfe]; // jmp $

#[test]
fn each_way_to_end_is_told_apart() {
    if !kvm() {
        return;
    }
    let ends = |code: &[u8]| boot(code, |_| ()).map(|outcome| outcome.status);
    for code in [0, 1, 42, 137] {
        assert_eq!(ends(&out(0xf4, code)).unwrap(), Status::Exited(code));
    }
    assert_eq!(ends(&out(0x600, 0x34)).unwrap(), Status::Exited(0), "power-off");
    assert_eq!(ends(&out(0x64, 0xfe)).unwrap(), Status::Signaled(libc::SIGHUP), "reset");
    // lidt of an empty table, then an exception: nobody can handle it, nor that nobody can.
    let triple_fault = [0x0f, 0x01, 0x1d, 2, 0, 0, 0, 0x0f, 0x0b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let error = ends(&triple_fault).unwrap_err();
    assert!(chain(&error).contains("triple fault"), "{}", chain(&error));
    assert_eq!(error.exit_code(), 125);
}

#[test]
fn a_panic_is_no_reset() {
    if !kvm() {
        return;
    }
    let mut code = Vec::new();
    for byte in b"Kernel panic - not syncing: no dinner\n" {
        code.extend(out(0x3f8, *byte));
    }
    code.extend(out(0x64, 0xfe));
    let error = boot(&code, |_| ()).unwrap_err();
    let message = chain(&error);
    assert!(message.contains("the guest's kernel panicked: no dinner"), "{message}");
}

#[test]
fn what_is_printed_is_captured_and_reaches_every_milestone() {
    if !kvm() {
        return;
    }
    let code = [out(0x3f8, b'h'), out(0x3f8, b'i'), out(0xf4, 0)].concat();
    for entry_point in [EntryPoint::Long64, EntryPoint::Pvh] {
        let outcome = boot(&code, |machine| machine.entry_point = entry_point).unwrap();
        assert_eq!(outcome.output, b"hi");
        let times = Milestone::ALL.map(|it| outcome.timeline.since_start(it).unwrap());
        assert!(times.is_sorted(), "{times:?}");
        let serial = &outcome.usage.crossings[0];
        assert_eq!((&*serial.reason, serial.count), ("out 0x3f8", 2));
    }
}

#[test]
fn a_guest_that_never_starts_up_is_ended_and_every_processor_named() {
    if !kvm() {
        return;
    }
    let code = [out(0x3f8, b'.'), HANG.to_vec()].concat();
    let error = boot(&code, |machine| {
        machine.start_up = Some(Duration::from_millis(200));
        machine.limits.vcpus = Some(2);
    })
    .unwrap_err();
    let message = chain(&error);
    assert!(message.contains("did not reach user space in 200ms"), "{message}");
    assert!(message.contains("processor 0: it was at RIP 0x1000007 in ring 0"), "{message}");
    assert!(message.contains("processor 1: it was at RIP"), "{message}");
    assert!(message.contains("| ."), "the console's last line: {message}");
}

#[test]
fn a_deadline_and_a_kill_end_all_processors() {
    if !kvm() {
        return;
    }
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&kernel(&HANG)).unwrap();
    let limits = Limits { vcpus: Some(4), memory_bytes: Some(64 << 20), ..Limits::default() };
    let machine = LinuxVm { limits, ..bare(file.path()) };
    let workload = Workload::command(["/init"]);
    let late = machine.run(&workload.clone().deadline(Duration::from_millis(100)));
    assert!(matches!(late, Err(Error::Deadline { .. })));
    let instance = machine.spawn(&workload).unwrap();
    instance.control().kill();
    assert_eq!(instance.wait().unwrap().status, Status::Signaled(9));
    drop(machine.spawn(&workload).unwrap());
}

#[test]
fn what_is_no_kernel_or_does_not_fit_is_refused_before_there_is_a_machine() {
    type Change = fn(&mut LinuxVm);
    let refused = |bytes: &[u8], change: Change| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let mut machine = bare(file.path());
        machine.device = "/dev/null".into();
        change(&mut machine);
        let error = machine.run(&Workload::command(["/init"])).unwrap_err();
        chain(&error)
    };
    let good = kernel(&HANG);
    let mut arm = good.clone();
    arm[18] = 183;
    let cases: [(&[u8], Change, &str); 7] = [
        (b"MZ", |_| (), "not a Linux kernel"),
        (&good[..100], |_| (), "truncated"),
        (&arm, |_| (), "another processor, arm64"),
        (&good, |it| it.limits.memory_bytes = Some(8 << 20), "boot in 8 MiB of memory"),
        (&good, |it| it.limits.vcpus = Some(0), "a limit of 0 vcpus"),
        (&good, |it| it.limits.vcpus = Some(1000), "have 1000 virtual CPUs"),
        (&good, |it| it.root = GuestRoot::Initramfs(vec!["/no/such/file".into()]), "/no/such/file"),
    ];
    for (bytes, change, expected) in cases {
        let message = refused(bytes, change);
        assert!(message.contains(expected), "{expected}: {message}");
    }
}
