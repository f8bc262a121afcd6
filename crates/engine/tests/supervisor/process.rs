//! The process: its launch, its end, and what is recorded.

use std::time::{Duration, SystemTime};

use engine::supervisor::{Message, STDERR, STDOUT, SupervisorError, read_exit, start};

use crate::common::{LAUNCHER, LOGGED, Supervised, eventually, everything, next, parent, start_in};

#[tokio::test]
async fn output_goes_to_the_client_and_the_log_and_the_exit_code_is_recorded() {
    let supervised = Supervised::new(&LOGGED, "echo out; echo err >&2; exit 7");
    let mut client = supervised.subscribe(STDOUT | STDERR).await;
    client.go(0, 0).await.unwrap();
    let all = everything(&mut client).await;
    assert_eq!((&*all.output, &*all.error), (&b"out\n"[..], &b"err\n"[..]));
    assert!(all.pid.is_some() && all.exit == Some(7), "{all:?}");
    let record = read_exit(supervised.path()).unwrap();
    assert_eq!(record.status, 7);
    assert!(record.time.elapsed().unwrap() < Duration::from_secs(60));
    assert!(record.time <= SystemTime::now());
    assert_eq!(supervised.logged(), ("out\n".into(), "err\n".into()));
    assert!(!supervised.path().join("attach").exists());
}

#[tokio::test]
async fn a_signal_is_128_and_its_number() {
    let supervised = Supervised::new(&LOGGED, "kill -KILL $$");
    let mut client = supervised.subscribe(0).await;
    client.go(0, 0).await.unwrap();
    assert_eq!(everything(&mut client).await.exit, Some(137));
    assert_eq!(read_exit(supervised.path()).unwrap().status, 137);
}

#[tokio::test]
async fn nothing_is_started_before_a_client_says_go() {
    let supervised = Supervised::new(&LOGGED, "echo started");
    let mut output = supervised.subscribe(STDOUT).await;
    let mut other = supervised.connect().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(supervised.file("log"), "");
    other.go(0, 0).await.unwrap();
    assert_eq!(everything(&mut output).await.output, b"started\n");
}

#[tokio::test]
async fn a_launcher_that_fails_gives_its_reason() {
    for (launcher, reason) in [
        ("printf '{\"code\":127}' >&4; exit 1", "{\"code\":127}"),
        ("printf reason >&4", "reason"),
        ("exit 3", ""),
        ("kill -KILL $$", ""),
        // Process 1 is not its child.
        ("printf '\\001\\000\\000\\000' >&3", ""),
    ] {
        let supervised = Supervised::with_launcher(&LOGGED, launcher, "");
        let mut client = supervised.subscribe(STDOUT).await;
        client.go(0, 0).await.unwrap();
        let all = everything(&mut client).await;
        assert_eq!(all.failure.as_deref(), Some(reason.as_bytes()), "{launcher}");
        assert_eq!(all.exit, None);
        assert_eq!(read_exit(supervised.path()), None);
        eventually(|| !supervised.path().join("attach").exists()).await;
    }
}

#[tokio::test]
async fn a_launcher_that_cannot_be_executed_is_a_failure_too() {
    let directory = tempfile::tempdir().unwrap();
    let text = tempfile::tempfile().unwrap();
    start(directory.path(), &LOGGED, &text, &["nothing"]).unwrap();
    let mut client = engine::supervisor::Connection::open(directory.path()).await.unwrap();
    client.subscribe(0).await.unwrap();
    client.go(0, 0).await.unwrap();
    let failure = everything(&mut client).await.failure.unwrap();
    let failure: serde_json::Value = serde_json::from_slice(&failure).unwrap();
    assert_eq!(
        (&failure["code"], &failure["message"]),
        (&128.into(), &"execute the launcher: error 13".into())
    );
}

#[test]
fn a_directory_that_is_missing_is_named() {
    let shell = std::fs::File::open("/bin/sh").unwrap();
    let missing = std::path::Path::new("/nonexistent/container");
    let error = start(missing, &LOGGED, &shell, &["sh"]).unwrap_err();
    assert!(matches!(error, SupervisorError::Execute { .. }), "{error}");
    assert!(error.to_string().contains("/nonexistent/container"));
}

