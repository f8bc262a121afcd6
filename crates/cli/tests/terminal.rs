//! `isolab run -t`: a terminal of its own, connected to a real one. The test plays the person at it.

mod common;

use common::terminal::{COLUMNS, ROWS, TestTerminal};

/// Runs `script` by a shell in a container on a new terminal.
fn runs(script: &str) -> TestTerminal {
    TestTerminal::run(&["run", "-t", "--", "/bin/sh", "-c", script])
}

fn containers() -> bool {
    common::can("container", container::available())
}

#[test]
fn a_program_on_a_terminal_knows_its_size_and_gives_its_code() {
    if !containers() {
        return;
    }
    let mut terminal = runs("test -t 0 && test -t 1 && stty size; exit 42");
    terminal.expect_text(&format!("{ROWS} {COLUMNS}\r\n"));
    assert_eq!(terminal.wait_for_exit().code(), Some(42));
}

#[test]
fn a_resized_window_is_told_to_the_program() {
    if !containers() {
        return;
    }
    let script = "trap 'stty size; exit 5' WINCH; echo ready; while :; do sleep 0.1; done";
    let mut terminal = runs(script);
    terminal.expect_text("ready");
    terminal.resize(44, 123);
    terminal.expect_text("44 123\r\n");
    assert_eq!(terminal.wait_for_exit().code(), Some(5));
}

#[test]
fn control_c_is_the_programs_own() {
    if !containers() {
        return;
    }
    let mut deaf = runs("trap 'echo caught; exit 7' INT; echo ready; while :; do sleep 0.1; done");
    deaf.expect_text("ready");
    deaf.type_keys(b"\x03");
    deaf.expect_text("caught");
    assert_eq!(deaf.wait_for_exit().code(), Some(7));
    // Not the shell itself: process 1 ignores a signal that it has no handler for.
    let mut usual = runs("echo ready; sleep 60; exit $?");
    usual.expect_text("ready");
    // The first may come before there is a sleep(1) that it could end.
    while usual.program.try_wait().unwrap().is_none() {
        usual.type_keys(b"\x03");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(usual.wait_for_exit().code(), Some(130));
}

#[test]
fn what_is_typed_is_read_and_the_terminal_is_as_before() {
    if !containers() {
        return;
    }
    let mut terminal = runs("echo ready; read word; echo \"<$word>\"");
    terminal.expect_text("ready");
    assert!(!terminal.is_cooked(), "keys go through as they are");
    terminal.type_keys(b"seventeen\r");
    terminal.expect_text("<seventeen>");
    assert_eq!(terminal.wait_for_exit().code(), Some(0));
    assert!(terminal.is_cooked(), "the terminal is left raw");
}

/// Says how its terminal is called, and whether that is one of its own.
const NAME: &str = "tty; test -c $(tty) && test $(tty) -ef /proc/self/fd/0 && echo mine; \
                    echo to-it > $(tty); exit 3";

#[test]
fn a_terminal_is_a_device_of_the_containers_own() {
    if !containers() {
        return;
    }
    let host = common::Host::start("tty");
    let exec = ["exec", "-it", &host.name];
    for front in [&["run", "-it", "--init", "--"][..], &["run", "-t", "--no-init", "--"], &exec] {
        let mut terminal = TestTerminal::run(&[front, &["sh", "-c", NAME]].concat());
        terminal.expect_text("/dev/pts/0\r\nmine\r\nto-it\r\n");
        assert_eq!(terminal.wait_for_exit().code(), Some(3), "{front:?}");
    }
    let mut first = TestTerminal::run(&[&exec[..], &["sh", "-c", "tty; sleep 60"]].concat());
    first.expect_text("/dev/pts/0");
    let mut second = TestTerminal::run(&[&exec[..], &["sh", "-c", NAME]].concat());
    second.expect_text("/dev/pts/1\r\nmine");
    second.wait_for_exit();
    first.type_keys(b"\x03");
    assert_eq!(first.wait_for_exit().code(), Some(130));
}

#[test]
fn the_console_is_the_terminal_and_each_user_may_open_it() {
    if !containers() {
        return;
    }
    let script = "echo console > /dev/console; test /dev/console -ef $(tty) || stat -c %t:%T /dev/console $(tty); stty size";
    let mut terminal = runs(script);
    terminal.expect_text("console\r\n");
    terminal.expect_text(&format!("{ROWS} {COLUMNS}\r\n"));
    terminal.wait_for_exit();
    let host = common::Host::start("tty-user");
    for user in ["0", "1000", "65534:65534"] {
        let words =
            ["exec", "-t", "-u", user, &host.name, "sh", "-c", "echo by-name > $(tty); id -u"];
        let mut terminal = TestTerminal::run(&words);
        terminal.expect_text(&format!("by-name\r\n{}\r\n", user.split(':').next().unwrap()));
        assert_eq!(terminal.wait_for_exit().code(), Some(0), "{user}");
    }
}

#[test]
fn a_dev_that_the_container_has_made_hostile_gets_no_terminal_of_anybody_elses() {
    if !containers() {
        return;
    }
    // What root inside can do to the way there: /dev and its parts may be renamed and replaced.
    let scripts = [
        "rm -f /dev/ptmx; mkfifo /dev/ptmx",
        "ln -sfn /proc/self/fd/0 /dev/ptmx; ln -sfn /etc /dev/pts-other",
        "for i in 1 2 3; do ln -sf /dev/null /dev/pts/$i; done 2>/dev/null; mv /dev/pts /dev/x 2>/dev/null",
    ];
    for (index, script) in scripts.iter().enumerate() {
        let host = common::Host::start(&format!("hostile-{index}"));
        let words = ["exec", &host.name, "sh", "-c", &format!("{script}; true")];
        let (code, _, errors) = common::output_of(&mut common::isolab(&words));
        assert_eq!(code, 0, "{errors}");
        let mut terminal = TestTerminal::run(&["exec", "-t", &host.name, "sh", "-c", NAME]);
        terminal.expect_text("/dev/pts/0\r\nmine");
        assert_eq!(terminal.wait_for_exit().code(), Some(3), "{script}");
    }
}
