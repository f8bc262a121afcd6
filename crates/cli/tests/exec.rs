//! `isolab exec`: what its options mean, and where it begins.

mod common;

use common::{Host, isolab, output_of, wait_for};

fn host(test: &str) -> Option<Host> {
    common::can("container", container::available()).then(|| Host::start(test))
}

/// Exit code and output of a second command; it may say nothing else.
fn exec(host: &Host, options: &[&str], script: &str) -> (i32, String) {
    let words = [&["exec"], options, &[&host.name, "sh", "-c", script]].concat();
    let (code, output, errors) = output_of(&mut isolab(&words));
    assert_eq!(errors, "", "{words:?}");
    (code, output)
}

#[test]
fn variables_are_added_to_the_containers_own() {
    let Some(host) = host("variables") else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("variables");
    std::fs::write(&file, "# comment\n\nA=file\nB=b c\n").unwrap();
    let file = file.to_str().unwrap();
    let script = "echo \"$A|$B|$LC_ALL|${HOME:?}|${PATH:?}\"";
    let usual = "/root|/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n";
    for (options, expected) in [
        (&["-e", "A=1"][..], "1|||"),
        (&["--env", "A=1", "-e", "A=2"], "2|||"),
        (&["-e", "LC_ALL", "-e", "NOBODY_HAS_IT"], "||C|"),
        (&["--env-file", file], "file|b c||"),
        (&["-e", "A=option", "--env-file", file], "option|b c||"),
    ] {
        let (code, output) = exec(&host, options, script);
        assert_eq!((code, output), (0, format!("{expected}{usual}")), "{options:?}");
    }
    let (_, home) = exec(&host, &["-e", "HOME=/x"], "echo $HOME");
    assert_eq!(home, "/x\n");
}

#[test]
fn it_begins_where_it_is_told_or_where_the_container_did() {
    let Some(host) = host("directory") else { return };
    for (options, expected) in [
        (&[][..], "/\n"),
        (&["-w", "/usr/bin"], "/usr/bin\n"),
        (&["--workdir", "/proc/self/../1"], "/proc/1\n"),
    ] {
        assert_eq!(exec(&host, options, "pwd"), (0, expected.into()), "{options:?}");
    }
    let words = ["exec", "-w", "/not/there", &host.name, "pwd"];
    let (code, _, errors) = output_of(&mut isolab(&words));
    assert!(code != 0 && errors.contains("/not/there"), "{errors}");
}

#[test]
fn another_user_has_that_users_ids_and_no_capabilities() {
    let Some(host) = host("user") else { return };
    let script = "id -u; id -g; id -G; grep CapEff /proc/self/status | cut -f2";
    for (user, expected) in
        [("54321", "54321\n0\n0\n"), ("7:8", "7\n8\n8\n"), ("65534:1", "65534\n1\n1\n")]
    {
        let (code, output) = exec(&host, &["-u", user], script);
        assert_eq!((code, output), (0, format!("{expected}0000000000000000\n")), "{user}");
    }
    for (user, expected) in [("nobody", "65534\n"), ("daemon:mail", "1\n8\n"), ("2:nogroup", "2\n")]
    {
        if std::fs::read_to_string("/etc/passwd").unwrap().contains("daemon:x:1:1:") {
            let (code, output) = exec(&host, &["-u", user], "id -u; id -g; echo $HOME");
            assert!(
                code == 0 && output.starts_with(expected) && !output.contains("/root"),
                "{output}"
            );
        }
    }
    let words = ["exec", "-u", "no-such-user", &host.name, "true"];
    let (code, _, errors) = output_of(&mut isolab(&words));
    assert!(code == 125 && errors.contains("no-such-user"), "{errors}");
    let (_, root) = exec(&host, &["-u", "0"], script);
    let (_, usual) = exec(&host, &[], script);
    assert_eq!(root, usual);
}

#[test]
fn a_detached_command_goes_on_without_its_launcher_and_ends_with_the_container() {
    let Some(host) = host("detached") else { return };
    for (options, mark) in
        [(&["-d"][..], "a"), (&["--detach", "-i"], "b"), (&["-d", "-u", "0"], "c")]
    {
        let script =
            format!("readlink /proc/self/fd/0; sleep 0.3; echo > /tmp/{mark}; exec sleep 77");
        assert_eq!(exec(&host, options, &script), (0, String::new()), "{options:?}");
        let look = format!("test -e /tmp/{mark}");
        wait_for(mark, || {
            isolab(&["exec", &host.name, "sh", "-c", &look]).status().unwrap().success()
        });
    }
    let words = ["exec", "-d", &host.name, "no-such-program"];
    assert_eq!(output_of(&mut isolab(&words)).0, 127);
    let first = container::find(&host.name).unwrap().first.unwrap();
    drop(host);
    wait_for("the end", || !first.is_alive());
    let left = std::process::Command::new("pgrep").args(["-f", "^sleep 77$"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "", "still running");
}

#[test]
fn what_it_does_not_take_is_refused_with_the_reason() {
    let Some(host) = host("refused") else { return };
    for (options, said) in [
        (&["--privileged"][..], "more power"),
        (&["-t"], "terminal"),
        (&["-e", "=1"], "invalid variable"),
    ] {
        let words = [&["exec"], options, &[&host.name, "true"]].concat();
        let (code, _, errors) = output_of(&mut isolab(&words));
        assert!(code == 2 && errors.contains(said), "{options:?}: {code} {errors}");
    }
}
