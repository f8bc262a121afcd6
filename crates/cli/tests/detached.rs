//! `isolab run -d`: what runs on when the command has ended, and the commands for it.

mod common;

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use common::{Names, isolab, output_of, person::Person, wait_for};
use sandbox::{Ledger, Process};
use serde_json::Value;

fn containers() -> bool {
    common::can("container", container::available())
}

/// Runs in the background under names of their own; what is left at the end of a test is removed.
struct Runs {
    names: Names,
    made: Vec<String>,
}

impl Runs {
    fn of(test: &str) -> Self {
        Self { names: Names::of(test), made: Vec::new() }
    }

    /// Starts one with these options and words, and gives its name.
    fn start(&mut self, name: &str, words: &[&str]) -> String {
        let name = self.names.name(name);
        self.made.push(name.clone());
        let words = [&["run", "-d", "--name", &name], words].concat();
        assert_eq!(output_of(&mut isolab(&words)), (0, format!("{name}\n"), String::new()));
        name
    }

    fn script(&mut self, name: &str, options: &[&str], script: &str) -> String {
        self.start(name, &[options, &["--", "/bin/sh", "-c", script]].concat())
    }
}

impl Drop for Runs {
    fn drop(&mut self) {
        for name in &self.made {
            let _ = output_of(&mut isolab(&["rm", "-f", name]));
        }
    }
}

/// What these words print, when they succeed.
fn says(words: &[&str]) -> String {
    let (code, output, errors) = output_of(&mut isolab(words));
    assert_eq!(code, 0, "{words:?}: {errors}");
    output
}

fn inspect(name: &str) -> Value {
    let all: Value = serde_json::from_str(&says(&["inspect", name])).unwrap();
    all[0].clone()
}

/// Its entry in the list of all, if there is one.
fn listed(name: &str) -> Option<Value> {
    let all: Vec<Value> = serde_json::from_str(&says(&["ps", "-a", "--json"])).unwrap();
    all.into_iter().find(|entry| entry["name"] == name)
}

fn state(name: &str) -> String {
    listed(name).map_or("gone".into(), |entry| entry["state"].as_str().unwrap().to_owned())
}

fn pid(about: &Value, key: &str) -> u32 {
    u32::try_from(about[key].as_u64().unwrap_or_else(|| panic!("{key} of {about}"))).unwrap()
}

