//! `isolab nest` as a user meets it: what is inside, what comes out, and that nothing is left.

mod common;

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use common::{
    descendants, isolab, output_of, signal, skip,
    terminal::{COLUMNS, ROWS, TestTerminal},
    wait_for,
};
use sandbox::Process;

/// Whether a nest can be had here.
fn can() -> bool {
    let made = nest::available().and_then(|()| nest::Nest::of(PathBuf::new()).map(drop));
    let Err(error) = made else { return true };
    skip::<()>("nest", &format!("{error}: {}", error.fix().unwrap_or_default())).is_some()
}

/// The same, with a shell inside.
fn can_with_shell() -> bool {
    let busybox = Command::new("busybox").stdout(Stdio::null()).status();
    let reason = "there is no shell for a nest: sudo apt-get install busybox-static";
    can() && (busybox.is_ok() || skip::<()>("nest", reason).is_some())
}

/// Exit code, output and errors of isolab inside.
fn inside(words: &[&str]) -> (i32, String, String) {
    output_of(&mut isolab(&[&["nest", "--"], words].concat()))
}

/// The QEMU that this isolab waits for.
fn qemu_of(isolab: u32) -> Option<Process> {
    let name = |pid: u32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    descendants(isolab).into_iter().find(|process| name(process.pid).starts_with("qemu"))
}

#[test]
fn all_that_race_start_in_there_and_linux_is_the_slowest() {
    if !can() {
        return;
    }
    let (code, output, errors) = output_of(&mut isolab(&["nest", "--icount", "--", "starts"]));
    assert_eq!((code, errors.as_str()), (0, ""), "{output}");
    let starts: demo::race::Starts = serde_json::from_str(&output).unwrap();
    let first_bytes = starts.lanes.iter().map(|lane| match (&lane.missing, lane.reached[2]) {
        (None, Some(time)) => time,
        _ => panic!("{lane:?}"),
    });
    let first_bytes: Vec<u32> = first_bytes.collect();
    let [process, container, microvm, linux] = first_bytes[..] else { panic!("{starts:?}") };
    // The clock counts instructions, so that this holds however busy the host is.
    assert!(process < container && process < microvm, "{first_bytes:?}");
    assert!(10 * container.max(microvm) < linux, "{first_bytes:?}");
}

#[test]
fn kvm_is_amds_and_cgroups_are_version_2() {
    if !can() {
        return;
    }
    let (code, output, errors) = inside(&["doctor", "--json"]);
    assert_eq!((code, errors.as_str()), (0, ""), "{output}");
    let page: serde_json::Value = serde_json::from_str(&output).unwrap();
    let found = |about: &str| {
        let findings = page["findings"].as_array().unwrap();
        let finding = findings.iter().find(|finding| finding["about"] == about).unwrap();
        finding["found"].as_str().unwrap().to_owned()
    };
    assert!(found("KVM").starts_with("SVM (AMD)"), "{}", found("KVM"));
    assert!(found("KVM").contains("0 interpreted in ring 0, 0 in ring 3"), "{}", found("KVM"));
    assert_eq!(found("cgroups"), "version 2, one hierarchy for all");
}

#[test]
fn a_microvm_runs_inside() {
    if !can() {
        return;
    }
    let (code, output, errors) = inside(&["run", "--in", "microvm", "hello"]);
    assert_eq!((code, output.as_str(), errors.as_str()), (0, "hello\n", ""));
}

#[test]
fn a_container_runs_inside_and_its_code_output_and_errors_are_passed_on() {
    if !can_with_shell() {
        return;
    }
    let script = "echo out; echo err >&2; touch /inside; exit 42";
    let words = ["run", "--memory", "64M", "--pids", "9", "--net", "veth", "--"];
    let (code, output, errors) = inside(&[&words[..], &["/bin/sh", "-c", script]].concat());
    assert_eq!((code, output.as_str(), errors.as_str()), (42, "out\n", "err\n"));
}

#[test]
fn a_linux_guest_runs_inside() {
    if !can_with_shell() {
        return;
    }
    let (code, output, errors) =
        inside(&["run", "--in", "linux", "--", "/bin/sh", "-c", "echo out; exit 7"]);
    assert_eq!((code, output.as_str(), errors.as_str()), (7, "out\n", ""));
}

