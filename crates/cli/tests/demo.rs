//! Demonstrations without a terminal: from the recording that comes with isolab, and live.

mod common;

use common::{isolab, output_of};

#[test]
fn what_there_is_is_listed_and_has_notes_for_the_teacher() {
    let (code, output, _) = output_of(&mut isolab(&["demo", "list"]));
    assert_eq!(code, 0);
    assert!(output.contains("slices") && output.contains("One second in ten tenths"), "{output}");
    let (code, output, _) = output_of(&mut isolab(&["demo", "slices", "--notes", "--lang", "zh"]));
    assert!(code == 0 && output.contains("分钟"), "{output}");
}

#[test]
fn a_recording_is_told_in_lines_where_there_is_no_terminal() {
    let words = ["demo", "slices", "--replay", "--for", "3s"];
    let (code, output, errors) = output_of(&mut isolab(&words));
    assert_eq!((code, &*errors), (0, ""));
    assert!(output.contains("SCHED_RR") && output.contains("10.0 %"), "{output}");
}

#[test]
fn two_live_seconds_can_be_written_down_and_shown_again() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let words = ["demo", "slices", "--for", "2s", "--record", path];
    let (code, output, errors) = output_of(&mut isolab(&words));
    assert_eq!(code, 0, "{errors}");
    assert_eq!(output.lines().count(), 12 + usize::from(output.contains("[r]")), "{output}");
    let replay = format!("--replay={path}");
    let (code, again, _) = output_of(&mut isolab(&["demo", "slices", &replay, "--for", "10s"]));
    assert_eq!((code, again.lines().nth(1)), (0, output.lines().nth(1)));
}

#[test]
fn what_is_no_recording_or_no_demonstration_is_named() {
    let (code, _, errors) = output_of(&mut isolab(&["demo", "slicer"]));
    assert!(code == 2 && errors.contains("isolab demo list"), "{errors}");
    let (code, _, errors) =
        output_of(&mut isolab(&["demo", "slices", "--replay=Cargo.toml", "--for", "1s"]));
    assert!(code == 125 && errors.contains("Cargo.toml"), "{errors}");
}
