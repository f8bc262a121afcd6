//! Devices of the host: nodes made inside, and nodes that came with the files.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use nix::{
    errno::Errno,
    sys::stat::{Mode, SFlag, mknod},
};

use crate::{
    call::call,
    everywhere::{callers, everywhere_is, ready, ready_for_limits, skip},
    host::{Host, set_mode},
    inside::{Attempt, Failed, describe, each},
    launch::{Files, Launch, Who, volume},
};

pub const ATTEMPTS: &[(&str, Attempt)] =
    &[("make-nodes", make_nodes), ("open-nodes", open_nodes), ("list-nodes", list_nodes)];

fn make_nodes(_: &[String]) -> Result<String, Failed> {
    let make = |path, kind, (major, minor)| {
        call!(SYS_mknod, path, kind | 0o666, libc::makedev(major, minor))
    };
    each([
        ("disk", make(c"/tmp/disk", libc::S_IFBLK, (254, 0))),
        ("memory", make(c"/tmp/memory", libc::S_IFCHR, (1, 1))),
        ("kvm", make(c"/tmp/kvm", libc::S_IFCHR, (10, 232))),
        ("loop", make(c"/dev/loop-control", libc::S_IFCHR, (10, 237))),
    ])
}

#[test]
fn no_device_node_is_made() {
    everywhere_is("make-nodes", "disk=EPERM memory=EPERM kvm=EPERM loop=EPERM");
}

fn open_nodes(directories: &[String]) -> Result<String, Failed> {
    let directory = Path::new(directories.first().ok_or("where?")?);
    let ways = NODES.map(|(name, ..)| {
        let read = File::open(directory.join(name)).map(drop);
        let write = File::options().write(true).open(directory.join(name)).map(drop);
        format!("{name}={},{}", describe(read), describe(write))
    });
    Ok(ways.join(" "))
}

type Number = (u64, u64);

/// Names with kind and number; the number of the disk is that of the host's own root.
const NODES: [(&str, SFlag, Option<Number>); 5] = [
    ("disk", SFlag::S_IFBLK, None),
    ("memory", SFlag::S_IFCHR, Some((1, 1))),
    ("kvm", SFlag::S_IFCHR, Some((10, 232))),
    ("console", SFlag::S_IFCHR, Some((5, 1))),
    ("full", SFlag::S_IFCHR, Some((1, 7))),
];

/// Device nodes for everybody in `directory`; `false`, with the reason told, where root may make none.
fn prepare_nodes(directory: &Path) -> bool {
    fs::create_dir_all(directory).unwrap();
    let disk = fs::metadata("/").unwrap().dev();
    for (name, kind, number) in NODES {
        let number = number.map_or(disk, |(major, minor)| nix::sys::stat::makedev(major, minor));
        let path = directory.join(name);
        match mknod(&path, kind, Mode::from_bits_truncate(0o666), number) {
            Err(Errno::EPERM) => {
                skip("root may make no device nodes here");
                return false;
            }
            made => made.unwrap(),
        }
        set_mode(&path, 0o666);
    }
    true
}

/// Whether the nodes of a directory can be opened on the host: the attempt can see what it denies.
fn can_be_opened_outside(directory: &Path) -> bool {
    File::open(directory.join("full")).is_ok()
}

#[test]
fn device_nodes_that_came_with_the_root_do_not_work() {
    if !ready() {
        return;
    }
    let mut host = Host::watched();
    let root = host.new_root("root");
    if !prepare_nodes(&root.join("nodes")) {
        return;
    }
    assert!(can_be_opened_outside(&root.join("nodes")));
    let all = NODES.map(|(name, ..)| format!("{name}=EACCES,EACCES")).join(" ");
    for who in callers() {
        for files in [Files::Directory(root.clone()), Files::Overlay(root.clone())] {
            for user_namespace in [false, true] {
                let launch = Launch::of(&host, files.clone(), &["open-nodes", "/nodes"]);
                let launch = Launch { user_namespace, ..launch };
                let description = launch.run_as(who, &host).describe();
                assert_eq!(description, all, "{who:?} {files:?} {user_namespace}");
            }
        }
    }
    host.is_unchanged("device nodes in the root");
}

#[test]
fn device_nodes_of_the_hosts_own_files_do_not_work() {
    if !ready() {
        return;
    }
    let mut host = Host::watched();
    let nodes = host.folder().join("nodes");
    if !prepare_nodes(&nodes) {
        return;
    }
    let all = NODES.map(|(name, ..)| format!("{name}=EACCES,EACCES")).join(" ");
    let path = nodes.display().to_string();
    for who in callers() {
        let launch = Launch::of(&host, Files::Host, &["open-nodes", &path]);
        assert_eq!(launch.run_as(who, &host).describe(), all, "{who:?}");
    }
    host.is_unchanged("device nodes of the host");
}

#[test]
fn device_nodes_of_a_volume_do_not_work() {
    if !ready() {
        return;
    }
    let mut host = Host::watched();
    let nodes = host.folder().join("nodes");
    if !prepare_nodes(&nodes) {
        return;
    }
    let all = NODES.map(|(name, ..)| format!("{name}=EACCES,EACCES")).join(" ");
    for who in callers() {
        let files = Files::Directory(host.new_root(&format!("root-{who:?}")));
        let launch = Launch::of(&host, files, &["open-nodes", "/volume"]);
        let launch = Launch { volumes: vec![volume(&nodes, "/volume")], ..launch };
        assert_eq!(launch.run_as(who, &host).describe(), all, "{who:?}");
    }
    host.is_unchanged("device nodes of a volume");
}

/// A volume may show the devices in it, where its options say so; which of them work says the
/// cgroup. A user without one can open what that user may open outside.
#[test]
fn devices_of_the_host_in_a_volume_that_shows_devices_are_not_opened() {
    if !ready_for_limits() {
        return;
    }
    let mut host = Host::watched();
    let nodes = host.folder().join("nodes");
    if !prepare_nodes(&nodes) {
        return;
    }
    let mut shows = volume(&nodes, "/volume");
    shows.options.push("dev".into());
    for no_init in [false, true] {
        let files = Files::Directory(host.new_root(&format!("root-{no_init}")));
        let launch = Launch::of(&host, files, &["open-nodes", "/volume"]);
        let launch = Launch { volumes: vec![shows.clone()], no_init, ..launch };
        let description = launch.run_as(Who::Root, &host).describe();
        let refused = "disk=EPERM,EPERM memory=EPERM,EPERM kvm=EPERM,EPERM console=EPERM,EPERM ";
        assert!(description.starts_with(refused), "{description}");
    }
    host.is_unchanged("device nodes of a volume");
}

/// The devices of /dev that can be opened.
fn list_nodes(_: &[String]) -> Result<String, Failed> {
    use std::os::unix::fs::FileTypeExt as _;
    let mut found = Vec::new();
    for entry in fs::read_dir("/dev")? {
        let entry = entry?;
        let kind = fs::symlink_metadata(entry.path())?.file_type();
        if kind.is_block_device() || kind.is_char_device() {
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    found.sort();
    Ok(found.join(" "))
}

#[test]
fn only_the_usual_devices_are_there() {
    everywhere_is("list-nodes", "full null random tty urandom zero");
}
