//! A container of an ordinary user: a user namespace in place of root's power.

mod common;

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::Command,
};

use common::{in_english, output_of};
use nix::unistd::Uid;
use tempfile::TempDir;

/// The user of these tests when root runs them: nobody, who owns nothing.
const NOBODY: u32 = 65534;

/// An ordinary user with a folder of their own and a copy of the command in reach.
struct User {
    folder: TempDir,
    id: u32,
}

impl User {
    /// `None`, with the reason told, where such a user can have no container.
    fn of_this_host() -> Option<Self> {
        let id = if Uid::effective().is_root() { NOBODY } else { Uid::effective().as_raw() };
        let user = Self { folder: tempfile::tempdir().unwrap(), id };
        set_mode(user.folder.path(), 0o755);
        fs::create_dir(user.own()).unwrap();
        if Uid::effective().is_root() {
            chown(user.own(), Some(id), Some(id)).unwrap();
        }
        let (original, copy) = (Path::new(env!("CARGO_BIN_EXE_isolab")), user.command());
        // With a umask of 077 what was built is for its owner alone.
        let is_for_all = fs::metadata(original).unwrap().permissions().mode() & 0o005 == 0o005;
        if !is_for_all || fs::hard_link(original, &copy).is_err() {
            fs::copy(original, &copy).unwrap();
            set_mode(&copy, 0o755);
        }
        let (_, findings, _) = output_of(&mut user.isolab(&["doctor", "--json"]));
        let findings: serde_json::Value = serde_json::from_str(&findings).unwrap();
        let findings = findings["findings"].as_array().unwrap();
        let containers = findings.iter().find(|it| it["about"] == "containers").unwrap();
        match &containers["state"] {
            state if state == "ok" => Some(user),
            _ => common::skip("container", containers["found"].as_str().unwrap()),
        }
    }

    fn command(&self) -> PathBuf {
        self.folder.path().join("isolab")
    }

    /// The folder that is the user's.
    fn own(&self) -> PathBuf {
        self.folder.path().join("own")
    }

