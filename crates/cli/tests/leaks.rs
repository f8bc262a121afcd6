//! What the caller is and has does not show inside: limits, umask, groups, policy, environment,
//! descriptors.

mod common;

use std::process::Command;

use common::{Host, in_english, isolab, output_of};
use nix::unistd::Uid;

/// isolab by a caller that a shell's `prologue` has made what it is; `last` ends the shell's line.
fn isolab_after(prologue: &str, words: &[&str]) -> Command {
    let mut command = Command::new("/bin/bash");
    command.args(["-c", &format!("{prologue}; exec \"$@\""), "bash"]);
    command.arg(env!("CARGO_BIN_EXE_isolab"));
    in_english(command, words)
}

fn containers() -> bool {
    common::can("container", container::available())
}

/// What `words` print inside after `prologue`, by `run` with and without init, and by `exec`.
fn inside(test: &str, prologue: &str, words: &[&str]) -> Vec<String> {
    let host = Host::start(test);
    let fronts = [&["run", "--init", "--"][..], &["run", "--no-init", "--"], &["exec", &host.name]];
    let said = fronts.map(|front| {
        let (code, output, errors) =
            output_of(&mut isolab_after(prologue, &[front, words].concat()));
        assert_eq!((code, &*errors), (0, ""), "{prologue}: {front:?}");
        output
    });
    said.into()
}

/// Whether this caller may raise what it has lowered.
fn is_root(what: &str) -> bool {
    let is_root = Uid::effective().is_root();
    if !is_root {
        println!("skipped: only root has more to give than its caller: {what}");
    }
    is_root
}

#[test]
fn the_callers_limits_do_not_hold_inside() {
    if !containers() {
        return;
    }
    let usual = inside("limits", "true", &["cat", "/proc/self/limits"]);
    assert!(usual.iter().all(|limits| *limits == usual[0]), "{usual:?}");
    let soft = ["-S -f 1", "-S -n 64", "-S -s 2048", "-S -c 9", "-S -t 1000", "-S -v 900000"];
    let hard = ["-f 1", "-n 64", "-l 64", "-i 5", "-u 100"];
    let hard = if may_raise() { &hard[..] } else { &[] };
    for (index, limit) in soft.iter().chain(hard).enumerate() {
        let test = format!("limit-{index}");
        let found = inside(&test, &format!("ulimit {limit}"), &["cat", "/proc/self/limits"]);
        assert_eq!(found, usual, "ulimit {limit}");
    }
}

/// Whether this caller may raise a hard limit again (`CAP_SYS_RESOURCE`).
fn may_raise() -> bool {
    let script = "ulimit -H -c 1 && ulimit -H -c 2";
    let raised = Command::new("bash").args(["-c", script]).output().unwrap().status.success();
    if !raised {
        println!("skipped: hard limits: this caller may raise none");
    }
    raised
}

/// The same by a caller who may raise no hard limit (`CAP_SYS_RESOURCE`), root or not.
fn isolab_who_may_raise_none(prologue: &str, words: &[&str]) -> Option<Command> {
    if !may_raise() {
        return Some(isolab_after(prologue, words));
    }
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-sys_resource", "--inh-caps=-sys_resource", "/bin/bash", "-c"]);
    command.args([&format!("{prologue}; exec \"$@\""), "bash", env!("CARGO_BIN_EXE_isolab")]);
    let found = Command::new("setpriv").arg("--version").output().is_ok();
    found.then(|| in_english(command, words)).or_else(|| common::skip("setpriv", "no setpriv here"))
}

#[test]
fn a_command_runs_under_a_hard_limit_of_file_sizes_that_nobody_may_raise() {
    if !containers() {
        return;
    }
    for limit in ["-f 1", "-f 2", "-H -f 1; ulimit -S -f 1", "-f 100"] {
        for options in
            [&["run", "--"][..], &["run", "--no-init", "--"], &["run", "--hostname=x", "--"]]
        {
            let words = [options, &["sh", "-c", "echo runs"]].concat();
            let Some(mut command) = isolab_who_may_raise_none(&format!("ulimit {limit}"), &words)
            else {
                return;
            };
            let (code, output, errors) = output_of(&mut command);
            assert_eq!((code, &*output), (0, "runs\n"), "{limit} {options:?}: {errors}");
        }
    }
    // What does not fit into the ledger then is said by who needs it.
    let name = format!("small-{}", std::process::id());
    let words = ["run", "--name", &name, "--", "sleep", "60"];
    let Some(mut command) = isolab_who_may_raise_none("ulimit -f 1", &words) else { return };
    let mut launcher = command.spawn().unwrap();
    let asked = || output_of(&mut isolab(&["exec", &name, "true"]));
    common::wait_for("the container", || !asked().2.contains("no running container"));
    let (code, _, errors) = asked();
    assert!(code == 125 && errors.contains("ulimit -f"), "{errors}");
    assert_eq!(output_of(&mut isolab(&["stop", "--grace", "0s", &name])).0, 0);
    launcher.wait().unwrap();
}

