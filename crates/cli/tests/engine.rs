//! The daemon as its clients meet it: the unmodified docker command, and requests as bytes.

mod common;

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    process::Stdio,
    time::Duration,
};

use common::{
    engine::{Daemon, can_serve, has_docker},
    isolab, output_of, wait_for,
};
use serde_json::{Value, json};

/// A daemon for the docker command, if both can be had here.
fn with_docker() -> Option<Daemon> {
    (has_docker() && can_serve()).then(Daemon::start)
}

#[test]
fn a_command_runs_with_its_streams_and_its_exit_code() {
    let Some(daemon) = with_docker() else { return };
    let run = |words: &[&str]| {
        output_of(&mut daemon.docker(&[&["run", "--rm", "busybox"], words].concat()))
    };
    assert_eq!(run(&["echo", "hello"]), (0, "hello\n".into(), String::new()));
    let (code, output, errors) = run(&["sh", "-c", "echo out; echo err >&2; exit 7"]);
    assert_eq!((code, output.as_str(), errors.as_str()), (7, "out\n", "err\n"));
    assert_eq!(run(&["sh", "-c", "sleep 9 & kill -9 $!; wait $!"]).0, 137);
    let (code, _, errors) = run(&["no-such-program"]);
    assert!(code == 127 && errors.contains("executable file not found"), "{code} {errors}");
    let (code, _, errors) = run(&["/etc"]);
    assert!(code == 126 && errors.contains("permission denied"), "{code} {errors}");
    let mut command = daemon.docker(&["run", "--rm", "-i", "busybox", "sh", "-c", "tr a-z A-Z"]);
    let mut client = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    client.stdin.take().unwrap().write_all(b"half closed").unwrap();
    let ended = client.wait_with_output().unwrap();
    assert!(ended.status.success());
    assert_eq!(ended.stdout, b"HALF CLOSED");
    assert_eq!(daemon.output(&["ps", "-aq"]), "", "--rm has removed all of them");
}

#[test]
fn a_life_in_requests() {
    let Some(daemon) = with_docker() else { return };
    let script = "echo begun; trap 'echo asked; exit 3' TERM; while :; do sleep 0.05; done";
    let id = daemon.output(&["run", "-d", "--name", "life", "busybox", "sh", "-c", script]);
    assert_eq!(id.len(), 64);
    wait_for("its first line", || daemon.output(&["logs", "life"]) == "begun");
    let state = |format: &str| daemon.output(&["inspect", "-f", format, "life"]);
    assert_eq!(state("{{.State.Status}} {{.State.Running}}"), "running true");
    assert!(daemon.refused(&["rm", "life"]).1.contains("container is running"));
    assert!(daemon.refused(&["run", "--name", "life", "busybox"]).1.contains("already in use"));
    daemon.output(&["pause", "life"]);
    assert!(daemon.output(&["ps"]).contains("(Paused)"));
    assert!(daemon.refused(&["exec", "life", "true"]).1.contains("is paused"));
    daemon.output(&["unpause", "life"]);
    daemon.output(&["rename", "life", "renamed"]);
    daemon.output(&["rename", "renamed", "life"]);
    daemon.output(&["stop", "life"]);
    assert_eq!(state("{{.State.ExitCode}} {{.State.OOMKilled}}"), "3 false");
    assert_eq!(daemon.output(&["logs", "--tail", "1", "life"]), "asked");
    assert_eq!(daemon.output(&["wait", "life"]), "3");
    daemon.output(&["start", "life"]);
    daemon.output(&["kill", "life"]);
    assert_eq!(state("{{.State.ExitCode}}"), "137");
    daemon.output(&["restart", "life"]);
    assert_eq!(state("{{.State.Running}}"), "true");
    daemon.output(&["rm", "-f", "life"]);
    assert!(daemon.refused(&["inspect", "life"]).1.contains("No such object: life"));
    // The docker command cuts the instant to seconds.
    std::thread::sleep(Duration::from_millis(1100));
    let since = ["events", "--since", "1h", "--until", "0s", "--format", "{{.Action}}"];
    let events = daemon.output(&since);
    for action in ["create", "start", "pause", "unpause", "rename", "die", "stop", "destroy"] {
        assert!(events.lines().any(|line| line == action), "{action}: {events}");
    }
}