#[tokio::test]
async fn who_connects_later_learns_that_it_has_started() {
    let supervised = Supervised::new(&LOGGED, "sleep 1000");
    let mut first = supervised.subscribe(0).await;
    first.go(0, 0).await.unwrap();
    let Some(Message::Started(pid)) = next(&mut first).await else { panic!() };
    // Asking again starts nothing.
    first.go(0, 0).await.unwrap();
    let mut second = supervised.subscribe(STDOUT).await;
    assert_eq!(next(&mut second).await, Some(Message::Started(pid)));
    kill(pid);
    assert_eq!(next(&mut second).await, Some(Message::Exited(137)));
    assert_eq!(next(&mut first).await, Some(Message::Exited(137)));
}

#[tokio::test]
async fn orphans_are_reaped() {
    let supervised = Supervised::new(
        &LOGGED,
        "sh -c 'sleep 0.1 & echo $!'; read forever </proc/self/fd/9 || sleep 1000",
    );
    let mut client = supervised.subscribe(STDOUT).await;
    client.go(0, 0).await.unwrap();
    let Some(Message::Started(pid)) = next(&mut client).await else { panic!() };
    let orphan = crate::common::read_until(&mut client, "\n").await;
    let orphan = std::path::PathBuf::from(format!("/proc/{}", orphan.trim()));
    eventually(|| !orphan.exists()).await;
    kill(pid);
    assert_eq!(everything(&mut client).await.exit, Some(137));
}

#[tokio::test]
async fn it_has_a_few_kilobytes() {
    let supervised = Supervised::new(&LOGGED, "seq 100000; sleep 1000");
    let mut client = supervised.subscribe(STDOUT).await;
    client.go(0, 0).await.unwrap();
    let Some(Message::Started(pid)) = next(&mut client).await else { panic!() };
    crate::common::read_until(&mut client, "100000\n").await;
    let supervisor = parent(pid);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let bytes = host::pss(supervisor).unwrap();
    println!("the supervisor has {} KiB", bytes >> 10);
    assert!(bytes <= 150 << 10, "{bytes}");
    kill(pid);
    everything(&mut client).await;
    eventually(|| !std::path::Path::new(&format!("/proc/{supervisor}")).exists()).await;
}

fn kill(pid: u32) {
    use nix::{sys::signal, unistd::Pid};
    signal::kill(Pid::from_raw(pid as i32), signal::Signal::SIGKILL).unwrap();
}

/// The directory in which the program that is run again starts a supervisor.
const DAEMON: &str = "ISOLAB_TEST_DAEMON";

#[tokio::test]
async fn it_outlives_the_process_that_has_started_it() {
    if let Some(directory) = std::env::var_os(DAEMON) {
        let directory = std::path::Path::new(&directory);
        start_in(directory, &LOGGED, LAUNCHER, "sleep 0.5; echo $PPID; exit 8");
        let mut client = engine::supervisor::Connection::open(directory).await.unwrap();
        client.subscribe(0).await.unwrap();
        client.go(0, 0).await.unwrap();
        assert!(matches!(next(&mut client).await, Some(Message::Started(_))));
        kill(std::process::id());
    }
    let directory = tempfile::tempdir().unwrap();
    let mut daemon = std::process::Command::new(std::env::current_exe().unwrap());
    daemon.args(["--exact", "process::it_outlives_the_process_that_has_started_it"]);
    let ended = daemon.env(DAEMON, directory.path()).output().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended.status), Some(9), "{ended:?}");
    eventually(|| read_exit(directory.path()).is_some()).await;
    assert_eq!(read_exit(directory.path()).unwrap().status, 8);
    let log = std::fs::read_to_string(directory.path().join("log")).unwrap();
    assert_eq!(log.lines().count(), 1);
}

#[tokio::test]
async fn one_that_waits_for_its_launch_may_lose_all_clients() {
    let supervised = Supervised::new(&LOGGED, "echo started");
    drop(supervised.subscribe(0).await);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut client = supervised.subscribe(STDOUT).await;
    client.go(0, 0).await.unwrap();
    assert_eq!(everything(&mut client).await.output, b"started\n");
}
