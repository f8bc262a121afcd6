//! What a run in the background writes and reads: `isolab logs`, `attach` and `wait`.

mod common;

use std::{
    fs,
    io::Write as _,
    process::Child,
    time::{Duration, Instant},
};

use common::{
    isolab, output_of,
    runs::{Runs, containers, ends, piped, says, state},
    terminal::TestTerminal,
    wait_for,
};
use sandbox::{Ledger, Process};

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
    let answer: Vec<_> = waiters.into_iter().map(|waiter| ends(waiter).1).collect();
    assert_eq!(answer, ["3\n", "3\n", "3\n4\n"]);
    let (code, _, errors) = output_of(&mut isolab(&["wait", "isolab-nobody"]));
    assert!(code == 125 && errors.contains("isolab-nobody"), "{code}: {errors}");
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
    let mut terminal = TestTerminal::run(&["attach", &name]);
    // The size of the window takes its way through two terminals.
    std::thread::sleep(Duration::from_millis(600));
    terminal.type_keys(b"one\r");
    terminal.expect_text("<one>\r\n33 101\r\n");
    terminal.type_keys(b"\x10\x11");
    assert_eq!(terminal.wait_for_exit().code(), Some(0));
    assert!(terminal.is_cooked(), "the terminal is left raw");
    assert_eq!(state(&name), "running");
    let mut terminal = TestTerminal::run(&["attach", "--detach-keys", "ctrl-a", &name]);
    terminal.type_keys(b"\x10\x11\rend\r");
    terminal.expect_text("<end>");
    assert_eq!(terminal.wait_for_exit().code(), Some(4));
    assert_eq!(says(&["wait", &name]), "4\n");
}
