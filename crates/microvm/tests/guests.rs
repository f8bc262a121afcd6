//! Guests of all kinds, friendly and hostile, in real virtual machines.

mod common;

use std::{
    fs,
    io::{Read as _, Write as _},
    time::Duration,
};

use common::{chain, kvm};

use guest::Builtin;
use microvm::{MicroVm, Mode, devices::page, shared_memory::SharedMemory};
use sandbox::{
    Error, ExitReason, Limits, Milestone, Native, Outcome, Sandbox as _, Status, Workload,
};

/// Runs `code` as a flat binary, for 10 seconds at most.
fn flat(mode: Mode, code: &[u8]) -> sandbox::Result<Outcome> {
    flat_for(mode, code, Duration::from_secs(10))
}

fn flat_for(mode: Mode, code: &[u8], deadline: Duration) -> sandbox::Result<Outcome> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(code).unwrap();
    let machine = MicroVm { mode, ..MicroVm::default() };
    machine.run(&Workload::command([file.path()]).deadline(deadline))
}

#[test]
fn hello_says_so_and_reaches_every_milestone() {
    if !kvm() {
        return;
    }
    let outcome = MicroVm::default().run(&Workload::builtin(Builtin::Hello, &[])).unwrap();
    assert_eq!(outcome.output, b"hello\n");
    assert_eq!(outcome.status, Status::Exited(0));
    let times = Milestone::ALL.map(|milestone| outcome.timeline.since_start(milestone).unwrap());
    assert!(times.is_sorted(), "{times:?}");
    let out = &outcome.usage.vm_exits[0];
    assert_eq!((&out.reason, out.count), (&ExitReason::Out { port: 0x10 }, 2));
    assert!(outcome.usage.peak_memory_bytes.unwrap() <= 2 << 20);
}

#[test]
fn every_builtin_computes_what_it_computes_as_a_process() {
    if !kvm() {
        return;
    }
    let cases: [(Builtin, &[u64]); 5] = [
        (Builtin::Spin, &[100_000]),
        (Builtin::Stream, &[6, 2]),
        (Builtin::Chase, &[4, 10_000]),
        (Builtin::Touch, &[100]),
        (Builtin::Cross, &[50]),
    ];
    for (builtin, arguments) in cases {
        let workload = Workload::builtin(builtin, arguments);
        let [inside, outside] =
            [MicroVm::default().run(&workload).unwrap(), Native.run(&workload).unwrap()];
        let results = [inside, outside].map(|outcome| outcome.report.unwrap().result);
        assert_eq!(results[0], results[1], "{builtin}");
    }
}

#[test]
fn memory_above_4_gib_is_the_guests_too() {
    if !kvm() {
        return;
    }
    let memory = fs::read_to_string("/proc/meminfo").unwrap();
    let total = memory.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap();
    if total < 6 << 20 {
        eprintln!("skipped: this host has {total} KiB of memory, and the guest is to have 6 GiB");
        return;
    }
    let overcommit = fs::read_to_string("/proc/sys/vm/overcommit_memory").unwrap_or_default();
    if overcommit.trim() == "2" {
        eprintln!("skipped: this host commits no more memory than it has (vm.overcommit_memory)");
        return;
    }
    let limits = Limits { memory_bytes: Some(6 << 30), ..Limits::default() };
    let machine = MicroVm { limits, ..MicroVm::default() };
    let outcome = machine.run(&Workload::builtin(Builtin::Touch, &[16])).unwrap();
    assert_eq!(outcome.status, Status::Exited(0));
}

#[test]
fn idle_runs_until_it_is_stopped_and_others_until_they_are_killed() {
    if !kvm() {
        return;
    }
    let idle = MicroVm::default().spawn(&Workload::builtin(Builtin::Idle, &[])).unwrap();
    idle.control().stop();
    assert_eq!(idle.wait().unwrap().status, Status::Exited(0));
    for builtin in [Builtin::Idle, Builtin::Spin] {
        let endless = Workload::builtin(builtin, &[u64::MAX]);
        let instance = MicroVm::default().spawn(&endless).unwrap();
        let control = instance.control();
        control.kill();
        assert_eq!(instance.wait().unwrap().status, Status::Signaled(9));
        control.kill(); // without effect
        drop(MicroVm::default().spawn(&endless).unwrap());
    }
}

#[test]
fn a_guest_that_spins_is_stopped_and_named() {
    if !kvm() {
        return;
    }
    let spins = [0xeb, 0xfe]; // jmp $
    let error = flat_for(Mode::User64, &spins, Duration::from_millis(50)).unwrap_err();
    assert!(matches!(error, Error::Deadline { .. }), "{error}");
    assert!(chain(&error).contains("RIP 0x100000 in ring 3"), "{}", chain(&error));
}

