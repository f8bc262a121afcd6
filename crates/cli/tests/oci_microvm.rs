//! A bundle as a microVM: `isolab oci`, as containerd would call it. These run where this host can
//! run Linux guests, else all of them in a nest.

mod common;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use common::{
    inside::{all_hold_in_a_nest_with, here},
    isolab,
    lan::{HOST, NEAR, on_a_host},
    output_of,
};
use microvm::initramfs::files_of_program;
use serde_json::{Value, json};

/// containerd, where the host has it.
const CONTAINERD: [&str; 3] =
    ["/usr/bin/containerd", "/usr/bin/containerd-shim-runc-v2", "/usr/bin/ctr"];

/// How long a guest may take to its first word, in a nest on a busy host.
const BOOT: Duration = Duration::from_secs(60);

/// Longer than the path of a socket may be (unix(7)), as containerd's with its ids are.
const STATES: &str = concat!(
    "states/0123456789012345678901234567890123456789012345678901234567890123456789",
    "/0123456789012345678901234567890123456789"
);

#[test]
fn all_of_these_hold_in_a_nest() {
    all_hold_in_a_nest_with(|nest| {
        nest.add.extend(busybox());
        for program in CONTAINERD {
            nest.add.extend(files_of_program(Path::new(program)).unwrap_or_default());
        }
        nest.memory_bytes = 3 << 30;
    });
}

/// A busybox of one file.
fn busybox() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::env::split_paths(&path).map(|folder| folder.join("busybox"));
    all.into_iter().find(|path| path.is_file())
}

/// A bundle whose root has a busybox, and a directory for the states of containers.
struct Bundle {
    folder: tempfile::TempDir,
}

impl Bundle {
    /// Of a shell script, with these changes of config.json.
    fn new(script: &str, change: impl FnOnce(&mut Value)) -> Option<Self> {
        let busybox = busybox().or_else(|| common::skip("container", "no busybox"))?;
        let bundle = Self { folder: tempfile::tempdir().unwrap() };
        let programs = bundle.path("rootfs/bin");
        fs::create_dir_all(&programs).unwrap();
        fs::copy(busybox, programs.join("busybox")).unwrap();
        for name in ["sh", "sleep", "cat", "id", "uname", "nc", "ip"] {
            std::os::unix::fs::symlink("busybox", programs.join(name)).unwrap();
        }
        let (code, _, errors) =
            bundle.oci(&["spec", "--bundle", bundle.path("").to_str().unwrap()]);
        assert_eq!(code, 0, "{errors}");
        let text = fs::read(bundle.path("config.json")).unwrap();
        let mut config: Value = serde_json::from_slice(&text).unwrap();
        config["process"]["terminal"] = json!(false);
        config["process"]["args"] = json!(["/bin/sh", "-c", script]);
        config["annotations"] = json!({ "org.isolab.sandbox": "microvm" });
        change(&mut config);
        fs::write(bundle.path("config.json"), config.to_string()).unwrap();
        Some(bundle)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command `what` for this bundle, under this id.
    fn made(&self, what: &str, id: &str) -> (i32, String, String) {
        self.oci(&[what, "--bundle", self.path("").to_str().unwrap(), id])
    }

    fn oci(&self, words: &[&str]) -> (i32, String, String) {
        let root = self.path(STATES);
        let mut command = isolab(&["oci", "--root", root.to_str().unwrap()]);
        output_of(command.args(words).stdin(Stdio::null()))
    }

    fn create(&self, id: &str) {
        let code = self.left(&["create", "--bundle", self.path("").to_str().unwrap(), id]);
        assert_eq!(code, 0, "{}", self.log());
    }

    /// A call whose streams are left to what it starts, so that nobody waits for their end.
    fn left(&self, words: &[&str]) -> i32 {
        let root = self.path(STATES);
        let log = fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = isolab(&["oci", "--root", root.to_str().unwrap()]);
        command.args(words).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        command.status().unwrap().code().unwrap_or(-1)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn status(&self, id: &str) -> Value {
        let (code, output, errors) = self.oci(&["state", id]);
        assert_eq!(code, 0, "{errors}");
        serde_json::from_str(&output).unwrap()
    }

    fn wait_until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < BOOT, "{what}: {}", self.log());
            sleep(Duration::from_millis(100));
        }
    }
}

