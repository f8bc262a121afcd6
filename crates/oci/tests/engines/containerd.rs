//! containerd by its own client.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    bundle::{self, RUNTIME},
    installed::{Client, Daemon, nothing_left, place, text},
};

/// A containerd of this test's own, and its socket. With a configuration of its interface for Kubernetes it
/// is in namespaces of its own, and so are the networks that are made for it.
pub fn containerd(place: &Path, cri: Option<&str>) -> (Daemon, String) {
    let at = |name: &str| text(&place.join(name));
    let config = format!(
        "version = 2\nroot = {:?}\nstate = {:?}\n{}[grpc]\n  address = {:?}\n",
        at("containerd"),
        at("containerd-state"),
        if cri.is_some() { "" } else { "disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n" },
        at("containerd.sock"),
    );
    fs::write(at("containerd.toml"), config + cri.unwrap_or_default()).unwrap();
    let log = File::create(at("containerd.log")).unwrap();
    let mut command = match cri {
        None => Command::new("containerd"),
        Some(_) => {
            let alone = "mkdir -p /run/netns && mount -t tmpfs netns /run/netns && exec \"$@\"";
            let mut command = Command::new("unshare");
            command.args(["--net", "--mount", "sh", "-c", alone, "sh", "containerd"]);
            command
        }
    };
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
    let (daemon, socket) = containerd(place.path(), None);
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

/// `ISOLAB_CONTAINERS=200` makes it that many.
#[test]
fn many_containers_run_at_once_and_none_of_them_keeps_a_process_of_the_runtime() {
    let Some(place) = place(&["containerd", "ctr"]) else { return };
    let many: usize =
        std::env::var("ISOLAB_CONTAINERS").map_or(8, |number| number.parse().unwrap());
    let (daemon, socket) = containerd(place.path(), None);
    let ctr = Client { program: "ctr", words: vec!["-a".into(), socket] };
    let rootfs = text(&place.path().join("rootfs"));
    let names: Vec<String> =
        (0..many).map(|number| format!("oci-{}-many-{number}", std::process::id())).collect();
    std::thread::scope(|scope| {
        for part in names.chunks(many.div_ceil(4)) {
            let (ctr, rootfs) = (&ctr, &rootfs);
            scope.spawn(move || {
                for name in part {
                    let run = ["run", "-d", "--runc-binary", RUNTIME, "--rootfs", rootfs, name];
                    ctr.says(&[&run[..], &["sleep", "100000"]].concat(), 0);
                }
            });
        }
    });
    let table = ctr.says(&["tasks", "ls"], 0);
    let alive = |name: &&String| {
        table.lines().any(|line| line.starts_with(&***name) && line.contains("RUNNING"))
    };
    assert_eq!(names.iter().filter(alive).count(), many, "{table}");
    // containerd's own process for each names its container; the runtime has none.
    let left = processes_of(RUNTIME, &format!("oci-{}-many-", std::process::id()));
    assert_eq!(left, Vec::<PathBuf>::new(), "processes of the runtime are left");
    for name in &names {
        ctr.says(&["tasks", "kill", "-s", "SIGKILL", name], 0);
    }
    bundle::wait_until("all have stopped", || !ctr.says(&["tasks", "ls"], 0).contains("RUNNING"));
    for name in &names {
        ctr.says(&["tasks", "delete", name], 0);
        ctr.says(&["containers", "delete", name], 0);
    }
    drop(daemon);
    nothing_left(place.path());
}

/// The processes that run this program with such a word on the command line, by their directories in /proc.
fn processes_of(program: &str, word: &str) -> Vec<PathBuf> {
    let program = fs::canonicalize(program).unwrap();
    let all = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let is_one = |it: &PathBuf| {
        let words = fs::read(it.join("cmdline")).unwrap_or_default();
        fs::read_link(it.join("exe")).is_ok_and(|exe| exe == program)
            && String::from_utf8_lossy(&words).contains(word)
    };
    all.filter(is_one).collect()
}
