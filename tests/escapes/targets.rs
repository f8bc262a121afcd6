//! Where volumes, masks and upper layers are put, in roots that lead them astray.

use std::{
    fs,
    os::unix::{fs::symlink, net::UnixListener},
    path::Path,
};

use container::Mount;
use nix::{sys::stat::Mode, unistd::mkfifo};

use crate::{
    everywhere::{callers, ready, ready_as_root},
    host::Host,
    launch::{Answer, Files, Launch, Who, volume},
};

type Make = fn(&Path);

/// What may be found in the place of a directory, or of a file.
pub const NO_DIRECTORIES: [(&str, Make); 3] = [
    ("file", |path| fs::write(path, "").unwrap()),
    ("FIFO", |path| mkfifo(path, Mode::from_bits_truncate(0o666)).unwrap()),
    ("socket", |path| drop(UnixListener::bind(path).unwrap())),
];

fn run(host: &Host, who: Who, root: &Path, change: impl FnOnce(&mut Launch)) -> Answer {
    let nothing = "/none";
    let mut launch = Launch::of(host, Files::Directory(root.into()), &["tell-where", nothing]);
    change(&mut launch);
    launch.run_as(who, host)
}

/// What a container says that has a volume there.
fn with_volume(host: &Host, who: Who, root: &Path, source: &Path, destination: &str) -> Answer {
    run(host, who, root, |launch| launch.volumes.push(volume(source, destination)))
}

#[test]
fn a_volume_is_put_below_the_root_only() {
    if !ready_as_root() {
        return;
    }
    let mut host = Host::watched();
    let (root, source) = (host.new_root("root"), host.new_root("source"));
    for destination in
        ["/", "//", "/.", "..", "/..", "/tmp/..", "/tmp/../..", "tmp", "", "/a/../../b"]
    {
        let error = with_volume(&host, Who::Root, &root, &source, destination).error;
        let error = error.unwrap_or_else(|| panic!("{destination:?} is a destination"));
        let reason = "is not an absolute path below the root";
        assert!(error.contains(reason) && error.contains("mount destination"), "{error}");
    }
    host.is_unchanged("a volume at the root");
}

#[test]
fn a_volume_behind_a_link_to_the_root_is_refused() {
    if !ready() {
        return;
    }
    let mut host = Host::watched();
    let source = host.new_root("source");
    for who in callers() {
        for (number, target) in
            ["/", ".", "..", "../../../..", "tmp/..", "/tmp/../../.."].into_iter().enumerate()
        {
            let root = host.new_root(&format!("root-{who:?}-{number}"));
            fs::remove_dir(root.join("volume")).unwrap();
            symlink(target, root.join("volume")).unwrap();
            let answer = with_volume(&host, who, &root, &source, "/volume");
            let error =
                answer.error.unwrap_or_else(|| panic!("{target} is taken: {:?}", answer.output));
            let reason = "check failed: /volume is not the root itself";
            assert!(error.contains(reason), "{target} as {who:?}: {error}");
            host.is_unchanged(&format!("a volume at a link to {target}"));
        }
    }
}

#[test]
fn a_volume_behind_a_link_out_of_the_root_stays_within() {
    if !ready() {
        return;
    }
    let mut host = Host::watched();
    let source = host.new_root("source");
    let canary = host.canary().display().to_string();
    let out = [
        canary.clone(),
        format!("../../../../../..{canary}"),
        "/proc/self/cwd".into(),
        "/proc/self/fd/3".into(),
        "/proc/1/root".into(),
    ];
    for who in callers() {
        for (number, target) in out.iter().enumerate() {
            for destination in ["/volume", "/volume/below", "/volume/secrets"] {
                let name = destination.replace('/', "-");
                let root = host.new_root(&format!("root-{who:?}-{number}{name}"));
                fs::remove_dir(root.join("volume")).unwrap();
                symlink(target, root.join("volume")).unwrap();
                let error = with_volume(&host, who, &root, &source, destination).error;
                let description = format!("{destination} by {target} as {who:?}: {error:?}");
                let error = error.unwrap_or_else(|| panic!("{description}"));
                // The place is missing within the root, or the link is one of procfs.
                let magic = target.starts_with("/proc/self") || target.starts_with("/proc/1/");
                let expected =
                    if magic { "within the root: ELOOP" } else { "within the root: ENOENT" };
                assert!(error.contains(expected), "{description}");
                host.is_unchanged(&description);
            }
        }
    }
}

