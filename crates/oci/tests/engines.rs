//! Debian's engines make containers with this runtime: podman, containerd and Docker, each with its own
//! directories and without network. One that is not installed is skipped.

mod bundle;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use bundle::{RUNTIME, make_root, skip};
use tempfile::TempDir;

/// A daemon that ends with the test.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.0.id().cast_signed());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(15) {
            if self.0.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The directory of an engine. What is mounted in it is unmounted first: podman leaves its storage so.
/// Engines leave the cgroups in which those of their containers were; the ones that were not there
/// before go too.
struct Directory {
    folder: TempDir,
    parents_before: Vec<PathBuf>,
}

impl Directory {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), parents_before: parents() }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// The cgroups in which podman, containerd's namespace and Docker put those of containers, and podman its
/// monitors below its own.
fn parents() -> Vec<PathBuf> {
    ["libpod_parent", "conmon", "default", "docker"]
        .into_iter()
        .flat_map(bundle::cgroups_named)
        .collect()
}

impl Drop for Directory {
    fn drop(&mut self) {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
        let below: Vec<&str> = points.filter(|it| Path::new(it).starts_with(self.path())).collect();
        for point in below.into_iter().rev() {
            let _ = Command::new("umount").arg("--lazy").arg(point).status();
        }
        // Only empty ones can be removed: another test may be using them.
        for parent in parents().into_iter().rev().filter(|it| !self.parents_before.contains(it)) {
            let _ = fs::remove_dir(parent);
        }
    }
}

/// A place for an engine, with a root of busybox and a tar archive of it.
fn place(programs: &[&str]) -> Option<Directory> {
    if !nix::unistd::Uid::effective().is_root() {
        return skip("engines", "engines need root");
    }
    for program in programs {
        if Command::new(program).arg("--version").stdout(Stdio::null()).status().is_err() {
            return skip("engines", &format!("there is no program {program}"));
        }
    }
    let place = Directory::new();
    make_root(&place.path().join("rootfs"))?;
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(place.path().join("rootfs")).arg("-cf").arg(place.path().join("root.tar"));
    assert!(tar.arg(".").status().unwrap().success());
    Some(place)
}

/// What a program has written, which must end with this code.
fn said(mut command: Command, code: i32) -> String {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    let (output, errors) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert_eq!(status.code(), Some(code), "{command:?}\n{output}\n{errors}");
    output.into_owned()
}

/// An engine's client: its program with the words that come first.
struct Client {
    program: &'static str,
    words: Vec<String>,
}

impl Client {
    fn says(&self, words: &[&str], code: i32) -> String {
        let mut command = Command::new("timeout");
        command.args(["60", self.program]).args(&self.words).args(words);
        said(command, code)
    }

    /// What podman and docker have in common.
    fn runs_containers(&self, options: &[&str]) {
        fn joined<'a>(options: &[&'a str], words: &[&'a str]) -> Vec<&'a str> {
            [&["run"], options, words].concat()
        }
        let image = "isolab-test";
        let text = self.says(&joined(options, &["--rm", image, "echo", "hello"]), 0);
        assert_eq!(text, "hello\n");
        self.says(&joined(options, &["--rm", image, "sh", "-c", "exit 7"]), 7);
        self.says(&joined(options, &["--rm", image, "/bin/nope"]), 127);
        let text = self
            .says(&joined(options, &["--rm", "-t", image, "sh", "-c", "test -t 0 && echo tty"]), 0);
        assert_eq!(text, "tty\r\n");
        let text = self.says(
            &joined(
                options,
                &[
                    "--rm",
                    "--read-only",
                    "--memory",
                    "64m",
                    "-w",
                    "/tmp",
                    "-e",
                    "A=b",
                    "-u",
                    "5:6",
                    image,
                    "sh",
                    "-c",
                    "echo $A $PWD $(id -u) $(id -g)",
                ],
            ),
            0,
        );
        assert_eq!(text, "b /tmp 5 6\n");
        self.says(&joined(options, &["-d", "--name", "stays", image, "sleep", "1000"]), 0);
        let text = self.says(&["exec", "stays", "sh", "-c", "echo inside; exit 3"], 3);
        assert_eq!(text, "inside\n");
        let text = self.says(&["exec", "-t", "stays", "sh", "-c", "test -t 1 && echo tty"], 0);
        assert_eq!(text, "tty\r\n");
        let table = self.says(&["top", "stays"], 0);
        assert!(table.contains("sleep"), "{table}");
        self.says(&["pause", "stays"], 0);
        self.says(&["unpause", "stays"], 0);
        self.says(&["kill", "-s", "KILL", "stays"], 0);
        assert_eq!(self.says(&["wait", "stays"], 0), "137\n");
        self.says(&["start", "stays"], 0);
        self.says(&["stop", "-t", "1", "stays"], 0);
        self.says(&["rm", "-f", "stays"], 0);
        self.says(&joined(options, &["-d", "--name", "removed", image, "sleep", "1000"]), 0);
        self.says(&["rm", "-f", "removed"], 0);
    }
}