#[test]
fn a_second_command_joins() {
    let Some(daemon) = with_docker() else { return };
    daemon.output(&["run", "-d", "--name", "host", "-e", "A=1", "busybox", "sleep", "600"]);
    let exec = |words: &[&str]| output_of(&mut daemon.docker(&[&["exec"], words].concat()));
    assert_eq!(exec(&["host", "sh", "-c", "echo $A; exit 4"]), (4, "1\n".into(), String::new()));
    let words = ["-e", "A=2", "-w", "/tmp", "-u", "7", "host", "sh", "-c", "echo $A; pwd; id -u"];
    assert_eq!(exec(&words), (0, "2\n/tmp\n7\n".into(), String::new()));
    let (code, output, _) = exec(&["host", "no-such-program"]);
    assert!(code == 127 && output.contains("executable file not found"), "{code} {output}");
    assert_eq!(exec(&["-d", "host", "sh", "-c", "echo there > /made"]).0, 0);
    wait_for("the file", || exec(&["host", "cat", "/made"]).1 == "there\n");
    assert!(daemon.output(&["top", "host"]).contains("sleep 600"));
}

#[test]
fn a_terminal_has_a_size_and_one_stream() {
    let Some(daemon) = with_docker() else { return };
    let body = json!({ "Image": "busybox", "Tty": true, "Cmd": ["sh", "-c", "sleep 0.3; stty size; tty"],
        "HostConfig": { "ConsoleSize": [40, 100] } });
    let (status, made) = daemon.request("POST", "/containers/create", &body);
    assert_eq!(status, 201, "{made}");
    let id = made["Id"].as_str().unwrap().to_owned();
    assert_eq!(daemon.request("POST", &format!("/containers/{id}/start"), &Value::Null).0, 204);
    let resized =
        daemon.request("POST", &format!("/containers/{id}/resize?h=31&w=77"), &Value::Null);
    assert_eq!(resized.0, 200, "{resized:?}");
    daemon.request("POST", &format!("/containers/{id}/wait"), &Value::Null);
    assert_eq!(daemon.output(&["logs", &id]).replace('\r', ""), "31 77\n/dev/pts/0");
}

