//! `isolab cp`: files in and out of a container, whose root is hostile.

mod common;

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::Path,
    process::Command,
};

use common::{
    isolab, output_of,
    runs::{Runs, containers, says},
    wait_for,
};

/// A container whose root is a folder of the host's with busybox in it, as an attacker fills it.
fn hostile_root() -> Option<tempfile::TempDir> {
    let busybox =
        ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
    let Some(busybox) = busybox else {
        return common::skip(
            "busybox",
            "busybox is not installed, and a root of its own needs a shell",
        );
    };
    let root = tempfile::tempdir_in("/var/tmp").unwrap();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir_all(root.path().join("bin")).unwrap();
    fs::copy(busybox, root.path().join("bin/busybox")).unwrap();
    Some(root)
}

#[test]
fn files_are_copied_out_of_a_container_and_into_it() {
    if !containers() {
        return;
    }
    let mut runs = Runs::of("cp");
    let name = runs.script("x", &[], "mkdir -p /tmp/d/e; echo one > /tmp/d/f; chmod 4755 /tmp/d/f; ln -s /etc/hostname /tmp/d/l; mkfifo /tmp/d/p; echo ready; exec sleep 60");
    wait_for("the files", || says(&["logs", &name]) == "ready\n");
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    let text = |path: &str| at(path).to_str().unwrap().to_owned();
    let inside = |path: &str| format!("{name}:{path}");
    // A file under a new name, into a directory, and over one that is there.
    for target in ["new", ".", "new"] {
        says(&["cp", &inside("/tmp/d/f"), &text(target)]);
    }
    for made in ["new", "f"] {
        assert_eq!(fs::read_to_string(at(made)).unwrap(), "one\n");
        let found = fs::metadata(at(made)).unwrap();
        assert_eq!(found.mode() & 0o7777, 0o755, "no set-user bit");
        assert_eq!(found.uid(), nix::unistd::Uid::effective().as_raw());
    }
    // A directory under a new name, into one, and its contents.
    for (from, target, file) in
        [("/tmp/d", "n", "n/f"), ("/tmp/d", ".", "d/f"), ("/tmp/d/.", "n", "n/f")]
    {
        let (code, _, errors) = output_of(&mut isolab(&["cp", &inside(from), &text(target)]));
        assert!(code == 0 && errors.contains("FIFO"), "{from}: {errors}");
        assert_eq!(fs::read_to_string(at(file)).unwrap(), "one\n", "{from} {target}");
    }
    assert_eq!(fs::read_link(at("d/l")).unwrap(), Path::new("/etc/hostname"), "as a link");
    // And in: what comes is root's there.
    says(&["cp", &text("d"), &inside("/tmp/back")]);
    says(&["cp", &text("new"), &inside("tmp/")]);
    let script = "cat /tmp/back/f /tmp/new; stat -c %u:%g /tmp/back/f; readlink /tmp/back/l";
    let found = says(&["exec", &name, "--", "/bin/sh", "-c", script]);
    assert_eq!(found, "one\none\n0:0\n/etc/hostname\n");
    // What cannot be.
    let mistakes: [(&[&str], i32); 8] = [
        (&["cp", &inside("/tmp/none"), &text("x")], 125),
        (&["cp", &inside("/tmp/d/f"), &text("none/")], 125),
        (&["cp", &text("n"), &text("m")], 2),
        (&["cp", "-", "-"], 2),
        (&["cp", "-", &text("n")], 2),
        (&["cp", "-", &inside("/tmp/d/f")], 125),
        (&["cp", &inside("/tmp/none"), "-"], 125),
        (&["cp", "isolab-nobody:/x", &text("x")], 125),
    ];
    for (words, code) in mistakes {
        let (found, _, errors) = output_of(&mut isolab(words));
        assert!(found == code && errors.starts_with("isolab: "), "{words:?}: {errors}");
    }
}