#[test]
fn a_wrong_call_inside_is_told_as_outside() {
    if !can() {
        return;
    }
    let (code, output, errors) = inside(&["run", "--in", "nowhere", "hello"]);
    assert_eq!((code, output.as_str()), (2, ""));
    assert!(errors.starts_with("isolab: invalid value 'nowhere'"), "{errors}");
}

#[test]
fn files_come_out() {
    if !can_with_shell() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let words = ["nest", "--env", "WORD=seventeen", "--out", out.to_str().unwrap(), "--"];
    let script = "echo $WORD > $ISOLAB_OUT/file";
    let run = ["run", "--in", "process", "--", "/bin/sh", "-c", script];
    let ended = output_of(&mut isolab(&[&words[..], &run].concat()));
    assert_eq!(ended, (0, String::new(), String::new()));
    assert_eq!(fs::read_to_string(out.join("file")).unwrap(), "seventeen\n");
}

#[test]
fn a_clock_of_instructions_repeats() {
    if !can() {
        return;
    }
    let spin = || {
        let words = ["run", "--in", "microvm", "--json", "spin", "1000000"];
        let (code, output, errors) =
            output_of(&mut isolab(&[&["nest", "--icount", "--"][..], &words].concat()));
        assert_eq!(code, 0, "{errors}");
        let outcome: serde_json::Value = serde_json::from_str(&output).unwrap();
        outcome["milestones_us"]["exited"].as_f64().unwrap()
    };
    let (one, other) = (spin(), spin());
    assert!((one / other - 1.0).abs() < 0.02, "{one} and {other} microseconds");
}

/// With several, a kernel waits for a lock that nobody holds: the nest's README says what was seen.
#[test]
fn where_instructions_are_counted_there_is_one_processor() {
    if !can() {
        return;
    }
    let (code, output, errors) =
        output_of(&mut isolab(&["nest", "--icount", "--vcpus", "2", "--", "doctor"]));
    assert_eq!((code, output.as_str()), (2, ""));
    assert!(errors.contains("cannot have 2 processors"), "{errors}");
    assert!(errors.contains("\n  help: omit --icount or --vcpus"), "{errors}");
    let words = ["run", "--in", "linux", "--vcpus", "2", "--", "/bin/true"];
    let (code, output, errors) =
        output_of(&mut isolab(&[&["nest", "--icount", "--"][..], &words].concat()));
    assert_eq!((code, output.as_str()), (125, ""));
    assert!(errors.contains("cannot have 2 processors"), "{errors}");
    assert!(errors.contains("omit --icount of `isolab nest`"), "{errors}");
}

#[test]
fn without_qemu_its_package_is_named() {
    let (code, output, errors) =
        output_of(isolab(&["nest", "--", "doctor"]).env("PATH", "/nowhere"));
    assert_eq!((code, output.as_str()), (125, ""));
    assert!(errors.starts_with("isolab: qemu-system-x86_64 is not installed"), "{errors}");
    assert!(errors.contains("\n  help: sudo apt-get install qemu-system-x86"), "{errors}");
}

#[test]
fn a_missing_command_is_named_with_examples() {
    let (code, _, errors) = output_of(&mut isolab(&["nest"]));
    assert_eq!(code, 2);
    assert!(errors.contains("missing command for the nest"), "{errors}");
    assert!(errors.contains("isolab nest -- doctor"), "{errors}");
}

#[test]
fn the_error_of_a_slow_boot_names_the_option_that_gives_it_longer() {
    if !can() {
        return;
    }
    let words = ["nest", "--start-up", "50ms", "--", "doctor"];
    let (code, output, errors) = output_of(&mut isolab(&words));
    assert_eq!((code, output.as_str()), (125, ""));
    assert!(errors.contains("the nest did not boot within 50ms"), "{errors}");
    assert!(errors.contains("isolab nest --start-up"), "{errors}");
}

/// The arguments of a snapshot in a nest.
const SAVE: [&str; 6] = ["--", "snapshot", "save", "greeting", "echo", "hello"];