/// Starts `isolab` with pipes for all streams.
fn piped(words: &[&str]) -> Child {
    let mut command = isolab(words);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn ends(child: Child) -> (i32, String, String) {
    let ended = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (ended.status.code().unwrap_or(-1), text(&ended.stdout), text(&ended.stderr))
}

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
    assert!(code == 2 && errors.contains("is no name"), "{code}: {errors}");
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
fn a_log_has_both_streams_in_order_and_every_byte() {
    let mut runs = Runs::of("log");
    let name =
        runs.script("text", &["--in", "process"], "for i in 1 2 3; do echo o$i; done; echo e >&2");
    says(&["wait", &name]);
    let whole = (0, "o1\no2\no3\n".to_owned(), "e\n".to_owned());
    assert_eq!(output_of(&mut isolab(&["logs", &name])), whole);
    assert_eq!(output_of(&mut isolab(&["logs", "-f", &name])), whole);
    assert_eq!(output_of(&mut isolab(&["logs", "--tail", "2", &name])).1, "o3\n");
    assert_eq!(output_of(&mut isolab(&["logs", "-n", "0", &name])).1, "");
    assert_eq!(output_of(&mut isolab(&["logs", "--since", "10m", &name])), whole);
    assert_eq!(output_of(&mut isolab(&["logs", "--since", "2999-01-01", &name])).1, "");
    let stamped = output_of(&mut isolab(&["logs", "-t", &name])).1;
    let mut lines = stamped.lines().map(|line| line.split_once("Z ").unwrap());
    assert!(lines.all(|(time, text)| time.starts_with("20") && text.len() == 2), "{stamped}");

    // All bytes; a line that is longer than a record; a character cut in two by two writes.
    let script = [
        "printf '\\000\\001\\377\\376x\\n\\200'",
        "head -c 100000 /dev/zero | tr '\\0' z; echo",
        "printf '\\303'; sleep 0.2; printf '\\274\\n'",
    ];
    let expected: [Vec<u8>; 3] = [
        b"\0\x01\xff\xfex\n\x80".into(),
        [vec![b'z'; 100_000], b"\n".into()].concat(),
        "\u{fc}\n".into(),
    ];
    for (at, (script, expected)) in script.iter().zip(expected).enumerate() {
        let name = runs.script(&format!("bytes-{at}"), &["--in", "process"], script);
        says(&["wait", &name]);
        assert!(isolab(&["logs", &name]).output().unwrap().stdout == expected, "{script}");
    }
}

/// What a program leaves behind may hold its streams, and use them.
#[test]
fn the_end_of_the_program_is_the_end() {
    let mut runs = Runs::of("end");
    for (at, left) in
        ["yes", "sleep 20", "while :; do sleep 0.01; echo; done"].into_iter().enumerate()
    {
        let script = format!("trap '' HUP; ({left}) & echo $!; exit 3");
        let name = runs.script(&at.to_string(), &["--in", "process"], &script);
        let began = Instant::now();
        assert_eq!(says(&["wait", &name]), "3\n");
        assert!(began.elapsed() < Duration::from_secs(10), "{left}: {:?}", began.elapsed());
        let log = says(&["logs", &name]);
        let left = log.lines().find_map(|line| line.parse().ok()).and_then(Process::of);
        if let Some(left) = left {
            let _ = std::process::Command::new("kill").arg(left.pid.to_string()).output();
        }
    }
}

#[test]
fn a_log_has_a_bounded_size_and_keeps_the_newest() {
    let mut runs = Runs::of("bound");
    let script = "i=0; while [ $i -lt 4000 ]; do head -c 8000 /dev/zero | tr '\\0' y; echo; i=$((i+1)); done; echo last";
    let name = runs.script("log", &["--in", "process"], script);
    says(&["wait", &name]);
    let directory = Ledger::open().unwrap().directory_of(&name);
    let size: u64 =
        ["log", "log.1"].map(|part| fs::metadata(directory.join(part)).unwrap().len()).iter().sum();
    assert!((4 << 20..9 << 20).contains(&size), "{size} of 32 MB");
    let kept = says(&["logs", &name]);
    assert!(kept.ends_with("y\nlast\n") && kept.len() > 3 << 20, "{}", kept.len());
    assert_eq!(says(&["logs", "--tail", "1", &name]), "last\n");
}

#[test]
fn two_followers_see_all_until_the_end() {
    let mut runs = Runs::of("follow");
    let script = "for i in 1 2 3 4 5; do echo line $i; sleep 0.1; done; exit 1";
    let name = runs.script("log", &["--in", "process"], script);
    let followers = [&["logs", "-f", &name][..], &["logs", "--follow", "--tail", "all", &name]];
    let followers: Vec<Child> = followers.into_iter().map(piped).collect();
    let expected: String = (1..6).map(|i| format!("line {i}\n")).collect();
    for follower in followers {
        assert_eq!(ends(follower), (0, expected.clone(), String::new()));
    }
    // One whose reader has gone ends by itself.
    let name = runs.script("endless", &["--in", "process"], "while :; do echo y; sleep 0.01; done");
    let mut follower = piped(&["logs", "-f", &name]);
    drop(follower.stdout.take());
    assert_eq!(follower.wait().unwrap().code(), Some(0));
}

#[test]
fn every_waiter_is_told() {
    let mut runs = Runs::of("wait");
    let one = runs.script("one", &["--in", "process"], "sleep 0.4; exit 3");
    let two = runs.script("two", &["--in", "process"], "exit 4");
    let waiters = [&["wait", &one][..], &["wait", &one], &["wait", &one, &two]];
    let waiters: Vec<Child> = waiters.into_iter().map(piped).collect();
    let told: Vec<_> = waiters.into_iter().map(|waiter| ends(waiter).1).collect();
    assert_eq!(told, ["3\n", "3\n", "3\n4\n"]);
    let (code, _, errors) = output_of(&mut isolab(&["wait", "isolab-nobody"]));
    assert!(code == 125 && errors.contains("isolab-nobody"), "{code}: {errors}");
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
fn an_attached_client_types_reads_and_gets_the_code() {
    let mut runs = Runs::of("attach");
    let script = "while read line; do echo \"<$line>\"; [ $line = end ] && exit 5; done";
    let name = runs.script("pipe", &["-i", "--in", "process"], script);
    // One leaves again, and its end is not that of the program's input.
    let mut first = piped(&["attach", &name]);
    first.stdin.take().unwrap().write_all(b"one\n").unwrap();
    wait_for("the first line", || says(&["logs", &name]).contains("<one>"));
    common::signal(first.id(), "KILL");
    first.wait().unwrap();
    let mut second = piped(&["attach", &name]);
    second.stdin.take().unwrap().write_all(b"two\nend\n").unwrap();
    let (code, output, _) = ends(second);
    assert_eq!(code, 5);
    assert!(output.ends_with("<end>\n"), "{output}");
    assert_eq!(says(&["logs", &name]), "<one>\n<two>\n<end>\n");
    // Without -i there is nothing to type into: it sees the end of input at once.
    let closed = runs.script("closed", &["--in", "process"], "cat; exit 6");
    assert_eq!(says(&["wait", &closed]), "6\n");
    let (code, _, errors) = output_of(&mut isolab(&["attach", &closed]));
    assert!(code == 125 && errors.contains("has ended"), "{code}: {errors}");
}

#[test]
fn signals_of_a_client_are_the_programs() {
    let mut runs = Runs::of("signals");
    for (signal, code) in [("INT", 11), ("TERM", 12), ("HUP", 13)] {
        let script =
            format!("trap 'exit {code}' {signal}; echo ready; while :; do sleep 0.05; done");
        let name = runs.script(signal, &["--in", "process"], &script);
        wait_for("the trap", || says(&["logs", &name]) == "ready\n");
        let client = piped(&["attach", &name]);
        // It has its handlers before it connects; that it has connected is seen by nothing else.
        std::thread::sleep(Duration::from_millis(300));
        common::signal(client.id(), signal);
        assert_eq!(ends(client).0, code, "{signal}");
        assert_eq!(says(&["wait", &name]), format!("{code}\n"));
    }
    let name = runs.script(
        "kill",
        &["--in", "process"],
        "trap 'exit 14' USR1; echo ready; while :; do sleep 0.05; done",
    );
    wait_for("the trap", || says(&["logs", &name]) == "ready\n");
    says(&["kill", "-s", "USR1", &name]);
    assert_eq!(says(&["wait", &name]), "14\n");
}

#[test]
fn a_client_that_does_not_read_makes_nobody_wait() {
    let mut runs = Runs::of("slow");
    let script = "sleep 0.5; i=0; while [ $i -lt 300 ]; do head -c 9999 /dev/zero | tr '\\0' s; echo; i=$((i+1)); done; echo done";
    let name = runs.script("log", &["--in", "process"], script);
    let mut slow = piped(&["attach", &name]);
    let quick = piped(&["attach", &name]);
    let began = Instant::now();
    assert_eq!(says(&["wait", &name]), "0\n");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    assert!(says(&["logs", &name]).ends_with("done\n"), "the log has it all");
    let (code, output, _) = ends(quick);
    assert!(code == 0 || code == 125, "{code}");
    assert!(!output.is_empty());
    // Its pipe holds 64 KiB, and a socket some more: it was left behind, and says so.
    let output = slow.stdout.take().unwrap();
    std::io::copy(&mut { output }, &mut std::io::sink()).unwrap();
    let (code, _, errors) = ends(slow);
    assert!(code == 125 && errors.contains("isolab logs"), "{code}: {errors}");
}

#[test]
fn a_terminal_in_the_background_is_left_and_found_again() {
    if !containers() {
        return;
    }
    let mut runs = Runs::of("terminal");
    let script = "stty size; while read line; do echo \"<$line>\"; stty size; [ $line = end ] && exit 4; done";
    let name = runs.script("t", &["-t"], script);
    let mut person = Person::runs(&["attach", &name]);
    // The size of the window takes its way through two terminals.
    std::thread::sleep(Duration::from_millis(600));
    person.types(b"one\r");
    person.sees("<one>\r\n33 101\r\n");
    person.types(b"\x10\x11");
    assert_eq!(person.sees_the_end().code(), Some(0));
    assert!(person.is_cooked(), "the terminal is left raw");
    assert_eq!(state(&name), "running");
    let mut person = Person::runs(&["attach", "--detach-keys", "ctrl-a", &name]);
    person.types(b"\x10\x11\rend\r");
    person.sees("<end>");
    assert_eq!(person.sees_the_end().code(), Some(4));
    assert_eq!(says(&["wait", &name]), "4\n");
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
        let mut person = Person::runs(&words);
        person.sees(&name);
        assert_eq!(person.sees_the_end().code(), Some(0));
        let about = inspect(&name);
        drop(person); // the terminal hangs up
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(state(&name), "running");
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid(&about, "supervisor"))).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        assert_eq!(fields[3], pid(&about, "supervisor").to_string(), "a session of its own");
        assert_eq!(fields[4], "0", "no controlling terminal");
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
                    let said = errors.contains("isolab clean") || errors.contains("is known");
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
fn every_process_and_what_it_consumes_is_seen() {
    if !containers() {
        return;
    }
    let mut runs = Runs::of("seen");
    for (at, options) in [&[][..], &["--init"], &["--no-ns", "pid"]].into_iter().enumerate() {
        let name =
            runs.script(&at.to_string(), options, "sleep 61 & sleep 61 & while :; do :; done");
        let sleeps = || {
            let all: Vec<Value> = serde_json::from_str(&says(&["top", "--json", &name])).unwrap();
            all.into_iter().filter(|process| process["command"] == "sleep 61").collect()
        };
        wait_for("both", || Vec::<Value>::len(&sleeps()) == 2);
        let sleeps = sleeps();
        assert!(options.contains(&"pid") || sleeps.iter().all(|it| it["pid_inside"] != it["pid"]));
        let stats: Vec<Value> = serde_json::from_str(&says(&["stats", "--json", &name])).unwrap();
        let cpu = stats[0]["cpu_percent"].as_f64().unwrap();
        assert!((3.0..150.0).contains(&cpu), "a busy loop: {cpu}");
        assert!(stats[0]["memory_bytes"].as_u64().unwrap() > 50_000, "{stats:?}");
        assert!(stats[0]["pids"].as_u64().unwrap() >= 3, "{stats:?}");
        let about = inspect(&name);
        assert_eq!(about["network"]["kind"], "none");
        assert!(about["mounts"].as_array().unwrap().iter().any(|it| it["destination"] == "/"));
        says(&["stop", "--grace", "0s", &name]);
    }
    let (code, _, errors) = output_of(&mut isolab(&["top", "isolab-nobody"]));
    assert!(code == 125 && errors.contains("isolab-nobody"), "{errors}");
}

/// How far the counter of a run has come.
fn count(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |found| found.len())
}

