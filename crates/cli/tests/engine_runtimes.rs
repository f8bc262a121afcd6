//! `docker run --runtime`: a plain process and a microVM in a container's place. Those of microVMs run
//! where this host can run Linux guests, else all of them in a nest.

mod common;

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use common::{
    engine::{Daemon, can_serve, has_docker},
    inside::{all_hold_in_a_nest_with, here},
    isolab, output_of, wait_for,
};
use microvm::initramfs::files_of_program;
use serde_json::{Value, json};

/// How long a guest may take to its first line, in a nest on a busy host.
const BOOT: Duration = Duration::from_secs(60);

#[test]
fn all_of_these_hold_in_a_nest() {
    all_hold_in_a_nest_with(|nest| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let docker = std::env::split_paths(&path).map(|folder| folder.join("docker"));
        for docker in docker.filter(|path| path.is_file()).take(1) {
            nest.add.extend(files_of_program(&docker).unwrap_or_default());
        }
        nest.memory_bytes = 3 << 30;
    });
}

/// A daemon for the docker command, if both can be had here.
fn with_docker() -> Option<Daemon> {
    (has_docker() && can_serve()).then(Daemon::start)
}

/// The same where guests run.
fn with_guests() -> Option<Daemon> {
    if here() { with_docker() } else { None }
}