#[test]
fn a_host_that_cannot_says_so_and_leaves_nothing() {
    if microvm::linux::available().is_ok() {
        println!("skipped: this host can run Linux guests");
        return;
    }
    let Some(bundle) = Bundle::new("true", |_| {}) else { return };
    let (code, _, errors) = bundle.made("run", "a");
    assert_eq!(code, 1);
    assert!(errors.contains("isolab nest") && errors.contains("microVM"), "{errors}");
    assert_eq!(bundle.oci(&["list", "--quiet"]).1, "");
}

#[test]
fn a_program_has_a_kernel_of_its_own_and_its_exit_code() {
    if !here() {
        return;
    }
    let script = "read -r name < /proc/sys/kernel/hostname; echo name $name; id -u; exit 7";
    let Some(bundle) = Bundle::new(script, |config| {
        config["hostname"] = json!("guest-of-a-bundle");
        config["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
    }) else {
        return;
    };
    let (code, output, errors) = bundle.made("run", "one");
    assert_eq!((code, &*output), (7, "name guest-of-a-bundle\n1000\n"), "{errors}");
    assert_eq!(bundle.oci(&["list", "--quiet"]).1, "");
}

#[test]
fn a_machine_is_created_started_executed_in_signalled_and_deleted() {
    if !here() {
        return;
    }
    let script = "trap 'exit 33' TERM; echo up; while :; do sleep 0.1; done";
    let Some(bundle) = Bundle::new(script, |_| {}) else { return };
    bundle.create("two");
    let state = bundle.status("two");
    assert_eq!(state["status"], "created");
    let monitor = state["pid"].as_u64().unwrap();
    assert!(Path::new(&format!("/proc/{monitor}")).exists());
    // What becomes of the configuration now is none of the container's business.
    fs::write(bundle.path("config.json"), "gone").unwrap();
    assert_eq!(bundle.oci(&["start", "two"]).0, 0);
    bundle.wait_until("it begins", || bundle.log().contains("up"));
    assert_eq!(bundle.status("two")["status"], "running");
    let (code, output, errors) = bundle.oci(&["exec", "two", "/bin/sh", "-c", "echo in; exit 9"]);
    assert_eq!((code, &*output), (9, "in\n"), "{errors}");
    let pid = bundle.path("pid");
    let script = "echo $SECRET > /told; sleep 100";
    let words = ["exec", "--detach", "--pid-file", pid.to_str().unwrap(), "--env", "SECRET=word"];
    let words = [&words[..], &["two", "/bin/sh", "-c", script]].concat();
    assert_eq!(bundle.left(&words), 0, "{}", bundle.log());
    let has_word = || bundle.oci(&["exec", "two", "/bin/cat", "/told"]).1 == "word\n";
    bundle.wait_until("it writes the word", has_word);
    let pid = fs::read_to_string(pid).unwrap();
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(!String::from_utf8_lossy(&line).contains("word"), "others can read it: {line:?}");
    let (code, _, errors) = bundle.oci(&["exec", "two", "/bin/none"]);
    assert_eq!(code, 255);
    assert!(errors.contains("/bin/none"), "{errors}");
    assert_eq!(bundle.oci(&["delete", "two"]).0, 1, "it runs");
    assert_eq!(bundle.oci(&["kill", "two", "TERM"]).0, 0);
    bundle.wait_until("it ends", || bundle.status("two")["status"] == "stopped");
    assert_eq!(bundle.oci(&["delete", "two"]).0, 0);
    assert!(!Path::new(&format!("/proc/{monitor}")).exists());
}

/// The pod's network namespace is the one that `on_a_host` makes.
#[test]
fn the_link_and_the_address_of_a_pod_move_into_the_guest() {
    if !here() {
        return;
    }
    on_a_host(|| {
        let (process, thread) = (std::process::id(), nix::unistd::gettid());
        let script = format!("ip -o -4 addr show eth0; nc {NEAR} 7000 < /dev/null");
        let Some(bundle) = Bundle::new(&script, |config| {
            let path = format!("/proc/{process}/task/{thread}/ns/net");
            let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
            namespaces.retain(|namespace| namespace["type"] != "network");
            namespaces.push(json!({ "type": "network", "path": path }));
        }) else {
            return;
        };
        // A second machine of the pod finds what the first one has been given.
        for id in ["first", "second"] {
            let (code, output, errors) = bundle.made("run", id);
            assert_eq!(code, 0, "{errors}");
            assert!(output.contains(&format!("inet {HOST}/24")), "{id}: {output} {errors}");
            let last = output.lines().last().unwrap_or_default();
            assert!(last.contains(HOST), "who the neighbour has seen: {output}");
        }
    });
}

/// A containerd of this test's own, which ends with it.
struct Containerd {
    daemon: Child,
    socket: String,
}

impl Containerd {
    fn start(place: &Path) -> Self {
        let at = |name: &str| place.join(name).display().to_string();
        let socket = at("containerd.sock");
        let config = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\n  address = {socket:?}\n",
            at("containerd"),
            at("containerd-state"),
        );
        fs::write(at("containerd.toml"), config).unwrap();
        let log = fs::File::create(at("containerd.log")).unwrap();
        let mut command = Command::new(CONTAINERD[0]);
        command.args(["--config", &at("containerd.toml")]).stdout(Stdio::null()).stderr(log);
        let containerd = Self { daemon: command.spawn().unwrap(), socket };
        let began = Instant::now();
        while containerd.ctr(&["version"]).0 != 0 {
            assert!(began.elapsed() < BOOT, "containerd does not listen");
            sleep(Duration::from_millis(200));
        }
        containerd
    }

    fn ctr(&self, words: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(CONTAINERD[2]);
        output_of(command.args(["-a", &self.socket]).args(words).stdin(Stdio::null()))
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

#[test]
fn containerd_makes_microvms_with_it() {
    if !here() {
        return;
    }
    if CONTAINERD.iter().any(|program| !Path::new(program).exists()) {
        return common::skip("engines", "no containerd").unwrap_or_default();
    }
    let Some(bundle) = Bundle::new("true", |_| {}) else { return };
    let runtime = bundle.path("runtime");
    let script = format!("#!/bin/sh\nexec {} oci \"$@\"\n", env!("CARGO_BIN_EXE_isolab"));
    fs::write(&runtime, script).unwrap();
    fs::set_permissions(&runtime, fs::Permissions::from_mode(0o755)).unwrap();
    let (runtime, rootfs) = (runtime.display().to_string(), bundle.path("rootfs"));
    let containerd = Containerd::start(bundle.folder.path());
    let run = |options: &[&str], id: &str, script: &str| {
        let first = ["run", "--runc-binary", &runtime, "--annotation"];
        let then = ["org.isolab.sandbox=microvm", "--rootfs", rootfs.to_str().unwrap(), id];
        let words = [&first[..], &then[..1], options, &then[1..], &["sh", "-c", script]].concat();
        containerd.ctr(&words)
    };
    let (code, output, errors) = run(&["--rm"], "one", "echo hello; exit 7");
    assert_eq!((code, &*output), (7, "hello\n"), "{errors}");
    let loops = "trap 'exit 33' TERM; while :; do sleep 0.1; done";
    let (code, _, errors) = run(&["-d"], "two", loops);
    assert_eq!(code, 0, "{errors}");
    let exec = ["tasks", "exec", "--exec-id", "1", "two", "sh", "-c", "echo in; exit 3"];
    bundle.wait_until("a program is executed", || containerd.ctr(&exec).0 == 3);
    let status = |word: &str| containerd.ctr(&["tasks", "ls"]).1.contains(word);
    assert_eq!(containerd.ctr(&["tasks", "pause", "two"]).0, 0);
    assert!(status("PAUSED"));
    assert_eq!(containerd.ctr(&["tasks", "resume", "two"]).0, 0);
    assert_eq!(containerd.ctr(&["tasks", "kill", "-s", "SIGTERM", "two"]).0, 0);
    bundle.wait_until("it ends", || status("STOPPED"));
    let (code, _, errors) = containerd.ctr(&["tasks", "delete", "two"]);
    assert!(errors.contains("33"), "{code} {errors}");
    assert_eq!(containerd.ctr(&["containers", "delete", "two"]).0, 0);
}

#[test]
fn what_a_guest_cannot_have_is_refused() {
    if !here() {
        return;
    }
    let refused = |change: fn(&mut Value)| {
        let bundle = Bundle::new("true", change)?;
        let (code, _, errors) = bundle.made("create", "three");
        assert_eq!(code, 1, "{errors}");
        assert_eq!(bundle.oci(&["list", "--quiet"]).1, "");
        Some(errors)
    };
    let joined = |config: &mut Value| {
        config["linux"]["namespaces"] = json!([{ "type": "pid", "path": "/proc/1/ns/pid" }]);
    };
    let Some(errors) = refused(joined) else { return };
    assert!(errors.contains("linux.namespaces") && errors.contains("pid"), "{errors}");
    let errors = refused(|config| {
        config["annotations"]["org.isolab.sandbox"] = json!("cage");
    });
    assert!(errors.is_some_and(|errors| errors.contains("cage")));
}
