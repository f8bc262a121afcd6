//! Input and output: who gets what, and who waits for whom.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    time::Duration,
};

use engine::supervisor::{Message, STDERR, STDIN, STDOUT, SupervisorOptions};

use crate::common::{
    INTERACTIVE, LOGGED, Supervised, eventually, everything, next, parent, read_until,
};

#[tokio::test]
async fn input_reaches_the_process_and_its_end_too() {
    let supervised = Supervised::new(&INTERACTIVE, "cat; echo end");
    let mut client = supervised.subscribe(STDIN | STDOUT).await;
    client.go(0, 0).await.unwrap();
    let (mut reader, mut writer) = client.split();
    let sent: Vec<u8> = (0..300_000u32).map(|number| (number % 251) as u8).collect();
    let (input, expected) = (sent.clone(), [&sent[..], b"end\n"].concat());
    let writing = tokio::spawn(async move {
        writer.input(&input).await.unwrap();
        writer.close_input().await.unwrap();
        writer
    });
    let mut output = Vec::new();
    while let Some(message) = reader.next().await.unwrap() {
        if let Message::Stdout(bytes) = message {
            output.extend(bytes);
        }
    }
    assert!(output == expected, "{} bytes", output.len());
    writing.await.unwrap();
}

#[tokio::test]
async fn input_ends_with_the_client_that_had_it() {
    let supervised = Supervised::new(&INTERACTIVE, "cat; echo end");
    let mut watcher = supervised.subscribe(STDOUT).await;
    let mut client = supervised.subscribe(STDIN).await;
    client.go(0, 0).await.unwrap();
    let (_, mut writer) = client.split();
    writer.input(b"last words\n").await.unwrap();
    drop(writer);
    assert_eq!(everything(&mut watcher).await.output, b"last words\nend\n");
}

#[tokio::test]
async fn input_that_is_not_for_once_outlives_its_clients() {
    let options = SupervisorOptions { stdin_once: false, ..INTERACTIVE };
    let script = "read one; echo $one; read two; echo $two";
    let supervised = Supervised::new(&options, script);
    let mut watcher = supervised.subscribe(STDOUT).await;
    watcher.go(0, 0).await.unwrap();
    for word in ["one\n", "two\n"] {
        let client = supervised.subscribe(STDIN).await;
        let (_, mut writer) = client.split();
        writer.input(word.as_bytes()).await.unwrap();
        writer.close_input().await.unwrap();
        drop(writer);
        assert_eq!(read_until(&mut watcher, "\n").await, word);
    }
    assert_eq!(everything(&mut watcher).await.output, b"");
}

#[tokio::test]
async fn input_waits_for_the_launch() {
    let supervised = Supervised::new(&INTERACTIVE, "cat");
    let mut client = supervised.subscribe(STDIN | STDOUT).await;
    let (mut reader, mut writer) = client_with_input(&mut client, &supervised, b"early\n").await;
    let mut output = Vec::new();
    while let Some(message) = reader.next().await.unwrap() {
        if let Message::Stdout(bytes) = message {
            output.extend(bytes);
        }
    }
    assert_eq!(output, b"early\n");
    // It has ended.
    assert!(writer.input(b"late").await.is_err());
}

async fn client_with_input(
    starter: &mut engine::supervisor::Connection,
    supervised: &Supervised,
    input: &[u8],
) -> (engine::supervisor::ConnectionReader, engine::supervisor::ConnectionWriter) {
    let client = supervised.subscribe(STDIN | STDOUT).await;
    let (reader, mut writer) = client.split();
    writer.input(input).await.unwrap();
    writer.close_input().await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    starter.go(0, 0).await.unwrap();
    (reader, writer)
}