#[test]
fn a_paused_container_stands_still_until_it_is_told_otherwise() {
    if !containers() {
        return;
    }
    let mut runs = Runs::of("pause");
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    for (at, options) in [&[][..], &["--init"], &["--pids", "50"]].into_iter().enumerate() {
        let name = runs.script(
            &at.to_string(),
            options,
            "(while :; do echo; sleep 0.01; done) & while :; do echo; sleep 0.01; done",
        );
        let (code, _, errors) = output_of(&mut isolab(&["pause", &name]));
        if code != 0 {
            assert!(errors.contains("cgroup") || errors.contains("freezer"), "{errors}");
            common::skip::<()>("freezer", errors.trim());
            return;
        }
        assert_eq!(state(&name), "paused");
        let log = Ledger::open().unwrap().directory_of(&name).join("log");
        std::thread::sleep(Duration::from_millis(100));
        let before = count(&log);
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(count(&log), before, "it goes on");
        let (code, _, errors) = output_of(&mut isolab(&["pause", &name]));
        assert!(code == 125 && errors.contains("paused already"), "{errors}");
        says(&["unpause", &name]);
        assert_eq!(state(&name), "running");
        wait_for("more", || count(&log) > before);
        says(&["pause", &name]);
        match at {
            0 => drop(says(&["stop", "--grace", "0s", &name])),
            1 => drop(says(&["kill", &name])),
            _ => drop(says(&["rm", "-f", &name])),
        }
        wait_for("its end", || ["exited", "gone"].contains(&&*state(&name)));
        let cgroup = format!("isolab-{name}");
        wait_for("its cgroups", || common::cgroups_named(&cgroup).is_empty());
    }
    let name = runs.script("process", &["--in", "process"], "sleep 60");
    let (code, _, errors) = output_of(&mut isolab(&["pause", &name]));
    assert!(code == 125 && errors.contains("without a cgroup"), "{errors}");
    drop(folder);
}