#[test]
fn a_guest_cannot_write_beyond_its_memory() {
    if !kvm() {
        return;
    }
    // mov eax, 0xffffffff; inc rax; mov [rax], al: address 4 GiB, which is not mapped
    let code = [0xb8, 0xff, 0xff, 0xff, 0xff, 0x48, 0xff, 0xc0, 0x88, 0x00];
    let error = flat(Mode::User64, &code).unwrap_err();
    let text = chain(&error);
    assert!(text.contains("exception 14 (page fault) at RIP 0x100008 in ring 3"), "{text}");
    assert!(text.contains("touching 0x100000000"), "{text}");
}

#[test]
fn a_privileged_instruction_in_ring_3_is_named() {
    if !kvm() {
        return;
    }
    let text = chain(&flat(Mode::User64, &[0x90, 0xf4]).unwrap_err()); // nop; hlt
    assert!(text.contains("(general protection) at RIP 0x100001 in ring 3"), "{text}");
}

#[test]
fn memory_that_is_not_there_reads_as_ones_and_is_counted() {
    if !kvm() {
        return;
    }
    // mov eax, 0xfee00000; mov [rax], ecx; mov eax, [rax]; out 0xf4, al
    let code = [0xb8, 0, 0, 0xe0, 0xfe, 0x89, 0x08, 0x8b, 0x00, 0xe6, 0xf4];
    let outcome = flat(Mode::User64, &code).unwrap();
    assert_eq!(outcome.status, Status::Exited(0xff));
    let reasons: Vec<_> =
        outcome.usage.vm_exits.iter().map(|each| each.reason.to_string()).collect();
    assert_eq!(reasons, ["mmio read 0xfee00000", "mmio write 0xfee00000", "out 0xf4"]);
}

#[test]
fn a_flood_on_the_console_is_bounded() {
    if !kvm() {
        return;
    }
    // mov eax, 1 | 2048 << 8; again: out 0x10, eax; jmp again
    let code = [0xb8, 0x01, 0x00, 0x08, 0x00, 0xe7, 0x10, 0xeb, 0xfc];
    let error = flat(Mode::User64, &code).unwrap_err();
    assert!(matches!(error, Error::TooMuchOutput { .. }), "{}", chain(&error));
}

#[test]
fn a_doorbell_rung_wrongly_is_named() {
    if !kvm() {
        return;
    }
    let cases: [([u8; 7], &str); 2] = [
        ([0xb8, 0x01, 0xff, 0xff, 0xff, 0xe7, 0x10], "asked to write 16777215 bytes"),
        ([0xb8, 0x63, 0x00, 0x00, 0x00, 0xe7, 0x10], "request 99"),
    ];
    for (code, expected) in cases {
        let text = chain(&flat(Mode::User64, &code).unwrap_err());
        assert!(text.contains(expected), "{text}");
        assert!(text.contains("its last exits: out 0x10"), "{text}");
    }
}

#[test]
fn any_port_may_be_asked_and_answers_ones() {
    if !kvm() {
        return;
    }
    // xor edx, edx; again: in al, dx; out dx, al; inc edx; cmp edx, 0x80; jne again;
    // mov edx, 0xffff; in al, dx; out 0xf4, al
    let code = [
        0x31, 0xd2, 0xec, 0xee, 0xff, 0xc2, 0x81, 0xfa, 0x80, 0, 0, 0, 0x75, 0xf4, 0xba, 0xff,
        0xff, 0, 0, 0xec, 0xe6, 0xf4,
    ];
    let outcome = flat(Mode::User64, &code).unwrap();
    assert_eq!(outcome.status, Status::Exited(0xff));
    assert_eq!(outcome.usage.vm_exits.len(), 2 * 0x80 + 2);
}