#[test]
fn files_are_copied_both_ways_and_no_link_leads_out() {
    let Some(daemon) = with_docker() else { return };
    let file = daemon.path("file");
    fs::write(&file, "content").unwrap();
    let file = file.to_str().unwrap();
    daemon.output(&["run", "-d", "--name", "files", "busybox", "sleep", "600"]);
    daemon.output(&["cp", file, "files:/tmp/inside"]);
    assert_eq!(daemon.output(&["exec", "files", "cat", "/tmp/inside"]), "content");
    let back = daemon.path("back");
    daemon.output(&["cp", "files:/tmp", back.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(back.join("inside")).unwrap(), "content");
    // Hostile: a link that, followed by the daemon, leads to the host.
    daemon.output(&["exec", "files", "ln", "-s", "/proc/1/root/etc", "/tmp/out"]);
    daemon.output(&["exec", "files", "ln", "-s", "../../../../../../../../tmp", "/tmp/up"]);
    let secret = format!(
        "files:/tmp/up{}",
        daemon.path("file").strip_prefix("/tmp").unwrap_or(&daemon.path("file")).display()
    );
    let (code, ..) = output_of(&mut daemon.docker(&["cp", &secret, back.to_str().unwrap()]));
    assert_ne!(code, 0, "it has been led out of the root");
    daemon.output(&["stop", "-t", "0", "files"]);
    // And while it does not run.
    daemon.output(&["cp", "files:/tmp/inside", daemon.path("again").to_str().unwrap()]);
    assert_eq!(fs::read_to_string(daemon.path("again")).unwrap(), "content");
    daemon.output(&["cp", file, "files:/tmp/stopped"]);
    daemon.output(&["start", "files"]);
    assert_eq!(daemon.output(&["exec", "files", "cat", "/tmp/stopped"]), "content");
}

#[test]
fn volumes_outlive_containers() {
    let Some(daemon) = with_docker() else { return };
    let write =
        ["run", "--rm", "-v", "data:/data", "busybox", "sh", "-c", "echo kept > /data/file"];
    daemon.output(&write);
    let read = ["run", "--rm", "-v", "data:/data:ro", "busybox", "cat", "/data/file"];
    assert_eq!(daemon.output(&read), "kept");
    let refused = ["run", "--rm", "-v", "data:/data:ro", "busybox", "touch", "/data/x"];
    assert!(daemon.refused(&refused).1.contains("Read-only"));
    assert_eq!(daemon.output(&["volume", "ls", "-q"]), "data");
    daemon.output(&["create", "--name", "user", "-v", "data:/data", "-v", "/own", "busybox"]);
    assert!(daemon.refused(&["volume", "rm", "data"]).1.contains("volume is in use"));
    assert_eq!(daemon.output(&["volume", "ls", "-q"]).lines().count(), 2);
    daemon.output(&["rm", "-v", "user"]);
    assert_eq!(daemon.output(&["volume", "ls", "-q"]), "data", "the anonymous one has gone");
    daemon.output(&["volume", "rm", "data"]);
    let missing = "type=bind,src=/no/such/path,dst=/x";
    let (_, errors) = daemon.refused(&["run", "--rm", "--mount", missing, "busybox", "true"]);
    assert!(errors.contains("bind source path does not exist"), "{errors}");
}

#[test]
fn containers_of_a_network_find_each_other_and_a_port_leads_in() {
    let Some(daemon) = with_docker() else { return };
    daemon.output(&["network", "create", "own"]);
    let serve = "while :; do echo served | nc -l -p 80; done";
    let server = ["run", "-d", "--name", "server", "--network", "own", "-p", "127.0.0.1:8080:80"];
    daemon.output(&[&server[..], &["busybox", "sh", "-c", serve]].concat());
    // Its first instruction asks for a name.
    let ask = ["run", "--rm", "--network", "own", "busybox", "nc", "server", "80"];
    wait_for("the server", || {
        output_of(&mut daemon.docker(&ask)) == (0, "served\n".into(), String::new())
    });
    assert_eq!(daemon.output(&["port", "server"]), "80/tcp -> 127.0.0.1:8080");
    let through = output_of(&mut daemon.in_its_network(&["busybox", "nc", "127.0.0.1", "8080"]));
    assert_eq!(through.1, "served\n", "{}", through.2);
    let (_, errors) =
        daemon.refused(&["run", "--rm", "-p", "127.0.0.1:8080:80", "busybox", "true"]);
    assert!(errors.contains("port is already allocated"), "{errors}");
    let (code, ..) =
        output_of(&mut daemon.docker(&["run", "--rm", "busybox", "nslookup", "server"]));
    assert_ne!(code, 0, "the default network has no names");
    assert!(daemon.refused(&["network", "rm", "own"]).1.contains("has active endpoints"));
    daemon.output(&["rm", "-f", "server"]);
    daemon.output(&["network", "rm", "own"]);
    assert_eq!(daemon.output(&["network", "ls", "-q"]).lines().count(), 3);
}

#[test]
fn an_image_is_built_committed_saved_and_loaded() {
    let Some(daemon) = with_docker() else { return };
    let context = daemon.path("context");
    fs::create_dir(&context).unwrap();
    fs::write(context.join("file"), "copied").unwrap();
    let dockerfile = "FROM busybox\nCOPY file /file\nRUN echo made > /made\nCMD [\"cat\", \"/file\", \"/made\"]\n";
    fs::write(context.join("Dockerfile"), dockerfile).unwrap();
    let built = daemon.output(&["build", "-t", "class/hello:1", context.to_str().unwrap()]);
    assert!(built.contains("Successfully tagged class/hello:1"), "{built}");
    assert_eq!(daemon.output(&["run", "--rm", "class/hello:1"]), "copiedmade");
    daemon.output(&["run", "--name", "changed", "class/hello:1", "sh", "-c", "echo more > /more"]);
    assert_eq!(daemon.output(&["diff", "changed"]), "A /more");
    daemon.output(&["commit", "changed", "class/hello:2"]);
    assert_eq!(daemon.output(&["run", "--rm", "class/hello:2", "cat", "/more"]), "more");
    let archive = daemon.path("archive.tar");
    daemon.output(&["save", "-o", archive.to_str().unwrap(), "class/hello:2"]);
    daemon.output(&["rm", "changed"]);
    daemon.output(&["rmi", "class/hello:2"]);
    daemon.output(&["load", "-i", archive.to_str().unwrap()]);
    daemon.output(&["tag", "class/hello:2", "class/hello:3"]);
    assert_eq!(daemon.output(&["run", "--rm", "class/hello:3", "cat", "/more"]), "more");
    let (_, errors) = daemon.refused(&["build", "-f", "none", context.to_str().unwrap()]);
    assert!(errors.contains("none"), "{errors}");
    fs::write(context.join("Dockerfile"), "FROM busybox\nRUN exit 7\n").unwrap();
    let (code, errors) = daemon.refused(&["build", context.to_str().unwrap()]);
    assert!(code != 0 && errors.contains("returned a non-zero code: 7"), "{code} {errors}");
}

#[test]
fn a_killed_daemon_loses_nothing() {
    let Some(mut daemon) = with_docker() else { return };
    let counts = "for i in $(seq 200); do echo $i; sleep 0.02; done; exit 5";
    daemon.output(&["run", "-d", "--name", "counts", "busybox", "sh", "-c", counts]);
    daemon.output(&["run", "-d", "--name", "stays", "busybox", "sleep", "600"]);
    daemon.output(&["run", "-d", "--name", "ends", "busybox", "sh", "-c", "sleep 0.3; exit 9"]);
    daemon.output(&["create", "--name", "made", "busybox", "true"]);
    for _ in 0..5 {
        daemon.kill_and_start();
    }
    let state = |name: &str| {
        daemon.output(&["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", name])
    };
    assert_eq!(daemon.output(&["wait", "ends"]), "9");
    assert_eq!(state("stays"), "running 0");
    assert_eq!(state("made"), "created 0");
    assert_eq!(daemon.output(&["exec", "stays", "echo", "there"]), "there");
    assert_eq!(daemon.output(&["wait", "counts"]), "5");
    let lines: Vec<String> = (1..=200).map(|number| number.to_string()).collect();
    assert_eq!(daemon.output(&["logs", "counts"]), lines.join("\n"));
    daemon.output(&["rm", "-f", "counts", "stays", "ends", "made"]);
    let (_, listed, _) = output_of(&mut isolab(&["ps", "--json"]));
    assert!(!listed.contains(&daemon.path("data").display().to_string()), "{listed}");
}

#[test]
fn a_policy_starts_it_again() {
    let Some(daemon) = with_docker() else { return };
    let run = ["run", "-d", "--name", "fails", "--restart", "on-failure:2", "busybox", "false"];
    daemon.output(&run);
    let state = "{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}";
    wait_for("its last try", || daemon.output(&["inspect", "-f", state, "fails"]) == "2 exited 1");
    let (_, errors) = daemon.refused(&["run", "--rm", "--restart", "always", "busybox", "true"]);
    assert!(errors.contains("restart"), "{errors}");
}

#[test]
fn hostile_requests_get_an_answer_and_the_daemon_stays() {
    if !can_serve() {
        return;
    }
    let daemon = Daemon::start();
    let get = |path: &str| daemon.request("GET", path, &Value::Null);
    let (status, body) = get("/v1.99/info");
    assert_eq!(status, 400);
    assert!(body["message"].as_str().unwrap().contains("client version 1.99 is too new"), "{body}");
    assert_eq!(get("/v1.41/version").1["ApiVersion"], "1.47");
    assert_eq!(get("/no/such/path").0, 404);
    assert_eq!(get("/swarm").0, 503);
    assert_eq!(get("/containers/nobody/json").1["message"], "No such container: nobody");
    assert_eq!(get("/containers/json?filters={").0, 400);
    assert_eq!(get("/containers/json?filters=%7B%22x%22%3A%5B%22y%22%5D%7D").0, 400);
    assert_eq!(get("/containers/..%2f..%2fetc/json").0, 404);
    let create = |body: &Value| daemon.request("POST", "/containers/create", body);
    let (status, body) = create(&json!({ "Image": "absent" }));
    assert_eq!((status, &body["message"]), (404, &json!("No such image: absent:latest")));
    for body in [
        json!(null),
        json!([]),
        json!({ "Image": 1 }),
        json!({ "Image": "busybox", "HostConfig": { "Memory": 1024 } }),
        json!({ "Image": "busybox", "HostConfig": { "CapAdd": ["NO_SUCH"] } }),
        json!({ "Image": "busybox", "HostConfig": { "Binds": ["/a:b"] } }),
        json!({ "Image": "busybox", "HostConfig": { "Binds": ["/tmp:/"] } }),
        json!({ "Image": "busybox", "HostConfig": { "Runtime": "no-such" } }),
        json!({ "Image": "busybox", "WorkingDir": "relative" }),
        json!({ "Image": "busybox", "User": "nobody-knows" }),
    ] {
        let (status, answer) = create(&body);
        assert!(status == 400, "{body}: {status} {answer}");
        assert!(answer["message"].is_string(), "{body}: {answer}");
    }
    assert_eq!(get("/containers/json?all=1").1, json!([]), "what was refused is not there");
    let name = "/containers/create?name=..%2f..%2fx";
    assert_eq!(daemon.request("POST", name, &json!({ "Image": "busybox" })).0, 400);
    // Bytes that are no request, heads without an end, a body that is too long for JSON.
    assert!([0, 400].contains(&daemon.raw(b"\0\x01garbage\r\n\r\n").0));
    let long = [b"GET /".as_slice(), &vec![b'a'; 100 << 10], b" HTTP/1.1\r\n\r\n"].concat();
    assert!([0, 400, 414, 431].contains(&daemon.raw(&long).0));
    let big = vec![b' '; 5 << 20];
    let head = format!(
        "POST /containers/create HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        big.len()
    );
    assert!([0, 400].contains(&daemon.raw(&[head.as_bytes(), &big].concat()).0));
    // Connections that say nothing.
    let idle: Vec<UnixStream> =
        (0..500).map(|_| UnixStream::connect(daemon.path("engine.sock")).unwrap()).collect();
    assert_eq!(get("/_ping").0, 200);
    drop(idle);
    let (_, unknown) = daemon.request(
        "POST",
        "/containers/create",
        &json!({ "Image": "busybox",
        "Cmd": ["true"], "NoSuchField": { "x": 1 } }),
    );
    let id = unknown["Id"].as_str().unwrap().to_owned();
    let post =
        |path: &str| daemon.request("POST", &format!("/containers/{id}/{path}"), &Value::Null);
    assert_eq!(post("stop").0, 304);
    assert_eq!(post("kill").0, 409);
    assert_eq!(post("kill?signal=NOSUCH").0, 400);
    assert_eq!(post("pause").0, 409);
    assert_eq!(post("unpause").0, 409);
    assert_eq!(post("resize?h=1&w=1").0, 409);
    assert_eq!(post("rename").0, 400);
    assert_eq!(post("exec").0, 400);
    assert_eq!(post("wait?condition=never").0, 400);
    assert_eq!(get("/_ping").0, 200);
}

#[test]
fn a_second_daemon_is_kept_out_and_a_record_that_was_cut_is_left_alone() {
    if !can_serve() {
        return;
    }
    let mut daemon = Daemon::start();
    let mut second = isolab(&["engine"]);
    second.arg("-H").arg(daemon.path("other.sock")).arg("--data").arg(daemon.path("data"));
    let (code, _, errors) = output_of(&mut second);
    assert!(code != 0 && errors.contains("another daemon uses"), "{errors}");
    let body = json!({ "Image": "busybox", "Cmd": ["true"] });
    let (_, made) = daemon.request("POST", "/containers/create?name=cut", &body);
    let (_, other) = daemon.request("POST", "/containers/create?name=whole", &body);
    let id = made["Id"].as_str().unwrap();
    let record = daemon.path("data/containers").join(id).join("record.json");
    let text = fs::read(&record).unwrap();
    fs::write(&record, &text[..text.len() / 2]).unwrap();
    daemon.kill_and_start();
    let listed = daemon.request("GET", "/containers/json?all=1", &Value::Null).1;
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed[0]["Id"], other["Id"]);
    assert_eq!(fs::read(&record).unwrap(), &text[..text.len() / 2], "it can still be looked at");
    let said = fs::read_to_string(daemon.path("errors")).unwrap();
    assert!(said.contains("is not a record of this version"), "{said}");
}