    /// The command with these words, as this user runs it.
    fn isolab(&self, words: &[&str]) -> Command {
        let mut command = in_english(Command::new(self.command()), words);
        command.env("XDG_RUNTIME_DIR", self.own());
        if Uid::effective().is_root() {
            command.uid(self.id).gid(self.id); // and no other group: std sees to it
        }
        command
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_user_is_root_inside_and_has_no_more_power_than_outside() {
    let Some(user) = User::of_this_host() else { return };
    let script = "id -u; cat /proc/self/uid_map; hostname; touch /etc/isolab-rootless; \
                  echo x >> /etc/passwd; echo mine > /tmp/isolab-rootless && cat /tmp/isolab-rootless; exit 42";
    let (code, output, errors) =
        output_of(&mut user.isolab(&["run", "--", "/bin/sh", "-c", script]));
    assert_eq!(code, 42, "{errors}");
    let words: Vec<&str> = output.split_whitespace().collect();
    assert_eq!(words, ["0", "0", &user.id.to_string(), "1", "isolab", "mine"], "{errors}");
    assert!(errors.contains("Permission denied"), "the file is root's: {errors}");
    for path in ["/etc/isolab-rootless", "/tmp/isolab-rootless"] {
        assert!(!Path::new(path).exists(), "{path} came out");
    }
}

#[test]
fn what_the_user_may_not_read_is_not_readable_inside() {
    let Some(user) = User::of_this_host() else { return };
    if !Uid::effective().is_root() {
        println!("skipped: only root can make a file that another user may not read");
        return;
    }
    let secret = tempfile::NamedTempFile::new_in("/var/tmp").unwrap();
    let path = secret.path().to_str().unwrap();
    let (code, output, errors) = output_of(&mut user.isolab(&["run", "--", "cat", path]));
    assert!(code == 1 && errors.contains("Permission denied"), "{code} {output} {errors}");
}

#[test]
fn a_folder_that_may_not_be_searched_has_no_program() {
    let Some(user) = User::of_this_host() else { return };
    if !Uid::effective().is_root() {
        println!("skipped: only root can make a folder that another user may not search");
        return;
    }
    let closed = tempfile::tempdir_in("/var/tmp").unwrap();
    fs::write(closed.path().join("program"), "").unwrap();
    set_mode(closed.path(), 0o700);
    let path = format!("PATH={}:/usr/bin:/bin", closed.path().display());
    for kind in [&["process"][..], &["container"], &["container", "--init"]] {
        for (program, code) in [("program", 127), ("true", 0)] {
            let words = [&["run", "--in"], kind, &["--env", &path, "--", program]].concat();
            let (found, _, errors) = output_of(&mut user.isolab(&words));
            assert_eq!(found, code, "{words:?}: {errors}");
        }
    }
}

#[test]
fn a_users_container_is_listed_entered_and_stopped() {
    let Some(user) = User::of_this_host() else { return };
    let mut running =
        user.isolab(&["run", "--init", "--name", "box", "--", "sleep", "60"]).spawn().unwrap();
    common::wait_for("box", || {
        output_of(&mut user.isolab(&["ps", "--json"])).1.contains("\"running\"")
    });
    let script = "id -u; hostname; exit 7";
    let inside = output_of(&mut user.isolab(&["exec", "box", "--", "/bin/sh", "-c", script]));
    assert_eq!(inside, (7, "0\nisolab\n".into(), String::new()));
    let (code, _, errors) = output_of(&mut user.isolab(&["stop", "box"]));
    assert_eq!(code, 0, "{errors}");
    assert_eq!(running.wait().unwrap().code(), Some(143));
    assert_eq!(output_of(&mut user.isolab(&["ps", "--json"])).1, "[]\n");
}

/// The address of a socket has 108 bytes (unix(7)), which a directory's path may pass.
#[test]
fn a_users_run_in_the_background_is_kept_in_a_directory_of_any_length() {
    let Some(user) = User::of_this_host() else { return };
    for length in [1, 90, 200] {
        let runtime = user.own().join("r".repeat(length));
        let isolab = |words: &[&str]| {
            let mut command = user.isolab(words);
            command.env("XDG_RUNTIME_DIR", &runtime);
            output_of(&mut command)
        };
        let script = "read word; echo \"<$word>\"; exit 7";
        let words = ["run", "-d", "-i", "--name", "box", "--", "/bin/sh", "-c", script];
        assert_eq!(isolab(&words), (0, "box\n".into(), String::new()), "{length}");
        let mut client = user.isolab(&["attach", "box"]);
        client.env("XDG_RUNTIME_DIR", &runtime).stdin(std::process::Stdio::piped());
        client.stdout(std::process::Stdio::piped());
        let mut client = client.spawn().unwrap();
        std::io::Write::write_all(&mut client.stdin.take().unwrap(), b"word\n").unwrap();
        assert_eq!(client.wait().unwrap().code(), Some(7), "{length}");
        assert_eq!(isolab(&["logs", "box"]).1, "<word>\n", "{length}");
        assert_eq!(isolab(&["wait", "box"]).1, "7\n", "{length}");
        assert_eq!(isolab(&["rm", "box"]).0, 0, "{length}");
    }
}

#[test]
fn a_user_copies_files_out_of_a_container_of_theirs_and_into_it() {
    let Some(user) = User::of_this_host() else { return };
    let script = "mkdir /tmp/d; echo inside > /tmp/d/f; echo ready; exec sleep 60";
    let words = ["run", "-d", "--name", "box", "--", "/bin/sh", "-c", script];
    assert_eq!(output_of(&mut user.isolab(&words)).0, 0);
    common::wait_for("the file", || output_of(&mut user.isolab(&["logs", "box"])).1 == "ready\n");
    let copy = user.own().join("copy");
    let path = copy.to_str().unwrap();
    let out = output_of(&mut user.isolab(&["cp", "box:/tmp/d", path]));
    assert_eq!(out, (0, String::new(), String::new()));
    assert_eq!(fs::read_to_string(copy.join("f")).unwrap(), "inside\n");
    let back = output_of(&mut user.isolab(&["cp", path, "box:/tmp/back"]));
    assert_eq!(back, (0, String::new(), String::new()));
    let words = ["exec", "box", "--", "/bin/sh", "-c", "cat /tmp/back/f; stat -c %u /tmp/back/f"];
    let inside = output_of(&mut user.isolab(&words));
    assert_eq!(inside, (0, "inside\n0\n".into(), String::new()));
    assert_eq!(output_of(&mut user.isolab(&["rm", "-f", "box"])).0, 0);
}

#[test]
fn a_limit_is_kept_or_refused_with_the_way_out() {
    let Some(user) = User::of_this_host() else { return };
    let (code, _, errors) = output_of(&mut user.isolab(&["run", "--memory", "64M", "hello"]));
    let refused = code == 125 && errors.contains("memory") && errors.contains("help: ");
    assert!(code == 0 || refused, "{code}: {errors}");
}

#[test]
fn a_runtime_directory_that_is_none_is_as_good_as_unset() {
    let Some(user) = User::of_this_host() else { return };
    for directory in ["", "relative"] {
        let mut command = user.isolab(&["run", "hello"]);
        let (code, output, errors) = output_of(command.env("XDG_RUNTIME_DIR", directory));
        assert_eq!((code, &*output), (0, "hello\n"), "{directory:?}: {errors}");
    }
}