#[tokio::test]
async fn without_input_the_process_reads_its_end_and_the_input_is_dropped() {
    let supervised = Supervised::new(&LOGGED, "cat; sleep 0.2; echo end");
    let mut client = supervised.subscribe(STDIN | STDOUT).await;
    client.go(0, 0).await.unwrap();
    let (mut reader, mut writer) = client.split();
    writer.input(&[b'x'; 100_000]).await.unwrap();
    let mut output = Vec::new();
    while let Some(message) = reader.next().await.unwrap() {
        if let Message::Stdout(bytes) = message {
            output.extend(bytes);
        }
    }
    assert_eq!(output, b"end\n");
}

#[tokio::test]
async fn a_process_that_does_not_read_stalls_its_client_and_nothing_else() {
    let supervised = Supervised::new(&INTERACTIVE, "echo on; sleep 1000");
    let mut watcher = supervised.subscribe(STDOUT).await;
    watcher.go(0, 0).await.unwrap();
    let Some(Message::Started(pid)) = next(&mut watcher).await else { panic!() };
    let client = supervised.subscribe(STDIN).await;
    let (_, mut writer) = client.split();
    let much = vec![0; 2 << 20];
    let sending = tokio::time::timeout(Duration::from_millis(300), writer.input(&much));
    assert!(sending.await.is_err(), "2 MiB are nowhere");
    read_until(&mut watcher, "on\n").await;
    assert!(!is_busy(parent(pid)).await);
    drop(writer); // it hangs up with input that waits
    assert!(!is_busy(parent(pid)).await);
    kill(pid);
    assert_eq!(everything(&mut watcher).await.exit, Some(137));
}

/// Whether a process has used the processor for half of the time.
async fn is_busy(pid: u32) -> bool {
    let ticks = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        let times = fields.split(' ').skip(11).take(2);
        times.map(|time| time.parse::<u64>().unwrap()).sum::<u64>()
    };
    let before = ticks();
    tokio::time::sleep(Duration::from_millis(500)).await;
    ticks() - before > 25
}

#[tokio::test]
async fn a_slow_client_loses_nothing_and_memory_stays_bounded() {
    const BYTES: usize = 100 << 20;
    let script = format!("head -c {BYTES} /dev/zero | tr '\\000' '\\n'; echo end");
    let options = SupervisorOptions { log: None, ..LOGGED };
    let supervised = Supervised::new(&options, &script);
    let mut slow = supervised.subscribe(STDOUT).await;
    let mut fast = supervised.subscribe(STDOUT).await;
    fast.go(0, 0).await.unwrap();
    let Some(Message::Started(pid)) = next(&mut fast).await else { panic!() };
    let reading = tokio::spawn(async move { everything(&mut fast).await.output.len() });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let memory = host::pss(parent(pid)).unwrap();
    assert!(memory < 400 << 10, "{memory}");
    assert!(!is_busy(parent(pid)).await, "it waits for the slow one");
    let all = everything(&mut slow).await;
    assert_eq!(all.output.len(), BYTES + 4);
    assert!(all.output.ends_with(b"\n\nend\n"));
    assert_eq!(reading.await.unwrap(), BYTES + 4);
}

#[tokio::test]
async fn a_client_that_never_reads_does_not_keep_it() {
    let options = SupervisorOptions { log: None, ..LOGGED };
    let supervised = Supervised::new(&options, "head -c 500000 /dev/zero; exit 3");
    let stuck = supervised.subscribe(STDOUT).await;
    let mut watcher = supervised.subscribe(0).await;
    watcher.go(0, 0).await.unwrap();
    let Some(Message::Started(pid)) = next(&mut watcher).await else { panic!() };
    let supervisor = parent(pid);
    tokio::time::sleep(Duration::from_millis(500)).await;
    // While it lives, it waits for the client. Killed, its last output is dropped after 10 s.
    kill(pid);
    assert_eq!(next(&mut watcher).await, Some(Message::Exited(137)));
    drop(watcher);
    eventually(|| !std::path::Path::new(&format!("/proc/{supervisor}")).exists()).await;
    drop(stuck);
}

