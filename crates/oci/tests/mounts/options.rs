//! What the options of a mount mean.

use std::{fs, os::unix::fs::symlink};

use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use serde_json::json;

use crate::{HostMount, OPTIONS, PEERS, bundle::Bundle};

#[test]
fn a_bind_mount_has_the_attributes_that_are_given_and_keeps_the_others() {
    for (options, expected) in [
        (&["bind"][..], "rw,relatime"),
        (&["bind", "ro"], "ro,relatime"),
        (&["bind", "ro", "rw"], "rw,relatime"),
        (&["bind", "nosuid", "nodev", "noexec"], "rw,nosuid,nodev,noexec,relatime"),
        (&["bind", "noatime", "nodiratime"], "rw,noatime,nodiratime"),
        (&["bind", "strictatime"], "rw"),
        (&["bind", "nosymfollow"], "rw,relatime,nosymfollow"),
        (&["rbind", "rro", "rnoexec"], "ro,noexec,relatime"),
    ] {
        let Some(mut bundle) = Bundle::new() else { return };
        let host = bundle.folder().join("host");
        let _host = HostMount::tmpfs(&host);
        bundle.mount("none", "host", "/x", options);
        assert_eq!(bundle.output(OPTIONS), expected, "{options:?}");
    }
}

#[test]
fn only_a_recursive_option_concerns_the_mounts_below() {
    for (option, is_written) in [("ro", true), ("rro", false)] {
        let Some(mut bundle) = Bundle::new() else { return };
        let source = bundle.source();
        let below = source.join("below");
        let _below = HostMount::tmpfs(&below);
        bundle.mount("bind", "source", "/x", &["rbind", option]);
        let script = "touch /x/new 2> /dev/null && echo above; \
                      touch /x/below/new 2> /dev/null && echo below; true";
        let expected = if is_written { "below" } else { "" };
        assert_eq!(bundle.output(script), expected, "{option}");
    }
}

#[test]
fn device_nodes_work_in_a_bind_mount_unless_it_is_nodev() {
    for (option, works) in [("bind", true), ("nodev", false)] {
        let Some(mut bundle) = Bundle::new() else { return };
        let zero = bundle.source().join("zero");
        let made = mknod(&zero, SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), makedev(1, 5));
        if let Err(errno) = made {
            return println!("skipped: this user may not make device nodes: {errno}");
        }
        bundle.mount("bind", "source", "/x", &["bind", option]);
        let run = bundle.run("busybox head -c 1 /x/zero > /dev/null");
        assert_eq!(run.succeeded, works, "{run:?}");
    }
}

#[test]
fn a_mount_propagates_as_it_is_said() {
    for (option, root, expected) in [
        ("private", None, ""),
        ("rslave", None, "master"),
        ("shared", None, "shared master"),
        ("shared", Some("slave"), "shared master"),
        ("shared", Some("rshared"), "shared"),
        ("runbindable", None, "unbindable"),
    ] {
        let Some(mut bundle) = Bundle::new() else { return };
        let host = bundle.folder().join("host");
        let _host = HostMount::tmpfs(&host).shared();
        bundle.mount("bind", "host", "/x", &["rbind", option]);
        if let Some(word) = root {
            bundle.config["linux"]["rootfsPropagation"] = json!(word);
        }
        assert_eq!(bundle.output(PEERS), expected, "{option} {root:?}");
    }
}

#[test]
fn what_is_mounted_inside_shows_up_on_the_host_only_where_the_root_is_shared() {
    for (root, shows) in [(None, false), (Some("rshared"), true)] {
        let Some(mut bundle) = Bundle::new() else { return };
        let host = bundle.folder().join("host");
        let _host = HostMount::tmpfs(&host).shared();
        fs::create_dir(host.join("below")).unwrap();
        bundle.mount("bind", "host", "/x", &["rbind", "rshared"]);
        if let Some(word) = root {
            bundle.config["linux"]["rootfsPropagation"] = json!(word);
        }
        for set in ["bounding", "effective", "permitted"] {
            bundle.config["process"]["capabilities"][set] = json!(["CAP_SYS_ADMIN"]);
        }
        bundle.output("busybox mount -t tmpfs inside /x/below");
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let point = host.join("below").display().to_string();
        assert_eq!(mounts.contains(&point), shows, "{root:?}: {mounts}");
        if shows {
            nix::mount::umount2(&host.join("below"), nix::mount::MntFlags::MNT_DETACH).unwrap();
        }
    }
}

#[test]
fn a_tmpfs_begins_with_what_the_root_has_there() {
    let Some(mut bundle) = Bundle::new() else { return };
    let run = bundle.root().join("run");
    fs::create_dir_all(run.join("deep")).unwrap();
    fs::write(run.join("deep/file"), "old\n").unwrap();
    symlink("deep/file", run.join("link")).unwrap();
    nix::unistd::chown(&run.join("deep"), Some(7.into()), Some(8.into())).unwrap();
    bundle.mount("tmpfs", "tmpfs", "/run", &["tmpcopyup", "ro"]);
    bundle.mount("tmpfs", "tmpfs", "/empty", &["rw"]);
    bundle.config["root"]["readonly"] = json!(false);
    let script = "cat /run/link; stat -c %u:%g /run/deep; touch /run/new 2> /dev/null || echo ro; \
                  ls /empty";
    assert_eq!(bundle.output(script), "old\n7:8\nro");
    assert_eq!(fs::read_dir(&run).unwrap().count(), 2);
}

#[test]
fn a_single_mount_has_owners_of_its_own() {
    let Some(mut bundle) = Bundle::new() else { return };
    bundle.source();
    let maps = json!([{ "containerID": 0, "hostID": 1000, "size": 10 }]);
    bundle.mount("bind", "source", "/x", &["bind", "idmap"]);
    let mount = &mut bundle.config["mounts"][2];
    (mount["uidMappings"], mount["gidMappings"]) = (maps.clone(), maps);
    let run = bundle.run("stat -c %u:%g /x/file");
    if run.errors.contains("with the owners") {
        return println!("skipped: this file system cannot map ids: {}", run.errors);
    }
    assert_eq!(run.output, "1000:1000\n", "{run:?}");
}

#[test]
fn a_remount_changes_what_is_mounted_and_nothing_else() {
    let Some(mut bundle) = Bundle::new() else { return };
    bundle.mount("tmpfs", "tmpfs", "/x", &["nodev"]);
    bundle.mount("none", "none", "/x", &["remount", "ro"]);
    assert_eq!(bundle.output(OPTIONS), "ro,nodev,relatime");
    bundle.mount("none", "none", "/bin", &["remount", "ro"]);
    assert!(bundle.failure().contains("/bin"));
}
