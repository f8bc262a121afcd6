//! Student code is hostile: whatever it does ends in time, in a message that names it, and the host
//! is as it was.

use std::{
    env,
    fs::{self, File},
    io::Read,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            fs::PermissionsExt,
            net::{SocketAddr, UnixDatagram, UnixListener, UnixStream},
            process::CommandExt,
        },
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use lab::verdict::{Report, Verdict};
use nix::{pty::openpty, unistd::Uid};
use sandbox::Ledger;

fn example(name: &str) -> PathBuf {
    let own = env::current_exe().unwrap();
    own.parent().unwrap().parent().unwrap().join("examples").join(name)
}

/// What takes power over the program's own host.
const POWERFUL: [&str; 6] = [
    "lets unshare do it",
    "leaves a mount",
    "renames the host",
    "writes to the host",
    "looks into the check",
    "takes the covers off",
];

/// What the check says of a program that does this, as this user calls it; `None` where this host
/// lacks namespaces.
fn check(does: &str) -> Option<Report> {
    check_by(does, &Uid::effective().to_string(), |check| check)
}

/// The same by another user, of a command that leads to the check.
fn check_by(does: &str, user: &str, led: impl FnOnce(Command) -> Command) -> Option<Report> {
    let folder = home();
    let file = tempfile::NamedTempFile::new_in(folder.path()).unwrap();
    // As hostile as it gets: everybody may write to it.
    let everybody = PermissionsExt::from_mode(0o666);
    fs::set_permissions(file.path(), everybody).unwrap();
    fs::write(file.path(), "kept").unwrap();
    let sockets = Sockets::beside(file.path());
    let before = host();
    let mut check = Command::new(example("plain_check"));
    check.arg("--program").arg(example("hostile")).stdin(Stdio::null());
    let mut check = led(check);
    check.env("DOES", does).env("FILE", file.path());
    if POWERFUL.contains(&does) {
        check.env("POWER", "yes");
    }
    if user != Uid::effective().to_string() {
        let id = user.parse().unwrap();
        check.uid(id).gid(id).env_remove("XDG_RUNTIME_DIR");
    }
    let check =
        check.stdout(Stdio::piped()).spawn().expect("`cargo test -p lab` builds the examples too");
    let pid = check.id();
    let output = check.wait_with_output().unwrap();
    assert_eq!(host(), before, "after a program that {does}");
    assert_eq!(cgroups_of(pid), [] as [PathBuf; 0], "after a program that {does}");
    assert_eq!(fs::read_to_string(file.path()).unwrap(), "kept");
    sockets.were_not_called();
    let report: Report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    if report.id.as_deref() == Some("no-namespaces") {
        let required = env::var("ISOLAB_REQUIRE").unwrap_or_default();
        assert!(!required.contains("container"), "{report:?}");
        eprintln!("skipped: {}", report.facts["error"]);
        return None;
    }
    Some(report)
}

/// A folder as people have it at home: not one that is covered for a program anyway, as /tmp is.
fn home() -> tempfile::TempDir {
    let own = env::var_os("HOME").map(PathBuf::from);
    let places = ["/srv", "/var/lib"].map(PathBuf::from).into_iter().chain(own);
    let folder = places.into_iter().find_map(|place| tempfile::tempdir_in(place).ok());
    let folder = folder.unwrap_or_else(|| tempfile::tempdir().unwrap());
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    folder
}

/// A service of this host: a socket with a name in a folder, and one with an abstract name.
struct Sockets(Vec<UnixListener>, UnixDatagram, PathBuf);

impl Sockets {
    fn beside(file: &Path) -> Self {
        let path = PathBuf::from(format!("{}.socket", file.display()));
        let hidden = format!("{}.abstract", path.display());
        let hidden = SocketAddr::from_abstract_name(hidden).unwrap();
        let listeners =
            vec![UnixListener::bind(&path).unwrap(), UnixListener::bind_addr(&hidden).unwrap()];
        fs::set_permissions(&path, PermissionsExt::from_mode(0o777)).unwrap();
        Self(listeners, UnixDatagram::unbound().unwrap(), path)
    }

    fn were_not_called(self) {
        let Self(listeners, own, path) = self;
        // What is denied is there to be called.
        own.connect(&path).expect_err("it is no socket of datagrams");
        UnixStream::connect(&path).unwrap();
        for (listener, calls) in listeners.iter().zip([1, 0]) {
            listener.set_nonblocking(true).unwrap();
            let called = (0..2).filter(|_| listener.accept().is_ok()).count();
            assert_eq!(called, calls, "{listener:?}");
        }
        fs::remove_file(path).unwrap();
    }
}

/// As root and as an ordinary user, whose jail is made otherwise.
fn passes_by_all(does: &str) {
    let nobody = "65534".to_owned();
    let root = Uid::effective().is_root().then_some(nobody);
    for user in [Some(Uid::effective().to_string()), root].into_iter().flatten() {
        if let Some(report) = check_by(does, &user, |check| check) {
            assert_eq!(report.verdict, Verdict::Pass, "as user {user}: {report:?}");
        }
    }
}

/// Mounts, host name and links of this host.
fn host() -> (String, String, Vec<String>) {
    let read = |path: &str| fs::read_to_string(path).unwrap();
    let mut links: Vec<String> = fs::read_dir("/sys/class/net")
        .map(|listing| listing.map(|link| format!("{:?}", link.unwrap().file_name())).collect())
        .unwrap_or_default();
    links.sort();
    (read("/proc/self/mountinfo"), read("/proc/sys/kernel/hostname"), links)
}

