//! Looking inside: what `isolab engine watch` and `isolab engine explain` show of real clients.

mod common;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use common::{
    engine::{Daemon, can_serve, has_docker},
    isolab, output_of,
};
use serde_json::{Value, json};

/// Somebody who watches, ended with this.
struct Watcher {
    process: Child,
    lines: Receiver<String>,
}

impl Watcher {
    /// One whose records have begun.
    fn start(daemon: &Daemon, words: &[&str]) -> Self {
        let socket = daemon.path("engine.sock").display().to_string();
        let all = [&["engine", "watch", "-H", socket.as_str()], words].concat();
        let mut command = isolab(&all);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut errors = BufReader::new(process.stderr.take().unwrap());
        let mut first = String::new();
        errors.read_line(&mut first).unwrap();
        assert!(first.contains("watching"), "{first}");
        let (sender, lines) = mpsc::channel();
        let output = BufReader::new(process.stdout.take().unwrap());
        thread::spawn(move || {
            let errors = errors.lines().map_while(Result::ok);
            output.lines().map_while(Result::ok).chain(errors).try_for_each(|it| sender.send(it))
        });
        Self { process, lines }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(Duration::from_secs(20)).expect("a record in time")
    }

    /// The records up to the first one that is `last`.
    fn until(&self, last: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let record: Value = serde_json::from_str(&self.line()).unwrap();
            let is_last = last(&record);
            all.push(record);
            if is_last {
                return all;
            }
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Makes a container, attaches to it, starts it, and reads its output: what `docker run` does, in
/// requests.
fn run_by_requests(daemon: &Daemon, body: &Value) -> String {
    let (status, made) = daemon.request("POST", "/v1.47/containers/create?name=seen", body);
    assert_eq!(status, 201, "{made}");
    let mut stream = UnixStream::connect(daemon.path("engine.sock")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let attach = "POST /v1.47/containers/seen/attach?stream=1&stdout=1&stderr=1 HTTP/1.1\r\n\
                  Host: engine\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
    stream.write_all(attach.as_bytes()).unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 101");
    assert_eq!(daemon.request("POST", "/v1.47/containers/seen/start", &Value::Null).0, 204);
    let mut output = Vec::new();
    stream.read_to_end(&mut output).unwrap();
    String::from_utf8_lossy(&output).into_owned()
}

fn is_exit(record: &Value) -> bool {
    record["kind"] == "exit"
}

#[test]
fn a_run_is_on_one_time_line_without_its_secrets() {
    if !can_serve() {
        return;
    }
    let daemon = Daemon::start();
    let watcher = Watcher::start(&daemon, &["--json"]);
    let body = json!({
        "Image": "busybox", "Cmd": ["sh", "-c", "echo hi; exit 7"], "Env": ["DB_PASSWORD=s3cret"],
        "HostConfig": { "Memory": 64 << 20, "AutoRemove": true },
    });
    assert!(run_by_requests(&daemon, &body).contains("hi\n"));
    let records = watcher.until(is_exit);
    let at = |what: &str, is_it: &dyn Fn(&Value) -> bool| {
        let found = records.iter().position(is_it);
        found.unwrap_or_else(|| panic!("no {what} in {records:#?}"))
    };
    let request = |end: &'static str| {
        move |it: &Value| it["kind"] == "request" && it["path"].as_str().unwrap().ends_with(end)
    };
    let order = [
        at("create", &request("/create")),
        at("its answer", &|it| it["status"] == 201),
        at("attach", &request("/attach")),
        at("upgrade", &|it| it["kind"] == "upgraded" && it["status"] == 101),
        at("start", &request("/start")),
        at("clone3", &|it| it["call"].as_str().is_some_and(|call| call.starts_with("clone3"))),
        at("pivot_root", &|it| it["call"].as_str().is_some_and(|call| call.contains("pivot_root"))),
        at("output", &|it| it["stream"] == "stdout" && it["text"] == "hi\n"),
        at("exit", &is_exit),
    ];
    assert!(order.is_sorted(), "{order:?} in {records:#?}");
    assert_eq!(records[order[8]]["code"], 7);
    assert_eq!(records[order[0]]["body"]["HostConfig"]["Memory"], 64 << 20);
    for question in ["boundary", "budget", "inside", "power", "way_out"] {
        at(question, &|it| it["kind"] == "step" && it["question"] == question);
    }
    let times: Vec<f64> = records.iter().map(|it| it["time"].as_f64().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    let id = records[order[1]]["container"].as_str().unwrap();
    assert!(
        records[order[5]..].iter().all(|it| it["container"] == id || it["container"].is_null())
    );
    let text = serde_json::to_string(&records).unwrap();
    assert!(!text.contains("s3cret") && text.contains("DB_PASSWORD=***"), "{text}");
}

#[test]
fn a_command_that_joins_is_seen_and_what_it_is_sent() {
    if !(has_docker() && can_serve()) {
        return;
    }
    let daemon = Daemon::start();
    daemon.output(&["run", "-d", "--name", "host", "busybox", "sleep", "60"]);
    let watcher = Watcher::start(&daemon, &["--json"]);
    let mut client = daemon.docker(&["exec", "-i", "host", "cat"]);
    let mut client = client.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    client.stdin.take().unwrap().write_all(b"some words").unwrap();
    assert_eq!(client.wait_with_output().unwrap().stdout, b"some words");
    let mut records = watcher.until(is_exit);
    let made = records.iter().find(|it| it["status"] == 201).expect("the answer to exec");
    assert_eq!(
        made["body"]["Id"].as_str().map(str::len),
        Some(64),
        "by the name that dockerd uses"
    );
    records.extend(watcher.until(|it| it["kind"] == "answer"));
    assert!(records.iter().any(|it| it["call"] == "setns into the container"), "{records:#?}");
    for stream in ["stdin", "stdout"] {
        let is_it = |it: &&Value| it["stream"] == stream && it["text"] == "some words";
        assert!(records.iter().any(|it| is_it(&it)), "{stream}: {records:#?}");
    }
    // What is typed at a terminal is counted, and not shown.
    let mut typed = Command::new("script");
    typed.args(["-qec", "docker exec -it host sh -c 'stty -echo; read secret; echo done'"]);
    typed
        .arg("/dev/null")
        .env("DOCKER_HOST", format!("unix://{}", daemon.path("engine.sock").display()));
    typed.stdin(Stdio::piped()).stdout(Stdio::null());
    let Ok(mut typed) = typed.spawn() else { return };
    let mut keys = typed.stdin.take().unwrap();
    thread::sleep(Duration::from_millis(500));
    keys.write_all(b"hunter2\n").unwrap();
    let typed_records = watcher.until(is_exit);
    drop(keys);
    let _ = typed.kill();
    let _ = typed.wait();
    let stdin = typed_records.iter().find(|it| it["stream"] == "stdin").expect("counted");
    assert_eq!(stdin["text"], Value::Null);
    assert!(!serde_json::to_string(&typed_records).unwrap().contains("hunter2"));
}

#[test]
fn the_time_line_is_for_people_and_ends_with_the_daemon() {
    if !can_serve() {
        return;
    }
    let mut daemon = Daemon::start();
    for (language, words) in [
        ("en", ["make the container seen", "at most 64 MiB of memory (-m)", "→ kernel"]),
        ("zh", ["创建容器 seen", "内存最多 64 MiB（-m）", "→ 内核"]),
    ] {
        // What it says on standard error is asserted in English.
        let watcher = match language {
            "en" => Watcher::start(&daemon, &[]),
            _ => Watcher::start_in_chinese(&daemon),
        };
        let body = json!({
            "Image": "busybox", "Cmd": ["true"],
            "HostConfig": { "Memory": 64 << 20, "AutoRemove": true },
        });
        run_by_requests(&daemon, &body);
        let mut page = String::new();
        while !(page.contains("exit code 0") || page.contains("退出码 0")) {
            page += &watcher.line();
            page.push('\n');
        }
        for word in words {
            assert!(page.contains(word), "{word}: {page}");
        }
        for line in page.lines() {
            assert!(report::columns::columns(line) <= 80, "{line}");
        }
        if language == "en" {
            daemon.kill_and_start();
            let mut last = watcher.line();
            while !last.contains("the daemon has ended") {
                last = watcher.line();
            }
        }
    }
}

impl Watcher {
    fn start_in_chinese(daemon: &Daemon) -> Self {
        let socket = daemon.path("engine.sock").display().to_string();
        let mut command = isolab(&["engine", "watch", "--lang", "zh", "-H", &socket]);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(process.stderr.take().unwrap()).read_line(&mut first).unwrap();
        let (sender, lines) = mpsc::channel();
        let output = BufReader::new(process.stdout.take().unwrap());
        thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { process, lines }
    }
}

#[test]
fn a_watcher_that_reads_nothing_slows_nobody_and_is_told_what_it_has_lost() {
    const REQUESTS: usize = 20_000;
    if !can_serve() {
        return;
    }
    let daemon = Daemon::start();
    let mut slow = UnixStream::connect(daemon.path("engine.sock")).unwrap();
    slow.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    slow.write_all(b"GET /isolab/watch HTTP/1.1\r\nHost: engine\r\n\r\n").unwrap();
    let mut first = [0; 12];
    slow.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    let mut client = UnixStream::connect(daemon.path("engine.sock")).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut answers = client.try_clone().unwrap();
    let reader = thread::spawn(move || {
        let mut all = Vec::new();
        answers.read_to_end(&mut all).map(|_| all)
    });
    let request = "HEAD /_ping HTTP/1.1\r\nHost: engine\r\n";
    for _ in 1..REQUESTS {
        client.write_all(format!("{request}\r\n").as_bytes()).unwrap();
    }
    client.write_all(format!("{request}Connection: close\r\n\r\n").as_bytes()).unwrap();
    let answers = reader.join().unwrap().expect("all answers in time");
    let answers = String::from_utf8_lossy(&answers).matches("HTTP/1.1 200").count();
    assert_eq!(answers, REQUESTS);
    // Each record is either there or among those that were lost.
    let (mut received, mut lost) = (0, 0);
    let mut lines = BufReader::new(slow).lines();
    while received + lost < 2 * REQUESTS as u64 {
        let line = lines.next().expect("the records end").unwrap();
        let Ok(record) = serde_json::from_str::<Value>(&line) else { continue };
        match record["kind"].as_str() {
            Some("lost") => lost += record["records"].as_u64().unwrap(),
            Some(_) => received += 1,
            None => {} // the length of a chunk
        }
    }
    assert_eq!(received + lost, 2 * REQUESTS as u64);
    assert!(lost > REQUESTS as u64, "{lost}");
}

#[test]
fn without_a_daemon_there_is_a_way_out() {
    let words = ["engine", "watch", "-H", "/nowhere/engine.sock"];
    let (code, _, errors) = output_of(&mut isolab(&words));
    assert_eq!(code, 125);
    assert!(errors.contains("connect to \"/nowhere/engine.sock\""), "{errors}");
    assert!(errors.contains("isolab engine"), "{errors}");
}

#[test]
fn a_command_is_explained_and_not_run() {
    if !has_docker() {
        return;
    }
    let words = [
        "engine",
        "explain",
        "--json",
        "docker",
        "run",
        "-it",
        "--rm",
        "-m",
        "64m",
        "-p",
        "8080:80",
        "-e",
        "TOKEN=s3cret",
        "busybox",
        "echo",
        "hi",
    ];
    let (code, output, errors) = output_of(&mut isolab(&words));
    assert_eq!((code, errors.as_str()), (0, ""), "{output}");
    let requests: Vec<Value> = serde_json::from_str(&output).unwrap();
    let ends = ["/_ping", "/create", "/attach", "/wait", "/start"];
    for (request, end) in requests.iter().zip(ends) {
        assert!(request["path"].as_str().unwrap().ends_with(end), "{end}: {request}");
    }
    let create = &requests[1];
    assert_eq!(create["body"]["HostConfig"]["Memory"], 64 << 20);
    let parts = create["parts"].as_array().unwrap();
    assert!(parts.len() < 20, "only what was set: {parts:#?}");
    let memory = parts.iter().find(|it| it["field"] == "HostConfig.Memory").unwrap();
    assert_eq!(
        (&memory["question"], &memory["words"]),
        (&json!(2), &json!("at most 64 MiB of memory (-m)"))
    );
    assert!(!output.contains("s3cret"), "{output}");
}

#[test]
fn what_cannot_be_explained_is_refused() {
    let (code, _, errors) = output_of(&mut isolab(&["engine", "explain", "no-such-client", "ps"]));
    assert!(code == 125 && errors.contains("install a client"), "{errors}");
    let words = ["engine", "explain", "docker", "-H", "tcp://127.0.0.1:1", "ps"];
    let (code, _, errors) = output_of(&mut isolab(&words));
    assert!(code == 2 && errors.contains("another daemon"), "{errors}");
    let (code, _, errors) = output_of(&mut isolab(&["engine", "explain", "true"]));
    assert!(code == 125 && errors.contains("asked for nothing"), "{errors}");
}

#[test]
fn a_client_that_hangs_is_ended() {
    // It speaks, and waits for more than there is.
    let script = "import os, socket; s = socket.socket(socket.AF_UNIX); \
                  s.connect(os.environ['DOCKER_HOST'][7:]); \
                  s.sendall(b'GET /_ping HTTP/1.1\\r\\n\\r\\n'); \
                  [s.recv(999) for x in range(9)]";
    let found = Command::new("python3").arg("--version").output();
    if !found.is_ok_and(|it| it.status.success()) {
        common::skip::<()>("python3", "this host has none");
        return;
    }
    let words = ["engine", "explain", "--timeout", "1s", "python3", "-c", script];
    let (code, output, errors) = output_of(&mut isolab(&words));
    assert_eq!(code, 0, "{errors}");
    assert!(
        output.contains("GET /_ping") && errors.contains("was ended after 1s"),
        "{output}{errors}"
    );
}
