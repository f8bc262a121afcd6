//! The options that people know from docker and podman: what each does inside.

mod common;

use std::{fs, process::Command};

use common::{can, isolab, output_of};

/// The output of a command that a container runs with these options.
fn inside(options: &[&str], script: &str) -> String {
    let words = [&["run"], options, &["--", "/bin/sh", "-c", script]].concat();
    let (code, output, errors) = output_of(&mut isolab(&words));
    assert_eq!(code, 0, "{options:?} {script:?}: {errors}");
    output
}

fn has_containers() -> bool {
    can("container", container::available())
}

#[test]
fn behind_dashes_is_a_command_and_before_them_a_builtin() {
    if !has_containers() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f");
    let touch = ["run", "--in", "process", "--", "touch", file.to_str().unwrap()];
    assert_eq!(output_of(&mut isolab(&touch)).0, 0);
    assert!(file.exists());
    for words in [&["run", "hello"][..], &["run", "@hello"], &["run", "--", "@hello"]] {
        assert_eq!(
            output_of(&mut isolab(words)),
            (0, "hello\n".into(), String::new()),
            "{words:?}"
        );
    }
    let (code, _, errors) = output_of(&mut isolab(&["run", "--", "hello"]));
    assert_eq!(code, 127, "{errors}");
}

#[test]
fn words_behind_the_program_are_the_programs() {
    if !has_containers() {
        return;
    }
    for words in [["-e", "--", "--memory"], ["--", "-x", "--"], ["--json", "-t", "--help"]] {
        let line = [&["run", "/bin/echo", "."], &words[..]].concat();
        let expected = format!(". {}\n", words.join(" "));
        assert_eq!(output_of(&mut isolab(&line)), (0, expected, String::new()));
    }
}

#[test]
fn a_command_is_process_1_unless_there_is_an_init() {
    if !has_containers() {
        return;
    }
    assert_eq!(inside(&[], "echo $$"), "1\n");
    assert_eq!(inside(&["--no-init"], "echo $$"), "1\n");
    assert_eq!(inside(&["--init"], "echo $$"), "2\n");
    assert_eq!(inside(&["--no-init", "--init"], "echo $$"), "2\n");
}

#[test]
fn a_variable_is_added_and_the_usual_ones_stay() {
    if !has_containers() {
        return;
    }
    let found = inside(&["-e", "A=1", "--env", "A=2 = x", "-e", "LANG="], "env");
    let has = |line: &str| found.lines().any(|found| found == line);
    assert!(has("A=2 = x") && has("LANG=") && has("HOME=/root") && !has("A=1"), "{found}");
    assert!(found.lines().any(|line| line.starts_with("PATH=/usr")), "{found}");
    // A path of its own is searched.
    let own = ["run", "-e", "PATH=/nowhere", "--", "true"];
    assert_eq!(output_of(&mut isolab(&own)).0, 127);
}

#[test]
fn a_name_alone_is_the_callers_and_files_come_first() {
    if !has_containers() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("variables");
    fs::write(&file, "# a comment\n\nA=file\nB=\"quoted\"\nGIVEN\nMISSING\n").unwrap();
    let words = ["run", "--env-file", file.to_str().unwrap(), "-e", "A=option", "--", "env"];
    let mut command = isolab(&words);
    let (code, output, errors) = output_of(command.env("GIVEN", "yes").env_remove("MISSING"));
    assert_eq!(code, 0, "{errors}");
    for line in ["A=option", "B=\"quoted\"", "GIVEN=yes"] {
        assert!(output.lines().any(|found| found == line), "{line}: {output}");
    }
    assert!(!output.contains("MISSING"), "{output}");
}

#[test]
fn namespaces_of_the_hosts_are_shared_when_asked_for() {
    if !has_containers() {
        return;
    }
    let host = |name: &str| fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
    for (option, name) in [("--ipc", "ipc"), ("--uts", "uts"), ("--cgroupns", "cgroup")] {
        let script = format!("readlink /proc/self/ns/{name}");
        let of = |whose: &str| inside(&[option, whose], &script).trim().to_owned();
        assert_eq!(of("host"), host(name).to_str().unwrap());
        assert_ne!(of("private"), host(name).to_str().unwrap());
    }
    let own = std::process::id();
    let script = format!("test -d /proc/{own} && echo seen || echo hidden");
    if nix::unistd::Uid::effective().is_root() {
        assert_eq!(inside(&["--pid", "host"], &script), "seen\n");
    }
    assert_eq!(inside(&["--pid", "private"], &script), "hidden\n");
}

#[test]
fn another_entrypoint_takes_the_words() {
    if !has_containers() {
        return;
    }
    let words = ["run", "--entrypoint", "/bin/echo", "a", "-b"];
    assert_eq!(output_of(&mut isolab(&words)), (0, "a -b\n".into(), String::new()));
    let alone = ["run", "--entrypoint", "/bin/true"];
    assert_eq!(output_of(&mut isolab(&alone)).0, 0);
}

#[test]
fn the_name_is_written_into_a_file_that_was_not_there() {
    if !has_containers() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("id");
    let name = format!("options-{}", std::process::id());
    let words = ["run", "--name", &name, "--cidfile", file.to_str().unwrap(), "--", "/bin/true"];
    assert_eq!(output_of(&mut isolab(&words)).0, 0);
    assert_eq!(fs::read_to_string(&file).unwrap(), name);
    let (code, _, errors) = output_of(&mut isolab(&words));
    assert!(code == 125 && errors.contains("must not be there"), "{code} {errors}");
}

#[test]
fn options_that_bundle_are_taken() {
    if !has_containers() {
        return;
    }
    let mut command: Command =
        isolab(&["run", "-ieA=1", "-w/tmp", "--", "sh", "-c", "pwd; echo $A"]);
    assert_eq!(output_of(&mut command), (0, "/tmp\n1\n".into(), String::new()));
}
