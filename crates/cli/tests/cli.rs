//! The command as a user meets it: words, output, exit codes, and what is left behind.

mod common;

use std::{
    fs::{self, File},
    io::Read as _,
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use common::{Names, isolab, output_of};

#[test]
fn every_mistake_has_its_exit_code_and_one_message() {
    let table: &[(&[&str], i32, &str)] = &[
        (&[], 2, "Usage: isolab"),
        (&["rum"], 2, "unknown command \"rum\"\n  help: the nearest is `run`"),
        (&["run"], 2, "<PROGRAM>"),
        (&["run", "--in", "jail", "hello"], 2, "invalid value 'jail'"),
        (&["run", "--memory", "0", "hello"], 2, "invalid size"),
        (&["run", "--memory", "-5M", "hello"], 2, "invalid size"),
        (&["run", "--memory", "64Q", "hello"], 2, "invalid size"),
        (&["run", "--cpus", "0", "hello"], 2, "invalid CPU count"),
        (&["run", "--cpus", "-1", "hello"], 2, "invalid CPU count"),
        (&["run", "--cpus", "many", "hello"], 2, "invalid CPU count"),
        (&["run", "--cpu-weight", "0", "hello"], 2, "weight"),
        (&["run", "--pids", "0", "hello"], 2, "invalid number"),
        (&["run", "--vcpus", "-1", "hello"], 2, "invalid number"),
        (&["run", "--deadline", "0", "hello"], 2, "deadline"),
        (&["run", "--env", "=VALUE", "true"], 2, "invalid variable"),
        (&["run", "--env-file", "/no/such", "true"], 125, "read --env-file"),
        (&["run", "-x", "hello"], 2, "unknown option -x"),
        (&["run", "--memroy", "64M", "hello"], 2, "the nearest is --memory"),
        (&["run", "--gpus", "all", "hello"], 2, "use --device"),
        (&["run", "--volumes-from=x", "hello"], 2, "isolab has no named volumes"),
        (&["run", "@jump"], 2, "unknown built-in program"),
        (&["run", "--in", "process", "--memory", "64M", "hello"], 2, "cannot keep limits"),
        (&["run", "--in", "process", "--net", "host", "hello"], 2, "--network does not apply"),
        (&["run", "--in", "container", "--mode", "long64", "hello"], 2, "--mode does not apply"),
        (&["run", "--in", "process", "-t", "hello"], 2, "terminal"),
        (&["run", "--in", "process", "hello", "1"], 2, "hello takes no arguments"),
        (&["run", "--in", "process", "spin", "x"], 2, "[ITERATIONS="),
        (&["run", "--in", "process", "isolab-no-such-program"], 127, "not found"),
        (&["run", "--in", "process", "/"], 126, "cannot be run"),
        (&["run", "--in", "process", "--name", "../x", "hello"], 2, "invalid name"),
        (&["run", "--name", "a/b", "hello"], 2, "invalid name"),
        (&["run", "--name", "", "hello"], 2, "invalid name"),
        (&["run", "--memory", "64", "hello"], 2, "as in 64M?"),
        (&["run", "-m", "1023", "hello"], 2, "as in 1023M?"),
        (&["run", "-m", "2k", "hello"], 2, "at least 64K"),
        (&["run", "--in", "process", "--deadline", "20ms", "sleep", "9"], 125, "still running"),
        (
            &["run", "--in", "process", "--deadline", "20ms", "sleep", "9"],
            125,
            "`--deadline` sets the limit",
        ),
        (&["exec", "nobody", "true"], 125, "nobody"),
        (&["stop", "nobody"], 125, "nobody"),
        (&["completions", "tcl"], 2, "invalid value 'tcl'"),
    ];
    for (words, code, message) in table {
        let (found, _, errors) = output_of(&mut isolab(words));
        assert_eq!(found, *code, "{words:?}: {errors}");
        assert!(errors.contains(message), "{words:?}: {errors}");
        assert!(!errors.contains("panicked"), "{words:?}: {errors}");
    }
}

#[test]
fn a_process_has_the_callers_streams_and_gives_its_own_code() {
    let script = "echo out; echo err >&2; exit 42";
    let mut command = isolab(&["run", "--in", "process", "--", "sh", "-c", script]);
    assert_eq!(output_of(&mut command), (42, "out\n".into(), "err\n".into()));
    let mut killed = isolab(&["run", "--in", "process", "--", "sh", "-c", "kill -9 $$"]);
    assert_eq!(output_of(&mut killed).0, 137);
}

/// A process has no virtual machine, so this holds on every host.
#[test]
fn output_that_is_no_text_is_whole_in_json() {
    let words = ["run", "--in", "process", "--json", "--", "printf", "a\\377\\000"];
    let (code, output, errors) = output_of(&mut isolab(&words));
    assert_eq!(code, 0, "{errors}");
    let object: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!(
        (&object["output_base64"], &object["output"]),
        (&"Yf8A".into(), &"a\u{fffd}\0".into())
    );
    assert_eq!(object["errors_base64"], serde_json::Value::Null);
    assert_eq!(object["machine_end"], serde_json::Value::Null);
}

#[test]
fn the_outcome_is_one_json_object() {
    let words = ["run", "--in", "process", "--json", "--trace", "--name", "one", "spin", "1000"];
    let (code, output, errors) = output_of(&mut isolab(&words));
    assert_eq!(code, 0, "{errors}");
    let object: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!(object["sandbox"], "process");
    assert_eq!(object["name"], "one");
    assert_eq!(object["command"], serde_json::json!(["spin", "1000"]));
    assert_eq!(object["status"], serde_json::json!({ "code": 0, "signal": null }));
    let milestones = &object["milestones_us"];
    assert!(milestones["created"].as_f64() < milestones["cleaned"].as_f64(), "{milestones}");
    assert!(object["report"]["end_ticks"].as_u64() > object["report"]["begin_ticks"].as_u64());
    assert!(!object["story"].as_array().unwrap().is_empty());
    assert!(errors.contains("1. What separates it from the host?"), "{errors}");
}

#[test]
fn a_closed_or_full_output_ends_without_a_panic() {
    for words in [&["list"][..], &["doctor"], &["completions", "bash"], &["run", "--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = isolab(words);
        let ended = command.stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let errors = String::from_utf8_lossy(&ended.stderr);
        assert!(errors.is_empty() && ended.status.code().is_some(), "{words:?}: {errors}");
    }
    let full = File::options().write(true).open("/dev/full").unwrap();
    let ended = isolab(&["list"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(ended.status.code(), Some(125));
}

#[test]
fn the_doctors_text_fits_80_columns_and_every_lack_has_a_fix() {
    let (code, output, _) = output_of(&mut isolab(&["doctor"]));
    assert!(output.lines().all(|line| line.chars().count() < 80), "{output}");
    let (_, json, _) = output_of(&mut isolab(&["doctor", "--json"]));
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["healthy"].as_bool(), Some(code == 0));
    for finding in report["findings"].as_array().unwrap() {
        match finding["state"].as_str().unwrap() {
            "lacks" => assert!(finding["fix"].is_string(), "{finding}"),
            "ok" => assert!(finding["fix"].is_null(), "{finding}"),
            // What would be good to have may have a way to it.
            _ => {}
        }
    }
}

#[test]
fn every_shell_gets_its_completions() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, errors) = output_of(&mut isolab(&["completions", shell]));
        assert_eq!(code, 0, "{errors}");
        for word in ["doctor", "overlay", "microvm"] {
            assert!(script.contains(word), "{shell} does not know {word}");
        }
        if shell == "bash" {
            // It is longer than an argument may be.
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(&file, &script).unwrap();
            let mut check = Command::new("bash");
            check.arg("-n").arg(file.path());
            assert_eq!(output_of(&mut check).0, 0);
        }
    }
}

