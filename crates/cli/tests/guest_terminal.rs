//! `isolab exec -t` in a Linux guest: a terminal of the guest's own, connected to a real one. The test
//! plays the person at it. `terminal.rs` has the same of containers.

mod common;

use std::{process::Command, thread, time::Duration};

use common::{
    guest::Guest,
    in_english,
    inside::{all_hold_in_a_nest, here},
    isolab, output_of,
    terminal::{COLUMNS, ROWS, TestTerminal},
};

#[test]
fn all_of_these_hold_in_a_nest() {
    all_hold_in_a_nest();
}

/// Runs `script` by a shell in the guest, on a new terminal that is the client's own: the kernel
/// tells a client of a new size by SIGWINCH only then (setsid(1)).
fn runs(guest: &Guest, flag: &str, script: &str) -> TestTerminal {
    let isolab = ["-c", env!("CARGO_BIN_EXE_isolab")];
    let words = ["exec", flag, &guest.name, "--", "sh", "-c", script];
    TestTerminal::start(&mut in_english(Command::new("setsid"), &[&isolab[..], &words].concat()))
}

/// Says how its terminal is called, whether that is a device, its own, and of the guest's devpts.
const NAME: &str = "tty; test -c $(tty) && test $(tty) -ef /proc/self/fd/0 && echo mine; \
    grep -c '^devpts /dev/pts ' /proc/mounts; echo to-it > $(tty); exit 3";

#[test]
fn a_terminal_is_a_device_of_the_guests_own() {
    if !here() {
        return;
    }
    let guest = Guest::idle("tty");
    for flag in ["-t", "-it"] {
        let mut terminal = runs(&guest, flag, NAME);
        terminal.expect_text("/dev/pts/0\r\nmine\r\n1\r\nto-it\r\n");
        assert_eq!(terminal.wait_for_exit().code(), Some(3), "{flag}");
        assert!(terminal.is_cooked(), "{flag}: the terminal is left raw");
    }
    let mut first = runs(&guest, "-it", "tty; sleep 60; exit $?");
    first.expect_text("/dev/pts/0");
    let mut second = runs(&guest, "-it", NAME);
    second.expect_text("/dev/pts/1\r\nmine");
    assert_eq!(second.wait_for_exit().code(), Some(3));
    first.type_keys(b"\x03");
    assert_eq!(first.wait_for_exit().code(), Some(130), "Ctrl-C is the command's own");
    // Without -t it has none.
    let (code, output, _) = output_of(&mut guest.exec(&["tty"]));
    assert_eq!((code, &*output), (1, "not a tty\n"));
    // With it and no terminal outside, it is refused, as docker-exec(1) has it.
    let (code, _, errors) = output_of(&mut isolab(&["exec", "-t", &guest.name, "--", "tty"]));
    assert_eq!(code, 2, "{errors}");
    assert!(errors.contains("needs a terminal") && errors.contains("help: "), "{errors}");
}

#[test]
fn its_size_is_the_windows_and_changes_with_it() {
    if !here() {
        return;
    }
    let guest = Guest::idle("size");
    let mut terminal = runs(&guest, "-it", "stty size; stty size < $(tty); exit 42");
    let size = format!("{ROWS} {COLUMNS}\r\n");
    terminal.expect_text(&size.repeat(2));
    assert_eq!(terminal.wait_for_exit().code(), Some(42));
    let script =
        "trap 'stty size' WINCH; trap 'exit 5' INT; echo ready; while :; do sleep 0.1; done";
    let mut terminal = runs(&guest, "-it", script);
    terminal.expect_text("ready");
    // One row or column busybox takes for none.
    for (rows, columns) in [(44, 123), (2, 2), (999, 999), (24, 80)] {
        terminal.resize(rows, columns);
        terminal.expect_text(&format!("{rows} {columns}\r\n"));
    }
    terminal.type_keys(b"\x03");
    assert_eq!(terminal.wait_for_exit().code(), Some(5));
}

#[test]
fn what_is_typed_is_read_and_how_it_ends_is_told() {
    if !here() {
        return;
    }
    let guest = Guest::idle("typed");
    let mut terminal = runs(&guest, "-it", "echo ready; read word; echo \"<$word>\"");
    terminal.expect_text("ready");
    assert!(!terminal.is_cooked(), "keys go through as they are");
    terminal.type_keys(b"seventeen\r");
    terminal.expect_text("<seventeen>");
    assert_eq!(terminal.wait_for_exit().code(), Some(0));
    // The end of input is a key, and a paste comes whole, as far as a line may be (termios(3)).
    let mut terminal = runs(&guest, "-it", "stty -echo; echo ready; cat | md5sum; exit 6");
    terminal.expect_text("ready");
    for _ in 0..30 {
        terminal.type_keys(&[&[b'x'; 1000][..], b"\r"].concat());
    }
    thread::sleep(Duration::from_millis(500));
    terminal.type_keys(b"\x04");
    terminal.expect_text("dd79af7d5fdee1c955ea9007b5b72f11");
    assert_eq!(terminal.wait_for_exit().code(), Some(6));
    for (script, code) in [("kill -9 $$", 137), ("kill -TERM $$; sleep 60", 143)] {
        assert_eq!(runs(&guest, "-it", script).wait_for_exit().code(), Some(code), "{script}");
    }
    assert_eq!(output_of(&mut guest.exec(&["true"])).0, 0);
}
