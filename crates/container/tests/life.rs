//! A container's life in steps: create, start, kill, wait, delete, also from another process.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use common::{Need, cgroups_left, ready, ready_with};
use container::{Namespace, Prepared, Root, Spec, State, hooks::Hook};
use nix::sys::signal::Signal;
use sandbox::{Program, Status, Stdio};
use tempfile::TempDir;

/// Variable of the process that acts on a container which another one has created.
const STATE: &str = "ISOLAB_TEST_STATE";

/// A spec that writes into `mark`, a file that it shares with the host.
fn spec(script: &str, shared: &Path) -> Spec {
    let mut spec = Spec::default();
    let words = ["/bin/sh", "-c", script].map(Into::into).into();
    spec.way_out.program = Program::Command(words);
    spec.way_out.stdio = Stdio::Capture;
    spec.inside.root = Root::Host;
    spec.inside.mounts.push(container::Mount {
        destination: "/run/shared".into(),
        kind: "bind".into(),
        source: shared.into(),
        options: vec!["rbind".into()],
    });
    spec
}

fn place() -> (TempDir, PathBuf, PathBuf) {
    let place = tempfile::tempdir_in("/dev/shm").unwrap();
    let (shared, state) = (place.path().join("shared"), place.path().join("state.json"));
    fs::create_dir(&shared).unwrap();
    (place, shared, state)
}

#[test]
fn nothing_runs_before_the_start_and_what_ran_is_told() {
    if !ready() {
        return;
    }
    for init in [true, false] {
        let (place, shared, _) = place();
        let mut spec = spec("echo begun > /run/shared/mark; echo out; exit 7", &shared);
        spec.way_out.init = init;
        let prepared = Prepared::new(&spec).unwrap();
        let mut created = prepared.create(&place.path().join("start")).unwrap();
        let state = created.state().clone();
        assert!(state.is_alive() && !shared.join("mark").exists());
        created.start().unwrap();
        assert!(created.start().is_err(), "started twice");
        let outcome = created.wait().unwrap();
        assert_eq!((outcome.status, &*outcome.output), (Status::Exited(7), &b"out\n"[..]));
        assert_eq!(fs::read_to_string(shared.join("mark")).unwrap(), "begun\n");
        state.delete().unwrap();
        assert!(!state.is_alive());
    }
}

#[test]
fn a_program_that_is_not_there_is_an_error_of_the_creation() {
    if !ready() {
        return;
    }
    for init in [true, false] {
        let (place, shared, _) = place();
        let mut spec = spec("true", &shared);
        spec.way_out.init = init;
        for (program, code) in [("/no/such", 127), ("no-such", 127), ("/etc/passwd", 126)] {
            spec.way_out.program = Program::Command(vec![program.into()]);
            let created = Prepared::new(&spec).unwrap().create(&place.path().join("start"));
            let error = created.map(container::Created::detach).unwrap_err();
            assert_eq!(error.exit_code(), code, "{error}");
        }
    }
}

#[test]
fn a_program_that_cannot_be_executed_is_an_error_of_the_start() {
    if !ready() {
        return;
    }
    for init in [true, false] {
        let (place, shared, _) = place();
        let mut spec = spec("true", &shared);
        // A directory can be entered, and not executed.
        spec.way_out.program = Program::Command(vec!["/etc".into()]);
        spec.way_out.init = init;
        let mut created =
            Prepared::new(&spec).unwrap().create(&place.path().join("start")).unwrap();
        let error = created.start().unwrap_err();
        assert_eq!(error.exit_code(), 126, "{error}");
        created.state().delete().unwrap();
    }
}

/// In the child of the test: acts on the container of a state file, as `ISOLAB_TEST_ACT` says.
fn act(state: &str) {
    let state = State::load(Path::new(state)).unwrap();
    match std::env::var("ISOLAB_TEST_ACT").unwrap().as_str() {
        "start" => state.start().unwrap(),
        "kill" => {
            state.kill(Signal::SIGTERM as i32);
            state.wait().unwrap();
        }
        _ => state.delete().unwrap(),
    }
}