#[test]
fn a_new_volume_begins_with_what_the_image_has_at_its_place() {
    let Some(daemon) = with_docker() else { return };
    let context = daemon.path("context");
    fs::create_dir(&context).unwrap();
    let steps = "FROM busybox\nRUN mkdir /data && echo given > /data/file && \
                 ln -s /etc/passwd /data/link && chown -R 7:8 /data && chmod 750 /data\n";
    fs::write(context.join("Dockerfile"), steps).unwrap();
    daemon.output(&["build", "-q", "-t", "with-data", context.to_str().unwrap()]);
    let listed = |volume: &str, image: &str| {
        let script = "cd /data; stat -c %a-%u-%g .; stat -c %u-%g file; readlink link; cat file";
        output_of(&mut daemon.docker(&["run", "--rm", "-v", volume, image, "sh", "-c", script])).1
    };
    let whole = "750-7-8\n7-8\n/etc/passwd\ngiven\n";
    assert_eq!(listed("new:/data", "with-data"), whole);
    // It is a volume from then on, whatever the image is.
    assert_eq!(listed("new:/data", "busybox"), whole);
    assert_eq!(listed("other:/data:nocopy", "with-data"), "755-0-0\n");
    // What was refused has left no volume of its own.
    let mounts = ["create", "-v", "/anonymous", "-w", "relative", "busybox"];
    daemon.refused(&mounts);
    assert_eq!(daemon.output(&["volume", "ls", "-q"]), "new\nother");
}

