//! Limits as their user meets them: what was killed is said, and numbers are those that were given.

mod common;

use std::{fs, process::Stdio};

use common::{Names, isolab, output_of, skip};

/// Whether this host keeps limits of memory, without swap beside them.
fn can_limit_memory() -> bool {
    if !common::can("container", container::available()) {
        return false;
    }
    let (code, _, errors) = output_of(&mut isolab(&["run", "--memory", "64M", "hello"]));
    let has_swap = fs::read_to_string("/proc/swaps").unwrap_or_default().lines().count() > 1;
    match (code, has_swap) {
        (0, false) => true,
        (0, true) => skip::<()>("container", "this host has swap to go on in").is_some(),
        _ => skip::<()>("container", &errors).is_some(),
    }
}

/// Takes memory without end.
const GREEDY: &str = "tail /dev/zero";

#[test]
fn a_program_that_was_killed_for_its_memory_is_told_of() {
    if !can_limit_memory() {
        return;
    }
    let greedy: [&[&str]; 3] =
        [&["touch", "200000"], &["--", "tail", "/dev/zero"], &["--", "sh", "-c", GREEDY]];
    for (limit, words) in [("32M", "32 MiB"), ("65536K", "64 MiB"), ("50000000", "48828 KiB")] {
        for program in greedy {
            for init in [&["--init"][..], &["--no-init"]] {
                let words_of = [&["run", "--memory", limit], init, program].concat();
                let (code, _, errors) = output_of(&mut isolab(&words_of));
                let expected = format!("isolab: killed by its memory limit ({words})\n");
                assert!(
                    code == 137 && errors.ends_with(&expected),
                    "{words_of:?}: {code} {errors}"
                );
            }
        }
    }
}

#[test]
fn a_child_that_was_killed_for_its_memory_is_told_of_with_the_programs_own_code() {
    if !can_limit_memory() {
        return;
    }
    for (script, code) in
        [("tail /dev/zero; exit 3", 3), ("tail /dev/zero | cat", 0), ("(tail /dev/zero); :", 0)]
    {
        let words = ["run", "--memory", "32M", "--", "sh", "-c", script];
        let (found, _, errors) = output_of(&mut isolab(&words));
        assert_eq!(found, code, "{script}: {errors}");
        let expected = "isolab: one of its processes was killed by its memory limit (32 MiB)\n";
        assert!(errors.ends_with(expected), "{script}: {errors}");
    }
}

#[test]
fn json_says_whether_something_was_killed_for_its_memory() {
    if !can_limit_memory() {
        return;
    }
    for (script, expected) in
        [(GREEDY, true), ("tail /dev/zero; true", true), ("kill -9 $$", false)]
    {
        let words = ["run", "--json", "--memory", "32M", "--", "sh", "-c", script];
        let (_, output, _) = output_of(&mut isolab(&words));
        let object: serde_json::Value = serde_json::from_str(&output).unwrap();
        assert_eq!(object["oom_killed"].as_bool(), Some(expected), "{script}");
    }
}

#[test]
fn a_second_command_that_was_killed_for_its_memory_is_told_of_and_no_other() {
    if !can_limit_memory() {
        return;
    }
    let names = Names::of("memory");
    let name = names.name("host");
    let mut command =
        isolab(&["run", "--init", "--name", &name, "--memory", "32M", "--", "sleep", "600"]);
    let mut host = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    names.wait_for("host");
    let exec = |script| output_of(&mut isolab(&["exec", &name, "sh", "-c", script]));
    let (killed, after) = (exec(GREEDY), exec("exit 4"));
    let _ = isolab(&["stop", &name]).status();
    host.wait().unwrap();
    assert_eq!(killed.0, 137);
    assert!(killed.2.ends_with("isolab: killed by its memory limit (32 MiB)\n"), "{}", killed.2);
    assert_eq!((after.0, &*after.2), (4, ""));
}

#[test]
fn init_is_not_counted_against_the_number_of_processes() {
    if !common::can("container", container::available()) {
        return;
    }
    let (code, _, errors) = output_of(&mut isolab(&["run", "--pids", "9", "hello"]));
    if code != 0 {
        skip::<()>("container", &errors);
        return;
    }
    for init in [&["--init"][..], &["--no-init"]] {
        for pids in [1, 2, 5] {
            // The shell is one of them.
            let more = "sleep 9 & ".repeat(pids - 1);
            let run = |script: &str| {
                let number = pids.to_string();
                let words =
                    [&["run", "--pids", &number], init, &["--", "sh", "-c", script]].concat();
                output_of(&mut isolab(&words))
            };
            let (code, _, errors) = run(&format!("{more} exit 7"));
            assert_eq!((code, &*errors), (7, ""), "{init:?}: {pids} of {pids}");
            let (_, _, errors) = run(&format!("{more} sleep 9 & exit 7"));
            assert!(errors.contains("fork"), "{init:?}: one more than {pids}: {errors}");
        }
    }
}