#[test]
fn a_shell_completes_the_names_of_what_there_is() {
    let names = Names::of("complete");
    let name = names.name("one");
    let words = ["run", "--in", "process", "--name", &name, "--", "sleep", "60"];
    let mut run = isolab(&words).spawn().unwrap();
    names.wait_for("one");
    let part = &name[..name.len() - 1];
    let completed = |words: &str, last: &str| {
        let script = format!(
            "source <(\"$0\" completions bash); COMP_WORDS=(\"$0\" {words} {last:?}); \
             COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMP_LINE=\"isolab {words} \"{last:?}; \
             COMP_POINT=${{#COMP_LINE}}; _isolab_with_names \"$0\" {last:?} x; \
             printf '%s ' \"${{COMPREPLY[@]}}\""
        );
        let mut bash = Command::new("bash");
        output_of(bash.args(["-c", &script, env!("CARGO_BIN_EXE_isolab")])).1
    };
    assert_eq!(completed("stop", part), format!("{name} "));
    assert_eq!(completed("lab check", "08"), "08-own-name ");
    assert!(completed("demo", "").contains("breakout"));
    // Other words are completed as before.
    assert_eq!(completed("", "unpau"), "unpause ");
    assert!(completed("run", "--read-o").contains("--read-only"));
    assert!(completed("stop", "--tim").contains("--time"));
    common::signal(run.id(), "TERM");
    run.wait().unwrap();
}

