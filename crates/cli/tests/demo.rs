//! Demonstrations without a terminal: from the recording that comes with isolab, and live.

mod common;

use common::{Names, can_live, isolab, output_of};
use demo::{
    Demo, Language, Scene,
    slices::{Mode, Slices},
};
use report::columns::columns;

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
    for demo in Demo::ALL {
        let words = ["demo", demo.name(), "--replay", "--for", "1500ms", "--lang", "en"];
        let (code, output, errors) = output_of(&mut isolab(&words));
        assert_eq!((code, &*errors), (0, ""));
        let title = demo.script().title.of(Language::En);
        let first = format!("{}: {title} (recording)\n", demo.name());
        assert!(output.starts_with(&first), "{output}");
        for line in output.lines() {
            assert!(columns(line) <= 80, "{line}");
        }
    }
}

#[test]
fn two_live_seconds_can_be_written_down_and_shown_again() {
    for demo in Demo::ALL.into_iter().filter(|demo| can_live(*demo)) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let words = ["demo", demo.name(), "--for", "2s", "--pace", "500ms", "--record", path];
        let (code, output, errors) = output_of(&mut isolab(&words));
        assert_eq!((code, &*errors), (0, ""));
        assert!(output.contains("(live)\n"), "{output}");
        let words = ["demo", demo.name(), "--replay", path, "--for", "10s"];
        let (code, again, _) = output_of(&mut isolab(&words));
        assert_eq!((code, again), (0, output.replacen("(live)", "(recording)", 1)));
    }
}

#[test]
fn a_tour_goes_through_every_step_of_each() {
    let words = ["demo", "tour", "--replay", "--pace", "120ms"];
    let (code, output, errors) = output_of(&mut isolab(&words));
    assert_eq!((code, &*errors), (0, ""));
    let last = Demo::ALL[Demo::ALL.len() - 1];
    let steps = demo::tour::Tour::steps();
    assert!(output.starts_with(last.name()), "{output}");
    assert!(output.contains(&format!("\n{steps}/{steps}  ")), "{output}");
}

#[test]
fn the_share_that_a_worker_sees_is_the_one_that_the_kernel_counts() {
    if !can_live(Demo::Slices) {
        return;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let words = ["demo", "slices", "--pace", "3s", "--for", "15s", "--record", path];
    let (code, _, errors) = output_of(&mut isolab(&words));
    assert_eq!((code, &*errors), (0, ""));
    let recorded = demo::recording::Replay::open(file.path()).unwrap();
    let mut modes = vec![Mode::Normal, Mode::VirtualProcessors];
    // An ordinary user has no cgroup for it as a rule.
    let cpu = container::host().controllers.into_iter().find(|it| it.name == "cpu").unwrap();
    match cpu.problem {
        None => modes.extend([Mode::Quota, Mode::Weights]),
        Some(reason) => drop(common::skip::<()>("container", &reason)),
    }
    for mode in modes {
        let seconds: Vec<&Slices> = recorded
            .scenes()
            .filter_map(|scene| match scene {
                Scene::Slices(slices) if slices.mode == mode => Some(slices),
                _ => None,
            })
            .collect();
        // The last third of them has a whole second of that mode in it.
        let rows = seconds[seconds.len() * 2 / 3..].iter().flat_map(|slices| &slices.rows);
        let mut apart: Vec<f32> =
            rows.filter_map(|row| row.counted.map(|counted| (row.share - counted).abs())).collect();
        apart.sort_by(f32::total_cmp);
        assert!(!apart.is_empty(), "{mode:?}: {} seconds", seconds.len());
        // Of a virtual machine's own gaps the kernel that runs in it knows nothing.
        assert!(apart[apart.len() / 2] <= 0.02, "{mode:?} {apart:?}");
    }
}

#[test]
fn a_container_that_runs_already_is_among_those_that_are_seen() {
    if !can_live(Demo::Namespaces) {
        return;
    }
    let names = Names::of("demo");
    let name = names.name("box");
    let words = ["run", "--in", "container", "--name", &name, "--", "sleep", "60"];
    let mut running = isolab(&words).spawn().unwrap();
    names.wait_for("box");
    let seen = output_of(&mut isolab(&["demo", "namespaces", "--for", "1s"]));
    let left = names.listed();
    output_of(&mut isolab(&["stop", &name]));
    running.wait().unwrap();
    let (code, output, errors) = seen;
    assert_eq!((code, &*errors), (0, ""));
    assert!(output.contains(&name[..10]) && output.contains(" NEW, "), "{output}");
    assert_eq!(left.len(), 1, "it was not touched: {left:?}");
}

#[test]
fn what_is_no_recording_or_no_demonstration_is_named() {
    let (code, _, errors) = output_of(&mut isolab(&["demo", "slicer"]));
    assert!(code == 2 && errors.contains("isolab demo list"), "{errors}");
    let (code, _, errors) =
        output_of(&mut isolab(&["demo", "slices", "--replay=Cargo.toml", "--for", "1s"]));
    assert!(code == 125 && errors.contains("Cargo.toml"), "{errors}");
}
