//! A terminal. A shell cannot send a descriptor, so the launcher is this test program itself.

use std::{
    env,
    fs::File,
    io::IoSlice,
    os::{
        fd::{AsFd as _, AsRawFd as _},
        unix::process::CommandExt as _,
    },
    process::{Command, Stdio},
};

use engine::supervisor::{Connection, Message, STDIN, STDOUT, SupervisorOptions, start};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::common::{INTERACTIVE, everything, next, read_until};

/// The script that the launcher is to start.
const SCRIPT: &str = "ISOLAB_TEST_SCRIPT_";

const TERMINAL: SupervisorOptions = SupervisorOptions { tty: true, ..INTERACTIVE };

/// Not a test but the launcher, if the words say so: `--exact terminal::launcher SCRIPT...`.
#[test]
fn launcher() {
    let Some(script) = env::args().find_map(|word| Some(word.strip_prefix(SCRIPT)?.to_owned()))
    else {
        return;
    };
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let name = name.to_str().unwrap();
    let terminal = || Stdio::from(File::options().read(true).write(true).open(name).unwrap());
    let mut command = Command::new("setsid");
    command.args(["--ctty", "sh", "-c", &script]).arg0("setsid");
    let child = command.stdin(terminal()).stdout(terminal()).stderr(terminal()).spawn().unwrap();
    let descriptors = [master.as_fd().as_raw_fd()];
    let control = [ControlMessage::ScmRights(&descriptors)];
    let pid = child.id().to_ne_bytes();
    sendmsg::<()>(3, &[IoSlice::new(&pid)], &control, MsgFlags::empty(), None).unwrap();
    std::process::exit(0);
}

/// A client of a process with a terminal.
async fn client(directory: &std::path::Path, script: &str) -> Connection {
    let program = File::open(env::current_exe().unwrap()).unwrap();
    let script = format!("{SCRIPT}{script}");
    let words = ["launcher", "--exact", "terminal::launcher", "--nocapture", &script];
    start(directory, &TERMINAL, &program, &words).unwrap();
    let mut client = Connection::open(directory).await.unwrap();
    client.subscribe(STDIN | STDOUT).await.unwrap();
    client
}

#[tokio::test]
async fn a_terminal_has_the_size_that_its_client_gives_it() {
    let directory = tempfile::tempdir().unwrap();
    let script = "stty size; trap 'stty size; exit 4' WINCH; while :; do sleep 0.01; done";
    let mut client = client(directory.path(), script).await;
    client.go(30, 111).await.unwrap();
    assert!(matches!(next(&mut client).await, Some(Message::Started(_))));
    read_until(&mut client, "30 111\r\n").await;
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    client.resize(5, 6).await.unwrap();
    let all = everything(&mut client).await;
    assert_eq!((&*all.output, all.exit), (&b"5 6\r\n"[..], Some(4)));
}

#[tokio::test]
async fn a_terminal_takes_keys_and_keeps_its_last_words() {
    let directory = tempfile::tempdir().unwrap();
    let script = "stty -echo; echo ready; while read word; do echo got $word; done; seq 10000";
    let mut client = client(directory.path(), script).await;
    client.go(0, 0).await.unwrap();
    read_until(&mut client, "ready\r\n").await;
    let (mut reader, mut writer) = client.split();
    // At a terminal the end of a client's input is nothing; Control-D is.
    writer.close_input().await.unwrap();
    writer.input(b"a\n\x04").await.unwrap();
    let mut output = Vec::new();
    while let Some(message) = reader.next().await.unwrap() {
        if let Message::Stdout(bytes) = message {
            output.extend(bytes);
        }
    }
    let output = String::from_utf8(output).unwrap();
    assert!(output.starts_with("got a\r\n1\r\n"), "{output:.40}");
    assert!(output.ends_with("\r\n9999\r\n10000\r\n"));
    let log = std::fs::read_to_string(directory.path().join("log")).unwrap();
    assert!(
        log.lines().last().unwrap().starts_with("{\"log\":\"10000\\r\\n\",\"stream\":\"stdout\"")
    );
}

#[tokio::test]
async fn a_terminal_that_no_process_has_open_may_be_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let script = "terminal=$(tty); exec <&- >&- 2>&-; sleep 0.3; echo again >$terminal";
    let mut client = client(directory.path(), script).await;
    client.go(0, 0).await.unwrap();
    let all = everything(&mut client).await;
    assert_eq!((&*all.output, all.exit), (&b"again\r\n"[..], Some(0)));
}