#[test]
fn the_first_signal_is_the_workloads_and_a_name_is_used_once() {
    let names = Names::of("signal");
    let name = names.name("one");
    let words = ["run", "--in", "process", "--name", &name, "--", "sleep", "60"];
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let mut running = isolab(&words).spawn().unwrap();
        names.wait_for("one");
        let (refused, _, errors) = output_of(&mut isolab(&words));
        assert!(refused == 125 && errors.contains("is in use"), "{errors}");
        common::signal(running.id(), signal);
        assert_eq!(running.wait().unwrap().code(), Some(code));
        assert_eq!(names.listed(), []);
    }
}

#[test]
fn stopping_asks_first_and_then_does_not() {
    let names = Names::of("stop");
    let name = names.name("deaf");
    let words = ["run", "--in", "process", "--name", &name, "--", "sh", "-c"];
    let script = "trap '' TERM; echo ready; while :; do sleep 0.1; done";
    let mut command = isolab(&words);
    let mut running = command.arg(script).stdout(Stdio::piped()).spawn().unwrap();
    let mut ready = [0; 6];
    running.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    let (code, _, errors) = output_of(&mut isolab(&["stop", &name, "--grace", "100ms"]));
    assert_eq!(code, 0, "{errors}");
    assert_eq!(running.wait().unwrap().code(), Some(137));
    assert_eq!(names.listed(), []);
}

#[test]
fn a_container_is_listed_entered_and_stopped() {
    if !common::can("container", container::available()) {
        return;
    }
    let names = Names::of("round");
    let name = names.name("box");
    // Process 1 ignores a signal that it has no handler for (pid_namespaces(7)); an init passes it on.
    let words = ["run", "--init", "--name", &name, "--", "sleep", "60"];
    let mut running = isolab(&words).spawn().unwrap();
    names.wait_for("box");
    let script = "hostname; exit 7";
    let inside = output_of(&mut isolab(&["exec", &name, "--", "/bin/sh", "-c", script]));
    assert_eq!(inside, (7, "isolab\n".into(), String::new()));
    let (code, _, errors) = output_of(&mut isolab(&["stop", &name]));
    assert_eq!(code, 0, "{errors}");
    assert_eq!(running.wait().unwrap().code(), Some(143));
    assert_eq!(names.listed(), []);
    assert_eq!(common::cgroups_named(&format!("isolab-{name}")), Vec::<PathBuf>::new());
}

/// What separates the host from a guest that has left its machine is told with what keeps it there.
#[test]
fn a_microvms_cell_is_a_part_of_its_trace() {
    if !common::can("microvm", microvm::available()) {
        return;
    }
    let (code, output, errors) =
        output_of(&mut isolab(&["run", "--in", "microvm", "--trace", "hello"]));
    assert_eq!((code, &*output), (0, "hello\n"), "{errors}");
    let boundary = errors.split("2. What may it consume?").next().unwrap();
    for call in [
        "close inherited descriptors",
        "virtual CPU: prctl PR_SET_NO_NEW_PRIVS",
        "virtual CPU: capset: none",
        "virtual CPU: seccomp: ",
        "monitor: seccomp: ",
    ] {
        assert!(boundary.contains(call), "{call}: {errors}");
    }
    assert!(errors.contains("setrlimit: AS "), "{errors}");
}

#[test]
fn a_microvm_is_listed_and_stopped_and_cannot_be_entered() {
    if !common::can("microvm", microvm::available()) {
        return;
    }
    let names = Names::of("machine");
    let name = names.name("vm");
    let mut command = isolab(&["run", "--in", "microvm", "--name", &name, "idle"]);
    // An end of file on its input would end it.
    let mut running = command.stdin(Stdio::piped()).spawn().unwrap();
    names.wait_for("vm");
    let (code, _, errors) = output_of(&mut isolab(&["exec", &name, "true"]));
    assert!(code == 125 && errors.contains("cannot be entered"), "{errors}");
    let (code, _, errors) = output_of(&mut isolab(&["stop", &name]));
    assert_eq!(code, 0, "{errors}");
    assert_eq!(running.wait().unwrap().code(), Some(0));
    assert_eq!(names.listed(), []);
}