#[test]
fn another_process_goes_on_from_the_state_file() {
    if let Ok(state) = std::env::var(STATE) {
        return act(&state);
    }
    if !ready_with(&[Need::Limits]) {
        return;
    }
    let (place, shared, file) = place();
    let name = common::cgroup_name("life");
    let mut spec = spec("echo begun > /run/shared/mark; exec sleep 600", &shared);
    // Process 1 ignores a signal that it has no handler for.
    spec.way_out.init = true;
    spec.budget.limits = common::limited();
    spec.budget.cgroup = Some(name.clone());
    let created = Prepared::new(&spec).unwrap().create(&place.path().join("start")).unwrap();
    let state = created.detach();
    state.save(&file).unwrap();
    let elsewhere = |act: &str| {
        let own = std::env::current_exe().unwrap();
        let done = Command::new(own)
            .args(["--exact", "another_process_goes_on_from_the_state_file"])
            .env(STATE, &file)
            .env("ISOLAB_TEST_ACT", act)
            .output()
            .unwrap();
        assert!(done.status.success(), "{act}: {}", String::from_utf8_lossy(&done.stdout));
    };
    elsewhere("start");
    for _ in 0..2000 {
        if shared.join("mark").exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert!(shared.join("mark").exists() && state.is_alive());
    elsewhere("kill");
    assert!(!state.is_alive());
    assert!(!cgroups_left(&name).is_empty());
    elsewhere("delete");
    assert_eq!(cgroups_left(&name), Vec::<String>::new());
}

#[test]
fn cgroups_of_killed_test_programs_are_removed_by_the_next() {
    if !ready_with(&[Need::Limits]) {
        return;
    }
    // No process has that number (proc_sys_kernel(5), pid_max).
    const DEAD: u32 = 4_194_305;
    let parents = container::cgroup::cgroup_parents().unwrap();
    let path = |pid: u32| parents[0].path.join(format!("isolab-killed-{pid}"));
    let (left, living) = (path(DEAD), path(std::process::id()));
    for path in [&left, &living] {
        fs::create_dir(path).unwrap();
    }
    // One that sleeps in it ends with it.
    let mut sleeper = Command::new("sleep").arg("600").spawn().unwrap();
    fs::write(left.join("cgroup.procs"), sleeper.id().to_string()).unwrap();
    assert_eq!(common::cgroup_name("killed"), format!("isolab-killed-{}", std::process::id()));
    assert!(!left.exists() && living.exists());
    assert!(!sleeper.wait().unwrap().success());
    fs::remove_dir(living).unwrap();
}

#[test]
fn namespaces_of_others_are_joined() {
    if !ready() {
        return;
    }
    let (place, shared, _) = place();
    let mut first = spec("exec sleep 600", &shared);
    first.boundary.hostname = Some("shared-name".into());
    let mut host = Prepared::new(&first).unwrap().create(&place.path().join("first")).unwrap();
    host.start().unwrap();
    let pid = host.state().first.pid;
    let file = |kind: &str| Namespace::Joined(format!("/proc/{pid}/ns/{kind}").into());
    let mut second =
        spec("hostname; ls /proc | grep -c '^[0-9]'; readlink /proc/self/ns/net", &shared);
    let namespaces = &mut second.boundary.namespaces;
    (namespaces.uts, namespaces.net, namespaces.pid) = (file("uts"), file("net"), file("pid"));
    second.way_out.init = false;
    let mut guest = Prepared::new(&second).unwrap().create(&place.path().join("second")).unwrap();
    guest.start().unwrap();
    let outcome = guest.wait().unwrap();
    let text = common::text(&outcome);
    let lines: Vec<&str> = text.lines().collect();
    let net = fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
    assert_eq!(lines[0], "shared-name", "{outcome:?}");
    // The first one's init and sleep, this shell and its children.
    assert!(lines[1].parse::<u32>().unwrap() >= 4, "{text}");
    assert_eq!(lines[2], net.to_str().unwrap());
    let wrong = Namespace::Joined(format!("/proc/{pid}/ns/uts").into());
    second.boundary.namespaces.net = wrong;
    let error = Prepared::new(&second).unwrap().create(&place.path().join("third")).err().unwrap();
    assert!(sandbox::chain(&error).contains("is not a net namespace"), "{error:?}");
    host.state().delete().unwrap();
}

/// A hook that notes its place, what it was told, and the host name that it sees.
fn noting(place: &str, notes: &Path) -> Hook {
    let script = "read -r told; echo \"$0 $(hostname) $told\" >> \"$1\"";
    let args = ["sh", "-c", script, place, notes.to_str().unwrap()].map(str::to_owned);
    let path = "/bin/sh".into();
    Hook { path, args: args.into(), env: vec!["PATH=/bin:/usr/bin".into()], timeout: Some(20) }
}

#[test]
fn hooks_are_run_at_their_places_and_told_of_the_container() {
    if !ready() {
        return;
    }
    let (place, shared, _) = place();
    let notes = shared.join("notes");
    let mut spec = spec("echo program >> /run/shared/notes", &shared);
    spec.boundary.hostname = Some("inside".into());
    let hooks = &mut spec.way_out.hooks;
    hooks.create_runtime = vec![noting("create_runtime", &notes)];
    hooks.create_container = vec![noting("create_container", &notes)];
    hooks.start_container = vec![noting("start_container", Path::new("/run/shared/notes"))];
    hooks.poststart = vec![noting("poststart", &shared.join("poststart"))];
    hooks.poststop = vec![noting("poststop", &notes)];
    hooks.state.insert("id".into(), "one".into());
    let mut created = Prepared::new(&spec).unwrap().create(&place.path().join("start")).unwrap();
    created.start().unwrap();
    let state = created.state().clone();
    created.wait().unwrap();
    state.delete().unwrap();
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_owned();
    let text = fs::read_to_string(&notes).unwrap()
        + &fs::read_to_string(shared.join("poststart")).unwrap();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.splitn(3, ' ').collect()).collect();
    let seen: Vec<(&str, &str)> =
        lines.iter().map(|line| (line[0], line.get(1).copied().unwrap_or_default())).collect();
    let host = host.as_str();
    let expected = [
        ("create_runtime", host),
        ("create_container", "inside"),
        ("start_container", "inside"),
        ("program", ""),
        ("poststop", host),
        ("poststart", host),
    ];
    assert_eq!(seen, expected, "{text}");
    for (line, status) in [(0, "creating"), (2, "created"), (4, "stopped"), (5, "running")] {
        let message: serde_json::Value = serde_json::from_str(lines[line][2]).unwrap();
        assert_eq!((&message["id"], &message["status"]), (&"one".into(), &status.into()), "{text}");
    }
}