#[test]
fn a_limit_that_leaves_no_room_to_start_is_an_error_with_the_way_out() {
    if !containers() {
        return;
    }
    for (limit, option, way_out) in [
        ("-f 0", "--no-init", "ulimit -f"),
        ("-f 1", "--init", "ulimit -f"),
        ("-n 40", "--no-init", "ulimit -n"),
        ("-n 60", "--no-init", "ulimit -n"),
    ] {
        let words = ["run", option, "--", "true"];
        let Some(mut command) = isolab_who_may_raise_none(&format!("ulimit {limit}"), &words)
        else {
            return;
        };
        let (code, _, errors) = output_of(&mut command);
        assert!(code == 125 && errors.contains(way_out), "{limit} {option}: {code} {errors}");
    }
}

#[test]
fn a_file_of_any_size_is_written_under_a_caller_who_may_write_none() {
    if !containers() {
        return;
    }
    for size in ["1", "2000", "3000000"] {
        let script = format!("head -c {size} /dev/zero > /tmp/file && wc -c < /tmp/file");
        for said in inside("sizes", "ulimit -S -f 1", &["sh", "-c", &script]) {
            assert_eq!(said.trim(), size);
        }
    }
}

#[test]
fn an_ordinary_users_limits_are_kept_without_a_word() {
    if !containers() {
        return;
    }
    // Without the power to raise it, the hard limit stays; what is allowed below it is had.
    let script = "ulimit -n 300; ulimit -S -f 1000; ulimit -S -c 7";
    let mut words = vec!["run", "--", "sh", "-c", "ulimit -n; ulimit -f; ulimit -c"];
    let prologue = if Uid::effective().is_root() {
        words.insert(1, "--namespaces");
        words.insert(2, "mount,uts,ipc,pid,net,user");
        script
    } else {
        script
    };
    let (code, output, errors) = output_of(&mut isolab_after(prologue, &words));
    assert_eq!((code, &*output, &*errors), (0, "300\nunlimited\n0\n", ""));
}

#[test]
fn the_callers_umask_does_not_hold_inside() {
    if !containers() {
        return;
    }
    for umask in ["000", "077", "027", "777"] {
        let script = "umask; touch /tmp/new; stat -c %a /tmp/new /proc /dev /tmp";
        for said in
            inside(&format!("umask-{umask}"), &format!("umask {umask}"), &["sh", "-c", script])
        {
            assert_eq!(said, "0022\n644\n555\n755\n1777\n", "umask {umask}");
        }
    }
}

#[test]
fn the_callers_groups_are_not_the_programs() {
    if !containers() || !is_root("groups") {
        return;
    }
    for groups in ["4", "4,20,24", "65534,100000"] {
        let mut command = Command::new("setpriv");
        command.args([&format!("--groups={groups}"), env!("CARGO_BIN_EXE_isolab")]);
        let words = ["run", "--", "sh", "-c", "id -G; grep Groups /proc/self/status"];
        let (code, output, errors) = output_of(&mut in_english(command, &words));
        assert_eq!(code, 0, "{errors}");
        let words: Vec<&str> = output.split_whitespace().collect();
        assert_eq!(words, ["0", "Groups:"], "{groups}");
    }
}

#[test]
fn the_callers_timer_slack_and_real_time_policy_do_not_hold_inside() {
    if !containers() || !is_root("a real-time policy") {
        return;
    }
    for policy in ["--fifo 5", "--rr 1", "--other 0"] {
        let mut command = Command::new("chrt");
        command.args(policy.split(' ')).arg(env!("CARGO_BIN_EXE_isolab"));
        let words = ["run", "--", "sh", "-c", "cat /proc/self/timerslack_ns; exec chrt -p 1"];
        let (code, output, errors) = output_of(&mut in_english(command, &words));
        if code == 1 && errors.contains("failed to set") {
            println!("skipped: this host gives no real-time policy: {errors}");
            continue;
        }
        assert_eq!(code, 0, "{errors}");
        assert!(output.starts_with("50000\n") && output.contains("SCHED_OTHER"), "{output}");
    }
}

#[test]
fn nothing_of_the_callers_environment_is_in_any_process_inside() {
    if !containers() {
        return;
    }
    let script = "cat /proc/1/environ /proc/self/environ 2>/dev/null | tr '\\0' '\\n' | sort -u";
    for prologue in [
        "export SECRET=hunter2",
        "export PATH=/secret:$PATH",
        "export LD_LIBRARY_PATH=/secret HOME=/secret",
    ] {
        for said in inside("environment", prologue, &["sh", "-c", script]) {
            let said = said.to_lowercase();
            assert!(!said.contains("secret") && said.contains("path="), "{prologue}: {said}");
        }
    }
}

#[test]
fn no_descriptor_of_the_callers_is_open_inside() {
    if !containers() {
        return;
    }
    for prologue in ["exec 3</etc/passwd", "exec 9<> /tmp", "exec 5</ 7</dev/null 200>/dev/null"]
        .map(|it| it.replace("9<> /tmp", "9</tmp"))
    {
        for said in inside("descriptors", &prologue, &["ls", "/proc/self/fd"]) {
            // Three, and that of `ls` itself.
            assert_eq!(said.split_whitespace().count(), 4, "{prologue}: {said}");
        }
    }
}