#[test]
fn an_interruption_at_any_stage_leaves_nothing() {
    let names = Names::of("early");
    let mut kinds = vec![("process", None)];
    if common::can("container", container::available()) {
        kinds.push(("container", Some("--init")));
    }
    for (kind, init) in kinds {
        for step in 0..25 {
            let name = names.name(&format!("{kind}-{step}"));
            let mut command = isolab(&["run", "--in", kind, "--name", &name]);
            let mut running = command.args(init).args(["--", "sleep", "60"]).spawn().unwrap();
            // From before its first instruction to well after the start of the program.
            std::thread::sleep(Duration::from_micros(step * 400));
            // Not SIGINT: what a shell starts in the background ignores it until it says otherwise.
            common::signal(running.id(), "TERM");
            let ended = running.wait().unwrap();
            let by_signal = ended.signal() == Some(15);
            assert!(by_signal || ended.code() == Some(143), "{kind} {step}: {ended:?}");
            assert_eq!(names.listed(), [], "{kind} {step}");
            let cgroups = common::cgroups_named(&format!("isolab-{name}"));
            assert_eq!(cgroups, Vec::<PathBuf>::new(), "{kind} {step}");
        }
    }
}

#[test]
fn clean_removes_what_a_killed_launcher_left() {
    if !common::can("container", container::available()) {
        return;
    }
    let names = Names::of("killed");
    let name = names.name("box");
    // Who may make no cgroup, as an ordinary user often may not, has no limits either.
    let mut words = vec!["run", "--name", &name];
    let may_limit = |it: &container::ControllerFacts| it.name == "memory" && it.parent.is_some();
    if container::host().controllers.iter().any(may_limit) {
        words.extend(["--memory", "64M"]);
    }
    words.extend(["--", "sleep", "60"]);
    let mut running = isolab(&words).spawn().unwrap();
    names.wait_for("box");
    common::signal(running.id(), "KILL");
    running.wait().unwrap();
    assert_eq!(names.listed(), [(name.clone(), "dead".to_owned())]);
    let (code, output, errors) = output_of(&mut isolab(&["clean"]));
    assert_eq!(code, 0, "{errors}");
    assert!(output.contains(&format!("removed name {name}")), "{output}");
    assert_eq!(names.listed(), []);
    assert_eq!(common::cgroups_named(&format!("isolab-{name}")), Vec::<PathBuf>::new());
}

#[test]
fn a_slip_of_the_keyboard_names_what_was_meant() {
    for (words, code, meant) in [
        (&["rnu", "true"][..], 2, "`run`"),
        (&["kernel", "gte"], 2, "`get`"),
        (&["snapshot", "svae", "x"], 2, "`save`"),
        (&["demo", "slicse"], 2, "slices"),
        (&["run", "--evn", "A=1", "true"], 2, "--env;"),
        (&["run", "--wrokdir=/", "true"], 2, "--workdir;"),
        (&["exec", "--uesr", "1", "x", "true"], 2, "--user;"),
        (&["kernel", "get", "--hlep"], 2, "--help;"),
    ] {
        let (found, _, errors) = output_of(&mut isolab(words));
        assert_eq!(found, code, "{words:?}: {errors}");
        assert!(errors.contains(&format!("the nearest is {meant}")), "{words:?}: {errors}");
    }
    // Nothing is near to it.
    for words in [&["fly"][..], &["run", "--banana", "true"], &["demo", "fly"]] {
        let (found, _, errors) = output_of(&mut isolab(words));
        assert!(found == 2 && !errors.contains("nearest"), "{words:?}: {errors}");
    }
}

#[test]
fn who_asks_for_json_gets_errors_in_json_too() {
    let lines: [(&[&str], i32); 6] = [
        (&["ps", "--json", "--no-such-option"], 2),
        (&["top", "--json", "isolab-no-such-run"], 125),
        (&["kernel", "list", "--json", "--home", "x"], 2),
        (&["run", "--json", "--memory", "much", "hello"], 2),
        (&["run", "--json", "--in", "process", "--", "/no/such/program"], 127),
        (&["run", "--json", "--in", "process", "--gdb", "0", "hello"], 2),
    ];
    for (words, code) in lines {
        let (ended, output, errors) = output_of(&mut isolab(words));
        assert_eq!(ended, code, "{words:?} {errors}");
        let answer: serde_json::Value = serde_json::from_str(&output).unwrap();
        let error = answer["error"].as_str().unwrap();
        assert!(errors.starts_with(&format!("isolab: {error}")), "{error:?} {errors:?}");
        assert!(answer["code"] == code || words.contains(&"process"), "{answer}");
    }
    // The words of a program are its own.
    let (_, output, _) =
        output_of(&mut isolab(&["run", "--in", "process", "--", "/no/such/program", "--json"]));
    assert_eq!(output, "");
}
