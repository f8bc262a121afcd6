//! The command line, as runc(8) and the engines know it.

mod bundle;

use std::{
    fs::{self, File},
    os::fd::AsFd as _,
    process::{Command, Stdio},
};

use bundle::{Bundle, RUNTIME, processes_of, wait_until};
use serde_json::{Value, json};

#[test]
fn the_version_is_in_runcs_words() {
    for option in ["--version", "-v"] {
        let said = Command::new(RUNTIME).arg(option).output().unwrap();
        let text = String::from_utf8(said.stdout).unwrap();
        let mut lines = text.lines();
        assert!(lines.next().unwrap().starts_with("isolab-oci version "), "{text}");
        assert_eq!(lines.next(), Some("spec: 1.2.1"));
    }
}

#[test]
fn a_container_goes_from_created_to_running_to_stopped() {
    let Some(bundle) = Bundle::new("echo begun > /tmp/mark; sleep 100") else { return };
    let pid_file = bundle.path("pid");
    bundle.create(&["--pid-file", pid_file.to_str().unwrap(), "--no-pivot"]).ok();
    let state = bundle.state();
    assert_eq!(state["status"], "created");
    assert_eq!(state["ociVersion"], "1.2.1");
    assert_eq!(
        (&state["id"], &state["bundle"]),
        (&json!(bundle.id), &json!(bundle.directory.path()))
    );
    assert_eq!(state["pid"].to_string(), fs::read_to_string(&pid_file).unwrap());
    assert!(!bundle.path("rootfs/tmp/mark").exists());
    bundle.call(&["start", "@"]).ok();
    wait_until("the program has begun", || bundle.path("rootfs/tmp/mark").exists());
    assert_eq!(bundle.state()["status"], "running");
    let said = bundle.call(&["start", "@"]).failed(1);
    assert!(said.contains("it is running"), "{said}");
    let said = bundle.call(&["delete", "@"]).failed(1);
    assert!(said.contains("use --force"), "{said}");
    bundle.call(&["kill", "@", "KILL"]).ok();
    bundle.wait_until_stopped();
    assert_eq!(bundle.state()["pid"], 0);
    assert_eq!(bundle.call(&["kill", "@"]).failed(1), "container not running");
    assert_eq!(bundle.call(&["exec", "@", "true"]).failed(255), "container not running");
    bundle.call(&["kill", "--all", "@", "9"]).ok();
    bundle.call(&["delete", "@"]).ok();
    bundle.assert_nothing_left();
    bundle.call(&["delete", "@"]).failed(1);
    bundle.call(&["delete", "--force", "@"]).ok();
}

#[test]
fn a_created_container_is_deleted_without_force() {
    let Some(bundle) = Bundle::new("sleep 100") else { return };
    bundle.create(&[]).ok();
    bundle.call(&["delete", "@"]).ok();
    bundle.assert_nothing_left();
}

#[test]
fn run_gives_the_programs_code_and_leaves_nothing() {
    let Some(mut bundle) = Bundle::new("echo out; exit 7") else { return };
    let answer = bundle.run(&[]);
    assert_eq!((answer.code, &*answer.output), (7, "out\n"));
    bundle.assert_nothing_left();
    // Not process 1 itself: the kernel keeps such a signal from it (pid_namespaces(7)).
    bundle.config["process"]["args"] = json!(["sh", "-c", "sh -c 'kill -KILL $$'; exit $?"]);
    bundle.write();
    assert_eq!(bundle.run(&[]).code, 128 + 9);
    bundle.config["process"]["args"] = json!(["/bin/nope"]);
    bundle.write();
    let said = bundle.run(&[]).failed(1);
    assert!(said.contains("/bin/nope"), "{said}");
    bundle.assert_nothing_left();
}

#[test]
fn run_keeps_what_it_is_to_keep() {
    let Some(bundle) = Bundle::new("exit 3") else { return };
    assert_eq!(bundle.run(&["--keep"]).code, 3);
    assert_eq!(bundle.state()["status"], "stopped");
    bundle.call(&["delete", "@"]).ok();
    bundle.assert_nothing_left();
}

#[test]
fn a_detached_run_goes_on() {
    let Some(bundle) = Bundle::new("sleep 100") else { return };
    bundle.run(&["--detach"]).ok();
    assert_eq!(bundle.state()["status"], "running");
    bundle.call(&["delete", "--force", "@"]).ok();
    bundle.assert_nothing_left();
}

#[test]
fn a_signal_to_a_run_in_the_foreground_is_the_containers() {
    let script = "trap 'echo caught; exit 5' USR1; : > /tmp/ready; while true; do sleep 0.1; done";
    let Some(bundle) = Bundle::new(script) else { return };
    let mut command = bundle.runtime();
    command.arg("run").arg("-b").arg(bundle.directory.path()).arg(&bundle.id);
    let running = command.stdout(Stdio::piped()).spawn().unwrap();
    wait_until("it is ready", || bundle.path("rootfs/tmp/ready").exists());
    let pid = nix::unistd::Pid::from_raw(running.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGUSR1).unwrap();
    let ended = running.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), &*ended.stdout), (Some(5), &b"caught\n"[..]));
    bundle.assert_nothing_left();
}