#[test]
fn archives_go_in_and_out_of_a_container() {
    if !containers() {
        return;
    }
    let mut runs = Runs::of("tar");
    let script = "mkdir -p /tmp/d/e /tmp/in; echo one > /tmp/d/e/f; ln -s e /tmp/d/l
        mkfifo /tmp/d/p; head -c 300000 /dev/zero > /tmp/d/large; echo ready; exec sleep 60";
    let name = runs.script("x", &[], script);
    wait_for("the files", || says(&["logs", &name]) == "ready\n");
    let inside = |path: &str| format!("{name}:{path}");
    let folder = tempfile::tempdir().unwrap();
    for (from, listed) in [
        ("/tmp/d", "d/\nd/e/\nd/e/f\nd/l\nd/large\n"),
        ("/tmp/d/.", "e/\ne/f\nl\nlarge\n"),
        ("/tmp/d/e/f", "f\n"),
    ] {
        let archive = folder.path().join("archive.tar");
        let output = fs::File::create(&archive).unwrap();
        let mut cp = isolab(&["cp", &inside(from), "-"]);
        let ended = cp.stdout(output).output().unwrap();
        let errors = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{errors}");
        assert_eq!(errors.contains("p: a FIFO"), from != "/tmp/d/e/f", "{errors}");
        let listing = Command::new("tar").arg("-tf").arg(&archive).output().unwrap();
        let listing = String::from_utf8(listing.stdout).unwrap();
        let mut lines: Vec<&str> = listing.lines().map(|it| it.trim_end_matches('/')).collect();
        lines.sort_unstable();
        let expected: Vec<&str> = listed.lines().map(|it| it.trim_end_matches('/')).collect();
        assert_eq!(lines, expected);
        // And in again, as what a pipe brings.
        let mut cp = isolab(&["cp", "-", &inside("/tmp/in")]);
        cp.stdin(fs::File::open(&archive).unwrap());
        assert_eq!(output_of(&mut cp), (0, String::new(), String::new()), "{from}");
    }
    let script = "cat /tmp/in/d/l/f /tmp/in/l/f /tmp/in/f; stat -c '%u:%g %s' /tmp/in/d/large";
    let found = says(&["exec", &name, "--", "/bin/sh", "-c", script]);
    assert_eq!(found, "one\none\none\n0:0 300000\n");
    // What tar(1) makes of more than its last block is read to its end: no broken pipe.
    fs::write(folder.path().join("new"), "from the host").unwrap();
    for format in ["gnu", "posix", "ustar", "v7"] {
        let script = format!(
            "set -o pipefail; tar -C {} --format={format} -b 200 -c new | {} cp - {}",
            folder.path().display(),
            env!("CARGO_BIN_EXE_isolab"),
            inside("/tmp/in"),
        );
        let (code, _, errors) = output_of(Command::new("bash").args(["-c", &script]));
        assert_eq!((code, errors), (0, String::new()), "{format}");
        assert_eq!(says(&["exec", &name, "cat", "/tmp/in/new"]), "from the host", "{format}");
        says(&["exec", &name, "rm", "/tmp/in/new"]);
    }
}

/// The directory that is unpacked into is the container's to change at any moment.
#[test]
fn an_archive_is_unpacked_nowhere_else_while_its_directory_comes_and_goes() {
    if !containers() {
        return;
    }
    let Some(root) = hostile_root() else { return };
    let host = tempfile::tempdir_in("/var/tmp").unwrap();
    fs::write(host.path().join("f"), "the host's").unwrap();
    let work = tempfile::tempdir().unwrap();
    fs::create_dir(work.path().join("x")).unwrap();
    fs::write(work.path().join("x/f"), "attack").unwrap();
    fs::write(work.path().join("x/new"), "attack").unwrap();
    let archive = work.path().join("archive.tar");
    let mut tar = Command::new("tar");
    tar.arg("-cf").arg(&archive).arg("-C").arg(work.path()).arg("x");
    assert!(tar.status().unwrap().success());
    let mut runs = Runs::of("tar-race");
    let folder = host.path().to_str().unwrap();
    for (at, target) in [folder.to_owned(), format!("../../../../..{folder}")].iter().enumerate() {
        let script = format!(
            "cd /; B=/bin/busybox; $B mkdir -p real{at}; echo ready
             while :; do $B ln -s {target} x; $B rm x; $B mv real{at} x; $B mv x real{at}; done"
        );
        let options = ["--root", root.path().to_str().unwrap(), "--", "/bin/busybox", "sh", "-c"];
        let name = runs.start(&at.to_string(), &[&options[..], &[&script]].concat());
        wait_for("its start", || says(&["logs", &name]) == "ready\n");
        let mut unpacked = 0;
        for _ in 0..150 {
            let mut cp = isolab(&["cp", "-", &format!("{name}:/")]);
            let (code, _, errors) = output_of(cp.stdin(fs::File::open(&archive).unwrap()));
            assert!(code == 0 || code == 125, "{errors}");
            unpacked += u32::from(code == 0);
        }
        assert!(unpacked > 0, "nothing was ever there to be unpacked into");
        assert_eq!(fs::read_to_string(host.path().join("f")).unwrap(), "the host's");
        assert_eq!(fs::read_dir(host.path()).unwrap().count(), 1, "{target}: written outside");
        says(&["rm", "-f", &name]);
    }
}