#[test]
fn a_triple_fault_is_named() {
    if !kvm() {
        return;
    }
    // lidt [rip+1]; ud2 is never reached with handlers: an interrupt table of limit 0
    let code = [0x0f, 0x01, 0x1d, 0x02, 0, 0, 0, 0x0f, 0x0b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let text = chain(&flat(Mode::Long64, &code).unwrap_err());
    assert!(text.contains("triple fault"), "{text}");
}

#[test]
fn what_a_guest_wrote_before_its_fault_is_not_lost() {
    if !kvm() {
        return;
    }
    let code = [0xb0, b'6', 0xe6, 0xe9, 0x0f, 0x0b]; // mov al, '6'; out 0xe9, al; ud2
    let error = flat(Mode::User64, &code).unwrap_err();
    assert!(chain(&error).contains("invalid opcode"), "{}", chain(&error));
    assert_eq!(error.written().unwrap().output, b"6");
}

#[test]
fn an_instruction_that_kvm_cannot_emulate_is_named() {
    if !kvm() {
        return;
    }
    // mov eax, 0xfee00000; fld dword [rax]: no emulator of KVM's loads floating-point numbers from
    // where there is no memory.
    let code = [0xb8, 0, 0, 0xe0, 0xfe, 0xd9, 0x00];
    let text = chain(&flat(Mode::Long64, &code).unwrap_err());
    assert!(text.contains("KVM_EXIT_INTERNAL_ERROR, suberror 1"), "{text}");
    assert!(text.contains("could not emulate an instruction"), "{text}");
    println!("{text}");
}

#[test]
fn real_mode_speaks_at_the_console_port_and_halts() {
    if !kvm() {
        return;
    }
    let code = [0xb0, b'6', 0xe6, 0xe9, 0xf4]; // mov al, '6'; out 0xe9, al; hlt
    for mode in [Mode::Auto, Mode::Real16, Mode::Long64] {
        let outcome = flat(mode, &code).unwrap();
        assert_eq!((outcome.status, &*outcome.output), (Status::Exited(0), &b"6"[..]), "{mode:?}");
    }
}

#[test]
fn files_that_are_no_programs_are_refused() {
    let hello = Builtin::Hello.bare_elf();
    let mut other_machine = hello.to_vec();
    other_machine[18] = 183;
    for (file, expected) in [
        (&hello[..100], "truncated"),
        (&*other_machine, "another machine"),
        (Builtin::Hello.linux_elf().get(..0).unwrap(), "empty"),
    ] {
        let error = flat(Mode::Auto, file).unwrap_err();
        assert_eq!(error.exit_code(), 126, "{error}");
        assert!(chain(&error).contains(expected), "{}", chain(&error));
    }
    let error = MicroVm::default().run(&Workload::command(["/no/such/file"])).unwrap_err();
    assert_eq!(error.exit_code(), 127);
}

#[test]
fn a_device_that_is_absent_or_none_of_kvms_is_named_with_a_fix() {
    for device in ["/dev/isolab-no-kvm", "/dev/null"] {
        let machine = MicroVm { device: device.into(), ..MicroVm::default() };
        let error = machine.run(&Workload::builtin(Builtin::Hello, &[])).unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{error}");
        assert!(chain(&error).contains(device));
        assert!(!error.fix().unwrap().is_empty());
    }
}

#[test]
fn the_trace_answers_all_five_questions() {
    if !kvm() {
        return;
    }
    let workload = Workload { trace: true, ..Workload::builtin(Builtin::Hello, &[]) };
    let trace = MicroVm::default().run(&workload).unwrap().trace;
    let answered: std::collections::BTreeSet<_> =
        trace.entries.iter().map(|entry| entry.question).collect();
    assert_eq!(answered.len(), 5, "{trace:?}");
}

#[test]
fn the_flavour_rests_on_the_experiment() {
    if !kvm() {
        return;
    }
    let flavour = microvm::flavour().unwrap();
    let pvm = flavour.kind == microvm::KvmFlavour::Pvm;
    assert_eq!(flavour.interprets_ring0.unwrap_or(pvm), pvm, "{flavour:?}");
    assert!(flavour.evidence.last().unwrap().contains("interpreted"), "{flavour:?}");
    println!("{flavour:#?}");
}

#[test]
fn a_device_that_is_passed_through_gets_its_bytes_without_an_exit() {
    if !kvm() {
        return;
    }
    // mov edi, ADDRESS; mov dword [rdi], 'abcd'; mov al, 0; out 0xf4, al
    let [a, b, c, d] = (page::ADDRESS as u32).to_le_bytes();
    let code = [0xbf, a, b, c, d, 0xc7, 0x07, b'a', b'b', b'c', b'd', 0xb0, 0, 0xe6, 0xf4];
    let mut program = tempfile::NamedTempFile::new().unwrap();
    program.write_all(&code).unwrap();
    let mut device = tempfile::tempfile().unwrap();
    device.set_len(4096).unwrap();
    let memory = SharedMemory::of(&device, 4096).unwrap();
    let machine = MicroVm { mode: Mode::User64, ..MicroVm::default() };
    let workload = Workload::command([program.path()]).deadline(Duration::from_secs(10));
    let outcome = machine.spawn_with_device(&workload, memory).unwrap().wait().unwrap();
    let reasons: Vec<_> =
        outcome.usage.vm_exits.iter().map(|each| each.reason.to_string()).collect();
    assert_eq!(reasons, ["out 0xf4"]);
    let mut bytes = [0; 4];
    device.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"abcd");
}
