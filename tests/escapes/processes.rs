//! Processes: the memory, the descriptors and the signals of others.

use std::{
    fs::{self, File},
    os::{fd::AsRawFd as _, unix::process::CommandExt as _},
    process::Stdio,
    time::{Duration, Instant},
};

use nix::{errno::Errno, pty::openpty};

use crate::{
    call::call,
    everywhere::{Kind, callers_elsewhere, everywhere, ready},
    host::Host,
    inside::{Attempt, Failed, each},
    launch::{Answer, Files, Launch, Who},
};

pub const ATTEMPTS: &[(&str, Attempt)] = &[
    ("open-the-first-process", open_the_first_process),
    ("kill-a-process-of-the-host", kill_a_process_of_the_host),
    ("kill-all", kill_all),
    ("signal-the-group", signal_the_group),
    ("type", type_into_the_terminal),
    ("idle", |_| {
        loop {
            std::thread::sleep(Duration::from_secs(1));
        }
    }),
];

fn open_the_first_process(_: &[String]) -> Result<String, Failed> {
    const SEIZE: u32 = libc::PTRACE_SEIZE;
    let descriptor = || call!(SYS_pidfd_getfd, call!(SYS_pidfd_open, 1, 0)?, 0, 0);
    let room = [0u8; 8];
    // struct iovec: an address here and there, and a length.
    let local = [room.as_ptr() as usize, room.len()].map(usize::to_ne_bytes).concat();
    let remote = [0x40_0000usize, room.len()].map(usize::to_ne_bytes).concat();
    let write = call!(SYS_process_vm_writev, 1, local.as_slice(), 1, remote.as_slice(), 1, 0);
    let memory = File::options().read(true).write(true).open("/proc/1/mem");
    Ok(format!(
        "{} mem={}",
        each([
            ("attach", call!(SYS_ptrace, libc::PTRACE_ATTACH, 1, 0, 0)),
            ("seize", call!(SYS_ptrace, SEIZE, 1, 0, 0)),
            ("write", write),
            ("descriptor", descriptor()),
            ("compare", call!(SYS_kcmp, 1, std::process::id(), 0, 0, 0)),
        ])?,
        crate::inside::describe(memory)
    ))
}

#[test]
fn the_first_process_is_out_of_reach() {
    let all = "attach=EPERM seize=EPERM write=EPERM descriptor=EPERM compare=EPERM mem=EACCES";
    // Without init it is the attempt itself, or one of its own kind.
    let has_another = |kind: &Kind| kind.init || kind.share_pids;
    let expected = |kind: &Kind| has_another(kind).then(|| all.to_owned());
    everywhere(|_| vec!["open-the-first-process".into()], expected);
}

fn kill_a_process_of_the_host(words: &[String]) -> Result<String, Failed> {
    let pid: i32 = words.first().and_then(|pid| pid.parse().ok()).ok_or("whom?")?;
    // siginfo_t: a number and an error, then the code SI_QUEUE, which users may give.
    let mut about = [0u8; 128];
    about[8..12].copy_from_slice(&libc::SI_QUEUE.to_ne_bytes());
    each([
        ("kill", call!(SYS_kill, pid, libc::SIGKILL)),
        ("tgkill", call!(SYS_tgkill, pid, pid, libc::SIGKILL)),
        ("queue", call!(SYS_rt_sigqueueinfo, pid, libc::SIGKILL, &about[..])),
        ("group", call!(SYS_kill, -pid, libc::SIGKILL)),
    ])
}

#[test]
fn a_process_of_the_host_has_no_number_inside() {
    let words = |host: &Host| {
        let name = "kill-a-process-of-the-host".to_owned();
        vec![name, host.process().to_string()]
    };
    let expected = |kind: &Kind| match kind.share_pids {
        false => Some("kill=ESRCH tgkill=ESRCH queue=ESRCH group=ESRCH".to_owned()),
        // Who shares the host's pid namespace may kill what is theirs: that was asked for.
        true if kind.is_owner() => None,
        true => Some("kill=EPERM tgkill=EPERM queue=EPERM group=ESRCH".to_owned()),
    };
    everywhere(words, expected);
}

/// All that can be seen. The words tell the host's pid namespace, in which it would be the end.
fn kill_all(words: &[String]) -> Result<String, Failed> {
    let own = fs::read_link("/proc/self/ns/pid")?.display().to_string();
    if words != [own] && std::process::id() < 10 {
        call!(SYS_kill, -1, libc::SIGKILL)?;
        return Ok("done".into());
    }
    Err("this is the host's pid namespace".into())
}

#[test]
fn kill_all_kills_nobody_outside() {
    let words = |_: &Host| {
        let hosts = fs::read_link("/proc/self/ns/pid").unwrap();
        vec!["kill-all".to_owned(), hosts.display().to_string()]
    };
    // There is nobody else inside; where it has joined, it would be its own end.
    let expected = |kind: &Kind| (!kind.share_pids && !kind.joins).then(|| "ESRCH".to_owned());
    everywhere(words, expected);
}

