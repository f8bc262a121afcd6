//! Questions 1, 3 and 4: what a container must keep apart, tried from the inside.

mod common;

use std::{collections::BTreeSet, fs, path::Path};

use common::{Need, inside, ready, ready_with, run, skip, text};
use container::{
    Container, Mount, Namespace, Root, Upper,
    layer::{is_whiteout, opaque_mark},
};
use nix::sys::statfs::{OVERLAYFS_SUPER_MAGIC, statfs};
use sandbox::{Builtin, Sandbox as _, Status, Workload};
use tempfile::TempDir;

#[test]
fn the_host_name_outside_is_unchanged() {
    if !ready() {
        return;
    }
    let before = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(inside("hostname"), "isolab");
    assert_eq!(fs::read_to_string("/proc/sys/kernel/hostname").unwrap(), before);
}

#[test]
fn no_mount_leaks_and_no_process_of_the_host_is_seen() {
    if !ready() {
        return;
    }
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let script = "ls /proc | grep -c '^[0-9]'; cat /proc/self/mountinfo";
    let inside = inside(script);
    let (pids, mounts) = inside.split_once('\n').unwrap();
    assert!(pids.parse::<u32>().unwrap() <= 6, "{pids}");
    // Others may mount something meanwhile: what counts is what the container has mounted, by the
    // device of its file system.
    let device = |line: &str| line.split(' ').nth(2).unwrap().to_owned();
    let all = |text: &str| text.lines().map(device).collect::<BTreeSet<_>>();
    let own: BTreeSet<_> = all(mounts).difference(&all(&before)).cloned().collect();
    assert!(!own.is_empty(), "a container mounts nothing: {mounts}");
    let after = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(all(&after).is_disjoint(&own), "{own:?} in {after}");
}

#[test]
fn what_is_written_to_the_hosts_overlay_is_gone() {
    if !ready() {
        return;
    }
    assert_eq!(inside("echo new > /etc/isolab-test; cat /etc/isolab-test"), "new");
    assert!(!Path::new("/etc/isolab-test").exists());
}

/// Where an upper layer can be: not on another overlay, which is what `/var/tmp` is where this
/// host's root is a container's. `None`, with the reason told, where there is no such folder.
fn folder_for_an_upper_layer() -> Option<TempDir> {
    let is_overlay = |path: &&str| {
        statfs(*path).is_ok_and(|about| about.filesystem_type() == OVERLAYFS_SUPER_MAGIC)
    };
    let Some(place) = ["/var/tmp", "/dev/shm"].iter().find(|path| !is_overlay(path)) else {
        skip("/var/tmp and /dev/shm are overlays, and none can have its upper layer there");
        return None;
    };
    Some(tempfile::tempdir_in(place).unwrap())
}

#[test]
fn a_kept_upper_layer_keeps() {
    if !ready() {
        return;
    }
    let Some(kept) = folder_for_an_upper_layer() else { return };
    let upper = Upper::Kept(kept.path().to_owned());
    let root = Root::Overlay { lowers: vec!["/".into()], upper };
    let container = Container::default().root(root);
    assert_eq!(run(&container, "echo new > /etc/isolab-kept").status, Status::Exited(0));
    assert_eq!(fs::read_to_string(kept.path().join("upper/etc/isolab-kept")).unwrap(), "new\n");
    assert!(!Path::new("/etc/isolab-kept").exists());
}

#[test]
fn what_is_deleted_and_what_is_replaced_can_be_read_in_the_upper_layer() {
    if !ready() {
        return;
    }
    // No layer may lie in another one, and `/` is one: it has the shell.
    let lower = tempfile::tempdir_in("/dev/shm").unwrap();
    let Some(kept) = folder_for_an_upper_layer() else { return };
    fs::write(lower.path().join("deleted"), "").unwrap();
    for directory in ["replaced", "left"] {
        fs::create_dir(lower.path().join(directory)).unwrap();
    }
    let upper = Upper::Kept(kept.path().to_owned());
    let root = Root::Overlay { lowers: vec![lower.path().to_owned(), "/".into()], upper };
    let container = Container::default().root(root);
    let script = "rm /deleted; rmdir /replaced; mkdir /replaced; touch /left/new";
    assert_eq!(run(&container, script).status, Status::Exited(0));
    let path = |name: &str| kept.path().join("upper").join(name);
    assert!(is_whiteout(&path("deleted")) && !is_whiteout(&path("left/new")));
    assert_eq!(opaque_mark(&path("replaced")), Some("trusted.overlay.opaque"));
    assert_eq!(opaque_mark(&path("left")), None);
}

