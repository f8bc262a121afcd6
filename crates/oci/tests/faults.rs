//! What goes wrong: for each fault an exit code, one line on standard error, one in the log, and nothing
//! left.

mod bundle;

use std::{
    fs,
    os::{fd::AsRawFd as _, unix::net::UnixListener},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use bundle::Bundle;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use serde_json::json;

#[test]
fn a_cgroup_in_use_is_refused_and_stays_whoever_is_deleted() {
    let (Some(mut first), Some(mut second)) = (Bundle::new("sleep 100"), Bundle::new("true"))
    else {
        return;
    };
    for bundle in [&mut first, &mut second] {
        bundle.config["linux"]["cgroupsPath"] = json!("/isolab-oci-shared");
        bundle.write();
    }
    first.run(&["--detach"]).ok();
    let said = second.create(&[]).failed(1);
    assert!(said.contains("isolab-oci-shared") && said.contains("not empty"), "{said}");
    second.call(&["delete", "--force", "@"]).ok();
    assert_eq!(first.state()["status"], "running");
    first.call(&["delete", "--force", "@"]).ok();
    assert_eq!(bundle::cgroups_named("isolab-oci-shared"), [""; 0].map(std::path::PathBuf::from));
}

#[test]
fn a_bundle_that_cannot_be_read_is_refused_with_the_place() {
    let Some(bundle) = Bundle::new("true") else { return };
    let config = bundle.path("config.json");
    let refused = |text: Option<&str>, said: &[&str]| {
        match text {
            Some(text) => fs::write(&config, text).unwrap(),
            None => fs::remove_file(&config).unwrap(),
        }
        for word in ["create", "run"] {
            let answer = match word {
                "create" => bundle.create(&[]),
                _ => bundle.run(&[]),
            };
            let message = answer.failed(1);
            for part in said {
                assert!(message.contains(part), "{word}: {message:?} lacks {part:?}");
            }
        }
        assert_eq!(bundle.left(), Vec::<String>::new());
    };
    refused(None, &["config.json", "No such file"]);
    refused(Some("{\n \"a\": ]"), &["config.json", "line 2 column 7"]);
    refused(Some("[]"), &["config.json", "line 1"]);
    refused(Some("{}"), &["ociVersion"]);
    let with = |property: &str, value: serde_json::Value| {
        let mut config = bundle.config.clone();
        *config.pointer_mut(property).unwrap() = value;
        config.to_string()
    };
    refused(Some(&with("/ociVersion", json!("2.0.0"))), &["ociVersion", "2.0.0"]);
    refused(Some(&with("/process/cwd", json!("tmp"))), &["process.cwd"]);
    refused(Some(&with("/process/args", json!([]))), &["process.args"]);
    refused(Some(&with("/process/args", json!("sh"))), &["line 1 column"]);
    refused(Some(&with("/root/path", json!("nope"))), &["root", "nope"]);
    refused(Some(&with("/root/path", json!("config.json"))), &["root.path", "not a directory"]);
    refused(Some(&with("/process", json!(null))), &["process"]);
    fs::write(&config, "{}").unwrap();
    let mut command = bundle.runtime();
    command.args(["create", "-b", "/nonexistent/bundle", &bundle.id]);
    assert!(bundle.answer(command).failed(1).contains("/nonexistent/bundle"));
}

#[test]
fn an_id_that_leads_elsewhere_is_refused() {
    let Some(bundle) = Bundle::new("true") else { return };
    let here = bundle.directory.path().to_str().unwrap();
    for id in ["..", ".", "a/b", "/etc", "../x", "a b", ""] {
        for words in [&["create", "-b", here, "--", id][..], &["state", id], &["delete", "-f", id]]
        {
            let said = bundle.call(words).failed(1);
            assert!(said.contains("invalid container id"), "{words:?}: {said}");
        }
    }
    assert_eq!(bundle.left(), Vec::<String>::new());
}

#[test]
fn of_two_creates_at_once_one_wins() {
    let Some(bundle) = Bundle::new("sleep 100") else { return };
    for _ in 0..5 {
        let calls: Vec<_> = (0..4)
            .map(|_| {
                let mut command = bundle.runtime();
                command.args(["create", "-b"]).arg(bundle.directory.path()).arg(&bundle.id);
                command.stdout(Stdio::null()).stderr(Stdio::null());
                command.spawn().unwrap()
            })
            .collect();
        let codes = calls.into_iter().map(|mut call| call.wait().unwrap().code());
        let mut codes: Vec<Option<i32>> = codes.collect();
        codes.sort_unstable();
        assert_eq!(codes, [Some(0), Some(1), Some(1), Some(1)]);
        assert_eq!(bundle.state()["status"], "created");
        bundle.call(&["start", "@"]).ok();
        bundle.call(&["delete", "--force", "@"]).ok();
        bundle.assert_nothing_left();
    }
}

#[test]
fn a_container_with_a_damaged_state_is_removed_by_force() {
    let Some(bundle) = Bundle::new("sleep 100") else { return };
    let state = bundle.path("state").join(&bundle.id).join("state.json");
    bundle.run(&["--detach"]).ok();
    let text = fs::read_to_string(&state).unwrap();
    // A property that another version has written differently: what it holds can still be read.
    fs::write(&state, text.replace("\"created\":\"", "\"created\":[],\"was\":\"")).unwrap();
    for words in [&["state", "@"][..], &["start", "@"], &["kill", "@"], &["delete", "@"]] {
        let said = bundle.call(words).failed(1);
        assert!(said.contains("state.json") && said.contains("delete --force"), "{said}");
    }
    let listed = bundle.call(&["list", "-q"]);
    assert_eq!((listed.code, &*listed.output), (0, ""));
    assert!(listed.errors.contains("state.json"), "{listed:?}");
    bundle.call(&["delete", "--force", "@"]).ok();
    bundle.assert_nothing_left();
    // Half a file, of a container that has ended.
    bundle.create(&[]).ok();
    bundle.call(&["kill", "@", "9"]).ok();
    bundle.wait_until_stopped();
    let held = fs::read_to_string(&state).unwrap();
    fs::write(&state, &held[..held.len() / 2]).unwrap();
    bundle.call(&["state", "@"]).failed(1);
    fs::write(&state, held).unwrap();
    bundle.call(&["delete", "@"]).ok();
    bundle.assert_nothing_left();
}

#[test]
fn a_console_socket_that_is_gone_or_not_read_removes_the_container() {
    let Some(mut bundle) = Bundle::new("sleep 100") else { return };
    let said = bundle.create(&["--console-socket", "/nonexistent"]).failed(1);
    assert!(said.contains("process.terminal"), "{said}");
    bundle.config["process"]["terminal"] = json!(true);
    bundle.write();
    let said = bundle.create(&[]).failed(1);
    assert!(said.contains("--console-socket"), "{said}");
    bundle.run(&["--detach"]).failed(1);
    let gone = bundle.path("gone.sock");
    let said = bundle.create(&["--console-socket", gone.to_str().unwrap()]).failed(1);
    assert!(said.contains("gone.sock"), "{said}");
    bundle.assert_nothing_left();
    // Somebody listens and takes no connection, with no room for another one.
    let path = bundle.path("full.sock");
    let listener = UnixListener::bind(&path).unwrap();
    nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(0).unwrap()).unwrap();
    let _waiting = std::os::unix::net::UnixStream::connect(&path).unwrap();
    let began = Instant::now();
    let said = bundle.create(&["--console-socket", path.to_str().unwrap()]).failed(1);
    assert!(said.contains("full.sock") && said.contains("timed out"), "{said}");
    assert!(began.elapsed() >= Duration::from_secs(9));
    bundle.assert_nothing_left();
}