/// Waits until the log of the container has `text`.
fn wait_for_line(daemon: &Daemon, name: &str, text: &str) {
    let began = Instant::now();
    while !daemon.output(&["logs", name]).contains(text) {
        assert!(began.elapsed() < BOOT, "{name} does not say {text:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn runtimes_are_listed_and_unknown_ones_refused() {
    let Some(daemon) = with_docker() else { return };
    let (status, info) = daemon.request("GET", "/info", &Value::Null);
    assert_eq!((status, &info["DefaultRuntime"]), (200, &json!("container")));
    for name in ["container", "runc", "microvm", "process"] {
        assert!(info["Runtimes"].get(name).is_some(), "{name}: {info}");
    }
    let (code, errors) = daemon.refused(&["run", "--rm", "--runtime", "bogus", "busybox"]);
    assert_eq!(code, 125);
    assert!(errors.contains("unknown or invalid runtime name: bogus"), "{errors}");
    let alias = ["run", "--rm", "--runtime", "runc", "--network", "none", "busybox", "echo", "x"];
    assert_eq!(daemon.output(&alias), "x");
}

#[test]
fn a_process_has_the_images_root_and_no_wall() {
    let Some(daemon) = with_docker() else { return };
    let process = |options: &[&str], script: &str| {
        let words = [&["run", "--rm", "--runtime", "process"], options, &["busybox", "sh", "-c"]];
        output_of(&mut daemon.docker(&[&words.concat()[..], &[script]].concat()))
    };
    let script = "for kind in uts ipc pid net user cgroup; do readlink /proc/self/ns/$kind; done; \
                  ls /etc/passwd; exit 5";
    let (code, output, errors) = process(&[], script);
    assert_eq!(code, 5, "{errors}");
    // The daemon's own, which has a network of its own here.
    let own = "for kind in uts ipc pid net user cgroup; do readlink /proc/self/ns/$kind; done";
    let (_, expected, _) = output_of(&mut daemon.in_its_network(&["sh", "-c", own]));
    assert!(output.starts_with(&expected) && output.contains("/etc/passwd"), "{output}{expected}");
    let (_, status, _) = process(&[], "cat /proc/self/status");
    let field = |name: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        value.trim().to_owned()
    };
    assert_eq!((field("Seccomp:"), field("NoNewPrivs:")), ("0".into(), "0".into()));
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let bounding = own.lines().find_map(|line| line.strip_prefix("CapBnd:")).unwrap().trim();
    assert_eq!(field("CapEff:"), bounding, "all of the daemon's power");
    // What it was asked to keep, it keeps.
    let (code, ..) = process(&["-m", "16m"], "tail /dev/zero");
    assert_eq!(code, 137);
}

#[test]
fn a_process_leaves_nothing_behind() {
    let Some(daemon) = with_docker() else { return };
    let script = "sleep 4711 & sleep 0.1";
    let words = ["run", "--rm", "--runtime", "process", "busybox", "sh", "-c", script];
    daemon.output(&words);
    let is_gone = || {
        let (_, processes, _) = output_of(&mut in_sh("cat /proc/[0-9]*/cmdline 2>/dev/null"));
        !processes.contains("sleep\x004711")
    };
    wait_for("its descendants", is_gone);
}

fn in_sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

#[test]
fn walls_are_nothing_that_a_process_could_be_given() {
    let Some(daemon) = with_docker() else { return };
    for (option, word) in [
        (&["--network", "none"], "a network"),
        (&["-p", "7000:7000"], "published ports"),
        (&["--hostname", "other"], "a host name"),
        (&["--ipc", "private"], "--ipc"),
        (&["--sysctl", "net.ipv4.ip_forward=1"], "--sysctl"),
    ] {
        let words = [&["run", "--rm", "--runtime", "process"], &option[..], &["busybox"]].concat();
        let (code, errors) = daemon.refused(&words);
        let expected = format!("the runtime process cannot keep {word}");
        assert!(code == 125 && errors.contains(&expected), "{option:?}: {code} {errors}");
    }
}

#[test]
fn a_host_that_cannot_run_guests_says_so_and_names_the_nest() {
    if microvm::linux::available().is_ok() {
        return eprintln!("skipped: this host can run Linux guests");
    }
    let Some(daemon) = with_docker() else { return };
    let (code, errors) = daemon.refused(&["run", "--rm", "--runtime", "microvm", "busybox"]);
    assert!(code == 125 && errors.contains("isolab nest"), "{code} {errors}");
    assert_eq!(daemon.output(&["ps", "-aq"]), "", "nothing was created");
}

#[test]
fn a_microvm_has_the_images_root_and_a_kernel_of_its_own() {
    let Some(daemon) = with_guests() else { return };
    let guest = |options: &[&str], words: &[&str]| {
        let run = ["run", "--rm", "--runtime", "microvm", "--network", "none"];
        output_of(&mut daemon.docker(&[&run, options, &["busybox"], words].concat()))
    };
    let script = "echo out; echo err >&2; cat /proc/sys/kernel/hostname; id -u; pwd; echo $A; \
                  grep MemTotal /proc/meminfo; exit 7";
    let options = ["--hostname", "other", "-u", "7", "-w", "/tmp", "-e", "A=1", "-m", "160m"];
    let (code, output, errors) = guest(&options, &["sh", "-c", script]);
    assert_eq!((code, &*errors), (7, "err\n"), "{output}");
    let (said, memory) = output.split_once("MemTotal:").unwrap();
    assert_eq!(said, "out\nother\n7\n/tmp\n1\n");
    let kibibytes: u64 = memory.split_whitespace().next().unwrap().parse().unwrap();
    assert!(kibibytes < 160 << 10, "{kibibytes}");
    assert_eq!(guest(&[], &["sh", "-c", "kill -9 $$"]).0, 137);
    let (code, _, errors) = guest(&[], &["no-such-program"]);
    assert!(code == 127 && errors.contains("executable file not found"), "{code} {errors}");
    let folder = daemon.path("shared");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("file"), "content").unwrap();
    let volume = format!("{}:/there:ro", folder.display());
    let (code, output, _) = guest(&["-v", &volume], &["sh", "-c", "cat /there/file; ! >/there/x"]);
    assert_eq!((code, &*output), (0, "content"));
    let mut command = daemon.docker(&[
        "run",
        "--rm",
        "-i",
        "--runtime",
        "microvm",
        "--network",
        "none",
        "busybox",
        "tr",
        "a-z",
        "A-Z",
    ]);
    let mut client = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    client.stdin.take().unwrap().write_all(b"half closed").unwrap();
    assert_eq!(client.wait_with_output().unwrap().stdout, b"HALF CLOSED");
}

#[test]
fn what_a_guest_cannot_have_is_an_error() {
    let Some(daemon) = with_guests() else { return };
    for (option, word) in [
        (&["-p", "7000:7000"][..], "published ports"),
        (&["--network", "bridge"], "a network"),
        (&["-v", "/tmp:/x"], "-v /tmp:/x:ro"),
        (&["--pids-limit", "7"], "--pids-limit"),
        (&["--privileged"], "--privileged"),
        (&["--read-only"], "--read-only"),
    ] {
        let words = [&["create", "--runtime", "microvm"], option, &["busybox"]].concat();
        let (_, errors) = daemon.refused(&words);
        assert!(errors.contains("the runtime microvm") && errors.contains(word), "{errors}");
    }
    let (code, _, errors) =
        output_of(&mut daemon.docker(&["create", "--runtime", "microvm", "busybox"]));
    assert!(code == 0 && errors.contains("no network"), "{errors}");
}

