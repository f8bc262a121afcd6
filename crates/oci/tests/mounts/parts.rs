//! The other parts of the root: devices, what is hidden, cgroups, and the root itself.

use std::{fs, os::unix::fs::symlink};

use serde_json::json;

use crate::{HostMount, PEERS, bundle::Bundle};

#[test]
fn the_root_propagates_as_it_is_said_and_never_mounts_on_the_host() {
    for (word, expected) in [
        ("private", ""),
        ("rslave", "master"),
        ("shared", "shared"),
        ("rshared", "shared"),
        ("unbindable", "unbindable"),
    ] {
        let Some(mut bundle) = Bundle::new() else { return };
        let folder = bundle.folder().to_owned();
        let root = bundle.root();
        let busybox = root.join("bin/busybox");
        let kept = folder.join("busybox");
        fs::copy(&busybox, &kept).unwrap();
        let _host = HostMount::tmpfs(&root).shared();
        fs::create_dir(root.join("bin")).unwrap();
        fs::copy(&kept, &busybox).unwrap();
        symlink("busybox", root.join("bin/sh")).unwrap();
        bundle.config["linux"]["rootfsPropagation"] = json!(word);
        let script = PEERS.replace("/x", "/");
        assert_eq!(bundle.output(&script), expected, "{word}");
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let below = format!("{}/", root.display());
        assert!(!mounts.contains(&below), "{word}: {mounts}");
    }
}

#[test]
fn a_masked_path_behind_a_link_is_masked_in_the_root_and_a_missing_one_ignored() {
    let Some(mut bundle) = Bundle::new() else { return };
    fs::write(bundle.root().join("secret"), "secret\n").unwrap();
    fs::create_dir(bundle.root().join("folder")).unwrap();
    fs::write(bundle.root().join("folder/secret"), "secret\n").unwrap();
    symlink("/secret", bundle.root().join("link")).unwrap();
    let linux = &mut bundle.config["linux"];
    linux["maskedPaths"] = json!(["/link", "/folder", "/missing", "/proc/keys", "/proc/nothing"]);
    linux["readonlyPaths"] = json!(["/bin", "/proc/sys", "/none"]);
    let script = "cat /secret /proc/keys; ls /folder; touch /bin/new 2> /dev/null || echo ro";
    assert_eq!(bundle.output(script), "ro");
    symlink("/", bundle.root().join("whole")).unwrap();
    bundle.config["linux"]["maskedPaths"] = json!(["/whole"]);
    assert!(bundle.failure().contains("/whole"));
}

#[test]
fn masked_directories_are_covered_by_one_file_system_whatever_lies_between_them() {
    let Some(mut bundle) = Bundle::new() else { return };
    for name in ["one", "two", "three"] {
        fs::create_dir(bundle.root().join(name)).unwrap();
        fs::write(bundle.root().join(name).join("secret"), "secret\n").unwrap();
    }
    fs::write(bundle.root().join("file"), "secret\n").unwrap();
    bundle.config["linux"]["maskedPaths"] = json!(["/file", "/one", "/missing", "/two", "/three"]);
    let script = "cat /file; ls /one /two/. /three/. | grep secret; \
                  touch /two/new 2> /dev/null || echo ro; \
                  [ $(stat -c %d /one) = $(stat -c %d /three) ] && echo same";
    assert_eq!(bundle.output(script), "ro\nsame");
}

#[test]
fn nothing_is_masked_with_a_null_device_of_the_root() {
    let Some(mut bundle) = Bundle::new() else { return };
    let dev = bundle.folder().join("dev");
    fs::create_dir(&dev).unwrap();
    fs::write(dev.join("null"), "not null\n").unwrap();
    bundle.config["mounts"].as_array_mut().unwrap().pop();
    bundle.mount("bind", "dev", "/dev", &["bind"]);
    bundle.config["linux"]["maskedPaths"] = json!(["/proc/keys"]);
    assert!(bundle.failure().contains("/dev/null"));
}