#[test]
fn a_limit_can_be_set_that_there_was_not() {
    let Some(daemon) = with_docker() else { return };
    daemon.output(&["run", "-d", "--name", "free", "busybox", "sleep", "1000"]);
    let update = ["update", "-m", "32m", "--memory-swap", "64m", "--cpus", "0.5", "free"];
    let (code, _, errors) = output_of(&mut daemon.docker(&update));
    if code != 0 && errors.contains("made no directory") {
        eprintln!("skipped: this host gives a container not all cgroups: {errors}");
        return;
    }
    assert_eq!(code, 0, "{errors}");
    let stats = daemon.request("GET", "/containers/free/stats?stream=0&one-shot=1", &Value::Null).1;
    assert_eq!(stats["memory_stats"]["limit"], 32 << 20);
}

#[test]
fn a_client_that_has_gone_is_forgotten_and_one_that_only_listens_is_answered() {
    let Some(daemon) = with_docker() else { return };
    daemon.output(&["run", "-d", "--name", "long", "busybox", "sleep", "1000"]);
    let descriptors = || {
        let info = daemon.request("GET", "/info", &Value::Null).1;
        info["NFd"].as_u64().unwrap()
    };
    let wait = || {
        let mut client = UnixStream::connect(daemon.path("engine.sock")).unwrap();
        let request = "POST /containers/long/wait HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        client.write_all(request.as_bytes()).unwrap();
        client
    };
    let before = descriptors();
    let clients: Vec<UnixStream> = (0..40).map(|_| wait()).collect();
    wait_for("the clients", || descriptors() >= before + 40);
    drop(clients);
    wait_for("their end", || descriptors() < before + 20);
    let mut listening = wait();
    listening.shutdown(std::net::Shutdown::Write).unwrap();
    std::thread::sleep(Duration::from_millis(2500));
    daemon.output(&["kill", "long"]);
    let mut answer = String::new();
    listening.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("\"StatusCode\":137"), "{answer}");
}
