//! Questions 1, 3 and 4: what a container must keep apart, tried from the inside.

mod common;

use std::{fs, path::Path};

use common::{inside, ready, run, text};
use container::{
    Container, Root, Upper,
    layer::{is_whiteout, opaque_mark},
};
use sandbox::{Builtin, Sandbox as _, Status, Workload};

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
    let pids = inside("ls /proc | grep -c '^[0-9]'");
    assert!(pids.parse::<u32>().unwrap() <= 6, "{pids}");
    assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), before);
}

#[test]
fn what_is_written_to_the_hosts_overlay_is_gone() {
    if !ready() {
        return;
    }
    assert_eq!(inside("echo new > /etc/isolab-test; cat /etc/isolab-test"), "new");
    assert!(!Path::new("/etc/isolab-test").exists());
}

#[test]
fn a_kept_upper_layer_keeps() {
    if !ready() {
        return;
    }
    let kept = tempfile::tempdir_in("/var/tmp").unwrap();
    let upper = Upper::Kept(kept.path().to_owned());
    let root = Root::Overlay { lowers: vec!["/".into()], upper };
    let container = Container { root, ..Container::default() };
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
    let kept = tempfile::tempdir_in("/var/tmp").unwrap();
    fs::write(lower.path().join("deleted"), "").unwrap();
    for directory in ["replaced", "left"] {
        fs::create_dir(lower.path().join(directory)).unwrap();
    }
    let upper = Upper::Kept(kept.path().to_owned());
    let root = Root::Overlay { lowers: vec![lower.path().to_owned(), "/".into()], upper };
    let container = Container { root, ..Container::default() };
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
    for line in
        ["CapEff:\t00000000000004fb", "CapBnd:\t00000000000004fb", "NoNewPrivs:\t1", "Seccomp:\t2"]
    {
        assert!(status.contains(line), "{line} in {status}");
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
    let container = Container { root: Root::Directory(root.path().into()), ..Container::default() };
    assert!(container.run(&Workload::command(["/program"])).unwrap().status.is_success());
    let error = container.run(&Workload::command(["/bin/sh"])).unwrap_err();
    assert_eq!(error.exit_code(), 127, "{error}");
    let error = container.run(&Workload::command(["/proc/version"])).unwrap_err();
    assert_eq!(error.exit_code(), 126, "{error}");
}

#[test]
fn a_user_namespace_makes_root_somebody_else() {
    if !ready() {
        return;
    }
    let mut container = Container::default();
    container.namespaces.user = true;
    let outcome = run(&container, "id -u; cat /proc/self/uid_map; echo x > /tmp/x && cat /tmp/x");
    let words: Vec<String> = text(&outcome).split_whitespace().map(str::to_owned).collect();
    assert_eq!(words, ["0", "0", "100000", "65536", "x"], "{outcome:?}");
}
