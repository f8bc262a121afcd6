//! The options that people know from docker and podman: what each does inside.

mod common;

use std::{fs, process::Command};

use common::{can, isolab, output_of};

/// The output of a command that a container runs with these options.
fn inside(options: &[&str], script: &str) -> String {
    let words = [&["run"], options, &["--", "/bin/sh", "-c", script]].concat();
    let (code, output, errors) = output_of(&mut isolab(&words));
    assert_eq!(code, 0, "{options:?} {script:?}: {errors}");
    output
}

fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}

fn has_containers() -> bool {
    can("container", container::available())
}

#[test]
fn behind_dashes_is_a_command_and_before_them_a_builtin() {
    if !has_containers() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f");
    let touch = ["run", "--in", "process", "--", "touch", file.to_str().unwrap()];
    assert_eq!(output_of(&mut isolab(&touch)).0, 0);
    assert!(file.exists());
    for words in [&["run", "hello"][..], &["run", "@hello"], &["run", "--", "@hello"]] {
        assert_eq!(
            output_of(&mut isolab(words)),
            (0, "hello\n".into(), String::new()),
            "{words:?}"
        );
    }
    let (code, _, errors) = output_of(&mut isolab(&["run", "--", "hello"]));
    assert_eq!(code, 127, "{errors}");
}

#[test]
fn words_behind_the_program_are_the_programs() {
    if !has_containers() {
        return;
    }
    for words in [["-e", "--", "--memory"], ["--", "-x", "--"], ["--json", "-t", "--help"]] {
        let line = [&["run", "/bin/echo", "."], &words[..]].concat();
        let expected = format!(". {}\n", words.join(" "));
        assert_eq!(output_of(&mut isolab(&line)), (0, expected, String::new()));
    }
}

#[test]
fn a_command_is_process_1_unless_there_is_an_init() {
    if !has_containers() {
        return;
    }
    assert_eq!(inside(&[], "echo $$"), "1\n");
    assert_eq!(inside(&["--no-init"], "echo $$"), "1\n");
    assert_eq!(inside(&["--init"], "echo $$"), "2\n");
    assert_eq!(inside(&["--no-init", "--init"], "echo $$"), "2\n");
}

#[test]
fn a_variable_is_added_and_the_usual_ones_stay() {
    if !has_containers() {
        return;
    }
    let found = inside(&["-e", "A=1", "--env", "A=2 = x", "-e", "LANG="], "env");
    let has = |line: &str| found.lines().any(|found| found == line);
    assert!(has("A=2 = x") && has("LANG=") && has("HOME=/root") && !has("A=1"), "{found}");
    assert!(found.lines().any(|line| line.starts_with("PATH=/usr")), "{found}");
    // A path of its own is searched.
    let own = ["run", "-e", "PATH=/nowhere", "--", "true"];
    assert_eq!(output_of(&mut isolab(&own)).0, 127);
}

#[test]
fn a_name_alone_is_the_callers_and_files_come_first() {
    if !has_containers() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("variables");
    fs::write(&file, "# a comment\n\nA=file\nB=\"quoted\"\nGIVEN\nMISSING\n").unwrap();
    let words = ["run", "--env-file", file.to_str().unwrap(), "-e", "A=option", "--", "env"];
    let mut command = isolab(&words);
    let (code, output, errors) = output_of(command.env("GIVEN", "yes").env_remove("MISSING"));
    assert_eq!(code, 0, "{errors}");
    for line in ["A=option", "B=\"quoted\"", "GIVEN=yes"] {
        assert!(output.lines().any(|found| found == line), "{line}: {output}");
    }
    assert!(!output.contains("MISSING"), "{output}");
}

#[test]
fn namespaces_of_the_hosts_are_shared_when_asked_for() {
    if !has_containers() {
        return;
    }
    let host = |name: &str| fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
    for (option, name) in [("--ipc", "ipc"), ("--uts", "uts"), ("--cgroupns", "cgroup")] {
        let script = format!("readlink /proc/self/ns/{name}");
        let of = |whose: &str| inside(&[option, whose], &script).trim().to_owned();
        assert_eq!(of("host"), host(name).to_str().unwrap());
        assert_ne!(of("private"), host(name).to_str().unwrap());
    }
    let own = std::process::id();
    let script = format!("test -d /proc/{own} && echo seen || echo hidden");
    if is_root() {
        assert_eq!(inside(&["--pid", "host"], &script), "seen\n");
    }
    assert_eq!(inside(&["--pid", "private"], &script), "hidden\n");
}

