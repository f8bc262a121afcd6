//! A server that is killed at any moment has everything that it acknowledged.

mod common;

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use common::http::{raw, request};
use image::digest::Digest;

/// How often it is killed. `ISOLAB_KILLS` asks for more.
const KILLS: u32 = 12;

struct Server {
    child: Child,
    at: SocketAddr,
}

impl Server {
    fn start(data: &Path) -> Self {
        let mut child = Command::new(example())
            .arg(data)
            .stdout(Stdio::piped())
            .spawn()
            .expect("cargo builds examples with the tests");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, at: line.trim().parse().unwrap() }
    }

    fn kill(mut self) {
        self.child.kill().unwrap(); // SIGKILL
        self.child.wait().unwrap();
    }
}

/// The example `serve`, which lies beside the directory of this test. `cargo test` has built it,
/// unless it was asked for this test alone.
fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let example = test.parent().unwrap().parent().unwrap().join("examples/serve");
    if !example.exists() {
        let arguments = ["build", "--quiet", "--locked", "-p", "registry", "--example", "serve"];
        let built = Command::new(env!("CARGO")).args(arguments).status();
        assert!(built.is_ok_and(|status| status.success()), "build the example");
    }
    example
}

/// Pushes a blob in two pieces; says whether it was acknowledged.
fn push(server: SocketAddr, bytes: &[u8]) -> Option<Digest> {
    let digest = Digest::of(bytes);
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let send = |method: &str, path: &str, body: &[u8]| {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        // Refused connections are those of a dead server.
        std::net::TcpStream::connect(server).ok()?;
        raw_or_none(server, &[head.as_bytes(), body].concat())
    };
    let location = send("POST", "/v2/a/blobs/uploads/", b"")?.header("location").to_owned();
    send("PATCH", &location, first).filter(|answer| answer.status == 202)?;
    let end = send("PUT", &format!("{location}?digest={digest}"), second)?;
    (end.status == 201).then_some(digest)
}

fn raw_or_none(server: SocketAddr, bytes: &[u8]) -> Option<common::http::Answer> {
    std::panic::catch_unwind(|| raw(server, bytes)).ok().flatten()
}

#[test]
fn what_was_acknowledged_is_there_after_sigkill() {
    let data = tempfile::tempdir().unwrap();
    let kills = std::env::var("ISOLAB_KILLS").ok().and_then(|count| count.parse().ok());
    let acknowledged: Mutex<Vec<Digest>> = Mutex::default();
    for round in 0..kills.unwrap_or(KILLS) {
        let server = Server::start(data.path());
        let (at, stop) = (server.at, AtomicBool::new(false));
        thread::scope(|scope| {
            for pusher in 0..3u32 {
                let (acknowledged, stop) = (&acknowledged, &stop);
                scope.spawn(move || {
                    for number in 0u32.. {
                        if stop.load(Ordering::Relaxed) {
                            return;
                        }
                        let bytes =
                            [round, pusher, number].map(u32::to_le_bytes).concat().repeat(5000);
                        if let Some(digest) = push(at, &bytes) {
                            acknowledged.lock().unwrap().push(digest);
                        }
                    }
                });
            }
            thread::sleep(Duration::from_millis(20 + u64::from(round * 37 % 100)));
            server.kill();
            stop.store(true, Ordering::Relaxed);
        });
    }
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(!acknowledged.is_empty(), "no push was faster than the kill");
    let server = Server::start(data.path());
    for digest in &acknowledged {
        let got = request(server.at, "GET", &format!("/v2/a/blobs/{digest}"), &[], b"");
        assert_eq!(Digest::of(&got.body), *digest);
    }
    server.kill();
}