#[test]
fn a_hook_that_fails_or_takes_too_long_is_named() {
    if !ready() {
        return;
    }
    let (place, shared, _) = place();
    let script = |script: &str, timeout| Hook {
        path: "/bin/sh".into(),
        args: ["sh", "-c", script].map(str::to_owned).into(),
        env: vec!["PATH=/bin:/usr/bin".into()],
        timeout,
    };
    let late = script("exec sleep 600", Some(1));
    for (hook, reason) in [(script("exit 3", None), "exit status: 3"), (late, "timeout")] {
        let mut spec = spec("true", &shared);
        spec.way_out.hooks.create_runtime = vec![hook];
        let error =
            Prepared::new(&spec).unwrap().create(&place.path().join("start")).err().unwrap();
        let message = sandbox::chain(&error);
        assert!(message.contains("/bin/sh") && message.contains(reason), "{message}");
        assert!(!place.path().join("start").exists());
    }
    let mut spec = spec("true", &shared);
    spec.way_out.hooks.start_container = vec![script("exit 4", None)];
    let mut created = Prepared::new(&spec).unwrap().create(&place.path().join("start")).unwrap();
    let message = sandbox::chain(&created.start().unwrap_err());
    assert!(message.contains("exit code 4"), "{message}");
    created.state().delete().unwrap();
}
