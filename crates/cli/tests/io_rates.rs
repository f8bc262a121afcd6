//! The rates of a disk and of a network: every sandbox has both or says why not, and the host is as it
//! was afterwards, however the measuring process ends.

mod common;

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader},
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::Path,
    process::{Command, Stdio},
};

use common::{
    descendants, in_english,
    inside::all_hold_in_a_nest_with,
    isolab,
    lan::{forwards, on_a_host},
    output_of, wait_for,
};
use measure::Message;
use microvm::initramfs::files_of_program;
use nix::unistd::Uid;
use report::metric;
use sandbox::Process;

/// Makes file systems, where the host has it.
const MKE2FS: &str = "/usr/sbin/mke2fs";

const RATES: [&str; 2] = [metric::IO_DISK, metric::IO_NETWORK];
const SANDBOXES: [&str; 4] = ["process", "container", "microvm", "linux"];

#[test]
fn all_of_these_hold_in_a_nest() {
    // Where guests can run, for their rows.
    let files = files_of_program(Path::new(MKE2FS)).unwrap_or_default();
    all_hold_in_a_nest_with(|nest| nest.add.extend(files));
}

/// The messages of a measuring process.
fn messages(command: &mut Command) -> Vec<Message> {
    let (code, output, errors) = output_of(command);
    assert_eq!(code, 0, "{errors}");
    output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// How many numbers there are.
fn numbers(messages: &[Message], metric: &str, sandbox: &str) -> usize {
    let is_it = |message: &&Message| match message {
        Message::Measured(it) => it.metric == metric && it.sandbox == sandbox && it.value > 0.0,
        _ => false,
    };
    messages.iter().filter(is_it).count()
}

/// Why there are no more.
fn reason<'a>(messages: &'a [Message], metric: &str, sandbox: &str) -> Option<&'a str> {
    messages.iter().find_map(|message| match message {
        Message::Gap(gap) if gap.metric == metric && gap.sandbox == sandbox => Some(&*gap.reason),
        _ => None,
    })
}

/// The addresses at which somebody listens on this thread's host, and its links.
fn listeners_and_links() -> (BTreeSet<String>, BTreeSet<String>) {
    const LISTEN: &str = "0A";
    let read = |name: &str| fs::read_to_string(format!("/proc/thread-self/net/{name}")).unwrap();
    let sockets =
        [read("tcp"), fs::read_to_string("/proc/thread-self/net/tcp6").unwrap_or_default()];
    let listeners = sockets.iter().flat_map(|text| text.lines().skip(1)).filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        (words[3] == LISTEN).then(|| words[1].to_owned())
    });
    let links = read("dev");
    let links = links.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()));
    (listeners.collect(), links.collect())
}

/// The process that measures the rates on a host of a test's own.
fn measuring(rounds: &str) -> Command {
    let mut command = isolab(&["measure", "io", "--quick", "--rounds", rounds]);
    command.env("XDG_RUNTIME_DIR", "/run");
    command
}

/// Says that the host of a test's own is as it was.
fn nothing_is_left(before: &(BTreeSet<String>, BTreeSet<String>)) {
    wait_for("the end of links and listeners", || listeners_and_links() == *before);
    assert!(!forwards("up0") && !forwards("all"), "the host still forwards");
    let (_, output, errors) = output_of(isolab(&["clean"]).env("XDG_RUNTIME_DIR", "/run"));
    assert_eq!(output, "nothing was left behind\n", "{errors}");
}