/// A container whose root is a folder of the host's with busybox in it, as an attacker fills it.
fn hostile_root() -> Option<tempfile::TempDir> {
    let busybox =
        ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
    let Some(busybox) = busybox else {
        return common::skip(
            "busybox",
            "busybox is not installed, and a root of its own needs a shell",
        );
    };
    let root = tempfile::tempdir_in("/var/tmp").unwrap();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir_all(root.path().join("bin")).unwrap();
    fs::copy(busybox, root.path().join("bin/busybox")).unwrap();
    Some(root)
}

#[test]
fn files_are_copied_out_of_a_container_and_into_it() {
    if !containers() {
        return;
    }
    let mut runs = Runs::of("cp");
    let name = runs.script("x", &[], "mkdir -p /tmp/d/e; echo one > /tmp/d/f; chmod 4755 /tmp/d/f; ln -s /etc/hostname /tmp/d/l; mkfifo /tmp/d/p; echo ready; exec sleep 60");
    wait_for("the files", || says(&["logs", &name]) == "ready\n");
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    let text = |path: &str| at(path).to_str().unwrap().to_owned();
    let inside = |path: &str| format!("{name}:{path}");
    // A file under a new name, into a directory, and over one that is there.
    for target in ["new", ".", "new"] {
        says(&["cp", &inside("/tmp/d/f"), &text(target)]);
    }
    for made in ["new", "f"] {
        assert_eq!(fs::read_to_string(at(made)).unwrap(), "one\n");
        let found = fs::metadata(at(made)).unwrap();
        assert_eq!(found.mode() & 0o7777, 0o755, "no set-user bit");
        assert_eq!(found.uid(), nix::unistd::Uid::effective().as_raw());
    }
    // A directory under a new name, into one, and its contents.
    for (from, target, file) in
        [("/tmp/d", "n", "n/f"), ("/tmp/d", ".", "d/f"), ("/tmp/d/.", "n", "n/f")]
    {
        let (code, _, errors) = output_of(&mut isolab(&["cp", &inside(from), &text(target)]));
        assert!(code == 0 && errors.contains("FIFO"), "{from}: {errors}");
        assert_eq!(fs::read_to_string(at(file)).unwrap(), "one\n", "{from} {target}");
    }
    assert_eq!(fs::read_link(at("d/l")).unwrap(), Path::new("/etc/hostname"), "as a link");
    // And in: what comes is root's there.
    says(&["cp", &text("d"), &inside("/tmp/back")]);
    says(&["cp", &text("new"), &inside("tmp/")]);
    let script = "cat /tmp/back/f /tmp/new; stat -c %u:%g /tmp/back/f; readlink /tmp/back/l";
    let found = says(&["exec", &name, "--", "/bin/sh", "-c", script]);
    assert_eq!(found, "one\none\n0:0\n/etc/hostname\n");
    // What cannot be.
    let mistakes: [(&[&str], i32); 5] = [
        (&["cp", &inside("/tmp/none"), &text("x")], 125),
        (&["cp", &inside("/tmp/d/f"), &text("none/")], 125),
        (&["cp", &text("n"), &text("m")], 2),
        (&["cp", "-", &inside("/tmp")], 2),
        (&["cp", "isolab-nobody:/x", &text("x")], 125),
    ];
    for (words, code) in mistakes {
        let (found, _, errors) = output_of(&mut isolab(words));
        assert!(found == code && errors.starts_with("isolab: "), "{words:?}: {errors}");
    }
}

