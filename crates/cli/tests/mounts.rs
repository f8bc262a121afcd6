//! What `isolab run` puts into a container: volumes, tmpfs, devices; and hosts with odd mounts.

mod common;

use std::{ffi::OsString, fs, os::unix::ffi::OsStringExt as _, process::Command};

use common::{in_english, isolab, output_of};
use nix::unistd::Uid;
use tempfile::TempDir;

fn ready() -> bool {
    common::can("container", container::available())
}

/// `isolab run` with these options and a script of the shell.
fn run(options: &[&str], script: &str) -> (i32, String, String) {
    let words = [&["run"], options, &["--", "sh", "-c", script]].concat();
    output_of(&mut isolab(&words))
}

/// A directory with the file `file`.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "of the host\n").unwrap();
    folder
}

#[test]
fn a_volume_is_there_and_is_written_to_unless_it_is_read_only() {
    if !ready() {
        return;
    }
    let folder = folder();
    let source = folder.path().display();
    let script = "cat /data/in/file; echo new > /data/in/written && echo done";
    for (option, value, written) in [
        ("-v", format!("{source}:/data/in"), true),
        ("-v", format!("{source}:/data/in:ro,z"), false),
        ("--volume", format!("{source}:/x/../data/in:Z"), true),
        ("--mount", format!("type=bind,src={source},dst=/data/in"), true),
        ("--mount", format!("type=bind,source={source},target=/data/in,readonly"), false),
    ] {
        let (_, output, errors) = run(&[option, &value], script);
        let expected = if written { "of the host\ndone\n" } else { "of the host\n" };
        assert_eq!(output, expected, "{value}: {errors}");
        assert_eq!(errors.contains("Read-only"), !written, "{value}: {errors}");
        assert_eq!(fs::remove_file(folder.path().join("written")).is_ok(), written, "{value}");
    }
}

#[test]
fn nested_volumes_are_mounted_from_the_outside_in() {
    if !ready() {
        return;
    }
    let (outer, inner) = (folder(), folder());
    fs::write(inner.path().join("file"), "inner\n").unwrap();
    let inner = format!("{}:/a/b/c", inner.path().display());
    let outer = format!("{}:/a", outer.path().display());
    for options in [["-v", &inner, "-v", &outer], ["-v", &outer, "-v", &inner]] {
        let (code, output, errors) = run(&options, "cat /a/file /a/b/c/file");
        assert_eq!((code, &*output), (0, "of the host\ninner\n"), "{errors}");
    }
    let (code, _, errors) = run(&["-v", &outer, "--tmpfs", "/a"], "true");
    assert_eq!(code, 2, "{errors}");
    assert!(errors.contains("two mounts at /a"), "{errors}");
}

#[test]
fn a_file_goes_on_a_file_and_a_directory_on_a_directory() {
    if !ready() {
        return;
    }
    let folder = folder();
    let file = folder.path().join("file").display().to_string();
    for place in ["/etc/hostname", "/etc/new/file", "/new"] {
        let (code, output, errors) =
            run(&["-v", &format!("{file}:{place}")], &format!("cat {place}"));
        assert_eq!((code, &*output), (0, "of the host\n"), "{place}: {errors}");
    }
    for value in [format!("{file}:/usr"), format!("{}:/etc/passwd", folder.path().display())] {
        let (code, _, errors) = run(&["-v", &value], "true");
        assert_eq!(code, 125, "{value}: {errors}");
        assert!(errors.contains("file") && errors.contains("help:"), "{value}: {errors}");
    }
}

#[test]
fn what_cannot_be_meant_is_said_before_anything_is_made() {
    let folder = folder();
    let missing = folder.path().join("missing");
    for (option, value, reason) in [
        ("-v", format!("{}:/x", missing.display()), "mkdir -p"),
        ("-v", "data:/x".into(), "named volume"),
        ("-v", "/tmp:/proc/self".into(), "the kernel's view"),
        ("-v", "/tmp:/sys".into(), "the kernel's view"),
        ("-v", "/tmp:/".into(), "the root itself"),
        ("-v", "/tmp:x".into(), "absolute"),
        ("--mount", "type=bind,src=/tmp".into(), "no dst"),
        ("--tmpfs", "/run:size".into(), "unknown option"),
        ("--device", "/dev/null:/etc/null".into(), "below /dev"),
    ] {
        let (code, _, errors) = run(&[option, &value], "true");
        assert_eq!(code, 2, "{value}: {errors}");
        assert!(errors.contains(reason), "{value}: {errors}");
    }
    assert!(!missing.exists());
    for kind in ["process", "microvm"] {
        let (code, _, errors) = run(&["--in", kind, "--tmpfs", "/x"], "true");
        assert_eq!(code, 2, "{errors}");
        assert!(errors.contains("--tmpfs does not apply to a"), "{errors}");
    }
}