/// Whoever is in its process group or session: the launcher, where the streams are its own.
fn signal_the_group(_: &[String]) -> Result<String, Failed> {
    // struct kernel_sigaction: SIG_IGN, so that this process lives on.
    let ignore = [1u64, 0, 0, 0].map(u64::to_ne_bytes).concat();
    call!(SYS_rt_sigaction, libc::SIGUSR1, ignore.as_slice(), 0, 8)?;
    let session = call!(SYS_getsid, 0)? as i32;
    let parent = call!(SYS_getppid)? as i32;
    let signal = |whom: i32| match whom {
        0 => Err(Errno::ESRCH), // one that has no number here
        whom => call!(SYS_kill, whom, libc::SIGUSR1),
    };
    call!(SYS_kill, 0, libc::SIGUSR1)?;
    Ok(format!("the session: {:?}, the parent: {:?}", signal(-session), signal(parent)))
}

/// A launcher whose program has its streams: what that said, and what came of it.
fn with_own_streams(launch: &Launch, who: Who, host: &Host, stdin: Stdio) -> (String, Answer) {
    let launch = Launch { inherit: true, ..launch.clone() };
    let mut launcher = launch.launcher(who, host);
    launcher.process_group(0).stdin(stdin);
    let output = launcher.output().unwrap();
    let answer = fs::read(host.folder().join("own/answer"));
    let answer = answer.unwrap_or_else(|error| panic!("{error}: the launcher ended: {output:?}"));
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (text, serde_json::from_slice(&answer).unwrap())
}

#[test]
fn a_signal_to_its_own_group_does_not_reach_the_launcher() {
    if !ready() {
        return;
    }
    let mut host = Host::watched();
    for who in callers_elsewhere() {
        for no_init in [false, true] {
            let files = Files::Directory(host.new_root(&format!("root-{who:?}-{no_init}")));
            let launch = Launch::of(&host, files, &["signal-the-group"]);
            let launch = Launch { no_init, ..launch };
            let (_, answer) = with_own_streams(&launch, who, &host, Stdio::null());
            assert_eq!(answer.error, None);
        }
    }
    host.is_unchanged("a signal to a process group");
}

fn type_into_the_terminal(_: &[String]) -> Result<String, Failed> {
    each([
        ("type", call!(SYS_ioctl, 0, libc::TIOCSTI, c"reboot\n")),
        ("type-far", call!(SYS_ioctl, 0, libc::TIOCSTI | 1 << 32, c"reboot\n")),
        ("paste", call!(SYS_ioctl, 0, libc::TIOCLINUX, &[3u8][..])),
    ])
}

#[test]
fn nothing_is_typed_into_the_launchers_terminal() {
    if !ready() {
        return;
    }
    let host = Host::watched();
    for who in callers_elsewhere() {
        let files = Files::Directory(host.new_root(&format!("root-{who:?}")));
        let launch = Launch::of(&host, files, &["type"]);
        let terminal = openpty(None, None).unwrap();
        let stdin = Stdio::from(terminal.slave.try_clone().unwrap());
        let (description, _) = with_own_streams(&launch, who, &host, stdin);
        assert_eq!(description, "type=EPERM type-far=EPERM paste=EPERM", "{who:?}");
        let waiting = terminal.slave.as_raw_fd();
        let mut count = [0u8; 4];
        call!(SYS_ioctl, waiting, libc::FIONREAD, count.as_mut_slice()).unwrap();
        assert_eq!(count, [0; 4], "something was typed");
    }
}

#[test]
fn a_directory_as_a_standard_stream_is_refused() {
    if !ready() {
        return;
    }
    let mut host = Host::watched();
    for who in callers_elsewhere() {
        let files = Files::Directory(host.new_root(&format!("root-{who:?}")));
        let launch = Launch::of(&host, files, &["type"]);
        let (_, answer) = with_own_streams(&launch, who, &host, File::open("/").unwrap().into());
        let error = answer.error.unwrap();
        let reason = "standard input is a directory of the host";
        assert!(error.contains(reason) && error.contains("redirect a file"), "{error}");
    }
    host.is_unchanged("a directory as standard input");
}

#[test]
fn a_container_ends_with_a_launcher_that_is_killed() {
    if !ready() {
        return;
    }
    let host = Host::watched();
    for who in callers_elsewhere() {
        let files = Files::Directory(host.new_root(&format!("root-{who:?}")));
        let mark = format!("{who:?}-{}", std::process::id());
        let launch = Launch::of(&host, files, &["idle", &mark]);
        let mut launcher = launch.launcher(who, &host).stdout(Stdio::null()).spawn().unwrap();
        wait_until(|| !playing(&mark).is_empty(), "it runs");
        launcher.kill().unwrap();
        launcher.wait().unwrap();
        wait_until(|| playing(&mark).is_empty(), "it has ended");
    }
}

/// The processes whose attempt has this word; not the launcher, which has it in one long word.
fn playing(mark: &str) -> Vec<String> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let lines = all.filter_map(|process| fs::read_to_string(process.path().join("cmdline")).ok());
    lines.filter(|line| line.split('\0').any(|word| word == mark)).collect()
}

fn wait_until(mut so: impl FnMut() -> bool, what: &str) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < Duration::from_secs(30), "not after a long time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