/// The runtime with `file` as the descriptors 3 and 4.
fn with_descriptors(bundle: &Bundle, file: &File, words: &[&str]) -> Command {
    let inner = bundle.runtime();
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$@\" 3<&0 4<&0 </dev/null", "sh"]);
    command.arg(inner.get_program()).args(inner.get_args()).args(words);
    command.stdin(file.as_fd().try_clone_to_owned().unwrap());
    command
}

#[test]
fn descriptors_and_sockets_are_passed_on() {
    let script = "ls /proc/self/fd | { while read n; do echo fd $n; done; }; cat <&4; \
                  echo sockets $LISTEN_FDS of $LISTEN_PID";
    let Some(bundle) = Bundle::new(script) else { return };
    fs::write(bundle.path("given"), "passed on\n").unwrap();
    let given = File::open(bundle.path("given")).unwrap();
    let here = bundle.directory.path().to_str().unwrap();
    let words = ["run", "-b", here, "--preserve-fds", "2", &bundle.id];
    let run = |words: &[&str]| {
        let mut command = with_descriptors(&bundle, &given, words);
        command.stdin(File::open(bundle.path("given")).unwrap());
        let said = command.stderr(Stdio::inherit()).output().unwrap();
        (said.status.code(), String::from_utf8(said.stdout).unwrap())
    };
    let (code, text) = run(&words);
    assert_eq!(code, Some(0), "{text}");
    // Its three streams, two given, and the directory that `ls` reads.
    let listed = text.lines().filter(|line| line.starts_with("fd ")).count();
    assert!(listed == 6 && text.contains("passed on\n"), "{text}");
    // systemd's words are for the process that it has started.
    let (_, text) = run(&["run", "-b", here, "--preserve-fds=2", &bundle.id]);
    assert!(text.contains("sockets of\n"), "{text}");
    let mut command = Command::new("sh");
    let line = "export LISTEN_FDS=2 LISTEN_PID=$$; exec \"$@\" 3<&0 4<&0 </dev/null";
    let inner = bundle.runtime();
    command.args(["-c", line, "sh"]).arg(inner.get_program()).args(inner.get_args());
    command.args(["run", "-b", here, &bundle.id]).stdin(File::open(bundle.path("given")).unwrap());
    let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert!(text.contains("passed on\n") && text.contains("sockets 2 of 1\n"), "{text}");
    let said = bundle.run(&["--preserve-fds", "7"]).failed(1);
    assert!(said.starts_with("--preserve-fds: "), "{said}");
    bundle.assert_nothing_left();
}

#[test]
fn exec_has_its_options_and_its_codes() {
    let Some(bundle) = Bundle::new("sleep 100") else { return };
    bundle.run(&["--detach"]).ok();
    let exec = |words: &[&str]| {
        let words: Vec<&str> = ["exec"].into_iter().chain(words.iter().copied()).collect();
        bundle.call(&words)
    };
    assert_eq!(exec(&["@", "sh", "-c", "exit 4"]).code, 4);
    assert_eq!(exec(&["@", "sh", "-c", "kill -KILL $$"]).code, 137);
    let said = exec(&["@", "nope"]).failed(255);
    assert!(said.contains("nope"), "{said}");
    exec(&["--cgroup", "below", "@", "true"]).failed(255);
    exec(&["--apparmor", "some", "@", "true"]).failed(255);
    exec(&["--apparmor", "unconfined", "@", "true"]).ok();
    exec(&["--cap", "CAP_NOPE", "@", "true"]).failed(255);
    let words = ["--cwd", "/tmp", "-e", "A=1", "-u", "5:6", "-g", "7", "@", "sh", "-c"];
    let script = "echo $A $PWD $(id -u) $(id -g) $(id -G)";
    let text = exec(&[&words[..], &[script]].concat()).ok();
    assert_eq!(text, "1 /tmp 5 6 6 7\n");
    let capabilities = ["@", "sh", "-c", "cat /proc/self/status"];
    let of = |text: &str| text.lines().find(|line| line.starts_with("CapEff")).unwrap().to_owned();
    let usual = of(&exec(&capabilities).ok());
    let more = of(&exec(&[&["--cap", "CAP_SYS_TIME"], &capabilities[..]].concat()).ok());
    assert_ne!(usual, more);
    // A process of a file, detached, with the number of its process.
    let process = json!({
        "args": ["sh", "-c", ": by-file; echo $B > /tmp/by-file; sleep 100"], "cwd": "/",
        "env": ["PATH=/bin", "B=2"], "user": { "uid": 0, "gid": 0 },
    });
    fs::write(bundle.path("process.json"), process.to_string()).unwrap();
    let (file, pid) = (bundle.path("process.json"), bundle.path("exec.pid"));
    let (file, pid) = (file.to_str().unwrap(), pid.to_str().unwrap());
    exec(&["--detach", "--process", file, "--pid-file", pid, "@"]).ok();
    let number: i32 = fs::read_to_string(pid).unwrap().parse().unwrap();
    assert!(fs::exists(format!("/proc/{number}")).unwrap());
    wait_until("it has run", || bundle.path("rootfs/tmp/by-file").exists());
    bundle.call(&["pause", "@"]).ok();
    let said = exec(&["@", "true"]).failed(255);
    assert!(said.contains("paused"), "{said}");
    bundle.call(&["resume", "@"]).ok();
    bundle.call(&["delete", "--force", "@"]).ok();
    bundle.assert_nothing_left();
    wait_until("the second program has ended", || {
        !fs::exists(format!("/proc/{number}/exe")).unwrap()
    });
}