#[test]
fn few_capabilities_are_left_and_no_new_ones_can_be_had() {
    if !ready() {
        return;
    }
    let status = inside("grep -E 'CapEff|CapBnd|NoNewPrivs|Seccomp:' /proc/self/status");
    // What the launcher itself may never have, as in many a container, is not there to be left.
    let bounds = fs::read_to_string("/proc/self/status").unwrap();
    let bounds = bounds.lines().find_map(|line| line.strip_prefix("CapBnd:")).unwrap();
    let left = 0x4fb & u64::from_str_radix(bounds.trim(), 16).unwrap();
    let lines = [
        format!("CapEff:\t{left:016x}"),
        format!("CapBnd:\t{left:016x}"),
        "NoNewPrivs:\t1".into(),
        "Seccomp:\t2".into(),
    ];
    for line in lines {
        assert!(status.contains(&line), "{line} in {status}");
    }
}

#[test]
fn ways_out_are_refused() {
    if !ready() {
        return;
    }
    for (script, reason) in [
        ("mount -t tmpfs x /mnt", "permission denied"),
        ("unshare -U true", "not permitted"),
        ("mknod /tmp/disk b 254 0", "not permitted"),
        ("chroot / true", "not permitted"),
        ("echo 1 > /proc/sys/kernel/printk", "read-only"),
        ("nsenter -t 1 -m true", "not permitted"),
    ] {
        let outcome = run(&Container::default(), script);
        let errors = String::from_utf8_lossy(&outcome.errors).to_lowercase();
        assert!(!outcome.status.is_success() && errors.contains(reason), "{script}: {errors}");
    }
}

#[test]
fn the_root_of_the_first_process_is_the_containers_own() {
    if !ready() {
        return;
    }
    let secret = tempfile::NamedTempFile::new_in("/dev/shm").unwrap();
    let path = secret.path().display();
    assert_eq!(inside(&format!("ls {path} /proc/1/root{path} 2>/dev/null | wc -l")), "0");
}

#[test]
fn a_directory_as_root_shows_nothing_else() {
    if !ready() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("program"), Builtin::Hello.linux_elf()).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(root.path().join("program"), executable).unwrap();
    let container = Container::default().root(Root::Directory(root.path().into()));
    assert!(container.run(&Workload::command(["/program"])).unwrap().status.is_success());
    let error = container.run(&Workload::command(["/bin/sh"])).unwrap_err();
    assert_eq!(error.exit_code(), 127, "{error}");
    let error = container.run(&Workload::command(["/proc/version"])).unwrap_err();
    assert_eq!(error.exit_code(), 126, "{error}");
}

#[test]
fn a_root_that_is_read_only_inside_gets_the_file_that_a_volume_needs() {
    if !ready() {
        return;
    }
    let (root, volume) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
    let mut container = Container::default().root(Root::Directory(root.path().into()));
    let (destination, source) = ("/a/file".into(), volume.path().to_owned());
    let mount = Mount { destination, kind: "bind".into(), source, options: Vec::new() };
    container.spec.inside.mounts.push(mount);
    container.spec.inside.read_only = true;
    let hello = Workload::builtin(Builtin::Hello, &[]);
    assert_eq!(container.run(&hello).unwrap().status, Status::Exited(0));
}

#[test]
fn a_user_namespace_makes_root_somebody_else() {
    if !ready_with(&[Need::UserNamespace]) {
        return;
    }
    let mut container = Container::default();
    container.spec.boundary.namespaces.user = Namespace::New;
    let outcome = run(&container, "id -u; cat /proc/self/uid_map; echo x > /tmp/x && cat /tmp/x");
    let words: Vec<String> = text(&outcome).split_whitespace().map(str::to_owned).collect();
    assert_eq!(words, ["0", "0", "100000", "65536", "x"], "{outcome:?}");
}
