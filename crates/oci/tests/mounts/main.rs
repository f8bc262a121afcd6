//! Question 3 in a bundle: what `mounts`, `root` and `linux` of config.json say of files is what the
//! container finds, and no link in its root leads out of it.

mod bundle;

use std::{fs, os::unix::fs::symlink, path::Path};

use bundle::Bundle;
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sys::stat::Mode,
};
use serde_json::json;

/// The options of the mount at `/x`.
const OPTIONS: &str = "while read a b c d e f g; do if test $e = /x; then echo $f; fi; done \
                       < /proc/self/mountinfo";

/// The peer groups of the mount at `/x`, without their numbers.
const PEERS: &str = "while read a b c d e f g; do test $e = /x && echo ${g%% - *}; done \
                     < /proc/self/mountinfo | busybox sed 's/:[0-9]*//g; s/^- .*//'";

/// A mount of the host that is unmounted when it is dropped.
struct HostMount<'a>(&'a Path);

impl<'a> HostMount<'a> {
    fn tmpfs(path: &'a Path) -> Self {
        fs::create_dir_all(path).unwrap();
        let (none, flags) = (None::<&str>, MsFlags::empty());
        mount(Some("test"), path, Some("tmpfs"), flags, none).unwrap();
        Self(path)
    }

    fn shared(self) -> Self {
        let none = None::<&str>;
        mount(none, self.0, none, MsFlags::MS_SHARED, none).unwrap();
        self
    }
}

impl Drop for HostMount<'_> {
    fn drop(&mut self) {
        umount2(self.0, MntFlags::MNT_DETACH).unwrap();
    }
}

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
        let made = nix::sys::stat::mknod(
            &zero,
            nix::sys::stat::SFlag::S_IFCHR,
            Mode::from_bits_truncate(0o666),
            nix::sys::stat::makedev(1, 5),
        );
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
    for (option, expected) in
        [("private", ""), ("rslave", "master"), ("shared", "shared"), ("runbindable", "unbindable")]
    {
        let Some(mut bundle) = Bundle::new() else { return };
        let host = bundle.folder().join("host");
        let _host = HostMount::tmpfs(&host).shared();
        bundle.mount("bind", "host", "/x", &["rbind", option]);
        assert_eq!(bundle.output(PEERS), expected, "{option}");
    }
}

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

#[test]
fn what_cannot_be_mounted_is_an_error_that_names_it() {
    for (options, source, destination, expected) in [
        (&["bind"][..], "missing", "/x", "missing"),
        (&["bind", "sync"], "source", "/x", "sync"),
        (&["bind", "copy-symlink"], "source", "/x", "copy-symlink"),
        (&["nosuid"], "source", "/x", "mounts[2].type"),
        (&["bind"], "source", "/", "mounts[2].destination"),
        (&["bind"], "source", "/x/..", "mounts[2].destination"),
    ] {
        let Some(mut bundle) = Bundle::new() else { return };
        bundle.source();
        bundle.mount("none", source, destination, options);
        let errors = bundle.failure();
        assert!(errors.contains(expected), "{expected}: {errors}");
    }
}

#[test]
fn a_destination_is_made_within_the_root_only() {
    let Some(mut bundle) = Bundle::new() else { return };
    let (source, outside) = (bundle.source(), bundle.folder().join("outside"));
    fs::create_dir(&outside).unwrap();
    symlink(&outside, bundle.root().join("out")).unwrap();
    symlink("../../../../../../../../..", bundle.root().join("up")).unwrap();
    let file = source.join("file");
    bundle.mount("bind", file.to_str().unwrap(), "/out/deep/file", &["bind"]);
    bundle.mount("bind", "source", "/../../y/./../z", &["bind"]);
    assert_eq!(bundle.output("cat /out/deep/file /z/file"), "content\ncontent");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    bundle.mount("bind", "source", "/up", &["bind"]);
    assert!(bundle.failure().contains("/up"));
}

#[test]
fn no_link_of_procfs_leads_a_mount_out() {
    for target in ["/proc/self/fd/3", "/proc/1/root", "/proc/self/cwd", "/proc/thread-self/root"] {
        let Some(mut bundle) = Bundle::new() else { return };
        bundle.source();
        symlink(target, bundle.root().join("x")).unwrap();
        for destination in ["/x", "/x/tmp"] {
            bundle.config["mounts"].as_array_mut().unwrap().truncate(2);
            bundle.mount("bind", "source", destination, &["bind"]);
            assert!(bundle.failure().contains("ELOOP"), "{target} {destination}");
        }
    }
}

