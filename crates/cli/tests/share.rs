//! `-v SOURCE:DESTINATION:ro` of a Linux guest: a directory of the host's, which it reads.

mod common;

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{PermissionsExt as _, symlink},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use common::{
    inside::{all_hold_in_a_nest, here},
    isolab, output_of,
};
use tempfile::TempDir;

#[test]
fn all_of_these_hold_in_a_nest() {
    all_hold_in_a_nest();
}

/// `inside` is shared, `secret` lies beside it.
struct Host(TempDir);

impl Host {
    fn new() -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        fs::create_dir(host.path("")).unwrap();
        fs::write(host.0.path().join("secret"), "secret\n").unwrap();
        host
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join("inside").join(name)
    }

    fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    /// The option that shares it at `target`.
    fn volume(&self, target: &str) -> String {
        format!("--volume={}:{target}:ro", self.path("").display())
    }
}

/// A shell in a guest with these options.
fn shell(options: &[&str], script: &str) -> Command {
    let mut command = isolab(&["run", "--in", "linux", "--deadline", "90s"]);
    command.args(options).args(["--", "sh", "-c", script]);
    command
}

/// Exit code, output and errors of one.
fn guest(options: &[&str], script: &str) -> (i32, String, String) {
    output_of(&mut shell(options, script))
}

#[test]
fn files_of_any_length_and_name_are_read_as_they_are() {
    if !here() {
        return;
    }
    let host = Host::new();
    let large: Vec<u8> = (0..6_000_001u32).map(|number| ((number / 5) ^ number) as u8).collect();
    host.write("large", &large);
    host.write("empty", "");
    host.write("two words\nand a line", "odd\n");
    host.write(OsStr::from_bytes(b"\xff\xfe"), "bytes\n");
    let deep: PathBuf = ["deep"; 60].iter().collect();
    fs::create_dir_all(host.path(&deep)).unwrap();
    host.write(deep.join("file"), "far\n");
    let script = r#"cat /x/empty "$(printf '/x/two words\nand a line')" "$(printf '/x/\377\376')"
        cat $(find /x/deep -name file) && ls /x/deep && [ -s /x/large ] && cat /x/large"#;
    let ended = shell(&[&host.volume("/x")], script).output().unwrap();
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert_eq!((ended.status.code(), &*errors), (Some(0), ""));
    let small = b"odd\nbytes\nfar\ndeep\n";
    assert_eq!(ended.stdout.len(), small.len() + large.len());
    assert!(ended.stdout.starts_with(small));
    assert!(ended.stdout.ends_with(&large));
}

#[test]
fn a_directory_of_many_files_is_whole() {
    if !here() {
        return;
    }
    let host = Host::new();
    for number in 0..3000 {
        host.write(format!("file-{number}"), "");
    }
    let (code, output, errors) = guest(&[&host.volume("/x")], "find /x -type f | sort -u | wc -l");
    assert_eq!((code, output.trim(), &*errors), (0, "3000", ""));
}

#[test]
fn links_are_the_guests_to_follow() {
    if !here() {
        return;
    }
    let host = Host::new();
    host.write("file", "shared\n");
    for (link, to) in [("near", "file"), ("up", "../secret"), ("far", "/etc/hostname-of-guest")] {
        symlink(to, host.path(link)).unwrap();
    }
    let script = "echo guest >/etc/hostname-of-guest; cat /x/near /x/far; readlink /x/up; \
                  cat /x/up || cat /x/../secret";
    let (code, output, errors) = guest(&[&host.volume("/x")], script);
    assert_eq!((code, &*output), (1, "shared\nguest\n../secret\n"), "{errors}");
    assert!(errors.contains("No such file"), "{errors}");
}

#[test]
fn nothing_can_be_written_whatever_the_guest_says_of_its_mount() {
    if !here() {
        return;
    }
    let host = Host::new();
    host.write("file", "as it was\n");
    let script = "for way in '' 'mount -o remount,rw /x'; do $way
        echo new >/x/file; touch /x/new; mkdir /x/directory; rm /x/file; mv /x/file /x/moved
        chmod 777 /x/file; ln -s a /x/link; mkfifo /x/pipe
    done; cat /x/file";
    let (code, output, errors) = guest(&[&host.volume("/x")], script);
    assert_eq!((code, &*output), (0, "as it was\n"), "{errors}");
    assert_eq!(errors.matches("Read-only file system").count(), 16, "{errors}");
    assert_eq!(fs::read(host.path("file")).unwrap(), b"as it was\n");
    assert_eq!(fs::read_dir(host.path("")).unwrap().count(), 1);
}