#[test]
fn links_inside_lead_to_no_file_of_the_hosts() {
    if !containers() {
        return;
    }
    let Some(root) = hostile_root() else { return };
    let host = tempfile::tempdir_in("/var/tmp").unwrap();
    let secret = host.path().join("secret");
    fs::write(&secret, "the host's").unwrap();
    let secret = secret.to_str().unwrap().to_owned();
    let folder = host.path().to_str().unwrap().to_owned();
    let inside = |path: &str| root.path().join(path);
    symlink(&secret, inside("absolute")).unwrap();
    symlink(format!("../../../../../..{secret}"), inside("climbing")).unwrap();
    symlink(&folder, inside("folder")).unwrap();
    symlink(format!("../../../../..{folder}"), inside("climbing-folder")).unwrap();
    symlink("/proc/self/fd", inside("descriptors")).unwrap();
    symlink("/proc/self/root", inside("self-root")).unwrap();
    symlink("/proc/1/root", inside("first-root")).unwrap();
    symlink("/etc", inside("etc")).unwrap();
    let mut runs = Runs::of("links");
    for (at, options) in [&[][..], &["--no-ns", "pid"], &["--init"]].into_iter().enumerate() {
        let options = [&["--root", root.path().to_str().unwrap()], options].concat();
        let words = [&options[..], &["--", "/bin/busybox", "sleep", "60"]].concat();
        let name = runs.start(&at.to_string(), &words);
        let out = tempfile::tempdir().unwrap();
        let reached = [
            "absolute",
            "climbing",
            "folder/secret",
            "climbing-folder/secret",
            "descriptors/0",
            "descriptors/3",
            "self-root/etc/passwd",
            "first-root/../etc/passwd",
            "etc/passwd",
            "proc/self/environ",
            "proc/self/cwd/Cargo.toml",
            "proc/self/root/etc/passwd",
            "../../../../../../etc/passwd",
        ];
        for path in reached {
            let target = out.path().join("file");
            let words = ["cp", &format!("{name}:{path}"), target.to_str().unwrap()];
            let (code, _, errors) = output_of(&mut isolab(&words));
            let is_link = fs::symlink_metadata(&target).is_ok_and(|it| it.file_type().is_symlink());
            assert!(code == 125 || is_link, "{path}: {code} {errors}");
            let _ = fs::remove_file(&target);
        }
        let new = out.path().join("new");
        fs::write(&new, "attack").unwrap();
        let written = [
            "absolute",
            "climbing",
            "folder/",
            "folder/new",
            "climbing-folder/new",
            "descriptors/0",
            "descriptors/3",
            &format!("self-root{folder}/new"),
            &format!("first-root{folder}/new"),
            "etc/passwd",
            "proc/self/oom_score_adj",
            &format!("proc/self/root{folder}/secret"),
            &format!("../../../../..{folder}/new"),
        ];
        for path in written {
            let words = ["cp", new.to_str().unwrap(), &format!("{name}:{path}")];
            let (code, _, errors) = output_of(&mut isolab(&words));
            assert!(code == 0 || code == 125, "{path}: {code} {errors}");
            assert_eq!(fs::read_to_string(&secret).unwrap(), "the host's", "{path}");
            assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "{path} is written outside");
        }
        says(&["stop", "--grace", "0s", &name]);
        // As it was: a link that was replaced by a file is the container's own loss.
        for (link, target) in
            [("absolute", secret.clone()), ("climbing", format!("../../../../../..{secret}"))]
        {
            let _ = fs::remove_file(inside(link));
            symlink(target, inside(link)).unwrap();
        }
    }
}

/// What is a directory at one moment and a link at the next must not lead out at either.
#[test]
fn links_that_come_and_go_lead_to_no_file_of_the_hosts() {
    if !containers() {
        return;
    }
    let Some(root) = hostile_root() else { return };
    let host = tempfile::tempdir_in("/var/tmp").unwrap();
    let folder = host.path().to_str().unwrap();
    fs::write(host.path().join("f"), "the host's").unwrap();
    let mut runs = Runs::of("race");
    let targets = [folder.to_owned(), format!("../../../../..{folder}"), "/proc/self/cwd".into()];
    for (at, target) in targets.iter().enumerate() {
        let script = format!(
            "cd /; B=/bin/busybox; $B mkdir -p real{at}; echo inside > real{at}/f; echo ready
             while :; do $B ln -s {target} x; $B rm x; $B mv real{at} x; $B mv x real{at}; done"
        );
        let options = ["--root", root.path().to_str().unwrap(), "--", "/bin/busybox", "sh", "-c"];
        let name = runs.start(&at.to_string(), &[&options[..], &[&script]].concat());
        wait_for("its start", || says(&["logs", &name]) == "ready\n");
        let out = tempfile::tempdir().unwrap();
        let (new, copy) = (out.path().join("new"), out.path().join("copy"));
        fs::write(&new, "attack").unwrap();
        let mut read = 0;
        for _ in 0..100 {
            for (from, to) in [
                (format!("{name}:/x/f"), copy.display().to_string()),
                (format!("{name}:/x/."), out.path().join("all").display().to_string()),
                (new.display().to_string(), format!("{name}:/x/f")),
                (new.display().to_string(), format!("{name}:/x/new")),
            ] {
                let (code, _, errors) = output_of(&mut isolab(&["cp", &from, &to]));
                assert!(code == 0 || code == 125, "{from} {to}: {errors}");
                read += u32::from(code == 0);
            }
            for copied in [&copy, &out.path().join("all/f")] {
                if let Ok(text) = fs::read_to_string(copied) {
                    assert_ne!(text, "the host's", "{target}");
                }
            }
        }
        assert!(read > 0, "nothing was ever there to be copied");
        assert_eq!(fs::read_to_string(host.path().join("f")).unwrap(), "the host's");
        assert_eq!(fs::read_dir(host.path()).unwrap().count(), 1, "{target}: written outside");
        says(&["rm", "-f", &name]);
    }
}