#[test]
fn a_snapshot_that_would_be_lost_with_the_nest_is_refused() {
    let lost: [&[&str]; 4] = [
        &[],
        &["--out", "folder"],
        &["--env", "XDG_DATA_HOME=/out"],
        &["--out", "folder", "--env", "XDG_DATA_HOME=/root"],
    ];
    for options in lost {
        let (code, output, errors) = output_of(&mut isolab(&[&["nest"], options, &SAVE].concat()));
        assert_eq!((code, output.as_str()), (2, ""), "{options:?}");
        assert!(errors.contains("lost when the nest ends"), "{errors}");
        assert!(errors.contains("--out DIRECTORY --env XDG_DATA_HOME=/out"), "{errors}");
    }
}

#[test]
fn a_snapshot_that_is_saved_in_a_shell_of_the_nest_is_warned_about() {
    if !can_with_shell() {
        return;
    }
    let save = "isolab snapshot save greeting echo hello";
    let run = ["run", "--in", "process", "--", "/bin/sh", "-c", save];
    let (code, output, errors) = inside(&run);
    assert_eq!((code, output.starts_with("saved greeting in /root/")), (0, true), "{errors}");
    assert!(errors.contains("warning: this snapshot is lost when the nest ends"), "{errors}");
}

/// The way that the refusal names: out of one nest, and into another.
#[test]
fn a_snapshot_is_copied_out_of_a_nest_and_restored_in_another() {
    if !can_with_shell() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let words = ["nest", "--out", out, "--env", "XDG_DATA_HOME=/out"];
    let (code, output, errors) = output_of(&mut isolab(&[&words[..], &SAVE].concat()));
    assert_eq!((code, errors.as_str()), (0, ""), "{output}");
    let data_home = format!("XDG_DATA_HOME={out}");
    let words =
        ["nest", "--add", out, "--env", &data_home, "--", "snapshot", "restore", "greeting"];
    let restored = output_of(&mut isolab(&words));
    assert_eq!(restored, (0, "hello\n".into(), String::new()));
}

#[test]
fn neither_a_kill_nor_a_request_leaves_a_qemu_behind() {
    if !can_with_shell() {
        return;
    }
    for (name, code) in [("KILL", None), ("TERM", Some(143)), ("INT", Some(130))] {
        let words = ["nest", "--", "run", "--in", "process", "/bin/sleep", "600"];
        let mut running = isolab(&words).stdout(Stdio::null()).spawn().unwrap();
        wait_for("QEMU", || qemu_of(running.id()).is_some());
        let qemu = qemu_of(running.id()).unwrap();
        signal(running.id(), name);
        assert_eq!(running.wait().unwrap().code(), code, "{name}");
        wait_for("QEMU's end", || !qemu.is_alive());
    }
}

#[test]
fn a_shell_has_the_terminal_and_gives_it_back() {
    if !can_with_shell() {
        return;
    }
    let mut terminal = TestTerminal::run(&["nest", "shell"]);
    terminal.expect_text("nest:~# ");
    assert!(!terminal.is_cooked(), "keys go through as they are");
    terminal.type_keys(b"stty size; isolab list | wc -l\r");
    terminal.expect_text(&format!("{ROWS} {COLUMNS}\r\n"));
    terminal.type_keys(b"sleep 600\r\x03");
    terminal.type_keys(b"exit 42\r");
    assert_eq!(terminal.wait_for_exit().code(), Some(42));
    assert!(terminal.is_cooked(), "the terminal is left raw");
    let mut terminal = TestTerminal::run(&["nest", "shell"]);
    terminal.expect_text("nest:~# ");
    signal(terminal.program.id(), "TERM");
    assert_eq!(terminal.wait_for_exit().code(), Some(143));
    assert!(terminal.is_cooked(), "the terminal is left raw");
}

/// A root that is too large for a guest's memory goes onto a disk, which busybox cannot make.
#[test]
fn a_linux_guest_in_there_has_a_root_on_a_disk() {
    if !can() {
        return;
    }
    if let Err(error) = microvm::linux::mke2fs() {
        skip::<()>("nest", &format!("{error}: sudo apt-get install e2fsprogs"));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::File::create(folder.path().join("large")).unwrap().set_len(70 << 20).unwrap();
    let tree = folder.path().to_str().unwrap();
    let words = ["nest", "--add", tree, "--", "run", "--in", "linux", "--root", tree, "hello"];
    let (code, output, errors) = output_of(&mut isolab(&words));
    assert_eq!((code, &*output, &*errors), (0, "hello\n", ""));
}