#[test]
fn a_root_that_is_a_link_is_refused() {
    let Some(mut bundle) = Bundle::new() else { return };
    symlink("/", bundle.folder().join("link")).unwrap();
    bundle.config["root"]["path"] = json!("link");
    assert!(bundle.failure().contains("root.path"));
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

/// In a user namespace of its own, with the ids of an unused range.
fn in_a_user_namespace(bundle: &mut Bundle) -> bool {
    let linux = &mut bundle.config["linux"];
    let maps = json!([{ "containerID": 0, "hostID": 300_000, "size": 1000 }]);
    linux["namespaces"].as_array_mut().unwrap().push(json!({ "type": "user" }));
    (linux["uidMappings"], linux["gidMappings"]) = (maps.clone(), maps);
    let everyone = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(bundle.folder(), everyone).unwrap();
    // Its root makes the mount points.
    nix::unistd::chown(&bundle.root(), Some(300_000.into()), Some(300_000.into())).unwrap();
    let run = bundle.run("true");
    if !run.succeeded && run.errors.contains("user") {
        println!("skipped: no user namespace can be made here: {}", run.errors);
        return false;
    }
    true
}

#[test]
fn a_user_namespace_has_the_hosts_devices_and_fifos_of_its_own() {
    let Some(mut bundle) = Bundle::new() else { return };
    if !in_a_user_namespace(&mut bundle) {
        return;
    }
    bundle.config["linux"]["devices"] =
        json!([{ "path": "/dev/fifo", "type": "p", "fileMode": 0o600, "uid": 7, "gid": 8 }]);
    bundle.mount("devpts", "devpts", "/dev/pts", &["newinstance", "gid=5", "mode=620"]);
    let script = "echo x > /dev/null && stat -c '%a %u:%g' /dev/fifo; ls /dev/pts";
    assert_eq!(bundle.output(script), "600 7:8\nptmx");
}

#[test]
fn a_copy_of_the_root_has_the_owners_of_the_user_namespace() {
    let Some(mut bundle) = Bundle::new() else { return };
    let run = bundle.root().join("run");
    fs::create_dir(&run).unwrap();
    fs::write(run.join("own"), "own\n").unwrap();
    nix::unistd::chown(&run.join("own"), Some(300_007.into()), Some(300_008.into())).unwrap();
    if !in_a_user_namespace(&mut bundle) {
        return;
    }
    bundle.mount("tmpfs", "tmpfs", "/run", &["tmpcopyup"]);
    assert_eq!(bundle.output("stat -c %u:%g /run/own; cat /run/own"), "7:8\nown");
    // What the container may not read is not copied for it.
    fs::write(run.join("hosts"), "secret\n").unwrap();
    let only_root = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(run.join("hosts"), only_root).unwrap();
    assert!(bundle.failure().contains("EACCES"));
}

#[test]
fn a_user_namespace_in_the_hosts_network_sees_the_hosts_sys() {
    let Some(mut bundle) = Bundle::new() else { return };
    let namespaces = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|it| it["type"] != "network");
    if !in_a_user_namespace(&mut bundle) {
        return;
    }
    bundle.mount("sysfs", "sysfs", "/sys", &["nosuid", "noexec", "nodev", "ro"]);
    assert_eq!(bundle.output("ls -d /sys/class/net"), "/sys/class/net");
}

#[test]
fn a_destination_that_is_swapped_meanwhile_leads_nowhere() {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    let Some(mut bundle) = Bundle::new() else { return };
    let outside = bundle.folder().join("outside");
    fs::create_dir(&outside).unwrap();
    bundle.source();
    bundle.mount("bind", "source", "/x/deep", &["bind"]);
    bundle.config["linux"]["maskedPaths"] = json!(["/x"]);
    let (x, ended) = (bundle.root().join("x"), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Relaxed) {
                let _ = symlink(&outside, &x);
                let _ = fs::remove_file(&x);
                let _ = fs::create_dir(&x);
                let _ = fs::remove_dir_all(&x);
            }
        });
        for _ in 0..20 {
            bundle.run("true"); // it may start or fail
        }
        ended.store(true, Relaxed);
    });
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(bundle.folder().to_str().unwrap()), "{mounts}");
}

#[test]
fn a_source_that_only_the_host_may_enter_is_shown_in_a_user_namespace() {
    use std::os::unix::fs::PermissionsExt as _;
    let Some(mut bundle) = Bundle::new() else { return };
    let closed = bundle.folder().join("closed");
    fs::create_dir_all(closed.join("open")).unwrap();
    fs::write(closed.join("open/file"), "content\n").unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    if !in_a_user_namespace(&mut bundle) {
        return;
    }
    bundle.mount("bind", "closed/open", "/x", &["rbind", "ro"]);
    let script = "cat /x/file; echo > /x/file 2> /dev/null || echo ro";
    assert_eq!(bundle.output(script), "content\nro");
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
