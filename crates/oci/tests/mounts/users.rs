//! Mounts in a user namespace.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
};

use serde_json::json;

use crate::bundle::Bundle;

/// In a user namespace of its own, with the ids of an unused range.
fn in_a_user_namespace(bundle: &mut Bundle) -> bool {
    let linux = &mut bundle.config["linux"];
    let maps = json!([{ "containerID": 0, "hostID": 300_000, "size": 1000 }]);
    linux["namespaces"].as_array_mut().unwrap().push(json!({ "type": "user" }));
    (linux["uidMappings"], linux["gidMappings"]) = (maps.clone(), maps);
    let everyone = Permissions::from_mode(0o755);
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
    let only_root = Permissions::from_mode(0o600);
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
fn a_source_that_only_the_host_may_enter_is_shown_in_a_user_namespace() {
    let Some(mut bundle) = Bundle::new() else { return };
    let closed = bundle.folder().join("closed");
    fs::create_dir_all(closed.join("open")).unwrap();
    fs::write(closed.join("open/file"), "content\n").unwrap();
    fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
    if !in_a_user_namespace(&mut bundle) {
        return;
    }
    bundle.mount("bind", "closed/open", "/x", &["rbind", "ro"]);
    let script = "cat /x/file; echo > /x/file 2> /dev/null || echo ro";
    assert_eq!(bundle.output(script), "content\nro");
}
