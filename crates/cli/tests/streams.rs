//! Every byte arrives, in order, whoever made a stream non-blocking and however slowly it is read.

mod common;

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
    process::Stdio,
    thread,
    time::Duration,
};

use common::{Host, isolab, output_of, terminal::TestTerminal};
use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    unistd::pipe2,
};

/// The reading and the writing end, which no other test's children inherit.
fn pipe() -> nix::Result<(OwnedFd, OwnedFd)> {
    pipe2(OFlag::O_CLOEXEC)
}

/// The ways to a program; all but the first need a container.
fn fronts(host: Option<&Host>) -> Vec<Vec<&str>> {
    let mut fronts = vec![vec!["run", "--in", "process", "--"]];
    if let Some(host) = host {
        fronts.extend([
            vec!["run", "--in", "process", "--json", "--"],
            vec!["run", "--init", "--"],
            vec!["run", "--no-init", "--"],
            vec!["run", "--json", "--"],
            vec!["exec", &host.name],
        ]);
    }
    fronts
}

fn host(test: &str) -> Option<Host> {
    common::can("container", container::available()).then(|| Host::start(test))
}

/// What the program wrote, of what isolab printed.
fn said(front: &[&str], printed: &str) -> String {
    if !front.contains(&"--json") {
        return printed.to_owned();
    }
    let object: serde_json::Value = serde_json::from_str(printed).unwrap();
    object["output"].as_str().unwrap().to_owned()
}

