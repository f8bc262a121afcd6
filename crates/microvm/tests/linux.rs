//! The machine of a Linux guest, tried with kernels of a few instructions: all that can be said of
//! it without Linux itself, on any KVM.

mod common;

use std::{io::Write as _, time::Duration};

use common::{chain, kernel, kvm, out};
use microvm::{
    LinuxVm,
    linux::{EntryPoint, GuestRoot},
};
use sandbox::{
    Error, ExitReason, Limits, MachineEnd, Milestone, Outcome, Sandbox as _, Status, Workload,
};

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
    // mov edx, 0xf4; mov eax, 0x2a; out dx, ax or eax
    let wide = |instruction: &[u8]| {
        [&[0x66, 0xba, 0xf4, 0, 0xb8, 0x2a, 0, 0, 0][..], instruction].concat()
    };
    for instruction in [&[0x66, 0xef][..], &[0xef]] {
        assert_eq!(ends(&wide(instruction)).unwrap(), Status::Exited(42), "{instruction:x?}");
    }
    assert_eq!(ends(&out(0x600, 0x34)).unwrap(), Status::Exited(0), "power-off");
    assert_eq!(ends(&out(0x64, 0xfe)).unwrap(), Status::Signaled(libc::SIGHUP), "reset");
    // lidt of an empty table, then an exception: nobody can handle it, nor that nobody can.
    let triple_fault = [0x0f, 0x01, 0x1d, 2, 0, 0, 0, 0x0f, 0x0b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let error = ends(&triple_fault).unwrap_err();
    assert!(chain(&error).contains("triple fault"), "{}", chain(&error));
    assert_eq!(error.exit_code(), 125);
}

const CLI_HLT: [u8; 4] = [0xfa, 0xf4, 0xeb, 0xfd]; // cli; again: hlt; jmp again
const STI_HLT: [u8; 4] = [0xfb, 0xf4, 0xeb, 0xfd]; // sti; again: hlt; jmp again

#[test]
fn a_guest_that_halts_for_good_is_ended_whoever_else_was_never_started() {
    if !kvm() {
        return;
    }
    for vcpus in [1, 3] {
        let outcome = boot(&CLI_HLT, |machine| machine.limits.vcpus = Some(vcpus)).unwrap();
        assert_eq!(outcome.status, Status::Exited(0), "{vcpus} processors");
        assert_eq!(outcome.machine_end, Some(MachineEnd::Halt), "{vcpus} processors");
    }
    let mut code = Vec::new();
    for byte in b"Kernel panic - not syncing: no dinner\n" {
        code.extend(out(0x3f8, *byte));
    }
    code.extend(CLI_HLT);
    let message = chain(&boot(&code, |_| ()).unwrap_err());
    assert!(message.contains("the guest's kernel panicked: no dinner"), "{message}");
}

/// It waits for an interrupt, which a device may raise at any time.
#[test]
fn a_guest_that_halts_with_interrupts_on_goes_on() {
    if !kvm() {
        return;
    }
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&kernel(&STI_HLT)).unwrap();
    let mut machine = bare(file.path());
    machine.limits.memory_bytes = Some(64 << 20);
    let workload = Workload::command(["/init"]).deadline(Duration::from_secs(5));
    let ended = machine.run(&workload);
    assert!(matches!(ended, Err(Error::Deadline { .. })), "{ended:?}");
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
        let serial = &outcome.usage.vm_exits[0];
        assert_eq!((&serial.reason, serial.count), (&ExitReason::Out { port: 0x3f8 }, 2));
    }
}

#[test]
fn a_guest_that_never_starts_up_is_ended_and_every_processor_named() {
    if !kvm() {
        return;
    }
    let code = [out(0x3f8, b'.'), HANG.to_vec()].concat();
    let error = boot(&code, |machine| {
        // Long enough for its first byte on a busy host.
        machine.start_up = Some(Duration::from_secs(2));
        machine.limits.vcpus = Some(2);
    })
    .unwrap_err();
    let message = chain(&error);
    assert!(message.contains("did not reach user space within 2s"), "{message}");
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
        (&good, |it| it.limits.memory_bytes = Some(1 << 50), "have 1073741824 MiB of memory: this"),
        (&good, |it| it.limits.vcpus = Some(0), "a limit of 0 vcpus"),
        (&good, |it| it.root = GuestRoot::Initramfs(vec!["/no/such/file".into()]), "/no/such/file"),
    ];
    for (bytes, change, expected) in cases {
        let message = refused(bytes, change);
        assert!(message.contains(expected), "{expected}: {message}");
    }
}

#[test]
fn more_processors_than_there_can_be_are_refused_with_their_number() {
    if !kvm() {
        return;
    }
    let error = boot(&HANG, |machine| machine.limits.vcpus = Some(1000)).unwrap_err();
    assert!(chain(&error).contains("have 1000 virtual CPUs: KVM and isolab can give "), "{error}");
    assert!(error.fix().unwrap().contains("use --vcpus 1 to "), "{error}");
}
