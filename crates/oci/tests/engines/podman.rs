//! podman, by conmon; as root and as an ordinary user.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use crate::{
    bundle::RUNTIME,
    installed::{Client, nothing_left, place, said, text},
};

/// Limits that a caller without CAP_SYS_RESOURCE can give.
const LIMITS: &str =
    "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1000:1000\"]\n";

/// A podman of this test's own, which has the image `isolab-test`.
fn podman(place: &Path) -> Client {
    let at = |name: &str| text(&place.join(name));
    fs::write(at("containers.conf"), LIMITS).unwrap();
    let configuration = format!("CONTAINERS_CONF={}", at("containers.conf"));
    let words = [
        [&*configuration, "podman"],
        ["--root", &at("storage")],
        ["--runroot", &at("run")],
        ["--tmpdir", &at("tmp")],
        ["--cgroup-manager", "cgroupfs"],
        ["--events-backend", "file"],
        ["--runtime", RUNTIME],
    ];
    let words = words.into_iter().flatten().map(str::to_owned).collect();
    let podman = Client { program: "env", words };
    podman.says(&["import", "-q", &at("root.tar"), "isolab-test"], 0);
    podman
}

#[test]
fn podman_makes_its_containers_with_it() {
    let Some(place) = place(&["podman", "conmon"]) else { return };
    let at = |name: &str| text(&place.path().join(name));
    let podman = podman(place.path());
    let information = podman.says(&["info"], 0);
    assert!(information.contains("isolab-oci version"), "{information}");
    podman.runs_containers(&["--network=none"]);
    let run = ["run", "--rm", "--network=none"];
    let passed = ["--preserve-fds=1", "isolab-test", "sh", "-c", "cat <&3"];
    let mut command = Command::new("sh");
    fs::write(at("given"), "passed on\n").unwrap();
    command.args(["-c", "exec \"$@\" 3<\"$0\"", &at("given"), podman.program]);
    command.args(&podman.words).args(run).args(passed);
    assert_eq!(said(command, 0), "passed on\n");
    nothing_left(place.path());
}

/// A pod's first container only waits: the image has a program for that, which podman names without
/// arguments.
#[test]
fn podman_makes_pods_whose_containers_share_namespaces() {
    let Some(place) = place(&["podman", "conmon", "tar"]) else { return };
    let podman = podman(place.path());
    podman.says(
        &[
            "pod",
            "create",
            "--name",
            "both",
            "--network=none",
            "--share=net,ipc,uts,pid",
            "--infra-image=isolab-test",
            "--infra-command=/bin/pause",
        ],
        0,
    );
    for name in ["one", "two"] {
        podman
            .says(&["run", "-d", "--pod=both", "--name", name, "isolab-test", "sleep", "1000"], 0);
    }
    let at = |container, namespace: &str| {
        let link = format!("/proc/self/ns/{namespace}");
        podman.says(&["exec", container, "readlink", &link], 0)
    };
    for namespace in ["net", "ipc", "uts", "pid"] {
        assert_eq!(at("one", namespace), at("two", namespace), "{namespace}");
    }
    assert_ne!(at("one", "mnt"), at("two", "mnt"));
    let table = podman.says(&["exec", "one", "ps"], 0);
    assert_eq!(table.matches("sleep 1000").count(), 2 + 1, "{table}");
    podman.says(&["pod", "pause", "both"], 0);
    podman.says(&["pod", "unpause", "both"], 0);
    podman.says(&["pod", "stop", "-t", "1", "both"], 0);
    podman.says(&["pod", "rm", "-f", "both"], 0);
    nothing_left(place.path());
}

#[test]
fn podman_gives_user_namespaces_limits_and_capabilities() {
    let Some(place) = place(&["podman", "conmon"]) else { return };
    let podman = podman(place.path());
    let run = |options: &[&str], script: &str| {
        let first = ["run", "--rm", "--network=none"];
        podman.says(&[&first[..], options, &["isolab-test", "sh", "-c", script]].concat(), 0)
    };
    let map = run(&["--uidmap=0:100000:65536"], "cat /proc/self/uid_map");
    assert_eq!(map.split_whitespace().collect::<Vec<_>>(), ["0", "100000", "65536"]);
    let none = run(&["--cap-drop=ALL"], "grep CapBnd /proc/self/status");
    assert_eq!(none.split_whitespace().last(), Some("0000000000000000"));
    let quota = "cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2> /dev/null || :";
    let limits = run(&["--cpus=0.5", "--memory=64m"], quota);
    assert_eq!(limits.split_whitespace().next(), Some("50000"), "{limits}");
    nothing_left(place.path());
}

/// The user, its subordinate ids and its home are there for this test's mount namespace alone.
#[test]
fn podman_makes_containers_of_an_ordinary_user() {
    let Some(place) = place(&["podman", "conmon", "newuidmap", "setpriv", "unshare"]) else {
        return;
    };
    let at = |name: &str| text(&place.path().join(name));
    let with = |file: &str, line: &str| {
        let before = fs::read_to_string(format!("/etc/{file}")).unwrap_or_default();
        fs::write(at(file), format!("{before}{line}\n")).unwrap();
    };
    with("passwd", &format!("isolab-test:x:64321:64321::{}:/bin/sh", at("home")));
    with("group", "isolab-test:x:64321:");
    with("subuid", "isolab-test:200000:65536");
    with("subgid", "isolab-test:200000:65536");
    fs::write(at("containers.conf"), LIMITS).unwrap();
    fs::copy(RUNTIME, at("isolab-oci")).unwrap();
    for directory in [at("home"), at("run-user")] {
        fs::create_dir(&directory).unwrap();
        std::os::unix::fs::chown(&directory, Some(64321), Some(64321)).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
    }
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(at("script"), SCRIPT).unwrap();
    let mut command = Command::new("timeout");
    let alone = "for file in passwd group subuid subgid; do
          test -e /etc/$file || : > /etc/$file
          mount --bind $file /etc/$file || exit
        done
        exec setpriv --reuid 64321 --regid 64321 --clear-groups sh script";
    // Podman keeps a process for the user's namespaces, which ends with the namespace of this one.
    let namespaces = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"];
    command.args(["100", "unshare"]).args(namespaces).args(["sh", "-c", alone]);
    command.env_remove("USER").env("HOME", at("home")).env("XDG_RUNTIME_DIR", at("run-user"));
    command.env("CONTAINERS_CONF", at("containers.conf"));
    command.current_dir(place.path());
    assert_eq!(said(command, 0), "hello\n0 64321 1\nin\ncode 3\nhas a terminal\r\n");
}

/// What the ordinary user does.
const SCRIPT: &str = r#"
p() {
  podman --storage-driver vfs --cgroup-manager cgroupfs --events-backend file \
    --runtime "$PWD/isolab-oci" "$@"
}
set -e
p import -q root.tar isolab-test > /dev/null
p run --rm --network=none isolab-test echo hello
p run --rm --network=none isolab-test sh -c 'read -r ids < /proc/self/uid_map; echo $ids'
p run -d --name stays --network=none isolab-test sleep 1000 > /dev/null
p exec stays sh -c 'echo in; exit 3' || echo code $?
p exec -t stays sh -c 'test -t 1 && echo has a terminal'
p kill -s KILL stays > /dev/null
p rm -f stays > /dev/null
test -z "$(ls "$XDG_RUNTIME_DIR/isolab-oci")"
"#;
