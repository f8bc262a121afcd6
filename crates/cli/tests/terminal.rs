//! `isolab run -t`: a terminal of its own, connected to a real one. The test is the person at it.

mod common;

use common::person::{COLUMNS, Person, ROWS};

/// Runs `script` by a shell in a container on a new terminal.
fn runs(script: &str) -> Person {
    Person::runs(&["run", "-t", "--", "/bin/sh", "-c", script])
}

fn containers() -> bool {
    common::can("container", container::available())
}

#[test]
fn a_program_on_a_terminal_knows_its_size_and_gives_its_code() {
    if !containers() {
        return;
    }
    let mut person = runs("test -t 0 && test -t 1 && stty size; exit 42");
    person.sees(&format!("{ROWS} {COLUMNS}\r\n"));
    assert_eq!(person.sees_the_end().code(), Some(42));
}

#[test]
fn a_resized_window_is_told_to_the_program() {
    if !containers() {
        return;
    }
    let script = "trap 'stty size; exit 5' WINCH; echo ready; while :; do sleep 0.1; done";
    let mut person = runs(script);
    person.sees("ready");
    person.resizes(44, 123);
    person.sees("44 123\r\n");
    assert_eq!(person.sees_the_end().code(), Some(5));
}

#[test]
fn control_c_is_the_programs_own() {
    if !containers() {
        return;
    }
    let mut deaf = runs("trap 'echo caught; exit 7' INT; echo ready; while :; do sleep 0.1; done");
    deaf.sees("ready");
    deaf.types(b"\x03");
    deaf.sees("caught");
    assert_eq!(deaf.sees_the_end().code(), Some(7));
    // Not the shell itself: process 1 ignores a signal that it has no handler for.
    let mut usual = runs("echo ready; sleep 60; exit $?");
    usual.sees("ready");
    usual.types(b"\x03");
    assert_eq!(usual.sees_the_end().code(), Some(130));
}

#[test]
fn what_is_typed_is_read_and_the_terminal_is_as_before() {
    if !containers() {
        return;
    }
    let mut person = runs("echo ready; read word; echo \"<$word>\"");
    person.sees("ready");
    assert!(!person.is_cooked(), "keys go through as they are");
    person.types(b"seventeen\r");
    person.sees("<seventeen>");
    assert_eq!(person.sees_the_end().code(), Some(0));
    assert!(person.is_cooked(), "the terminal is left raw");
}