fn non_blocking(end: &OwnedFd) {
    fcntl(end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
}

/// Reads it slowly at first, when the pipe has filled up, and then to its end.
fn read_slowly(end: OwnedFd) -> Vec<u8> {
    let (mut file, mut text, mut chunk) = (File::from(end), Vec::new(), [0; 1000]);
    for _ in 0..20 {
        thread::sleep(Duration::from_millis(10));
        let count = file.read(&mut chunk).unwrap();
        text.extend_from_slice(&chunk[..count]);
    }
    file.read_to_end(&mut text).unwrap();
    text
}

/// The numbers up to `last`, a line each.
fn numbers(last: u32) -> String {
    (1..=last).map(|number| format!("{number}\n")).collect()
}

#[test]
fn what_is_written_to_a_non_blocking_pipe_arrives_whole() {
    let host = host("written");
    for front in fronts(host.as_ref()) {
        for last in [10, 30_000, 200_000] {
            let (reader, writer) = pipe().unwrap();
            non_blocking(&writer);
            let mut command = isolab(&[&front[..], &["seq", &last.to_string()]].concat());
            let mut child = command.stdout(writer).spawn().unwrap();
            drop(command); // it holds the other end
            let text = String::from_utf8(read_slowly(reader)).unwrap();
            let status = child.wait().unwrap();
            assert!(status.success() && said(&front, &text) == numbers(last), "{front:?}: {last}");
        }
    }
}

#[test]
fn what_is_read_from_a_non_blocking_pipe_is_all_that_was_written() {
    let host = host("read");
    for front in fronts(host.as_ref()) {
        for last in [10, 30_000, 200_000] {
            let (reader, writer) = pipe().unwrap();
            non_blocking(&reader);
            let typing = thread::spawn(move || {
                let text = numbers(last);
                let (start, rest) = text.split_at(7);
                let mut file = File::from(writer);
                thread::sleep(Duration::from_millis(50));
                file.write_all(start.as_bytes()).unwrap();
                thread::sleep(Duration::from_millis(50));
                file.write_all(rest.as_bytes()).unwrap();
            });
            let mut command = isolab(&[&front[..], &["cat"]].concat());
            let (code, output, errors) = output_of(command.stdin(reader));
            typing.join().unwrap();
            assert_eq!((code, &*errors), (0, ""), "{front:?}");
            assert!(said(&front, &output) == numbers(last), "{front:?}: {last}");
        }
    }
}

#[test]
fn the_callers_own_stream_stays_non_blocking() {
    let (_reader, writer) = pipe().unwrap();
    non_blocking(&writer);
    let own = writer.try_clone().unwrap();
    assert!(
        isolab(&["run", "--in", "process", "--", "true"])
            .stdout(writer)
            .status()
            .unwrap()
            .success()
    );
    let flags = OFlag::from_bits_retain(fcntl(&own, FcntlArg::F_GETFL).unwrap());
    assert!(flags.contains(OFlag::O_NONBLOCK));
}

#[test]
fn a_pipe_without_a_reader_or_a_writer_makes_nobody_wait() {
    for front in fronts(host("ends").as_ref()) {
        if front.contains(&"--json") || front[0] == "exec" {
            continue;
        }
        let (reader, writer) = pipe().unwrap();
        non_blocking(&reader);
        drop(writer);
        let words = [&front[..], &["cat"]].concat();
        let (code, output, _) = output_of(isolab(&words).stdin(reader));
        assert_eq!((code, &*output), (0, ""), "{front:?}");
        let (reader, writer) = pipe().unwrap();
        non_blocking(&writer);
        drop(reader);
        let words = [&front[..], &["sh", "-c", "echo x; exit 3"]].concat();
        // The shell is ended by SIGPIPE, or says that it cannot write.
        let code = isolab(&words).stdout(writer).stderr(Stdio::null()).status().unwrap().code();
        assert_ne!(code, Some(0), "{front:?}");
    }
}

#[test]
fn what_cannot_be_written_is_said() {
    let json = ["run", "--in", "process", "--json", "--", "seq", "100000"];
    for words in [&json[..], &["list"], &["run", "--help"], &["--version"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = isolab(words).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(125), "{words:?}: {errors}");
        assert!(errors.contains("standard output") && errors.contains("No space"), "{errors}");
    }
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let output = isolab(&json).stdout(writer).stderr(Stdio::piped()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(125) && errors.contains("Broken pipe"), "{errors}");
}

#[test]
fn a_paste_of_any_size_into_a_terminal_arrives() {
    if !common::can("container", container::available()) {
        return;
    }
    for last in [100, 4_000, 40_000] {
        let text = numbers(last);
        // It begins to read late, when the terminal has filled up.
        let script =
            format!("stty -echo; echo ready; sleep 0.5; head -c {} | md5sum; exit 4", text.len());
        let mut terminal = TestTerminal::run(&["run", "-t", "--", "/bin/sh", "-c", &script]);
        terminal.expect_text("ready");
        terminal.type_keys(text.as_bytes());
        let (_, expected, _) = output_of(&mut isolab(&[
            "run",
            "--in",
            "process",
            "--",
            "sh",
            "-c",
            &format!("seq {last} | md5sum"),
        ]));
        terminal.expect_text(expected.trim_end());
        assert_eq!(terminal.wait_for_exit().code(), Some(4));
    }
}

#[test]
fn a_flood_of_output_on_a_terminal_arrives_in_order_while_keys_go_in() {
    if !common::can("container", container::available()) {
        return;
    }
    for last in [10, 5_000, 100_000] {
        let script = format!("stty -onlcr -echo; echo ready; read go; seq {last}; echo \"$go\"");
        let mut terminal = TestTerminal::run(&["run", "-t", "--", "/bin/sh", "-c", &script]);
        terminal.expect_text("ready\n");
        terminal.type_keys(b"gone\r");
        terminal.expect_text("gone\n");
        terminal.wait_for_exit();
        assert!(terminal.screen().contains(&format!("ready\n{}gone\n", numbers(last))), "{last}");
    }
}

#[test]
fn only_the_streams_that_are_attached_lead_to_the_caller() {
    let script = "cat; echo out; echo err >&2";
    let cases: [(&[&str], &str, &str); 5] = [
        (&[], "in\nout\n", "err\n"),
        (&["-a", "stdin", "-a", "stdout", "-a", "stderr"], "in\nout\n", "err\n"),
        (&["-a", "stdout"], "out\n", ""),
        (&["--attach", "STDERR"], "", "err\n"),
        (&["-a=stdin", "-a=stderr"], "", "err\n"),
    ];
    let mut kinds = vec!["process"];
    kinds.extend(common::can("container", container::available()).then_some("container"));
    for kind in kinds {
        for (options, output, errors) in cases {
            let words = [&["run", "--in", kind][..], options, &["--", "sh", "-c", script]].concat();
            let mut command = isolab(&words);
            let (reads, writes) = pipe().unwrap();
            File::from(writes).write_all(b"in\n").unwrap();
            let found = output_of(command.stdin(reads));
            assert_eq!(found, (0, output.into(), errors.into()), "{kind} {options:?}");
        }
        // What isolab itself has to say is no stream of the program's.
        let words = ["run", "--in", kind, "-a", "stdout", "--", "/no/such/program"];
        let (code, _, errors) = output_of(&mut isolab(&words));
        assert!(code == 127 && errors.contains("/no/such/program"), "{kind}: {errors}");
    }
    for wrong in [&["-a", "stdlog"][..], &["-a", "stdout", "-d"], &["-a", "stdout", "--json"]] {
        let words = [&["run", "--in", "process"], wrong, &["--", "true"]].concat();
        assert_eq!(output_of(&mut isolab(&words)).0, 2, "{wrong:?}");
    }
}