#[test]
fn the_terminal_goes_through_the_console_socket() {
    let Some(mut bundle) = Bundle::new("test -t 0 && test -t 1 && echo a terminal; sleep 100")
    else {
        return;
    };
    bundle.config["process"]["terminal"] = json!(true);
    bundle.write();
    let path = bundle.path("console.sock");
    let listener = UnixListener::bind(&path).unwrap();
    bundle.create(&["--console-socket", path.to_str().unwrap()]).ok();
    let master = received(&listener);
    bundle.call(&["start", "@"]).ok();
    assert_eq!(line_of(master), "a terminal\r\n");
    // The same for a second program.
    let process = json!({
        "terminal": true, "args": ["sh", "-c", "test -t 0 && echo another"], "cwd": "/",
        "env": ["PATH=/bin"], "user": { "uid": 0, "gid": 0 },
    });
    let file = bundle.path("process.json");
    fs::write(&file, process.to_string()).unwrap();
    let (file, socket) = (file.to_str().unwrap(), path.to_str().unwrap());
    let words = ["exec", "--detach", "--process", file, "--console-socket", socket, "@"];
    bundle.call(&words).ok();
    assert_eq!(line_of(received(&listener)), "another\r\n");
    bundle.call(&["delete", "--force", "@"]).ok();
    bundle.assert_nothing_left();
}

