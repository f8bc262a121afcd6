//! `isolab top`, `stats`, `inspect` and `pause`: looking at what runs, and letting it stand still.

mod common;

use std::{fs, path::Path, time::Duration};

use common::{
    isolab, output_of,
    runs::{Runs, containers, inspect, says, state},
    wait_for,
};
use sandbox::Ledger;
use serde_json::Value;

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
        assert!(code == 125 && errors.contains("already paused"), "{errors}");
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
}