#[test]
fn a_microvms_life_outlives_the_daemon() {
    let Some(mut daemon) = with_guests() else { return };
    let script = "trap 'echo asked; exit 3' TERM; echo begun; while :; do sleep 0.1; done";
    let run = ["run", "-d", "--runtime", "microvm", "--network", "none", "--name", "life"];
    daemon.output(&[&run[..], &["busybox", "sh", "-c", script]].concat());
    wait_for_line(&daemon, "life", "begun");
    let exec = |daemon: &Daemon, words: &[&str]| {
        output_of(&mut daemon.docker(&[&["exec"], words].concat()))
    };
    let joined =
        exec(&daemon, &["-e", "A=2", "-w", "/tmp", "life", "sh", "-c", "echo $A; pwd; exit 4"]);
    assert_eq!(joined, (4, "2\n/tmp\n".into(), String::new()));
    for words in [
        &["top", "life"][..],
        &["diff", "life"],
        &["exec", "-u", "7", "life", "true"],
        &["cp", "life:/etc/passwd", "-"],
        &["commit", "life", "image"],
    ] {
        let (_, errors) = daemon.refused(words);
        assert!(errors.contains("virtual machine") || errors.contains("microvm"), "{errors}");
    }
    assert!(daemon.output(&["stats", "--no-stream", "life"]).contains("256MiB"));
    daemon.output(&["pause", "life"]);
    assert!(daemon.output(&["ps"]).contains("(Paused)"));
    daemon.output(&["unpause", "life"]);
    daemon.kill_and_start();
    assert!(daemon.output(&["ps"]).contains("life"));
    assert_eq!(exec(&daemon, &["life", "echo", "there"]).1, "there\n");
    let state = |format: &str| daemon.output(&["inspect", "-f", format, "life"]);
    assert_eq!(state("{{.HostConfig.Runtime}} {{.HostConfig.NetworkMode}}"), "microvm none");
    daemon.output(&["stop", "life"]);
    assert_eq!(state("{{.State.ExitCode}}"), "3");
    assert_eq!(daemon.output(&["logs", "life"]), "begun\nasked");
    daemon.output(&["start", "life"]);
    daemon.output(&["kill", "life"]);
    assert_eq!(state("{{.State.ExitCode}}"), "137");
    daemon.output(&["start", "life"]);
    daemon.output(&["rm", "-f", "life"]);
    let (_, left, _) = output_of(&mut isolab(&["ps", "--json"]));
    assert!(!left.contains("engine-"), "{left}");
    let sockets = fs::read_dir("/run/isolab").unwrap().flatten();
    let left: Vec<_> = sockets.map(|file| file.file_name()).collect();
    let is_socket =
        |name: &&std::ffi::OsString| Path::new(name).extension() == Some("socket".as_ref());
    assert_eq!(left.iter().filter(is_socket).count(), 0, "{left:?}");
}

#[test]
fn a_microvms_terminal_follows_the_clients_size() {
    let Some(daemon) = with_guests() else { return };
    let script = "tty; until stty size | grep '31 77'; do sleep 0.2; done";
    let body = json!({ "Image": "busybox", "Tty": true, "Cmd": ["sh", "-c", script],
        "HostConfig": { "Runtime": "microvm", "NetworkMode": "none" } });
    let (status, made) = daemon.request("POST", "/containers/create?name=terminal", &body);
    assert_eq!(status, 201, "{made}");
    daemon.output(&["start", "terminal"]);
    wait_for_line(&daemon, "terminal", "/dev/hvc0");
    let resized = daemon.request("POST", "/containers/terminal/resize?h=31&w=77", &Value::Null);
    assert_eq!(resized.0, 200, "{resized:?}");
    wait_for_line(&daemon, "terminal", "31 77");
    assert_eq!(daemon.output(&["wait", "terminal"]), "0");
}