#[test]
fn a_terminal_in_the_foreground_is_connected_to_the_callers() {
    let Some(mut bundle) = Bundle::new("test -t 0 && echo a terminal; exit 6") else { return };
    bundle.config["process"]["terminal"] = json!(true);
    bundle.write();
    let answer = bundle.run(&[]);
    assert_eq!((answer.code, &*answer.output), (6, "a terminal\r\n"), "{answer:?}");
    bundle.assert_nothing_left();
}

#[test]
fn a_program_that_cannot_be_executed_leaves_nothing() {
    let Some(mut bundle) = Bundle::new("true") else { return };
    bundle.config["process"]["args"] = json!(["/nope"]);
    bundle.write();
    bundle.run(&[]).failed(1);
    bundle.run(&["--detach"]).failed(1);
    bundle.assert_nothing_left();
    let pid_file = bundle.path("no/such/directory/pid");
    bundle.create(&["--pid-file", pid_file.to_str().unwrap()]).failed(1);
    bundle.assert_nothing_left();
}

/// The number of the descriptor that comes through a console socket. Programs that are started from here
/// inherit it.
fn received(listener: &UnixListener) -> i32 {
    let (stream, _) = listener.accept().unwrap();
    let mut byte = [0; 64];
    let mut parts = [std::io::IoSliceMut::new(&mut byte)];
    let mut room = nix::cmsg_space!(i32);
    let flags = MsgFlags::empty();
    let message = recvmsg::<()>(stream.as_raw_fd(), &mut parts, Some(&mut room), flags).unwrap();
    match message.cmsgs().unwrap().next() {
        Some(ControlMessageOwned::ScmRights(sent)) => sent[0],
        other => panic!("{other:?}"),
    }
}

/// The first line that comes from a terminal. By bash: other shells know only numbers of one digit.
fn line_of(number: i32) -> String {
    let script = format!("exec timeout 20 head -n 1 <&{number}");
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_program_that_is_not_there_fails_the_creation_as_engines_expect() {
    for (word, path, text) in [
        ("nope", "PATH=/bin", "executable file not found in"),
        ("nope", "PATH=/none:/bin/sh:/bin", "executable file not found in"),
        ("/bin/nope", "PATH=/bin", "executable file not found in"),
        ("/work/plain", "PATH=/bin", "permission denied"),
    ] {
        let Some(mut bundle) = Bundle::new("true") else { return };
        fs::write(bundle.path("rootfs/work/plain"), "text").unwrap();
        bundle.config["process"]["args"] = json!([word]);
        bundle.config["process"]["env"] = json!([path]);
        bundle.write();
        let message = bundle.create(&[]).failed(1);
        assert!(message.to_lowercase().contains(text) && message.contains(word), "{message}");
        assert_eq!(bundle.call(&["list", "--quiet"]).ok(), "");
    }
    // The last directory of PATH has it.
    let Some(mut bundle) = Bundle::new("true") else { return };
    bundle.config["process"]["args"] = json!(["true"]);
    bundle.config["process"]["env"] = json!(["PATH=/none:/bin/sh:/bin"]);
    bundle.write();
    bundle.run(&[]).ok();
}

#[test]
fn a_path_of_a_hundred_thousand_directories_is_looked_through() {
    let Some(mut bundle) = Bundle::new("true") else { return };
    bundle.config["process"]["args"] = json!(["nope"]);
    bundle.config["process"]["env"] = json!([format!("PATH={}/bin", "/n:".repeat(100_000))]);
    bundle.write();
    let message = bundle.create(&[]).failed(1);
    assert!(message.contains("executable file not found in"), "{message}");
    assert_eq!(bundle.call(&["list", "--quiet"]).ok(), "");
}