#[test]
fn another_entrypoint_takes_the_words() {
    if !has_containers() {
        return;
    }
    let words = ["run", "--entrypoint", "/bin/echo", "a", "-b"];
    assert_eq!(output_of(&mut isolab(&words)), (0, "a -b\n".into(), String::new()));
    let alone = ["run", "--entrypoint", "/bin/true"];
    assert_eq!(output_of(&mut isolab(&alone)).0, 0);
}

#[test]
fn the_name_is_written_into_a_file_that_was_not_there() {
    if !has_containers() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("id");
    let name = format!("options-{}", std::process::id());
    let words = ["run", "--name", &name, "--cidfile", file.to_str().unwrap(), "--", "/bin/true"];
    assert_eq!(output_of(&mut isolab(&words)).0, 0);
    assert_eq!(fs::read_to_string(&file).unwrap(), name);
    let (code, _, errors) = output_of(&mut isolab(&words));
    assert!(code == 125 && errors.contains("must not exist"), "{code} {errors}");
}

#[test]
fn options_that_bundle_are_taken() {
    if !has_containers() {
        return;
    }
    let mut command: Command =
        isolab(&["run", "-ieA=1", "-w/tmp", "--", "sh", "-c", "pwd; echo $A"]);
    assert_eq!(output_of(&mut command), (0, "/tmp\n1\n".into(), String::new()));
}