#[test]
fn a_tmpfs_has_its_options_and_runs_no_program() {
    if !ready() {
        return;
    }
    for (value, found) in [
        ("/scratch", "noexec"),
        ("/scratch:size=1m,mode=700", "size=1024k"),
        ("/scratch:exec", "nodev,relatime"),
        ("/dev/shm:size=2m", "size=2048k"),
    ] {
        let place = value.split(':').next().unwrap();
        let script = format!("grep ' {place} tmpfs' /proc/mounts; touch {place}/x && echo made");
        let (code, output, errors) = run(&["--tmpfs", value], &script);
        assert_eq!(code, 0, "{errors}");
        assert!(output.contains(found) && output.ends_with("made\n"), "{value}: {output}");
        assert_eq!(output.lines().count(), 2, "{value}: {output}");
    }
}

#[test]
fn a_device_is_shown_under_its_own_name_or_another() {
    if !ready() {
        return;
    }
    for (value, place) in [
        ("/dev/full", "/dev/full"),
        ("/dev/full:/dev/other", "/dev/other"),
        ("/dev/full:/dev/deep/er:rw", "/dev/deep/er"),
    ] {
        let script = format!("printf x | dd of={place} 2>&1 | grep -o 'No space'");
        let (code, output, errors) = run(&["--device", value], &script);
        assert_eq!((code, &*output), (0, "No space\n"), "{value}: {errors}");
    }
    let (code, _, errors) = run(&["--device", "/etc/passwd:/dev/x"], "true");
    assert_eq!(code, 125, "{errors}");
    assert!(errors.contains("not a device"), "{errors}");
}

#[test]
fn any_byte_may_be_in_an_option() {
    if !ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let names: [&[u8]; 6] =
        [b"com,ma", b"co:lon", b"back\\slash", b"new\nline", b"\xff", b"quo\"te"];
    for name in names {
        let name = OsString::from_vec(name.to_vec());
        let place = folder.path().join(&name);
        fs::create_dir(&place).unwrap();
        fs::write(place.join("file"), "x").unwrap();
        let escaped: Vec<u8> =
            place.as_os_str().as_encoded_bytes().iter().fold(Vec::new(), |mut all, byte| {
                if matches!(byte, b':' | b'\\') {
                    all.push(b'\\');
                }
                all.push(*byte);
                all
            });
        let mut volume = OsString::from_vec(escaped.clone());
        volume.push(":/there");
        let mut quoted = OsString::from("type=bind,dst=/there,\"src=");
        quoted.push(String::from_utf8_lossy(&escaped).replace("\\\\", "\\"));
        let script = "ls /there";
        let mut command = isolab(&["run", "-v"]);
        command.arg(&volume).args(["--", "sh", "-c", script]);
        let (code, output, errors) = output_of(&mut command);
        assert_eq!((code, &*output), (0, "file\n"), "{name:?}: {errors}");
        let mut command = isolab(&["run", "-v", "./:/there", "--", "sh", "-c", script]);
        command.current_dir(&place).env("TMPDIR", &place).env("XDG_RUNTIME_DIR", &place);
        let (code, output, errors) = output_of(&mut command);
        assert!(code == 0 && output.contains("file\n"), "{name:?}: {errors}");
        if !Uid::effective().is_root() {
            continue;
        }
        let mut command = isolab(&["run", "--overlay"]);
        let mut lowers = OsString::from_vec(escaped);
        lowers.push(":/usr");
        command.arg(lowers).args(["--overlay", "/var/lib", "hello"]);
        let (code, output, errors) = output_of(&mut command);
        assert_eq!((code, &*output), (0, "hello\n"), "{name:?}: {errors}");
        let mut command = isolab(&["run", "--root"]);
        let (code, output, errors) = output_of(command.arg(&place).arg("hello"));
        assert_eq!((code, &*output), (0, "hello\n"), "{name:?}: {errors}");
    }
}

/// The command on a host on which this script has mounted something; none of it is seen by others.
fn isolab_after(script: &str, words: &[&str]) -> Option<Command> {
    if !Uid::effective().is_root() {
        return common::skip("mounts", "only root can mount something");
    }
    let script = format!("{script}\nexec \"$@\"");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "bash", "-ec", &script, "sh"]);
    command.arg(env!("CARGO_BIN_EXE_isolab"));
    Some(in_english(command, words))
}

