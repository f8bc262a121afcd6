//! `isolab run -d`: what runs on when the command has ended, and how it ends.

mod common;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    time::{Duration, Instant},
};

use common::{
    Names, isolab, output_of,
    runs::{Runs, containers, inspect, listed, pid, piped, says, state},
    terminal::TestTerminal,
    wait_for,
};
use host::ProcessStat;
use sandbox::{Ledger, Process};

#[test]
fn a_run_in_the_background_is_kept_with_its_code_until_it_is_removed() {
    if !containers() {
        return;
    }
    let mut runs = Runs::of("kept");
    for (code, script) in [(0, "true"), (42, "exit 42"), (137, "kill -9 $$"), (143, "kill $$")] {
        // With init: the first process itself can be killed by no signal of its own.
        let name = runs.script(&format!("code-{code}"), &["--init"], script);
        assert_eq!(says(&["wait", &name]), format!("{code}\n"));
        assert_eq!(says(&["wait", &name]), format!("{code}\n"), "and again");
        let entry = listed(&name).unwrap();
        assert_eq!((&entry["state"], &entry["exit_code"]), (&"exited".into(), &code.into()));
        assert!(!says(&["ps"]).contains(&name), "it does not run");
        let (again, _, errors) = output_of(&mut isolab(&["run", "--name", &name, "--", "true"]));
        assert!(again == 125 && errors.contains("in use"), "{again}: {errors}");
        says(&["clean"]);
        assert_eq!(listed(&name).unwrap()["exit_code"], code, "it is not left behind by anybody");
        says(&["rm", &name]);
        assert_eq!(state(&name), "gone");
        assert!(!Ledger::open().unwrap().directory_of(&name).exists());
    }
}

#[test]
fn an_error_of_the_start_comes_out_with_its_code_and_nothing_is_left() {
    let names = Names::of("errors");
    let table: &[(&[&str], i32, &str)] = &[
        (&["--in", "process", "--", "isolab-no-such-program"], 127, "not found"),
        (&["--in", "process", "--", "/"], 126, "cannot be run"),
        (&["--in", "process", "--memory", "64M", "hello"], 2, "cannot keep limits"),
        (&["-t", "--in", "process", "--", "true"], 2, "terminal"),
        (&["--root", "/isolab-no-such-root", "--", "true"], 125, "root"),
        (&["--json", "hello"], 2, "--json"),
    ];
    for (at, (words, code, message)) in table.iter().enumerate() {
        let name = names.name(&at.to_string());
        let words = [&["run", "-d", "--name", &name], *words].concat();
        let (found, output, errors) = output_of(&mut isolab(&words));
        assert_eq!((found, &*output), (*code, ""), "{words:?}: {errors}");
        assert!(errors.contains(message), "{words:?}: {errors}");
        assert_eq!(state(&name), "gone", "{words:?}");
        assert!(!Ledger::open().unwrap().directory_of(&name).exists(), "{words:?}");
    }
    let (code, _, errors) = output_of(&mut isolab(&["run", "-d", "--name", "../x", "true"]));
    assert!(code == 2 && errors.contains("invalid name"), "{code}: {errors}");
}

#[test]
fn without_a_name_one_is_printed_and_with_rm_nothing_is_kept() {
    for words in [&["hello"][..], &["--", "sh", "-c", "sleep 0.2; exit 3"], &["--", "sleep", "0"]] {
        let words = [&["run", "-d", "--rm", "--in", "process"], words].concat();
        let name = says(&words);
        let name = name.strip_suffix('\n').unwrap();
        assert!(!name.contains('\n') && !name.is_empty());
        wait_for(name, || state(name) == "gone");
        assert!(!Ledger::open().unwrap().directory_of(name).exists());
    }
    let mut runs = Runs::of("rm");
    let name = runs.script("waited", &["--rm", "--in", "process"], "sleep 0.3; exit 9");
    assert_eq!(says(&["wait", &name]), "9\n", "the code is told before it is gone");
    assert_eq!(state(&name), "gone");
}

