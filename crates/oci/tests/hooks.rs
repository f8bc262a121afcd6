//! Hooks: all six in their order and at their places, and what the failure of each does.

mod bundle;

use std::{
    fs,
    time::{Duration, Instant},
};

use bundle::{Bundle, processes_of};
use serde_json::{Value, json};

const ALL: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// A hook that notes what it sees. That of `startContainer` is a program inside.
fn noting(bundle: &Bundle, name: &str) -> Value {
    let notes = match name {
        "startContainer" => "/work".to_owned(),
        _ => bundle.path("rootfs/work").display().to_string(),
    };
    let script = format!(
        "echo {name} >> {notes}/order; cat > {notes}/{name}.state; \
         readlink /proc/self/ns/uts > {notes}/{name}.uts; \
         readlink /proc/self/ns/mnt > {notes}/{name}.mnt; echo $ONE $TWO > {notes}/{name}.env",
    );
    json!({ "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["ONE=1", "PATH=/bin:/usr/bin"] })
}

fn note(bundle: &Bundle, name: &str) -> String {
    let path = bundle.path("rootfs/work").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

fn state_of(bundle: &Bundle, name: &str) -> Value {
    serde_json::from_str(&note(bundle, &format!("{name}.state"))).unwrap()
}

fn with_hooks(script: &str) -> Option<Bundle> {
    let mut bundle = Bundle::new(script)?;
    bundle.config["annotations"] = json!({ "class": "isolation" });
    bundle.config["hooks"] =
        ALL.iter().map(|name| ((*name).to_owned(), json!([noting(&bundle, name)]))).collect();
    bundle.write();
    Some(bundle)
}

#[test]
fn all_six_run_in_their_order_at_their_places() {
    let Some(bundle) = with_hooks("echo program >> /work/order; sleep 100") else { return };
    bundle.create(&[]).ok();
    let order = "prestart\ncreateRuntime\ncreateContainer\n";
    assert_eq!(note(&bundle, "order"), order);
    let pid = bundle.state()["pid"].clone();
    bundle.call(&["start", "@"]).ok();
    bundle::wait_until("the program runs", || note(&bundle, "order").contains("program"));
    bundle::wait_until("poststart has run", || note(&bundle, "order").contains("poststart"));
    let text = note(&bundle, "order");
    assert!(text.starts_with(&format!("{order}startContainer\n")), "{text}");
    let uts = fs::read_link(format!("/proc/{pid}/ns/uts")).unwrap().display().to_string();
    let own = fs::read_link("/proc/self/ns/uts").unwrap().display().to_string();
    bundle.call(&["kill", "@", "9"]).ok();
    bundle.wait_until_stopped();
    assert!(!note(&bundle, "order").contains("poststop"));
    bundle.call(&["delete", "@"]).ok();
    assert!(note(&bundle, "order").ends_with("poststop\n"));
    for name in ALL {
        let is_inside = ["createContainer", "startContainer"].contains(&name);
        let seen = note(&bundle, &format!("{name}.uts"));
        assert_eq!(seen.trim(), if is_inside { &uts } else { &own }, "{name}");
        assert_eq!(note(&bundle, &format!("{name}.env")), "1\n", "{name}");
        let state = state_of(&bundle, name);
        let status = match name {
            "startContainer" => "created",
            "poststart" => "running",
            "poststop" => "stopped",
            _ => "creating",
        };
        assert_eq!(state["status"], status, "{name}");
        assert_eq!(state["ociVersion"], "1.2.1");
        assert_eq!(state["id"], json!(bundle.id));
        assert_eq!(state["bundle"], json!(bundle.directory.path()));
        assert_eq!(state["annotations"], json!({ "class": "isolation" }));
        match name {
            "poststop" => assert!(state.get("pid").is_none_or(|pid| *pid == 0)),
            // As its own pid namespace numbers it.
            _ if is_inside => assert_eq!(state["pid"], 1, "{name}"),
            _ => assert_eq!(state["pid"], pid, "{name}"),
        }
    }
    bundle.assert_nothing_left();
}

#[test]
fn a_failure_before_the_program_stops_the_container_and_one_after_it_is_a_warning() {
    for (number, failing) in ALL.into_iter().enumerate() {
        let Some(mut bundle) = with_hooks("echo program >> /work/order; sleep 100") else { return };
        let notes =
            if failing == "startContainer" { "/work".into() } else { bundle.path("rootfs/work") };
        let script = format!("echo {failing} >> {}/order; exit 9", notes.display());
        bundle.config["hooks"][failing] =
            json!([{ "path": "/bin/sh", "args": ["sh", "-c", script] }]);
        bundle.write();
        if number < 3 {
            let said = bundle.create(&[]).failed(1);
            assert!(said.contains("/bin/sh") && said.contains('9'), "{failing}: {said}");
        } else {
            bundle.create(&[]).ok();
            let started = bundle.call(&["start", "@"]);
            if failing == "startContainer" {
                let said = started.failed(1);
                assert!(said.contains("/bin/sh") && said.contains('9'), "{failing}: {said}");
                bundle.wait_until_stopped();
            } else {
                let has_warned = started.log.iter().any(|line| line["level"] == "warning");
                assert_eq!((started.code, has_warned), (0, failing == "poststart"), "{started:?}");
                bundle::wait_until("it runs", || note(&bundle, "order").contains("program"));
            }
            let deleted = bundle.call(&["delete", "--force", "@"]);
            let has_warned = deleted.log.iter().any(|line| line["level"] == "warning");
            assert_eq!((deleted.code, has_warned), (0, failing == "poststop"), "{deleted:?}");
        }
        let order = note(&bundle, "order");
        let lines: Vec<&str> = order.lines().collect();
        assert_eq!(lines.contains(&"program"), number > 3, "{failing}: {order}");
        // Those after it do not run, but for the last one, which follows every end.
        for later in ALL[..5].iter().skip(number + 1) {
            assert!(number > 3 || !lines.contains(later), "{failing}: {order}");
        }
        assert!(lines.contains(&"poststop"), "{failing}: {order}");
        bundle.assert_nothing_left();
    }
}

#[test]
fn a_hook_that_hangs_ends_at_its_timeout_with_what_it_has_started() {
    for name in &ALL[..4] {
        let Some(mut bundle) = with_hooks("sleep 100") else { return };
        let script =
            format!("sh -c ': hangs {0}; sleep 100; :' & : hangs {0}; sleep 100; :", bundle.id);
        bundle.config["hooks"][*name] =
            json!([{ "path": "/bin/sh", "args": ["sh", "-c", script], "timeout": 1 }]);
        // More than a pipe holds, which the hook does not read.
        bundle.config["annotations"] = json!({ "large": "x".repeat(300_000) });
        bundle.write();
        let began = Instant::now();
        match *name {
            "startContainer" => {
                bundle.create(&[]).ok();
                bundle.call(&["start", "@"]).failed(1);
                bundle.call(&["delete", "@"]).ok();
            }
            _ => drop(bundle.create(&[]).failed(1)),
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{name}: {:?}", began.elapsed());
        assert_eq!(processes_of(&format!("hangs {}", bundle.id)), Vec::<i32>::new(), "{name}");
        bundle.assert_nothing_left();
    }
}

#[test]
fn a_hook_that_is_missing_is_named() {
    let Some(mut bundle) = Bundle::new("true") else { return };
    for name in &ALL[..3] {
        bundle.config["hooks"] = json!({ *name: [{ "path": "/nonexistent/hook" }] });
        bundle.write();
        let said = bundle.create(&[]).failed(1);
        assert!(said.contains("/nonexistent/hook"), "{said}");
        bundle.assert_nothing_left();
    }
}