#[test]
fn a_host_with_odd_mounts_has_containers() {
    if !ready() {
        return;
    }
    let place = "mount -t tmpfs t /srv; cd /srv\n";
    for (name, mounts) in [
        (
            "characters",
            "for n in a,b c:d 'e\\f' $'n\\nl' $'t\\tb' 's p' 'q\"r' $'\\xff' '#'; do mkdir \"$n\"; mount -t tmpfs u \"$n\"; done",
        ),
        (
            "shadowed",
            "mkdir -p a/b; mount -t tmpfs t a; mkdir a/b; mount -t tmpfs t a/b; mount -t tmpfs t a",
        ),
        (
            "covered by a file",
            "mkdir a; mount -t tmpfs t a; mkdir -p a/b; mount -t tmpfs t a/b; mount -t tmpfs t a; touch a/b",
        ),
        ("removed", "mkdir a b; mount -t tmpfs t a; mkdir a/x; mount --bind a/x b; rmdir a/x"),
        ("a file", "touch a b; mount --bind a b"),
        ("ramfs", "mkdir a; mount -t ramfs r a; touch a/file"),
        ("foreign view", "mkdir p; mount -t proc p p; mkdir s; mount -t sysfs s s"),
        (
            "long",
            "d=$(printf %0200d 0); for i in $(seq 19); do mkdir $d; cd $d; done; mkdir m; mount -t tmpfs t m",
        ),
    ] {
        let words = ["run", "--", "sh", "-c", "echo runs; ls /srv/p /srv/s"];
        let Some(mut command) = isolab_after(&format!("{place}{mounts}; cd /"), &words) else {
            return;
        };
        let (code, output, errors) = output_of(&mut command);
        assert!(output.starts_with("runs\n"), "{name} {code}: {errors}");
        assert!(!output.contains("self") && !output.contains("kernel"), "{name}: {output}");
    }
}

#[test]
fn a_mount_that_is_no_layer_is_shown_read_only() {
    if !ready() {
        return;
    }
    // What overlayfs refuses as a layer: an overlay that lies on another one.
    let stacked = "mount -t tmpfs t /srv; cd /srv; mkdir 1 2; \
                   mount -t overlay o -o lowerdir=/etc:/usr 1; \
                   mount -t overlay o -o lowerdir=1:/usr 2";
    for (mounts, file) in [
        ("mkdir m; mount --bind 2 m", "m/passwd"),
        ("mkdir -p deep/er; mount --bind 2 deep/er", "deep/er/passwd"),
        ("touch file; mount --bind 2/passwd file", "file"),
    ] {
        let script = format!("wc -l < /srv/{file}; echo x > /srv/{file} || echo refused");
        let mounts = format!("{stacked}; {mounts}; cd /");
        let Some(mut command) = isolab_after(&mounts, &["run", "--", "sh", "-c", &script]) else {
            return;
        };
        let (_, output, errors) = output_of(&mut command);
        let lines = output.lines().next().unwrap_or("0").trim();
        assert!(lines != "0" && output.ends_with("refused\n"), "{file}: {output} {errors}");
        assert!(errors.contains("Read-only"), "{file}: {errors}");
    }
}

#[test]
fn what_is_not_shown_is_named_by_trace_and_doctor() {
    if !ready() {
        return;
    }
    for parent in ["/run", "/tmp", "/boot", "/mnt", "/media"] {
        let Ok(place) = tempfile::tempdir_in(parent) else { continue };
        let place = place.path().display();
        let mounts = format!("mount -t ramfs r {place}");
        for words in [&["run", "--trace", "--", "true"][..], &["doctor"]] {
            let Some(mut command) = isolab_after(&mounts, words) else { return };
            let (_, output, errors) = output_of(&mut command);
            let page = format!("{output}{errors}");
            let words: Vec<&str> = page.split_whitespace().collect();
            let answer = words.join(" ").replace("- ", "-");
            assert!(answer.contains(&format!("{place} (ramfs)")), "{page}");
        }
    }
}

#[test]
fn the_root_of_a_directory_may_be_the_hosts_own() {
    if !ready() || !Uid::effective().is_root() {
        return;
    }
    let folder = folder();
    let place = folder.path().display();
    let script = format!("cat {place}/file; echo x > {place}/new; ls -d /proc/self/fd");
    let (code, output, errors) = run(&["--root", "/"], &script);
    assert_eq!((code, &*output), (0, "of the host\n/proc/self/fd\n"), "{errors}");
    assert!(folder.path().join("new").exists());
}
