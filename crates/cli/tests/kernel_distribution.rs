//! `isolab kernel get --distribution` as a user meets it, with scripts instead of apt-get, mmdebstrap and
//! QEMU: what is there afterwards, that nothing is left of what failed, and that a comparison boots it.

mod common;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use common::{isolab, output_of, signal, wait_for};
use measure::Message;
use report::metric;

/// The played apt-get knows the distribution's sources, and one of others.
const LISTS: &str = r#"#!/bin/sh
[ "$1" = indextargets ] || exit 1
echo 'Debian|http://mirror.example/debian/|bookworm|main'
echo 'Others|http://others.example/|stable|main'
"#;

/// The played mmdebstrap finds the folder to copy to in its last hook, and checks the sources.
const INSTALLS: &str = r#"#!/bin/sh
for word; do
    case "$word" in --customize-hook=copy-out*) folder=${word#*\'}; folder=${folder%\'} ;; esac
    sources=$word
done
grep -q mirror.example "$sources" && ! grep -q others "$sources" || exit 1
echo 'I: installing' >&2
mkdir "$folder/boot"
echo kernel > "$folder/boot/vmlinuz-9.9.9-cloud"
echo initrd > "$folder/boot/initrd.img-9.9.9-cloud"
echo 'PRETTY_NAME="Debian 99"' > "$folder/os-release"
printf disk 1<>/proc/self/fd/0
"#;

/// A user's folder, and a folder of programs that comes first in `PATH`.
struct TestHome {
    folder: tempfile::TempDir,
}

impl TestHome {
    fn new() -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap() };
        home.program("apt-get", LISTS);
        home.program("mmdebstrap", INSTALLS);
        home
    }

    fn program(&self, name: &str, script: &str) {
        let path = self.folder.path().join("bin").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, script).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn distribution(&self) -> PathBuf {
        self.folder.path().join("cache/isolab/distribution")
    }

    /// The names in the folder of the distribution, but for the lock that is always there.
    fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.distribution()).into_iter().flatten();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != ".lock").collect()
    }

    fn isolab(&self, words: &[&str]) -> Command {
        let mut command = isolab(words);
        let path = std::env::var("PATH").unwrap();
        let bin = self.folder.path().join("bin");
        command.env("XDG_CACHE_HOME", self.folder.path().join("cache"));
        command.env("PATH", format!("{}:{path}", bin.display()));
        command
    }

    fn make(&self) -> (i32, String, String) {
        output_of(&mut self.isolab(&["kernel", "get", "--distribution"]))
    }

    /// What one measuring process says of the machine that boots it.
    fn measured(&self) -> Vec<Message> {
        let words = ["measure", "cold", "--quick", "--rounds", "3", "--peers", "qemu-tcg-login"];
        let (code, output, errors) = output_of(&mut self.isolab(&words));
        assert_eq!(code, 0, "{errors}");
        output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Whether this host has what no script plays.
fn has_mke2fs() -> bool {
    let found = microvm::linux::mke2fs();
    if let Err(error) = &found {
        println!("skipped: {error}");
    }
    found.is_ok()
}

fn login_times(messages: &[Message]) -> Vec<f64> {
    let login = |message: &Message| match message {
        Message::Measured(it) if it.metric == metric::STARTUP_LOGIN => Some(it.value),
        _ => None,
    };
    messages.iter().filter_map(login).collect()
}

fn reason(messages: &[Message], metric: &str, sandbox: &str) -> Option<String> {
    messages.iter().find_map(|message| match message {
        Message::Gap(gap) if gap.metric == metric && gap.sandbox == sandbox => {
            Some(gap.reason.clone())
        }
        _ => None,
    })
}

#[test]
fn a_distribution_is_made_and_booted_once_in_each_process() {
    if !has_mke2fs() {
        return;
    }
    let home = TestHome::new();
    let qemu = "#!/bin/sh\n[ $1 = --version ] && echo 'QEMU 99' && exit\n";
    let boots = "sleep 0.1; printf 'Debian\\r\\nisolab login: '; sleep 1000\n";
    home.program("qemu-system-x86_64", &format!("{qemu}{boots}"));
    let why = reason(&home.measured(), metric::STARTUP_LOGIN, "qemu-tcg-login");
    assert_eq!(why.as_deref(), Some("no distribution was made for it"));

    let (code, output, errors) = home.make();
    assert_eq!(code, 0, "{errors}");
    assert!(output.starts_with("Debian 99, Linux 9.9.9-cloud is there: "), "{output}");
    assert!(errors.contains("installing\n"), "{errors}");
    assert_eq!(home.left(), ["disk"]);
    let disk = fs::read(home.distribution().join("disk/root.ext4")).unwrap();
    assert!(disk.starts_with(b"disk\0"));
    let (code, output, _) =
        output_of(&mut home.isolab(&["kernel", "get", "--distribution", "--json"]));
    let made: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!((code, made["name"].as_str()), (0, Some("Debian 99, Linux 9.9.9-cloud")));
    assert_eq!(home.left(), ["disk"]);

    let messages = home.measured();
    let times = login_times(&messages);
    assert!(matches!(times[..], [time] if time >= 0.1e9), "{times:?}");
    let of = |metric, sandbox| reason(&messages, metric, sandbox);
    assert_eq!(of(metric::STARTUP_LOGIN, "qemu-tcg-login"), None);
    for sandbox in ["process", "container", "microvm"] {
        let why = of(metric::STARTUP_LOGIN, sandbox).unwrap();
        assert!(why.contains("not a distribution"), "{sandbox}: {why}");
    }
    let why = of(metric::STARTUP_COLD_FIRST_BYTE, "qemu-tcg-login").unwrap();
    assert!(why.contains("boots a distribution"), "{why}");

    home.program("qemu-system-x86_64", &format!("{qemu}echo; echo 'Kernel panic'; exit 1\n"));
    let why = reason(&home.measured(), metric::STARTUP_LOGIN, "qemu-tcg-login").unwrap();
    assert!(why.contains("exit status: 1") && why.ends_with("Kernel panic"), "{why}");
}

#[test]
fn every_failure_says_the_way_out_and_keeps_what_was_there() {
    if !has_mke2fs() {
        return;
    }
    let cases = [
        ("apt-get", "exit 0", "no package lists", "sudo apt-get update"),
        ("apt-get", "echo 'E: broken' >&2; exit 100", "E: broken", "try again"),
        ("mmdebstrap", "echo 'E: cannot find newuidmap' >&2; exit 1", "newuidmap", "uidmap"),
        ("mmdebstrap", "echo 'E: 404 Not Found' >&2; exit 1", "404", "apt-get update"),
        ("mmdebstrap", "exit 0", "has no kernel", ""),
    ];
    for (program, script, message, fix) in cases {
        let home = TestHome::new();
        assert_eq!(home.make().0, 0);
        home.program(program, &format!("#!/bin/sh\n{script}\n"));
        let (code, output, errors) = home.make();
        assert_eq!((code, output.as_str()), (125, ""), "{program}: {script}: {errors}");
        assert!(errors.contains(message) && errors.contains(fix), "{program}: {script}: {errors}");
        assert_eq!(home.left(), ["disk"], "{program}: {script}");
    }
}

#[test]
fn what_is_not_installed_is_named_with_its_package() {
    let home = TestHome::new();
    let mut command = home.isolab(&["kernel", "get", "--distribution"]);
    let bin = home.folder.path().join("bin");
    fs::remove_file(bin.join("mmdebstrap")).unwrap();
    let (code, _, errors) = output_of(command.env("PATH", bin));
    let found = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
    if found.iter().any(|folder| PathBuf::from(folder).join("mmdebstrap").exists()) {
        return println!("skipped: mmdebstrap is among the administrator's programs");
    }
    assert_eq!(code, 125);
    assert!(errors.contains("mmdebstrap is not installed"), "{errors}");
    assert!(errors.contains("sudo apt-get install mmdebstrap"), "{errors}");
}

#[test]
fn a_signal_ends_it_and_nothing_is_left() {
    if !has_mke2fs() {
        return;
    }
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let home = TestHome::new();
        let begun = home.folder.path().join("begun");
        let ended = home.folder.path().join("ended");
        let script = format!(
            "#!/bin/sh\ntrap 'echo > {}; exit 1' TERM\necho > {}\nsleep 1000 & wait\n",
            ended.display(),
            begun.display()
        );
        home.program("mmdebstrap", &script);
        let mut command = home.isolab(&["kernel", "get", "--distribution"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_for("the installation", || begun.exists());
        signal(child.id(), name);
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{errors}");
        assert!(errors.contains("was interrupted; partial files were removed"), "{errors}");
        assert!(ended.exists(), "mmdebstrap was not asked to end");
        assert_eq!(home.left(), [""; 0]);
    }
}

#[test]
fn a_kill_leaves_no_mounts_and_ends_the_installation() {
    if !has_mke2fs() {
        return;
    }
    if !nix::unistd::geteuid().is_root() {
        return println!("skipped: only root's installation mounts anything of this host");
    }
    let home = TestHome::new();
    let begun = home.folder.path().join("begun");
    let seconds = format!("1000.{}", std::process::id());
    let script = format!(
        "#!/bin/sh\nmkdir \"$TMPDIR/root\" && mount -t tmpfs none \"$TMPDIR/root\" || exit 1\n\
         sleep {seconds} & echo > {}\nwait\n",
        begun.display()
    );
    home.program("mmdebstrap", &script);
    let mut command = home.isolab(&["kernel", "get", "--distribution"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the installation", || begun.exists());
    let mounts = || fs::read_to_string("/proc/self/mountinfo").unwrap();
    let own = home.folder.path().to_str().unwrap().to_owned();
    assert!(!mounts().contains(&own), "this host sees the mounts: {}", mounts());
    child.kill().unwrap();
    child.wait().unwrap();
    let sleep = format!("sleep\0{seconds}\0").into_bytes();
    let is_asleep = |entry: fs::DirEntry| {
        fs::read(entry.path().join("cmdline")).is_ok_and(|words| words == sleep)
    };
    wait_for("the end of what it started", || {
        !fs::read_dir("/proc").unwrap().flatten().any(is_asleep)
    });
    home.program("mmdebstrap", INSTALLS);
    let (code, _, errors) = home.make();
    assert_eq!((code, home.left()), (0, vec!["disk".to_owned()]), "{errors}");
}
