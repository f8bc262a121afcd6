//! The log: what is in its files, and what becomes of it when there is no space.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path, pin::pin, process::Command};

use engine::supervisor::{
    Connection, LogLine, LogOptions, LogQuery, LogReader, LogStream, Message, STDOUT,
    SupervisorOptions,
};

use crate::common::{INTERACTIVE, LOGGED, Supervised, everything, next, read_until, start_in};

const SIZE: u64 = 20_000;

/// With three files.
const ROTATED: SupervisorOptions =
    SupervisorOptions { log: Some(LogOptions { max_size: SIZE, max_files: 3 }), ..LOGGED };

fn read_all(directory: &Path) -> Vec<LogLine> {
    let mut reader = LogReader::open(directory, &LogQuery::default()).unwrap();
    std::iter::from_fn(|| reader.read().unwrap()).collect()
}

fn text(lines: &[LogLine]) -> String {
    let bytes: Vec<u8> = lines.iter().flat_map(|line| line.bytes.clone()).collect();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn files_are_replaced_and_the_newest_lines_are_kept() {
    let supervised = Supervised::new(&ROTATED, "seq 1 5000");
    let mut client = supervised.subscribe(0).await;
    client.go(0, 0).await.unwrap();
    assert_eq!(everything(&mut client).await.exit, Some(0));
    let mut names: Vec<_> = fs::read_dir(supervised.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("log"))
        .collect();
    names.sort();
    assert_eq!(names, ["log", "log.1", "log.2"]);
    for name in ["log.1", "log.2"] {
        let length = fs::metadata(supervised.path().join(name)).unwrap().size();
        assert!((SIZE..SIZE + 200).contains(&length), "{name} has {length} bytes");
    }
    let numbers: Vec<u64> =
        text(&read_all(supervised.path())).lines().map(|line| line.parse().unwrap()).collect();
    assert!(numbers.len() > 400, "{}", numbers.len());
    assert_eq!(numbers, Vec::from_iter(5001 - numbers.len() as u64..=5000));
}

#[tokio::test]
async fn one_file_begins_again() {
    let options =
        SupervisorOptions { log: Some(LogOptions { max_size: SIZE, max_files: 1 }), ..LOGGED };
    let supervised = Supervised::new(&options, "seq 1 5000");
    let mut client = supervised.subscribe(0).await;
    client.go(0, 0).await.unwrap();
    everything(&mut client).await;
    assert!(!supervised.path().join("log.1").exists());
    assert!(text(&read_all(supervised.path())).ends_with("\n4999\n5000\n"));
    assert!(supervised.file("log").len() < SIZE as usize + 200);
}

#[tokio::test]
async fn a_follower_reads_every_line_while_files_are_replaced() {
    let script = "for i in $(seq 1 300); do echo $i; sleep 0.001; done";
    let supervised = Supervised::new(&ROTATED, script);
    let mut client = supervised.subscribe(0).await;
    let query = LogQuery { follow: true, ..LogQuery::default() };
    let mut reader = LogReader::open(supervised.path(), &query).unwrap();
    client.go(0, 0).await.unwrap();
    let mut ended = pin!(async {
        everything(&mut client).await;
    });
    let mut lines = Vec::new();
    while let Some(line) = reader.next(ended.as_mut()).await.unwrap() {
        lines.push(line);
    }
    let expected: String = (1..=300).map(|number| format!("{number}\n")).collect();
    assert_eq!(text(&lines), expected);
    assert!(lines.is_sorted_by_key(|line| line.time));
}

#[tokio::test]
async fn long_lines_are_divided_and_the_last_line_needs_no_newline() {
    let script =
        "head -c 40000 /dev/zero | tr '\\000' x; echo; printf '\\377 <&>\\t'; printf end >&2";
    let supervised = Supervised::new(&LOGGED, script);
    let mut client = supervised.subscribe(0).await;
    client.go(0, 0).await.unwrap();
    everything(&mut client).await;
    let lines = read_all(supervised.path());
    let lines: Vec<_> = lines.iter().map(|line| (line.stream, line.bytes.len())).collect();
    let out = |length| (LogStream::Stdout, length);
    // A byte that is not UTF-8 has become a character of three bytes.
    let expected = [out(16_384), out(16_384), out(7233), out(8), (LogStream::Stderr, 3)];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn a_line_is_logged_when_it_is_complete() {
    let supervised = Supervised::new(&INTERACTIVE, "printf half; read x; echo ' whole'; read x");
    let mut client = supervised.subscribe(7).await;
    client.go(0, 0).await.unwrap();
    read_until(&mut client, "half").await;
    assert_eq!(supervised.file("log"), "");
    let (mut reader, mut writer) = client.split();
    writer.input(b"\n").await.unwrap();
    assert_eq!(reader.next().await.unwrap(), Some(Message::Stdout(b" whole\n".into())));
    assert_eq!(text(&read_all(supervised.path())), "half whole\n");
}

#[tokio::test]
async fn the_next_run_appends_behind_the_last_whole_line() {
    let supervised = Supervised::new(&LOGGED, "echo one");
    for run in ["one\n", "one\none\n"] {
        if run.len() > 4 {
            let torn = [supervised.file("log"), "{\"log\":\"to".into()].concat();
            fs::write(supervised.path().join("log"), torn).unwrap();
            let _ = fs::remove_file(supervised.path().join("gate"));
            start_in(supervised.path(), &LOGGED, crate::common::LAUNCHER, "echo one");
        }
        let mut client = supervised.subscribe(0).await;
        client.go(0, 0).await.unwrap();
        everything(&mut client).await;
        assert_eq!(text(&read_all(supervised.path())), run);
        assert!(!supervised.file("log").contains("to\""));
    }
}

#[tokio::test]
async fn without_a_log_there_is_none() {
    let options = SupervisorOptions { log: None, ..LOGGED };
    let supervised = Supervised::new(&options, "echo output");
    let mut client = supervised.subscribe(STDOUT).await;
    client.go(0, 0).await.unwrap();
    assert_eq!(everything(&mut client).await.output, b"output\n");
    assert!(!supervised.path().join("log").exists());
    assert!(read_all(supervised.path()).is_empty());
}

/// The words that make this program, run again in a mount namespace, the test below.
const FULL_DISK: &str = "ISOLAB_TEST_FULL_DISK";

#[test]
fn a_full_disk_stops_no_process_and_tears_no_line() {
    let inside = |program: &str, script: &str| {
        let unshared = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", script, program])
            .env(FULL_DISK, "1")
            .output();
        unshared.map(|output| (output.status.success(), output))
    };
    let mounts = "mount -t tmpfs -o size=256k isolab-test \"$TMPDIR\"";
    let directory = tempfile::tempdir().unwrap();
    let mounts = format!("TMPDIR='{}'; export TMPDIR; {mounts}", directory.path().display());
    if !inside("", &mounts).is_ok_and(|(has_worked, _)| has_worked) {
        println!("skipped: mounting a tmpfs in a mount namespace is not permitted");
        return;
    }
    let program = std::env::current_exe().unwrap();
    let script = format!("{mounts} && \"$0\" --exact log::on_a_full_disk --nocapture");
    let (has_worked, output) = inside(program.to_str().unwrap(), &script).unwrap();
    assert!(has_worked, "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

/// The test above, where the directory for temporary files has 256 KiB.
#[tokio::test]
async fn on_a_full_disk() {
    if std::env::var_os(FULL_DISK).is_none() {
        return;
    }
    let script = "seq 1 20000; read x; echo with space; exit 6";
    let supervised = Supervised::new(&INTERACTIVE, script);
    let mut client = supervised.subscribe(7).await;
    client.go(0, 0).await.unwrap();
    read_until(&mut client, "\n20000\n").await;
    let whole = supervised.file("log");
    assert!(whole.ends_with("\"}\n"), "{:?}", &whole[whole.len() - 20..]);
    let written = whole.lines().count();
    assert!(written < 20_000);
    // The disk has space again: the oldest lines are gone.
    fs::write(supervised.path().join("log"), "").unwrap();
    let (mut reader, mut writer) = client.split();
    writer.input(b"\n").await.unwrap();
    while let Some(message) = reader.next().await.unwrap() {
        if let Message::Exited(status) = message {
            assert_eq!(status, 6);
        }
    }
    let lines = read_all(supervised.path());
    let missing = 20_000 - written;
    assert_eq!(
        text(&lines),
        format!(
            "isolab: {missing} lines could not be written to the log: no space left on device\n\
             with space\n"
        )
    );
    assert_eq!(lines[0].stream, LogStream::Stderr);
    // The end is recorded also on a full disk.
    fs::remove_dir_all(supervised.path()).unwrap();
    let supervised = Supervised::new(&LOGGED, "seq 1 20000; exit 9");
    let mut client: Connection = supervised.subscribe(0).await;
    client.go(0, 0).await.unwrap();
    assert!(matches!(next(&mut client).await, Some(Message::Started(_))));
    assert_eq!(everything(&mut client).await.exit, Some(9));
    assert_eq!(engine::supervisor::read_exit(supervised.path()).unwrap().status, 9);
}