#[tokio::test]
async fn a_command_in_the_background_does_not_keep_it() {
    let supervised = Supervised::new(&LOGGED, "sleep 1000 & echo $!; exit 5");
    let mut client = supervised.subscribe(STDOUT | STDERR).await;
    client.go(0, 0).await.unwrap();
    let all = everything(&mut client).await;
    assert_eq!(all.exit, Some(5));
    kill(String::from_utf8(all.output).unwrap().trim().parse().unwrap());
}

#[tokio::test]
async fn a_background_command_that_writes_forever_does_not_keep_it_either() {
    let supervised = Supervised::new(&LOGGED, "yes & echo $! >&2; exit 5");
    let mut client = supervised.subscribe(STDERR).await;
    client.go(0, 0).await.unwrap();
    let all = everything(&mut client).await;
    assert_eq!(all.exit, Some(5));
    let pid: u32 = String::from_utf8(all.error).unwrap().trim().parse().unwrap();
    // The pipe has no reader any more.
    eventually(|| !std::path::Path::new(&format!("/proc/{pid}")).exists()).await;
}

#[tokio::test]
async fn thirty_two_clients_are_served_and_the_next_one_is_refused() {
    let supervised = Supervised::new(&LOGGED, "echo to all");
    let mut clients = Vec::new();
    for _ in 0..32 {
        clients.push(supervised.subscribe(STDOUT).await);
    }
    let mut refused = supervised.connect().await;
    assert_eq!(next(&mut refused).await, None);
    // One leaves, and there is space again.
    clients.pop();
    let mut last = loop {
        let mut client = supervised.connect().await;
        let _ = client.subscribe(STDOUT).await; // refused as long as that one is not gone
        let quiet = tokio::time::timeout(Duration::from_millis(100), client.next());
        if quiet.await.is_err() {
            break client;
        }
    };
    last.go(0, 0).await.unwrap();
    for mut client in clients.into_iter().chain([last]) {
        assert_eq!(everything(&mut client).await.output, b"to all\n");
    }
}

#[tokio::test]
async fn garbage_closes_the_connection_of_who_sends_it() {
    let options = SupervisorOptions { stdin_once: false, ..INTERACTIVE };
    let supervised = Supervised::new(&options, "read word; echo $word");
    let mut good = supervised.subscribe(STDIN | STDOUT).await;
    let frame = |kind: u32, length: u32| [kind.to_le_bytes(), length.to_le_bytes()].concat();
    let subscribed = [frame(1, 4), 4u32.to_le_bytes().to_vec()].concat();
    for garbage in [
        frame(9, 0),
        frame(0, 4),
        frame(1, 5),
        frame(5, u32::MAX),
        frame(3, 0), // it has no input
        frame(2, 1),
        [subscribed, frame(2, (32 << 10) + 1)].concat(),
        vec![0xff; 5000],
    ] {
        let mut stream = UnixStream::connect(supervised.path().join("attach")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let _ = stream.write_all(&garbage); // it may close before the end
        let closed = stream.read(&mut [0; 10]);
        assert!(
            matches!(closed, Ok(0)) || closed.is_err_and(|error| is_reset(&error)),
            "{garbage:?}"
        );
    }
    good.go(0, 0).await.unwrap();
    let (mut reader, mut writer) = good.split();
    writer.input(b"fine\n").await.unwrap();
    assert!(matches!(reader.next().await.unwrap(), Some(Message::Made(_))));
    assert!(matches!(reader.next().await.unwrap(), Some(Message::Started(_))));
    assert_eq!(reader.next().await.unwrap(), Some(Message::Stdout(b"fine\n".into())));
}

fn is_reset(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::ConnectionReset
}

fn kill(pid: u32) {
    use nix::{sys::signal, unistd::Pid};
    signal::kill(Pid::from_raw(pid as i32), signal::Signal::SIGKILL).unwrap();
}
