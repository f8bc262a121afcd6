//! Labels, annotations and ways to stop: what a caller writes beside a run.

mod common;

use std::{
    fs,
    time::{Duration, Instant},
};

use common::{
    isolab, output_of,
    runs::{Runs, containers, inspect, listed, says},
    wait_for,
};

/// The kinds of runs that this host can start, with their options.
fn kinds() -> Vec<&'static str> {
    let mut kinds = vec!["process"];
    kinds.extend(containers().then_some("container"));
    kinds
}

fn names(filters: &[&str]) -> Vec<String> {
    let filters = filters.iter().flat_map(|filter| ["--filter", filter]);
    let words: Vec<&str> = ["ps", "-aq"].into_iter().chain(filters).collect();
    says(&words).lines().map(str::to_owned).collect()
}

#[test]
fn a_run_is_found_by_its_labels() {
    let mut runs = Runs::of("labels");
    let own = format!("of={}", std::process::id());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("labels");
    fs::write(&file, "# of the class\nteam=red\nfrom=file\n").unwrap();
    for kind in kinds() {
        let options =
            ["--in", kind, "-l", &own, "--label", "from=option", "--label", "odd=\u{1b}[31m=\n"];
        let more = ["--label-file", file.to_str().unwrap(), "--annotation", "org.example=x=y"];
        let name = runs.script(kind, &[&options[..], &more].concat(), "sleep 60");
        let about = inspect(&name);
        assert_eq!(about["labels"]["team"], "red", "{about}");
        assert_eq!(about["labels"]["from"], "option", "an option wins over a file");
        assert_eq!(about["labels"]["odd"], "\u{1b}[31m=\n");
        assert_eq!(about["annotations"]["org.example"], "x=y");
        assert_eq!(listed(&name).unwrap()["labels"], about["labels"]);
        let own = format!("label={own}");
        let part = format!("name={name}");
        let by_this = |more: &[&str]| names(&[&[own.as_str(), &part], more].concat());
        for found in [&[][..], &["label=team"], &["label=team=red", "label=from=option"]] {
            assert_eq!(by_this(found), [name.as_str()], "{found:?}");
        }
        for lost in [&["label=none"][..], &["label=team=blue"], &["label=team", "label=from=file"]]
        {
            assert_eq!(by_this(lost), Vec::<String>::new(), "{lost:?}");
        }
        assert_eq!(by_this(&["status=exited"]), Vec::<String>::new());
        says(&["kill", &name]);
        says(&["wait", &name]);
        assert_eq!(by_this(&["status=exited"]), [name.as_str()], "and it stays after the end");
    }
}

#[test]
fn labels_that_cannot_be_kept_are_refused_and_nothing_starts() {
    let large = format!("k={}", "v".repeat(100 << 10));
    let labels: [&[&str]; 4] = [&[""], &["=v"], &[&large, "k2=v"], &[&large, "k2=v"]];
    for (at, labels) in labels.into_iter().enumerate() {
        let mut words = vec!["run", "--in", "process"];
        labels.iter().for_each(|label| words.extend(["--label", label]));
        let large = [large.replace("k=", "a="), large.replace("k=", "b=")];
        if at > 1 {
            large.iter().for_each(|label| words.extend(["--annotation", label]));
        }
        words.extend(["--", "echo", "started"]);
        let (code, output, errors) = output_of(&mut isolab(&words));
        assert!(code == 2 && errors.contains("help: "), "{errors:.200}");
        assert_eq!(output, "");
    }
}

#[test]
fn stop_asks_by_the_signal_and_waits_the_time_that_the_run_was_given() {
    let mut runs = Runs::of("asked");
    let script = "for s in TERM INT USR1 QUIT; do trap \"echo got $s; exit 7\" $s; done
        echo ready; while :; do sleep 0.02; done";
    for kind in kinds() {
        for (at, (options, asked, said)) in [
            (&[][..], &[][..], "TERM"),
            (&["--stop-signal", "INT"], &[], "INT"),
            (&["--stop-signal", "sigusr1"], &[], "USR1"),
            (&["--stop-signal", "USR1"], &["-s", "QUIT"], "QUIT"),
        ]
        .into_iter()
        .enumerate()
        {
            let options = [&["--in", kind][..], options].concat();
            let name = runs.script(&format!("{kind}-{at}"), &options, script);
            wait_for("the traps", || says(&["logs", &name]) == "ready\n");
            says(&[&["stop"], asked, &[&name]].concat());
            assert_eq!(listed(&name).unwrap()["exit_code"], 7, "{kind} {said}");
            assert_eq!(says(&["logs", &name]), format!("ready\ngot {said}\n"), "{kind}");
        }
    }
}

#[test]
fn what_does_not_end_in_its_own_time_is_killed() {
    let mut runs = Runs::of("timeout");
    let deaf = "trap '' TERM USR1; echo ready; while :; do sleep 0.02; done";
    for kind in kinds() {
        for (at, (options, asked)) in [
            (&["--stop-timeout", "300ms"][..], &[][..]),
            (&["--stop-timeout", "300ms", "--stop-signal", "USR1"], &[]),
            (&["--stop-timeout", "-1"], &["--grace", "300ms"]),
            (&["--stop-timeout", "600"], &["-t", "0.3"]),
            (&["--stop-signal", "KILL", "--stop-timeout", "600"], &[]),
        ]
        .into_iter()
        .enumerate()
        {
            let options = [&["--in", kind][..], options].concat();
            let name = runs.script(&format!("{kind}-{at}"), &options, deaf);
            wait_for("the traps", || says(&["logs", &name]) == "ready\n");
            let began = Instant::now();
            says(&[&["stop"], asked, &[&name]].concat());
            assert!(began.elapsed() < Duration::from_secs(9), "{kind} {options:?}");
            let is_kill = options.contains(&"KILL");
            assert!(is_kill || began.elapsed() > Duration::from_millis(300), "{options:?}");
            assert_eq!(listed(&name).unwrap()["exit_code"], 137, "{kind} {options:?}");
        }
    }
}

#[test]
fn several_are_stopped_by_one_command_and_their_settings_are_shown() {
    let mut runs = Runs::of("several");
    let (plain, own) = (["--in", "process"], ["--stop-signal", "2", "--stop-timeout", "-1"]);
    let one = runs.script("one", &plain, "sleep 60");
    let other =
        runs.script("other", &[plain, [own[0], own[1]], [own[2], own[3]]].concat(), "sleep 60");
    let (about, of_other) = (inspect(&one), inspect(&other));
    assert_eq!(
        (&about["stop_signal"], &about["stop_timeout_ms"]),
        (&"SIGTERM".into(), &10_000.into())
    );
    assert_eq!(of_other["stop_signal"], "SIGINT");
    assert_eq!(of_other["stop_timeout_ms"], serde_json::Value::Null);
    says(&["stop", "-t", "1", &one, &other]);
    for name in [one, other] {
        assert_eq!(listed(&name).unwrap()["state"], "exited");
    }
    for wrong in ["STOP", "CHLD", "TSTP", "NONE", "0", ""] {
        let words = ["run", "--in", "process", "--stop-signal", wrong, "--", "true"];
        assert_eq!(output_of(&mut isolab(&words)).0, 2, "{wrong:?}");
    }
}