#[test]
fn a_user_is_one_of_the_roots_own_files_or_a_number() {
    if !has_containers() || !is_root() {
        return;
    }
    // The container's root is the host's, and so are its users.
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let users = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let is_another = |user: &Vec<&str>| user.len() == 7 && user[2] != "0" && !user[5].is_empty();
    let Some(user) = users.into_iter().find(is_another) else {
        println!("skipped: this host has no user but root");
        return;
    };
    let (name, uid, gid, home) = (user[0], user[2], user[3], user[5]);
    let ids = |options: &[&str]| {
        let output = inside(options, "id -u; id -g; echo $HOME");
        output.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(ids(&["-u", name]), [uid, gid, home]);
    assert_eq!(ids(&["--user", uid]), [uid, gid, home]);
    assert_eq!(ids(&["-u", &format!("{name}:4711")]), [uid, "4711", home]);
    assert_eq!(ids(&["-u", "54321"]), ["54321", "0", "/root"]);
    assert_eq!(ids(&["-u", name, "-e", "HOME=/x"])[2], "/x");
    let groups = inside(&["-u", "54321", "--group-add", "4711", "--group-add", "4712"], "id -G");
    assert_eq!(groups, "0 4711 4712\n");
    for unknown in ["no-such-user", "54321:no-such-group"] {
        let (code, _, errors) = output_of(&mut isolab(&["run", "-u", unknown, "--", "true"]));
        assert!(code == 125 && errors.contains("/etc/"), "{unknown}: {code} {errors}");
    }
}

/// A line of `/proc/self/status` of a container with these options.
fn status(options: &[&str], field: &str) -> String {
    let line = inside(options, &format!("grep {field} /proc/self/status"));
    line.split_whitespace().last().unwrap().to_owned()
}

#[test]
fn capabilities_are_added_and_dropped() {
    if !has_containers() || !is_root() {
        return;
    }
    let set = |options: &[&str]| u64::from_str_radix(&status(options, "CapEff:"), 16).unwrap();
    let (usual, kill, raw) = (set(&[]), 1 << 5, 1 << 13);
    assert!(usual & kill != 0 && usual & raw == 0);
    assert_eq!(set(&["--cap-drop", "CAP_KILL", "--cap-add", "net_raw"]), usual & !kill | raw);
    assert_eq!(set(&["--cap-drop", "ALL", "--cap-add", "NET_RAW,kill"]), kill | raw);
    assert_eq!(set(&["--cap-drop=all"]), 0);
    assert_ne!(set(&["--privileged"]) & 1 << 21, 0, "CAP_SYS_ADMIN");
}

#[test]
fn the_filter_and_the_bound_on_privileges_can_be_chosen() {
    if !has_containers() {
        return;
    }
    assert_eq!(status(&[], "Seccomp:"), "2");
    assert_eq!(status(&["--security-opt", "seccomp=unconfined"], "Seccomp:"), "0");
    assert_eq!(status(&[], "NoNewPrivs:"), "1");
    assert_eq!(status(&["--security-opt", "no-new-privileges=true"], "NoNewPrivs:"), "1");
    if is_root() {
        let off = ["--security-opt", "no-new-privileges:false"];
        assert_eq!(status(&off, "NoNewPrivs:"), "0");
    }
    for wrong in ["seccomp=/no/such/file", "apparmor=mine", "colour=blue"] {
        let words = ["run", "--security-opt", wrong, "--", "true"];
        let (code, _, errors) = output_of(&mut isolab(&words));
        assert!(code != 0 && errors.contains(wrong.split('=').nth(1).unwrap()), "{errors}");
    }
}

#[test]
fn limits_and_settings_of_a_process_are_its_own() {
    if !has_containers() {
        return;
    }
    assert_eq!(inside(&["--ulimit", "nofile=100:200"], "ulimit -n; ulimit -Hn"), "100\n200\n");
    assert_eq!(inside(&["--ulimit", "cpu=7", "--ulimit", "core=0"], "ulimit -t"), "7\n");
    assert_eq!(inside(&["--oom-score-adj", "900"], "cat /proc/self/oom_score_adj"), "900\n");
    let forward = "cat /proc/sys/net/ipv4/ip_forward";
    assert_eq!(inside(&["--sysctl", "net.ipv4.ip_forward=1"], forward), "1\n");
    assert_eq!(inside(&["--sysctl", "net.ipv4.ip_forward=0"], forward), "0\n");
    for wrong in ["kernel.panic=1", "net.ipv4/../../kernel.panic=1", "vm.swappiness=1"] {
        let words = ["run", "--sysctl", wrong, "--", "true"];
        assert_eq!(output_of(&mut isolab(&words)).0, 125, "{wrong}");
    }
    for wrong in ["nofile", "nofile=9:1", "nofile=many"] {
        let words = ["run", "--ulimit", wrong, "--", "true"];
        assert_eq!(output_of(&mut isolab(&words)).0, 2, "{wrong}");
    }
}

#[test]
fn shared_memory_and_names_are_as_asked_for() {
    if !has_containers() {
        return;
    }
    for (size, bytes) in [("1m", 1 << 20), ("64M", 64 << 20), ("3MiB", 3 << 20)] {
        let found = inside(&["--shm-size", size], "stat -f -c '%S %b' /dev/shm");
        let numbers: Vec<u64> =
            found.split_whitespace().map(|word| word.parse().unwrap()).collect();
        assert_eq!(numbers[0] * numbers[1], bytes, "{size}");
    }
    assert_eq!(
        inside(&["--domainname", "x.example"], "cat /proc/sys/kernel/domainname"),
        "x.example\n"
    );
}

#[test]
fn processors_are_those_of_the_list() {
    if !has_containers() || !is_root() {
        return;
    }
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    let first = own.trim().split([',', '-']).next().unwrap();
    let words = [
        "run",
        "--cpuset-cpus",
        first,
        "--",
        "/bin/sh",
        "-c",
        "grep Cpus_allowed_list /proc/self/status",
    ];
    let (code, output, errors) = output_of(&mut isolab(&words));
    if code != 0 && errors.contains("cpuset") {
        println!("skipped: this host gives no cpuset: {errors}");
        return;
    }
    assert_eq!((code, output.split_whitespace().last()), (0, Some(first)), "{errors}");
    for wrong in ["", "x", "5-1"] {
        let words = ["run", "--cpuset-cpus", wrong, "--", "true"];
        assert_ne!(output_of(&mut isolab(&words)).0, 0, "{wrong}");
    }
}