#[test]
fn devices_have_the_owner_and_permissions_that_are_given() {
    let Some(mut bundle) = Bundle::new() else { return };
    bundle.config["linux"]["devices"] = json!([
        { "path": "/dev/deep/null", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640,
            "uid": 5, "gid": 6 },
        { "path": "/dev/fifo", "type": "p", "fileMode": 0o600, "uid": 7, "gid": 8 },
    ]);
    let script = "stat -c '%a %u:%g %F' /dev/deep/null /dev/fifo /dev/null; \
                  for name in fd stdin stdout stderr ptmx; do readlink /dev/$name; done";
    let expected = "640 5:6 character special file\n600 7:8 fifo\n\
                    666 0:0 character special file\n/proc/self/fd\n/proc/self/fd/0\n\
                    /proc/self/fd/1\n/proc/self/fd/2\npts/ptmx";
    assert_eq!(bundle.output(script), expected);
}

#[test]
fn a_dev_of_the_root_is_used_again_if_its_nodes_are_the_right_ones() {
    let Some(mut bundle) = Bundle::new() else { return };
    bundle.config["mounts"].as_array_mut().unwrap().pop();
    for _ in 0..2 {
        assert_eq!(bundle.output("echo x > /dev/null && echo written"), "written");
    }
    fs::remove_file(bundle.root().join("dev/zero")).unwrap();
    fs::write(bundle.root().join("dev/zero"), "not zero").unwrap();
    assert!(bundle.failure().contains("/dev/zero"));
}

#[test]
fn the_cgroup_is_shown_with_and_without_a_namespace() {
    for (has_namespace, option) in [(true, "ro"), (false, "ro"), (true, "rw")] {
        let Some(mut bundle) = Bundle::new() else { return };
        if !has_namespace {
            bundle.config["linux"]["namespaces"].as_array_mut().unwrap().pop();
        }
        bundle.mount("sysfs", "sysfs", "/sys", &["ro"]);
        bundle.mount("cgroup", "cgroup", "/sys/fs/cgroup", &["nosuid", "nodev", "noexec", option]);
        // Of the container's own cgroup only: on version 2 directly, on version 1 in each hierarchy.
        let script = "cd /sys/fs/cgroup; cat cgroup.procs */cgroup.procs 2> /dev/null | \
                      busybox sort -u; grep -c \" /sys/fs/cgroup.* $1\" /proc/self/mountinfo";
        let run = bundle.run(&script.replace("$1", option));
        if run.output.is_empty() {
            return println!("skipped: no cgroup can be made here: {}", run.errors);
        }
        let mut lines = run.output.lines();
        assert_eq!(lines.next(), Some("1"), "{run:?}");
        assert_ne!(lines.next_back(), Some("0"), "{run:?}");
    }
}

#[test]
fn a_read_only_root_has_writable_mounts() {
    let Some(mut bundle) = Bundle::new() else { return };
    bundle.config["root"]["readonly"] = json!(true);
    bundle.mount("tmpfs", "tmpfs", "/x", &[]);
    let script = "touch /new 2> /dev/null || echo ro; touch /x/new && echo rw";
    assert_eq!(bundle.output(script), "ro\nrw");
}

#[test]
fn a_mount_in_the_cgroup_view_is_above_it() {
    let Some(mut bundle) = Bundle::new() else { return };
    bundle.source();
    bundle.mount("sysfs", "sysfs", "/sys", &["ro"]);
    bundle.mount("cgroup", "cgroup", "/sys/fs/cgroup", &["ro"]);
    let names = bundle.output("ls /sys/fs/cgroup");
    let Some(directory) = names.lines().find(|name| !name.contains('.')) else {
        return println!("skipped: no cgroup can be made here");
    };
    let destination = format!("/sys/fs/cgroup/{directory}");
    bundle.mount("bind", "source", &destination, &["bind"]);
    assert_eq!(bundle.output(&format!("cat {destination}/file")), "content");
}