#[test]
fn kill_knows_all_signals_and_reaches_what_the_first_process_left() {
    let Some(mut bundle) = Bundle::new("") else { return };
    // Without a pid namespace of its own, processes outlive the first one.
    let namespaces = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|entry| entry["type"] != "pid");
    let script = format!("sh -c ': left {}; sleep 100; :' & exec sleep 100", bundle.id);
    bundle.config["process"]["args"] = json!(["sh", "-c", script]);
    bundle.write();
    bundle.run(&["--detach"]).ok();
    wait_until("both run", || processes_of("sleep").len() >= 2);
    bundle.call(&["kill", "@", "NOPE"]).failed(1);
    for signal in ["WINCH", "SIGWINCH", "28", "RTMIN+1", "term"] {
        bundle.call(&["kill", "@", signal]).ok();
        if bundle.state()["status"] == "stopped" {
            break;
        }
    }
    bundle.wait_until_stopped();
    assert!(!processes_of(&format!("left {}", bundle.id)).is_empty());
    bundle.call(&["kill", "--all", "@", "9"]).ok();
    wait_until("all have ended", || processes_of(&format!("left {}", bundle.id)).is_empty());
    bundle.call(&["delete", "@"]).ok();
    bundle.assert_nothing_left();
}

#[test]
fn state_list_ps_and_events_are_as_engines_read_them() {
    let Some(mut bundle) = Bundle::new("sleep 100") else { return };
    bundle.config["annotations"] = json!({ "a.b": "c" });
    bundle.write();
    bundle.run(&["--detach"]).ok();
    let state = bundle.state();
    assert_eq!(state["annotations"], json!({ "a.b": "c" }));
    let listed: Value = serde_json::from_str(&bundle.call(&["list", "-f", "json"]).ok()).unwrap();
    assert_eq!(listed[0]["id"], json!(bundle.id));
    assert_eq!(bundle.call(&["list", "--quiet"]).ok(), format!("{}\n", bundle.id));
    let table = bundle.call(&["list"]).ok();
    assert!(table.starts_with("ID ") && table.contains("running"), "{table}");
    let pids: Vec<u64> =
        serde_json::from_str(&bundle.call(&["ps", "-f", "json", "@"]).ok()).unwrap();
    assert!(pids.contains(&state["pid"].as_u64().unwrap()));
    let table = bundle.call(&["ps", "@"]).ok();
    assert!(table.lines().count() > 1 && table.contains("PID"), "{table}");
    let event: Value =
        serde_json::from_str(&bundle.call(&["events", "--stats", "@"]).ok()).unwrap();
    assert_eq!((&event["type"], &event["id"]), (&json!("stats"), &json!(bundle.id)));
    assert!(event["data"]["pids"]["current"].as_u64().unwrap() >= 1);
}

#[test]
fn what_is_not_done_is_refused() {
    let Some(bundle) = Bundle::new("sleep 100") else { return };
    bundle.run(&["--detach"]).ok();
    for words in [&["checkpoint", "@"][..], &["restore", "@"], &["frob"], &["kill"], &["--x"]] {
        bundle.call(words).failed(1);
    }
    let said = bundle.call(&["update", "--kernel-memory", "1g", "@"]).failed(1);
    assert!(said.contains("--kernel-memory"), "{said}");
    for option in ["--debug", "--log-level=debug", "--rootless=auto", "--criu=criu"] {
        bundle.call(&[option, "state", "@"]).ok();
    }
}

#[test]
fn a_reader_that_stops_is_an_error_and_no_panic() {
    let mut command = Command::new("sh");
    let said = command.args(["-c", "\"$0\" features | true"]).arg(RUNTIME).output().unwrap();
    let text = String::from_utf8(said.stderr).unwrap();
    assert!(text.lines().count() <= 1 && !text.contains("panicked"), "{text}");
}

#[test]
fn features_are_what_the_specification_defines() {
    let said = Command::new(RUNTIME).arg("features").output().unwrap();
    let features: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(features["ociVersionMax"], "1.2.1");
    assert_eq!(features["hooks"].as_array().unwrap().len(), 6);
    assert!(features["linux"]["namespaces"].as_array().unwrap().contains(&json!("mount")));
}
