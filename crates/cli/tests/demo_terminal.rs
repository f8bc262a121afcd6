//! Demonstrations on a terminal: whatever its size, and however they end, it is as before, and
//! nothing is left running.

mod common;

use std::{thread::sleep, time::Duration};

use common::{
    Names, can_live, descendants, isolab, output_of, signal, terminal::TestTerminal, wait_for,
};
use demo::Demo;
use sandbox::Process;

/// What crossterm writes when it gives the screen back.
const LEAVES: &str = "\x1b[?1049l";
const SHOWS_THE_CURSOR: &str = "\x1b[?25h";

#[test]
fn every_live_demonstration_takes_its_keys_and_gives_the_terminal_back() {
    for demo in Demo::ALL.into_iter().filter(|demo| can_live(*demo)) {
        let mut terminal = TestTerminal::run(&["demo", demo.name()]);
        terminal.expect_text(demo.name());
        assert!(!terminal.is_cooked(), "keys go through as they are");
        for key in demo.script().steps.iter().filter_map(|step| step.key) {
            terminal.type_keys(&[key as u8]);
            sleep(Duration::from_millis(300));
        }
        let started = descendants(terminal.program.id());
        terminal.type_keys(b"\x1b");
        assert_eq!(terminal.wait_for_exit().code(), Some(0), "{}", demo.name());
        terminal.expect_text(LEAVES);
        terminal.expect_text(SHOWS_THE_CURSOR);
        assert!(terminal.is_cooked(), "{}: the terminal is left raw", demo.name());
        wait_for("the end of all", || !started.iter().any(Process::is_alive));
    }
}

#[test]
fn any_size_and_any_change_of_it_is_drawn() {
    for demo in Demo::ALL {
        let mut terminal = TestTerminal::run(&["demo", demo.name(), "--replay"]);
        terminal.expect_text(demo.name());
        for (rows, columns) in [(1, 1), (3, 12), (9, 47), (60, 220), (24, 80)] {
            terminal.resize(rows, columns);
            sleep(Duration::from_millis(150));
        }
        terminal.type_keys(b"\x1b");
        assert_eq!(terminal.wait_for_exit().code(), Some(0), "{}", demo.name());
        assert!(terminal.is_cooked());
    }
}

#[test]
fn without_colours_none_is_written() {
    // What sets the colour of letters: SGR 30 to 37, 38, 90 to 97.
    let is_coloured = |text: &str| {
        text.split("\x1b[").any(|rest| {
            let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != ';');
            let (numbers, rest) = rest.split_at(end.unwrap_or(rest.len()));
            let mut numbers = numbers.split(';').filter_map(|number| number.parse::<u8>().ok());
            rest.starts_with('m') && numbers.any(|number| matches!(number, 30..=38 | 90..=97))
        })
    };
    let words = ["demo", "slices", "--replay", "--for", "1s"];
    let mut coloured = TestTerminal::run(&words);
    coloured.wait_for_exit();
    assert!(is_coloured(coloured.screen()), "the test can see colours");
    let mut plain = isolab(&words);
    let mut terminal = TestTerminal::start(plain.env("NO_COLOR", "1"));
    terminal.wait_for_exit();
    assert!(!is_coloured(terminal.screen()), "{}", terminal.screen());
}

#[test]
fn an_end_at_any_moment_leaves_nothing() {
    let moments = (0..12).map(|number| Duration::from_millis(35 * number));
    for (number, moment) in moments.enumerate() {
        for demo in Demo::ALL.into_iter().filter(|demo| can_live(*demo)) {
            let mut terminal = TestTerminal::run(&["demo", demo.name()]);
            sleep(moment);
            let started = descendants(terminal.program.id());
            let way = ["^C", "INT", "TERM", "HUP"][number % 4];
            if way == "^C" {
                terminal.expect_text(demo.name());
                terminal.type_keys(b"\x03");
            } else {
                signal(terminal.program.id(), way);
            }
            terminal.wait_for_exit();
            assert!(terminal.is_cooked(), "{} {way} after {moment:?}", demo.name());
            wait_for("the end of all", || !started.iter().any(Process::is_alive));
        }
    }
}

#[test]
fn what_a_killed_one_leaves_can_be_cleaned() {
    for demo in Demo::ALL.into_iter().filter(|demo| can_live(*demo)) {
        let script = demo.script().steps.iter().filter_map(|step| step.key);
        let keys: Vec<u8> = script.map(|key| key as u8).collect();
        for count in [0, 1, keys.len().div_ceil(2)] {
            let mut terminal = TestTerminal::run(&["demo", demo.name()]);
            terminal.expect_text(demo.name());
            for key in &keys[..count] {
                terminal.type_keys(&[*key]);
                sleep(Duration::from_millis(200));
            }
            let started = descendants(terminal.program.id());
            signal(terminal.program.id(), "KILL");
            terminal.wait_for_exit();
            let (code, said, errors) = output_of(&mut isolab(&["clean"]));
            assert_eq!(code, 0, "{said}{errors}");
            wait_for("the end of all", || !started.iter().any(Process::is_alive));
            assert_eq!(Names::of("").listed(), []);
        }
    }
}