#[test]
fn every_sandbox_has_both_rates_or_says_why_not_and_the_host_is_as_it_was() {
    on_a_host(|| {
        let before = listeners_and_links();
        let mut command = measuring("2");
        command.args(["--peers", "docker,runc"]);
        let messages = messages(&mut command);
        for metric in RATES {
            for sandbox in SANDBOXES {
                match (numbers(&messages, metric, sandbox), reason(&messages, metric, sandbox)) {
                    (2, None) => {}
                    (0, Some(why)) => assert!(!why.is_empty(), "{metric} of {sandbox}"),
                    other => panic!("{metric} of {sandbox}: {other:?}"),
                }
            }
            // What needs nothing of a host has numbers on each, and so has its second run.
            for sandbox in ["process", "process (again)"] {
                assert_eq!(numbers(&messages, metric, sandbox), 2, "{metric} of {sandbox}");
            }
            for peer in ["docker", "runc"] {
                assert!(reason(&messages, metric, peer).is_some(), "{metric} of {peer}");
            }
            let able = [
                ("container", container::available().is_ok()),
                ("linux", microvm::linux::available().is_ok() && Path::new(MKE2FS).exists()),
            ];
            for (sandbox, _) in able.into_iter().filter(|(_, able)| *able) {
                let why = reason(&messages, metric, sandbox);
                assert_eq!(numbers(&messages, metric, sandbox), 2, "{metric}: {sandbox}: {why:?}");
            }
        }
        let bare = reason(&messages, metric::IO_NETWORK, "microvm").unwrap();
        assert!(bare.contains("no network device") || microvm::available().is_err(), "{bare}");
        let docker = reason(&messages, metric::IO_NETWORK, "docker").unwrap();
        assert!(docker.contains("settings of the host that stay"), "{docker}");
        nothing_is_left(&before);
    });
}

#[test]
fn a_measuring_process_that_is_killed_leaves_neither_link_nor_rules() {
    on_a_host(|| {
        let before = listeners_and_links();
        let mut measuring = measuring("1000").stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(measuring.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("measured") {
            line.clear();
            assert!(output.read_line(&mut line).unwrap() > 0, "it ended");
        }
        let below: Vec<Process> = descendants(measuring.id());
        assert!(!below.is_empty());
        measuring.kill().unwrap();
        measuring.wait().unwrap();
        // The programs inside end with their input, and each launcher removes what it made.
        wait_for("the launchers' end", || !below.iter().any(Process::is_alive));
        nothing_is_left(&before);
    });
}

/// A user who is not root has containers, but none that is linked to the host.
#[test]
fn an_ordinary_user_has_the_rate_of_a_disk_and_is_told_who_may_have_a_link() {
    const NOBODY: u32 = 65534;
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (own, program) = (folder.path().join("own"), folder.path().join("isolab"));
    fs::create_dir(&own).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_isolab"), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let words = ["measure", "io", "--quick", "--rounds", "1"];
    let mut command = in_english(Command::new(&program), &words);
    command.env("XDG_RUNTIME_DIR", &own).env("TMPDIR", &own);
    if Uid::effective().is_root() {
        chown(&own, Some(NOBODY), Some(NOBODY)).unwrap();
        command.uid(NOBODY).gid(NOBODY);
    }
    let messages = messages(&mut command);
    for metric in RATES {
        assert_eq!(numbers(&messages, metric, "process"), 1, "{metric}");
    }
    assert_eq!(numbers(&messages, metric::IO_NETWORK, "container"), 0);
    let why = reason(&messages, metric::IO_NETWORK, "container").unwrap();
    match reason(&messages, metric::IO_DISK, "container") {
        None => {
            assert_eq!(numbers(&messages, metric::IO_DISK, "container"), 1);
            assert!(why.contains("only root may link a container"), "{why}");
        }
        // Not every host lets an ordinary user have a container.
        Some(why) => assert!(!why.is_empty()),
    }
    assert_eq!(fs::read_dir(&own).unwrap().filter_map(leftover).count(), 0, "files are left");
}

/// A temporary directory of the measuring process; the ledger stays.
fn leftover(entry: std::io::Result<fs::DirEntry>) -> Option<String> {
    let name = entry.unwrap().file_name().into_string().unwrap();
    name.starts_with(".tmp").then_some(name)
}