#[test]
fn what_is_not_in_the_background_has_no_log_and_says_so() {
    let names = Names::of("foreground");
    let name = names.name("x");
    let mut running = piped(&["run", "--in", "process", "--name", &name, "--", "cat"]);
    names.wait_for("x");
    for command in ["logs", "attach", "wait"] {
        let (code, _, errors) = output_of(&mut isolab(&[command, &name]));
        assert!(code == 125 && errors.contains("not started with -d"), "{command}: {errors}");
    }
    drop(running.stdin.take());
    assert!(running.wait().unwrap().success());
}

#[test]
fn the_callers_terminal_may_go() {
    let mut runs = Runs::of("hangup");
    let kinds: &[&[&str]] = match containers() {
        true => &[&["--in", "process"], &["--in", "container"], &["--in", "container", "-t"]],
        false => &[&["--in", "process"]],
    };
    for (at, kind) in kinds.iter().enumerate() {
        let name = runs.names.name(&at.to_string());
        runs.made.push(name.clone());
        let words = [&["run", "-d", "--name", &name], *kind, &["--", "sleep", "60"]].concat();
        let mut terminal = TestTerminal::run(&words);
        terminal.expect_text(&name);
        assert_eq!(terminal.wait_for_exit().code(), Some(0));
        let about = inspect(&name);
        drop(terminal); // the terminal hangs up
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(state(&name), "running");
        let supervisor = pid(&about, "supervisor");
        let stat = ProcessStat::of(supervisor).unwrap();
        assert_eq!(stat.field(6), Some(supervisor), "a session of its own");
        assert_eq!(stat.field(7), Some(0), "no controlling terminal");
        says(&["stop", "--grace", "0s", &name]);
    }
}

#[test]
fn nothing_of_the_callers_is_kept_open() {
    let mut runs = Runs::of("descriptors");
    for (at, kept) in ["7>&1", "8>&2", "3>&1 9>&2"].into_iter().enumerate() {
        let name = runs.names.name(&at.to_string());
        runs.made.push(name.clone());
        let script = format!(
            "exec {kept}; exec {} run -d --in process --name {name} -- sleep 30",
            env!("CARGO_BIN_EXE_isolab")
        );
        let began = Instant::now();
        let mut shell = std::process::Command::new("/bin/sh");
        assert_eq!(output_of(shell.args(["-c", &script])).1, format!("{name}\n"));
        assert!(began.elapsed() < Duration::from_secs(20), "{kept}: its pipe was held open");
        says(&["kill", &name]);
    }
}

#[test]
fn stop_ends_one_in_the_background_and_its_code_stays() {
    let mut runs = Runs::of("stop");
    let trap = "trap 'exit 8' TERM; echo ready; while :; do sleep 0.05; done";
    let deaf = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
    let plain = "echo ready; while :; do sleep 0.05; done";
    for (at, (script, code)) in [(trap, 8), (deaf, 137), (plain, 143)].into_iter().enumerate() {
        let name = runs.script(&at.to_string(), &["--in", "process"], script);
        wait_for("the trap", || says(&["logs", &name]) == "ready\n");
        says(&["stop", "--grace", "300ms", &name]);
        assert_eq!(listed(&name).unwrap()["exit_code"], code, "{script}");
        let (again, _, errors) = output_of(&mut isolab(&["stop", &name]));
        assert!(again == 125 && errors.contains("has ended"), "{errors}");
    }
}