/// No mount or process of an engine's container is left.
fn nothing_left(place: &Path) {
    let here = place.to_str().unwrap();
    bundle::wait_until("all mounts of containers are gone", || {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let left = mounts.lines().filter(|line| line.contains(here) && line.contains("/merged "));
        left.count() == 0
    });
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn podman_makes_its_containers_with_it() {
    let Some(place) = place(&["podman", "conmon"]) else { return };
    let at = |name: &str| text(&place.path().join(name));
    let words = [
        ["--root", &at("storage")],
        ["--runroot", &at("run")],
        ["--tmpdir", &at("tmp")],
        ["--cgroup-manager", "cgroupfs"],
        ["--events-backend", "file"],
        ["--runtime", RUNTIME],
    ];
    let words = words.into_iter().flatten().map(str::to_owned).collect();
    let podman = Client { program: "podman", words };
    podman.says(&["import", "-q", &at("root.tar"), "isolab-test"], 0);
    let information = podman.says(&["info"], 0);
    assert!(information.contains("isolab-oci version"), "{information}");
    // Limits that a caller without CAP_SYS_RESOURCE can give.
    let (files, processes) = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000");
    podman.runs_containers(&["--network=none", files, processes]);
    let run = ["run", "--rm", "--network=none", files, processes];
    let passed = ["--preserve-fds=1", "isolab-test", "sh", "-c", "cat <&3"];
    let mut command = Command::new("sh");
    fs::write(at("given"), "passed on\n").unwrap();
    command.args(["-c", "exec \"$@\" 3<\"$0\"", &at("given"), "podman"]);
    command.args(&podman.words).args(run).args(passed);
    assert_eq!(said(command, 0), "passed on\n");
    nothing_left(place.path());
}

/// A containerd of this test's own, and its socket.
fn containerd(place: &Path) -> (Daemon, String) {
    let at = |name: &str| text(&place.join(name));
    let config = format!(
        "version = 2\nroot = {:?}\nstate = {:?}\n\
         disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\n  address = {:?}\n",
        at("containerd"),
        at("containerd-state"),
        at("containerd.sock"),
    );
    fs::write(at("containerd.toml"), config).unwrap();
    let log = File::create(at("containerd.log")).unwrap();
    let mut command = Command::new("containerd");
    command.args(["--config", &at("containerd.toml")]).stdout(Stdio::null()).stderr(log);
    let daemon = Daemon(command.spawn().unwrap());
    let socket = at("containerd.sock");
    bundle::wait_until("containerd listens", || {
        let mut version = Command::new("ctr");
        version.args(["-a", &socket, "version"]).stdout(Stdio::null()).stderr(Stdio::null());
        version.status().unwrap().success()
    });
    (daemon, socket)
}

#[test]
fn containerd_makes_its_containers_with_it() {
    let Some(place) = place(&["containerd", "ctr"]) else { return };
    let (daemon, socket) = containerd(place.path());
    let ctr = Client { program: "ctr", words: vec!["-a".into(), socket] };
    let rootfs = text(&place.path().join("rootfs"));
    let run = |id: &str, options: &[&str], words: &[&str]| -> Vec<String> {
        let first = ["run", "--runc-binary", RUNTIME, "--rootfs"];
        let all = [&first[..], options, &[&rootfs, id], words].concat();
        all.into_iter().map(str::to_owned).collect()
    };
    let says = |words: &[String], code: i32| {
        ctr.says(&words.iter().map(String::as_str).collect::<Vec<_>>(), code)
    };
    let name = |word: &str| format!("oci-{}-{word}", std::process::id());
    assert_eq!(says(&run(&name("one"), &["--rm"], &["echo", "hello"]), 0), "hello\n");
    says(&run(&name("two"), &["--rm"], &["sh", "-c", "exit 7"]), 7);
    let stays = name("stays");
    says(&run(&stays, &["-d"], &["sleep", "1000"]), 0);
    let exec = |number: &str, words: &[&str], code| {
        let first = ["tasks", "exec", "--exec-id", number, &stays];
        ctr.says(&[&first[..], words].concat(), code)
    };
    assert_eq!(exec("1", &["sh", "-c", "echo inside"], 0), "inside\n");
    exec("2", &["sh", "-c", "exit 3"], 3);
    let table = ctr.says(&["tasks", "ps", &stays], 0);
    assert!(table.contains("PID"), "{table}");
    let metrics = ctr.says(&["tasks", "metrics", &stays], 0);
    assert!(metrics.contains("memory"), "{metrics}");
    ctr.says(&["tasks", "pause", &stays], 0);
    assert!(ctr.says(&["tasks", "ls"], 0).contains("PAUSED"));
    ctr.says(&["tasks", "resume", &stays], 0);
    ctr.says(&["tasks", "kill", "-s", "SIGKILL", &stays], 0);
    bundle::wait_until("it has stopped", || ctr.says(&["tasks", "ls"], 0).contains("STOPPED"));
    ctr.says(&["tasks", "delete", &stays], 0);
    ctr.says(&["containers", "delete", &stays], 0);
    assert_eq!(bundle::cgroups_named(&stays), Vec::<PathBuf>::new());
    drop(daemon);
    nothing_left(place.path());
}

#[test]
fn docker_makes_its_containers_with_it() {
    let Some(place) = place(&["dockerd", "docker", "containerd", "unshare"]) else { return };
    let at = |name: &str| text(&place.path().join(name));
    let (containerd, socket) = containerd(place.path());
    let host = format!("unix://{}", at("docker.sock"));
    let log = File::create(at("docker.log")).unwrap();
    // A network namespace of its own: dockerd changes the rules of the one that it is in.
    let mut command = Command::new("unshare");
    command.args(["-n", "dockerd", "--iptables=false", "--bridge=none"]);
    command.args([
        "--exec-opt",
        "native.cgroupdriver=cgroupfs",
        "--containerd",
        &socket,
        "-H",
        &host,
    ]);
    command.args(["--data-root", &at("docker"), "--exec-root", &at("docker-exec")]);
    command.args(["-p", &at("docker.pid"), "--add-runtime", &format!("isolab={RUNTIME}")]);
    command.stdout(Stdio::null()).stderr(log);
    let daemon = Daemon(command.spawn().unwrap());
    let docker = Client { program: "docker", words: vec!["-H".into(), host] };
    bundle::wait_until("dockerd listens", || {
        let mut version = Command::new("docker");
        version.args(&docker.words).arg("version").stdout(Stdio::null()).stderr(Stdio::null());
        version.status().unwrap().success()
    });
    docker.says(&["import", &at("root.tar"), "isolab-test"], 0);
    docker.runs_containers(&["--runtime=isolab", "--network=none"]);
    nothing_left(place.path());
    drop((daemon, containerd));
}