#[test]
fn files_that_are_their_owners_alone_are_read_by_root_inside_and_by_nobody_else() {
    if !here() {
        return;
    }
    let host = Host::new();
    fs::create_dir(host.path("private")).unwrap();
    host.write("private/key", "key\n");
    for (path, mode) in [("private/key", 0o600), ("private", 0o700)] {
        fs::set_permissions(host.path(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    let script = "cat /x/private/key; chmod 755 /root; \
                  setpriv --reuid 65534 cat /x/private/key || \
                  su -s /bin/sh nobody -c 'cat /x/private/key'";
    let (code, output, errors) = guest(&[&host.volume("/x")], script);
    assert_eq!((code, &*output), (1, "key\n"), "{errors}");
    assert!(errors.contains("Permission denied"), "{errors}");
}

#[test]
fn several_directories_are_where_they_were_asked_for() {
    if !here() {
        return;
    }
    let (one, other) = (Host::new(), Host::new());
    one.write("file", "one\n");
    fs::create_dir(one.path("below")).unwrap();
    other.write("file", "other\n");
    other.write("program", "#!/bin/sh\necho it runs\n");
    fs::set_permissions(other.path("program"), fs::Permissions::from_mode(0o755)).unwrap();
    let mount = format!("type=bind,src={},dst=/a/b c/d,readonly", other.path("").display());
    // One is made with all above it, one is there, one lies in another.
    let volumes = [one.volume("/tmp"), other.volume("/tmp/below")];
    let options = [&*volumes[1], &*volumes[0], "--mount", &mount];
    let script = "cat /tmp/file /tmp/below/file '/a/b c/d/file'; '/a/b c/d/program'";
    let (code, output, errors) = guest(&options, script);
    assert_eq!((code, &*errors), (0, ""));
    assert_eq!(output, "one\nother\nother\nit runs\n");
}

#[test]
fn what_the_host_changes_is_seen() {
    if !here() {
        return;
    }
    let host = Host::new();
    host.write("file", "before\n");
    let script = "cat /x/file; until [ -e /x/new ]; do sleep 0.1; done; cat /x/file /x/new";
    let mut launcher = shell(&[&host.volume("/x")], script).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(launcher.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "before");
    host.write("file", "after\n");
    host.write("not yet", "new\n");
    fs::rename(host.path("not yet"), host.path("new")).unwrap();
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(rest, ["after", "new"]);
    assert!(launcher.wait().unwrap().success());
}

#[test]
fn what_no_guest_can_have_is_refused_with_the_way_out() {
    if !here() {
        return;
    }
    let host = Host::new();
    host.write("file", "");
    let (directory, file) = (host.path(""), host.path("file"));
    let (directory, file) = (directory.to_str().unwrap(), file.to_str().unwrap());
    let writable = format!("{directory}:/x");
    let (code, _, errors) = guest(&["-v", &writable], "true");
    assert_eq!(code, 2, "{errors}");
    assert!(errors.contains("can only read a directory of the host's: /x"), "{errors}");
    assert!(errors.contains(&format!("-v {directory}:/x:ro")), "{errors}");
    let (code, _, errors) = guest(&["--tmpfs", "/x"], "true");
    assert_eq!(code, 2, "{errors}");
    let (code, _, errors) = guest(&["-v", &format!("{file}:/x:ro")], "true");
    assert_eq!(code, 125, "{errors}");
    assert!(errors.contains("share the directory"), "{errors}");
    assert!(errors.contains("help: share the directory that it is in"), "{errors}");
    let (code, _, errors) = guest(&[&host.volume("/x"), "--initrd", file], "true");
    assert_eq!(code, 2, "{errors}");
    assert!(errors.contains("leave --initrd out"), "{errors}");
    let (code, _, errors) = guest(&[&host.volume("/etc/passwd")], "true");
    assert_eq!(code, 125, "{errors}");
    assert!(errors.contains("Not a directory"), "{errors}");
}