/// Who is killed, and what is left of all others a moment later.
#[test]
fn a_killed_supervisor_or_launcher_leaves_nothing_running() {
    if !containers() {
        return;
    }
    let mut runs = Runs::of("killed");
    for who in ["supervisor", "launcher"] {
        for (at, options) in [&["--in", "process"][..], &[], &["--init"]].into_iter().enumerate() {
            let words = [options, &["--", "sleep", "60"]].concat();
            let name = runs.start(&format!("{who}-{at}"), &words);
            let about = inspect(&name);
            let family = ["supervisor", "launcher", "first"].map(|key| pid(&about, key));
            let family = family.map(|pid| Process::of(pid).unwrap());
            common::signal(pid(&about, who), "KILL");
            wait_for(who, || !family[0].is_alive() && !family[1].is_alive());
            if who == "supervisor" {
                // The ledger is one for all: somebody else may clean up first.
                if state(&name) == "dead" {
                    let (code, _, errors) = output_of(&mut isolab(&["wait", &name]));
                    let said = errors.contains("isolab clean") || errors.contains("no run named");
                    assert!(code == 125 && said, "{errors}");
                }
                says(&["clean"]);
            } else {
                assert_eq!(says(&["wait", &name]), "137\n", "its supervisor has cleaned up");
                says(&["rm", &name]);
            }
            wait_for("the program", || !family[2].is_alive());
            assert_eq!(state(&name), "gone");
            assert_eq!(common::cgroups_named(&format!("isolab-{name}")), Vec::<PathBuf>::new());
            assert!(!Ledger::open().unwrap().directory_of(&name).exists());
        }
    }
}

#[test]
fn the_directory_of_a_supervisor_that_died_early_is_swept() {
    let ledger = Ledger::open().unwrap();
    let names = Names::of("swept");
    let dead = Process { pid: 4_194_304, start_time: 1 };
    let owners: [Vec<u8>; 3] = [serde_json::to_vec(&dead).unwrap(), b"{".into(), b"".into()];
    let abandoned: Vec<PathBuf> =
        (0..3).map(|at| ledger.directory_of(&names.name(&at.to_string()))).collect();
    for (path, owner) in abandoned.iter().zip(owners) {
        fs::create_dir(path).unwrap();
        fs::write(path.join("supervisor"), owner).unwrap();
    }
    let kept = ledger.make_directory_of(&names.name("kept")).unwrap();
    says(&["clean"]);
    assert!(abandoned.iter().all(|path| !path.exists()));
    assert!(kept.exists(), "its supervisor, this process, lives");
    ledger.remove_directory_of(&names.name("kept"));
}

#[test]
fn logs_and_sockets_are_for_their_owner_alone() {
    let mut runs = Runs::of("modes");
    let name = runs.script("x", &["--in", "process"], "echo secret");
    says(&["wait", &name]);
    let directory = Ledger::open().unwrap().directory_of(&name);
    assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o7777, 0o700);
    for file in ["log", "attach", "start"] {
        let mode = fs::metadata(directory.join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "{file}");
    }
}

#[test]
fn what_a_kind_cannot_serve_is_said_with_the_reason() {
    let mut runs = Runs::of("kinds");
    let mut kinds = vec![("process", "process")];
    if common::can("microvm", microvm::available()) {
        kinds.push(("microvm", "microvm"));
    }
    for (kind, word) in kinds {
        // An end of file on its input would end it.
        let name = runs.start(kind, &["-i", "--in", kind, "idle"]);
        wait_for("its output", || says(&["logs", &name]) == "idle\n");
        assert_eq!(listed(&name).unwrap()["detached"], true);
        let path = format!("{name}:/etc/hostname");
        let refused =
            [&["pause", &name][..], &["cp", &path, "/dev/null"], &["exec", &name, "true"]];
        for words in refused {
            let (code, _, errors) = output_of(&mut isolab(words));
            assert!(code == 125 && errors.contains(word), "{words:?}: {errors}");
        }
        let (code, _, errors) = output_of(&mut isolab(&["top", &name]));
        assert_eq!(code == 125, kind == "microvm", "{errors}");
        says(&["stats", "--json", &name]);
        says(&["stop", &name]);
        assert_eq!(says(&["logs", &name]), "idle\n");
        let exit = listed(&name).unwrap()["exit_code"].as_u64().unwrap();
        assert_eq!(says(&["wait", &name]), format!("{exit}\n"));
    }
}