#[test]
fn a_volume_that_keeps_its_owners_stays_within_too() {
    if !ready_as_root() {
        return;
    }
    let mut host = Host::watched();
    let source = host.new_root("source");
    let canary = host.canary().display().to_string();
    let cases = [
        ("/", "/volume is not the root itself"),
        ("..", "/volume is not the root itself"),
        (&canary, "within the root: ENOENT"),
        ("/proc/self/cwd", "within the root: ELOOP"),
        ("/proc/1/root", "within the root: ELOOP"),
    ];
    for (number, (target, reason)) in cases.into_iter().enumerate() {
        let root = host.new_root(&format!("root-{number}"));
        fs::remove_dir(root.join("volume")).unwrap();
        symlink(target, root.join("volume")).unwrap();
        let answer = run(&host, Who::Root, &root, |launch| {
            launch.volumes.push(volume(&source, "/volume"));
            (launch.user_namespace, launch.keep_owners) = (true, true);
        });
        let error = answer.error.unwrap_or_else(|| panic!("{target}: {:?}", answer.output));
        assert!(error.contains(reason), "{target}: {error}");
        host.is_unchanged(&format!("a volume at a link to {target}"));
    }
}

#[test]
fn a_file_on_a_link_to_a_file_of_the_host_does_not_reach_it() {
    if !ready() {
        return;
    }
    let mut host = Host::watched();
    let source = host.folder().join("resolv.conf");
    fs::write(&source, "nameserver 192.0.2.1\n").unwrap();
    let outside = host.canary().join("file").display().to_string();
    for who in callers() {
        for (number, target) in [
            outside.clone(),
            format!("../../../../../..{outside}"),
            "resolv.conf".into(),
            "/no/such".into(),
        ]
        .iter()
        .enumerate()
        {
            let root = host.new_root(&format!("root-{who:?}-{number}"));
            symlink(target, root.join("etc/resolv.conf")).unwrap();
            let error = with_volume(&host, who, &root, &source, "/etc/resolv.conf").error;
            let description = format!("{target} as {who:?}: {error:?}");
            let error = error.unwrap_or_else(|| panic!("{description}"));
            let reasons = ["create resolv.conf: EEXIST", "within the root: ELOOP"];
            assert!(reasons.iter().any(|reason| error.contains(reason)), "{description}");
            host.is_unchanged(&description);
        }
    }
}

#[test]
fn a_file_is_put_on_files_of_every_kind_without_opening_them() {
    if !ready() {
        return;
    }
    let mut host = Host::watched();
    let source = host.folder().join("source");
    fs::write(&source, "of the volume").unwrap();
    for who in callers() {
        for (kind, make) in NO_DIRECTORIES {
            let root = host.new_root(&format!("root-{who:?}-{kind}"));
            make(&root.join("place"));
            let files = Files::Directory(root);
            let launch = Launch::of(&host, files, &["read", "/place"]);
            let launch = Launch { volumes: vec![volume(&source, "/place")], ..launch };
            assert_eq!(launch.run_as(who, &host).describe(), "of the volume", "{who:?} {kind}");
        }
    }
    host.is_unchanged("a file on a FIFO");
}

#[test]
fn a_mount_cannot_take_the_place_of_the_kernels_views() {
    if !ready_as_root() {
        return;
    }
    let mut host = Host::watched();
    let (root, source) = (host.new_root("root"), host.new_root("source"));
    // Later mounts of the caller's own lie on top, where they were asked for: nowhere else.
    for destination in
        ["/proc/self/cwd", "/proc/self/fd/3/x", "/proc/thread-self/root", "/dev/fd/x"]
    {
        let error = with_volume(&host, Who::Root, &root, &source, destination).error;
        let error = error.unwrap_or_else(|| panic!("{destination} is taken"));
        let refusals = ["ELOOP", "ENOENT", "EEXIST"];
        assert!(refusals.iter().any(|errno| error.contains(errno)), "{destination}: {error}");
    }
    host.is_unchanged("a mount below /proc");
}

#[test]
fn a_new_file_system_is_put_within_the_root_too() {
    if !ready_as_root() {
        return;
    }
    let mut host = Host::watched();
    let canary = host.canary().display().to_string();
    for kind in ["tmpfs", "proc", "sysfs", "mqueue"] {
        for (number, target) in ["/", "..", &canary].into_iter().enumerate() {
            let root = host.new_root(&format!("root-{kind}-{number}"));
            symlink(target, root.join("place")).unwrap();
            let answer = run(&host, Who::Root, &root, |launch| {
                launch.volumes.push(Mount {
                    destination: "/place".into(),
                    kind: kind.into(),
                    source: kind.into(),
                    options: Vec::new(),
                });
            });
            let description = format!("{kind} at {target}: {answer:?}");
            let error = answer.error.unwrap_or_else(|| panic!("{description}"));
            let reasons = ["/place is not the root itself", "within the root: ENOENT"];
            assert!(reasons.iter().any(|reason| error.contains(reason)), "{description}");
            host.is_unchanged(&description);
        }
    }
}