#[test]
fn links_inside_lead_to_no_file_of_the_hosts() {
    if !containers() {
        return;
    }
    let Some(root) = hostile_root() else { return };
    let host = tempfile::tempdir_in("/var/tmp").unwrap();
    let secret = host.path().join("secret");
    fs::write(&secret, "the host's").unwrap();
    let secret = secret.to_str().unwrap().to_owned();
    let folder = host.path().to_str().unwrap().to_owned();
    let inside = |path: &str| root.path().join(path);
    symlink(&secret, inside("absolute")).unwrap();
    symlink(format!("../../../../../..{secret}"), inside("climbing")).unwrap();
    symlink(&folder, inside("folder")).unwrap();
    symlink(format!("../../../../..{folder}"), inside("climbing-folder")).unwrap();
    symlink("/proc/self/fd", inside("descriptors")).unwrap();
    symlink("/proc/self/root", inside("self-root")).unwrap();
    symlink("/proc/1/root", inside("first-root")).unwrap();
    symlink("/etc", inside("etc")).unwrap();
    let mut runs = Runs::of("links");
    for (at, options) in [&[][..], &["--no-ns", "pid"], &["--init"]].into_iter().enumerate() {
        let options = [&["--root", root.path().to_str().unwrap()], options].concat();
        let words = [&options[..], &["--", "/bin/busybox", "sleep", "60"]].concat();
        let name = runs.start(&at.to_string(), &words);
        let out = tempfile::tempdir().unwrap();
        let reached = [
            "absolute",
            "climbing",
            "folder/secret",
            "climbing-folder/secret",
            "descriptors/0",
            "descriptors/3",
            "self-root/etc/passwd",
            "first-root/../etc/passwd",
            "etc/passwd",
            "proc/self/environ",
            "proc/self/cwd/Cargo.toml",
            "proc/self/root/etc/passwd",
            "../../../../../../etc/passwd",
        ];
        for path in reached {
            let target = out.path().join("file");
            let words = ["cp", &format!("{name}:{path}"), target.to_str().unwrap()];
            let (code, _, errors) = output_of(&mut isolab(&words));
            let is_link = fs::symlink_metadata(&target).is_ok_and(|it| it.file_type().is_symlink());
            assert!(code == 125 || is_link, "{path}: {code} {errors}");
            let _ = fs::remove_file(&target);
        }
        let new = out.path().join("new");
        fs::write(&new, "attack").unwrap();
        let written = [
            "absolute",
            "climbing",
            "folder/",
            "folder/new",
            "climbing-folder/new",
            "descriptors/0",
            "descriptors/3",
            &format!("self-root{folder}/new"),
            &format!("first-root{folder}/new"),
            "etc/passwd",
            "proc/self/oom_score_adj",
            &format!("proc/self/root{folder}/secret"),
            &format!("../../../../..{folder}/new"),
        ];
        for path in written {
            let words = ["cp", new.to_str().unwrap(), &format!("{name}:{path}")];
            let (code, _, errors) = output_of(&mut isolab(&words));
            assert!(code == 0 || code == 125, "{path}: {code} {errors}");
            assert_eq!(fs::read_to_string(&secret).unwrap(), "the host's", "{path}");
            assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "{path} is written outside");
        }
        says(&["stop", "--grace", "0s", &name]);
        // As it was: a link that was replaced by a file is the container's own loss.
        for (link, target) in
            [("absolute", secret.clone()), ("climbing", format!("../../../../../..{secret}"))]
        {
            let _ = fs::remove_file(inside(link));
            symlink(target, inside(link)).unwrap();
        }
    }
}
