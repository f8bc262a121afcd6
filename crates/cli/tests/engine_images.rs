//! Images by the docker command: what it builds, moves and removes through `isolab engine`.

mod common;

use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
    time::Duration,
};

use common::{
    engine::{Daemon, can_serve, has_docker},
    output_of, wait_for,
};
use serde_json::Value;

fn with_docker() -> Option<Daemon> {
    (can_serve() && has_docker()).then(Daemon::start)
}

/// A context of these files, in the daemon's folder.
fn context(daemon: &Daemon, files: &[(&str, &str)]) -> String {
    let folder = daemon.path("context");
    let _ = fs::remove_dir_all(&folder);
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder.display().to_string()
}

/// Output and errors of a command whose standard input is `input`.
fn with_input(mut command: Command, input: &[u8]) -> (bool, String) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    // It need not have read all.
    let _ = writer.join();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn an_image_is_built_and_run() {
    let Some(daemon) = with_docker() else { return };
    let dockerfile = "FROM busybox AS base\nARG V\nENV A=$V\nWORKDIR /work\nCOPY . .\n\
                      RUN echo \"made $A\" > made; rm Dockerfile; echo printed\n\
                      FROM base\nCMD [\"cat\", \"made\", \"sub/file\"]\n";
    let files = [
        ("Dockerfile", dockerfile),
        ("sub/file", "copied\n"),
        (".dockerignore", "secret"),
        ("secret", "x"),
    ];
    let context = context(&daemon, &files);
    let built = daemon.output(&["build", "-t", "made:1", "--build-arg", "V=7", &context]);
    for part in ["Step 6/8 : RUN", "printed\n", "Successfully tagged made:1"] {
        assert!(built.contains(part), "{part}: {built}");
    }
    assert_eq!(daemon.output(&["run", "--rm", "made:1"]), "made 7\ncopied");
    assert_eq!(daemon.output(&["run", "--rm", "made:1", "ls"]), "made\nsub");
    let again = daemon.output(&["build", "-t", "made:1", "--build-arg", "V=7", &context]);
    assert_eq!(again.matches(" ---> Using cache").count(), 6, "{again}");
    let listed = daemon.output(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    assert_eq!(listed, "made:1\nbusybox:latest");
    let history = daemon.output(&["history", "--format", "{{.CreatedBy}}", "made:1"]);
    assert!(history.starts_with("CMD [\"cat\""), "{history}");

    let failing = b"FROM busybox\nRUN exit 9\n";
    let (ok, text) = with_input(daemon.docker(&["build", "-"]), failing);
    assert!(
        !ok && text.contains("The command '/bin/sh -c exit 9' returned a non-zero code: 9"),
        "{text}"
    );
    // Nothing of a command is left.
    assert_eq!(fs::read_dir(daemon.path("images/build")).unwrap().count(), 1);
}

#[test]
fn a_build_ends_with_its_client() {
    let Some(daemon) = with_docker() else { return };
    let context = context(&daemon, &[("Dockerfile", "FROM busybox\nRUN sleep 4321\n")]);
    let is_running = || {
        let all = fs::read_dir("/proc").unwrap().flatten();
        let lines = all.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        lines.into_iter().any(|line| line.starts_with(b"sleep\x004321"))
    };
    let mut client = daemon.docker(&["build", "-q", &context]);
    let mut client = client.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the command", is_running);
    client.kill().unwrap();
    client.wait().unwrap();
    let mut left = 300;
    while is_running() && left > 0 {
        std::thread::sleep(Duration::from_millis(100));
        left -= 1;
    }
    assert!(!is_running());
}

#[test]
fn a_container_becomes_an_image_and_an_archive() {
    let Some(daemon) = with_docker() else { return };
    let script = "echo new > /new; mkdir /d; echo x > /d/x; rm /etc/group; sleep 60";
    daemon.output(&["run", "-d", "--name", "box", "busybox", "sh", "-c", script]);
    wait_for("the changes", || daemon.output(&["diff", "box"]).contains("group"));
    assert_eq!(daemon.output(&["diff", "box"]), "A /d\nA /d/x\nC /etc\nD /etc/group\nA /new");
    let change = "CMD [\"cat\", \"/new\", \"/d/x\"]";
    daemon.output(&["commit", "-m", "a remark", "-c", change, "box", "committed:1"]);
    assert_eq!(daemon.output(&["run", "--rm", "committed:1"]), "new\nx");
    let comment = daemon.output(&["inspect", "-f", "{{.Comment}}", "committed:1"]);
    assert_eq!(comment, "a remark");
    // It runs on.
    assert_eq!(daemon.output(&["inspect", "-f", "{{.State.Status}}", "box"]), "running");

    let exported = daemon.docker(&["export", "box"]).output().unwrap();
    assert!(exported.status.success());
    let archive = exported.stdout;
    let (ok, id) = with_input(daemon.docker(&["import", "-c", change, "-", "imported"]), &archive);
    assert!(ok && id.starts_with("sha256:"), "{id}");
    assert_eq!(daemon.output(&["run", "--rm", "imported"]), "new\nx");

    let saved = daemon.docker(&["save", "committed:1", "imported"]).output().unwrap().stdout;
    let (code, errors) = daemon.refused(&["rmi", "busybox"]);
    assert!(code == 1 && errors.contains("(must force) - container"), "{errors}");
    daemon.output(&["rmi", "committed:1", "imported"]);
    let (ok, text) = with_input(daemon.docker(&["load"]), &saved);
    assert!(ok, "{text}");
    assert_eq!(text, "Loaded image: committed:1\nLoaded image: imported:latest\n");
    assert_eq!(daemon.output(&["run", "--rm", "committed:1"]), "new\nx");
    daemon.output(&["rm", "-f", "box"]);
    let pruned = daemon.output(&["image", "prune", "-a", "-f"]);
    assert!(pruned.contains("untagged: busybox:latest"), "{pruned}");
    assert_eq!(daemon.output(&["images", "-q"]), "");
    assert!(daemon.output(&["system", "df"]).contains("Images          0"));
}

#[test]
fn an_image_goes_to_a_registry_and_comes_back() {
    let Some(daemon) = with_docker() else { return };
    let registry = daemon.registry();
    let name = format!("{}/class/box", registry.address);
    daemon.output(&["tag", "busybox", &format!("{name}:1")]);
    daemon.output(&["tag", "busybox", &format!("{name}:2")]);
    let pushed = daemon.output(&["push", &format!("{name}:1")]);
    assert!(pushed.contains(": Pushed\n1: digest: sha256:"), "{pushed}");
    let pushed = daemon.output(&["push", "-a", &name]);
    assert_eq!(pushed.matches("Layer already exists").count(), 2, "{pushed}");
    daemon.output(&["rmi", &format!("{name}:1"), &format!("{name}:2"), "busybox"]);
    // docker run fetches what is missing.
    let (code, output, errors) =
        output_of(&mut daemon.docker(&["run", "--rm", &format!("{name}:1"), "echo", "here"]));
    assert_eq!((code, &*output), (0, "here\n"), "{errors}");
    assert!(errors.contains("Status: Downloaded newer image for"), "{errors}");
    let pulled = daemon.output(&["pull", &format!("{name}:1")]);
    assert!(pulled.contains("Status: Image is up to date for"), "{pulled}");
    daemon.output(&["pull", "-a", &name]);
    assert_eq!(daemon.output(&["images", "-q", &name]).lines().count(), 2);
    let (_, errors) = daemon.refused(&["pull", &format!("{name}:none")]);
    assert!(errors.contains("not found: manifest unknown"), "{errors}");
    let login = ["login", "-u", "ada", "-p", "x", &registry.address];
    assert!(daemon.output(&login).contains("Login Succeeded"));
}

#[test]
fn hostile_requests_about_images_are_refused() {
    if !can_serve() {
        return;
    }
    let daemon = Daemon::start();
    let null = Value::Null;
    for (method, path, status) in [
        ("GET", "/images/none/json", 404),
        ("GET", "/images/a%2F..%2Fb/json", 400),
        ("GET", "/images/BAD/history", 400),
        ("GET", "/images/json?filters=%5B%5D", 400),
        ("GET", "/images/json?filters=%7B%22x%22%3A%5B%221%22%5D%7D", 400),
        ("GET", "/images/get", 400),
        ("GET", "/images/get?names=none", 404),
        ("GET", "/images/search?term=b&limit=1000", 400),
        ("POST", "/images/create", 400),
        ("POST", "/images/create?fromImage=BAD", 400),
        ("POST", "/images/create?fromSrc=http%3A%2F%2Fx", 400),
        ("POST", "/images/create?fromSrc=-&repo=BAD", 400),
        ("POST", "/images/busybox/tag?repo=BAD", 400),
        ("POST", "/images/busybox/tag?repo=a&tag=a%2Fb", 400),
        ("POST", "/images/none/push", 200),
        ("POST", "/images/load", 400),
        ("POST", "/build", 400),
        ("POST", "/build?buildargs=%5B%5D", 400),
        ("POST", "/build?remote=http%3A%2F%2Fx", 501),
        ("POST", "/build?memory=x", 400),
        ("POST", "/commit?container=none", 404),
        ("POST", "/auth", 400),
        ("DELETE", "/images/none", 404),
        ("DELETE", "/images/", 400),
        ("GET", "/system/df?type=x", 400),
        ("GET", "/containers/none/changes", 404),
        ("GET", "/containers/none/export", 404),
        ("GET", "/images/busybox:latest/json", 200),
    ] {
        let (found, body) = daemon.request(method, path, &null);
        assert_eq!(found, status, "{method} {path}: {body}");
    }
    // Bodies that are no archives, or end too early.
    for path in ["/build", "/images/load", "/images/create?fromSrc=-"] {
        let garbage = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 9\r\n\r\ngarbage..",
        );
        let (status, body) = daemon.raw(garbage.as_bytes());
        assert_eq!(status, 400, "{path}: {body}");
    }
    assert_eq!(daemon.request("GET", "/_ping", &null).0, 200);
}