/// The cgroups that the check with this number has left.
fn cgroups_of(check: u32) -> Vec<PathBuf> {
    let parents = container::cgroup::cgroup_parents().unwrap_or_default().into_iter();
    let made = parents.map(|parent| parent.path.join(format!("isolab-lab-{check}")));
    made.filter(|path| path.exists()).collect()
}

fn caught(does: &str, id: &str) {
    if let Some(report) = check(does) {
        assert_eq!(report.verdict, Verdict::Fail, "{report:?}");
        assert_eq!(report.id.as_deref(), Some(id), "{report:?}");
    }
}

fn passes(does: &str) {
    if let Some(report) = check(does) {
        assert_eq!(report.verdict, Verdict::Pass, "{report:?}");
    }
}

#[test]
fn a_harmless_program_passes() {
    passes("nothing");
}

#[test]
fn one_that_panics_is_told_so() {
    caught("panics", "panicked");
}

#[test]
fn one_that_never_ends_is_ended() {
    caught("loops", "too-slow");
}

#[test]
fn one_that_forks_without_end_is_ended() {
    caught("forks without end", "too-many-processes");
}

#[test]
fn one_that_eats_all_memory_is_ended() {
    caught("eats memory", "too-much-memory");
}

#[test]
fn one_that_kills_all_it_can_kills_nobody() {
    passes("kills its parent and everybody");
}

#[test]
fn one_that_writes_to_the_host_cannot() {
    passes("writes to the host");
}

#[test]
fn one_that_looks_into_the_check_sees_nothing() {
    passes("looks into the check");
}

#[test]
fn what_is_left_is_named() {
    caught("leaves a mount", "left-mount");
    caught("leaves a process", "left-process");
    caught("renames the host", "changed-host-name");
}

#[test]
fn a_faked_verdict_is_none() {
    caught("fakes a verdict", "wrong-words");
    caught("ends before it is looked at", "ended-early");
}

/// As many rounds as `ISOLAB_ROUNDS` says; a few are enough to see that it works.
#[test]
fn what_killed_checks_leave_can_be_removed() {
    let rounds =
        env::var("ISOLAB_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(12);
    let before = host();
    let mut killed = Vec::new();
    for round in 0..rounds {
        let mut check = Command::new(example("plain_check"))
            .arg("--program")
            .arg(example("hostile"))
            .env("DOES", if round % 2 == 0 { "loops" } else { "nothing" })
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Spread over all that a check does: it takes some twenty milliseconds.
        let moment = Duration::from_micros(u64::from(check.id()).wrapping_mul(7919) % 30_000);
        std::thread::sleep(moment);
        check.kill().unwrap();
        check.wait().unwrap();
        killed.push(check.id());
    }
    // The kernel takes the last ones away a moment after their checks.
    for _ in 0..500 {
        if processes().is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    container::clean(&Ledger::open().unwrap()).unwrap();
    let left: Vec<PathBuf> = killed.into_iter().flat_map(cgroups_of).collect();
    assert_eq!(left, [] as [PathBuf; 0]);
    assert_eq!(host(), before);
    assert_eq!(processes(), [] as [String; 0]);
}

/// Processes of checks that were killed: those that run the program without being anybody's.
fn processes() -> Vec<String> {
    let all = fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let ours = all.filter_map(|path| {
        let line = fs::read_to_string(path.join("cmdline")).ok()?;
        line.contains("does=loops\0file=\0").then_some(line)
    });
    ours.collect()
}

#[test]
fn another_program_does_not_do_it() {
    caught("lets unshare do it", "delegated");
}

#[test]
fn the_callers_terminal_is_out_of_reach() {
    let pair = openpty(None, None).unwrap();
    let slave = File::from(pair.slave);
    let report = check_by("reaches for the terminal", &Uid::effective().to_string(), |check| {
        // It is the terminal by which the check's session is controlled.
        let mut session = Command::new("setsid");
        session.args(["--ctty", "--wait"]).arg(check.get_program()).args(check.get_args());
        session.stdin(slave.try_clone().unwrap()).stderr(slave.try_clone().unwrap());
        session
    });
    if let Some(report) = report {
        assert_eq!(report.verdict, Verdict::Pass, "{report:?}");
    }
    drop(slave);
    let mut drawn = Vec::new();
    // Nobody holds the other end any more: that is EIO.
    let _ = File::from(pair.master).read_to_end(&mut drawn);
    assert_eq!(String::from_utf8_lossy(&drawn), "");
}

#[test]
fn sockets_of_the_host_cannot_be_called() {
    passes_by_all("calls sockets of the host");
}

#[test]
fn what_the_caller_has_open_is_not_handed_on() {
    let report =
        check_by("uses what its caller has open", &Uid::effective().to_string(), |check| {
            let mut shell = Command::new("sh");
            shell.args(["-c", "exec 9<>/dev/null; exec \"$@\"", "sh"]);
            shell.arg(check.get_program()).args(check.get_args()).stdin(Stdio::null());
            shell
        });
    if let Some(report) = report {
        assert_eq!(report.verdict, Verdict::Pass, "{report:?}");
    }
}

#[test]
fn nothing_of_the_host_is_behind_what_can_be_unmounted() {
    passes_by_all("takes the covers off");
}

#[test]
fn nobody_traces_the_check() {
    passes_by_all("traces the check");
}

#[test]
fn a_program_that_needs_no_power_has_none() {
    passes_by_all("takes all power it can get");
}

#[test]
fn one_that_fills_the_disk_fills_its_own() {
    passes_by_all("fills the disk");
}

#[test]
fn what_a_terminal_would_obey_is_shown() {
    let Some(report) = check("sends escapes to the terminal") else { return };
    assert_eq!(report.output, ["harmless\\u{1b}]0;title\\u{7}\\u{202e}end"]);
}
