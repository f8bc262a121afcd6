//! What a container finds inside: layers, volumes, its own cgroup, a directory of its own.

mod common;

use std::{
    fs,
    os::unix::{
        ffi::OsStringExt as _,
        fs::{PermissionsExt as _, symlink},
    },
    path::{Path, PathBuf},
};

use common::{Need, ready, ready_with, text};
use container::{Container, Mount, Namespaces, Root, Upper};
use sandbox::{Builtin, Limits, Sandbox as _, Status, Workload};

/// Directories with one file each; the last one has the program.
fn layers(folder: &Path, count: usize) -> Vec<PathBuf> {
    let make = |number: usize| {
        let layer = folder.join(number.to_string());
        fs::create_dir_all(&layer).unwrap();
        fs::write(layer.join(format!("of-{number}")), "").unwrap();
        layer
    };
    let layers: Vec<PathBuf> = (0..count).map(make).collect();
    put_program(layers.last().unwrap());
    layers
}

/// A program that says hello, which needs no other file.
fn put_program(root: &Path) {
    fs::write(root.join("program"), Builtin::Hello.linux_elf()).unwrap();
    fs::set_permissions(root.join("program"), fs::Permissions::from_mode(0o755)).unwrap();
}

fn over(lowers: Vec<PathBuf>, upper: Upper) -> Container {
    Container::default().root(Root::Overlay { lowers, upper })
}

fn program() -> Workload {
    Workload::command(["/program"])
}

#[test]
fn no_layer_of_an_overlay_is_lost() {
    if !ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for count in [1, 64, 65, 100, 500] {
        let lowers = layers(&folder.path().join(count.to_string()), count);
        // The lowest layer has the program: it is the one that is lost first.
        let outcome = over(lowers, Upper::ThrowAway).run(&program());
        assert!(outcome.unwrap().status.is_success(), "{count} layers");
    }
}

#[test]
fn more_layers_than_the_kernel_takes_are_refused_with_the_number() {
    if !ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for count in [501, 600] {
        let error = over(layers(folder.path(), count), Upper::ThrowAway).run(&program());
        let message = sandbox::chain(&error.unwrap_err());
        assert!(
            message.contains("at most 500") && message.contains(&count.to_string()),
            "{message}"
        );
    }
}

/// A directory whose path has about that many bytes.
fn deep(folder: &Path, bytes: usize) -> PathBuf {
    let mut path = folder.to_owned();
    while path.as_os_str().len() + 202 < bytes {
        path.push("d".repeat(200));
    }
    fs::create_dir_all(&path).unwrap();
    path
}

#[test]
fn layers_with_long_paths_are_all_there() {
    if !ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (bytes, count) in [(300, 20), (1000, 9), (3900, 3)] {
        let path = deep(&folder.path().join(bytes.to_string()), bytes);
        let outcome = over(layers(&path, count), Upper::ThrowAway).run(&program());
        assert!(outcome.unwrap().status.is_success(), "{count} layers of {bytes} bytes");
    }
}

/// Names that mean something to a shell, to the options of an overlay, or to mountinfo.
fn odd_names() -> Vec<PathBuf> {
    let bytes: [&[u8]; 10] = [
        b"com,ma",
        b"co:lon",
        b"back\\slash",
        b"new\nline",
        b"ta\tb",
        b"spa ce",
        b"quo\"te",
        b"\xff\xfe",
        b"#",
        b"\\054",
    ];
    bytes.iter().map(|name| std::ffi::OsString::from_vec(name.to_vec()).into()).collect()
}

#[test]
fn any_byte_may_be_in_a_path() {
    if !ready() {
        return;
    }
    for name in odd_names() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join(&name);
        let lowers = layers(&place, 2);
        let root = lowers.last().unwrap().clone();
        let kept = Upper::Kept(place.join("kept"));
        for container in [
            Container::default().root(Root::Directory(root.clone())),
            over(lowers.clone(), Upper::ThrowAway),
            over(lowers.clone(), kept),
        ] {
            let mut container = container;
            let destination = Path::new("/").join(&name);
            container.spec.inside.mounts.push(volume(&place, &destination));
            let inside = destination.join("1/program");
            let workload = Workload::command([inside.clone().into_os_string()]);
            let workload = Workload { directory: Some(destination), ..workload };
            let outcome = container.run(&workload);
            assert!(outcome.unwrap().status.is_success(), "{name:?} {:?}", container.spec.inside);
        }
    }
}

fn volume(source: &Path, destination: &Path) -> Mount {
    let options = vec!["rbind".into()];
    let (source, destination) = (source.to_owned(), destination.to_owned());
    Mount { destination, kind: "bind".into(), source, options }
}

#[test]
fn a_volume_may_come_from_where_roots_are_built() {
    if !ready() {
        return;
    }
    for parent in ["/tmp", "/var/tmp", "/dev/shm"] {
        let Ok(source) = tempfile::tempdir_in(parent) else { continue };
        fs::write(source.path().join("file"), "of the host").unwrap();
        let mut container = Container::default();
        container.spec.inside.mounts.push(volume(source.path(), Path::new("/there")));
        let outcome = common::run(&container, "cat /there/file; echo back > /there/new");
        assert_eq!(text(&outcome), "of the host", "{parent}");
        assert_eq!(fs::read_to_string(source.path().join("new")).unwrap(), "back\n");
    }
}

#[test]
fn a_working_directory_that_is_not_there_is_made_within_the_root() {
    if !ready() {
        return;
    }
    for (directory, made) in [
        ("/new", "new"),
        ("/new/and/deeper", "new/and/deeper"),
        ("/a/../b", "b"),
        ("/link/below", "inside/below"),
    ] {
        let root = tempfile::tempdir().unwrap();
        put_program(root.path());
        fs::create_dir(root.path().join("inside")).unwrap();
        symlink("/inside", root.path().join("link")).unwrap();
        let container = Container::default().root(Root::Directory(root.path().into()));
        let workload = Workload { directory: Some(directory.into()), ..program() };
        assert!(container.run(&workload).unwrap().status.is_success(), "{directory}");
        assert!(root.path().join(made).is_dir(), "{directory}");
    }
}

#[test]
fn a_working_directory_behind_a_link_out_of_the_root_is_not_made_outside() {
    if !ready() {
        return;
    }
    let outside = tempfile::tempdir().unwrap();
    let climbing = format!("../../../../../..{}", outside.path().display());
    for target in [outside.path(), Path::new(&climbing), Path::new("/proc/self/cwd")] {
        let root = tempfile::tempdir().unwrap();
        put_program(root.path());
        symlink(target, root.path().join("link")).unwrap();
        let container = Container::default().root(Root::Directory(root.path().into()));
        let workload = Workload { directory: Some("/link/new".into()), ..program() };
        let _ = container.run(&workload); // it may be refused, or made within
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0, "{target:?}");
    }
}

#[test]
fn its_own_cgroup_is_shown_and_cannot_be_changed() {
    if !ready_with(&[Need::Limits]) {
        return;
    }
    let limits = Limits { memory_bytes: Some(48 << 20), ..common::limited() };
    let cgroup = container::Namespace::Shared;
    let shared = Namespaces { cgroup, ..Namespaces::default() };
    for namespaces in [Namespaces::default(), shared] {
        let container = Container::default().limits(limits.clone()).namespaces(namespaces);
        let read = "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes memory.max 2> /dev/null; \
                    cat cpu/cpu.cfs_quota_us cpu.max 2> /dev/null | cut -d' ' -f1; \
                    cat pids/pids.max pids.max 2> /dev/null";
        let words = text(&common::run(&container, read));
        assert_eq!(words.split_whitespace().collect::<Vec<_>>(), ["50331648", "50000", "8"]);
        let write = "cd /sys/fs/cgroup; for f in $(find . -name '*max*' -o -name '*quota*'); do \
                     echo 1 > $f && echo written $f; done 2> /dev/null; mkdir x */x && echo made; \
                     find . -name cgroup.procs -o -name tasks | xargs cat | sort -u | wc -l; \
                     find . -type d -name 'isolab*' -o -name 'system*' | wc -l";
        let outcome = common::run(&container, write);
        let words = text(&outcome);
        let words: Vec<&str> = words.split_whitespace().collect();
        assert_eq!(words.last(), Some(&"0"), "{outcome:?}");
        assert!(!words.contains(&"written") && !words.contains(&"made"), "{outcome:?}");
    }
}

/// Gives the program of `root` these capabilities; false where this host has no way to.
fn give(root: &Path, capabilities: &str) -> bool {
    let program = root.join("program");
    let mut setcap = std::process::Command::new("setcap");
    match setcap.arg(capabilities).arg(program).status() {
        Ok(ended) if ended.success() => true,
        failed => {
            println!("skipped: setcap {capabilities}: {failed:?}");
            false
        }
    }
}

#[test]
fn a_file_with_capabilities_runs_without_them_where_nothing_may_be_gained() {
    if !ready() {
        return;
    }
    for capabilities in ["cap_net_raw+ep", "cap_sys_admin+ep", "cap_net_bind_service+ep"] {
        let root = tempfile::tempdir().unwrap();
        put_program(root.path());
        if !give(root.path(), capabilities) {
            return;
        }
        let layers = vec![root.path().to_owned()];
        for container in [
            Container::default().root(Root::Directory(root.path().into())),
            over(layers, Upper::ThrowAway),
        ] {
            for uid in [0, 1000] {
                let mut container = container.clone();
                container.spec.power.user.uid = uid;
                let outcome = container.run(&program());
                assert!(outcome.unwrap().status.is_success(), "{capabilities} of {uid}");
            }
        }
    }
}

#[test]
fn a_file_is_not_run_with_less_than_it_is_to_have_where_it_may_gain() {
    if !ready() {
        return;
    }
    // As with Docker: the kernel refuses what is outside the bounding set (capabilities(7)).
    for (capabilities, runs) in
        [("cap_sys_admin+ep", false), ("cap_net_bind_service+ep", true), ("cap_sys_admin+p", true)]
    {
        let root = tempfile::tempdir().unwrap();
        put_program(root.path());
        if !give(root.path(), capabilities) {
            return;
        }
        let mut container = Container::default().root(Root::Directory(root.path().into()));
        container.spec.power.no_new_privileges = false;
        container.spec.power.user.uid = 1000;
        let ended = container.run(&program()).map(|outcome| outcome.status.is_success());
        assert_eq!(ended.as_ref().is_ok_and(|success| *success), runs, "{capabilities}: {ended:?}");
    }
}

/// What a container with a user namespace says, of files that keep their owners in it or not.
fn with_owners(keep_owners: bool, root: Root, volume_of_host: &Path, script: &str) -> String {
    let mut container = Container::default().root(root);
    container.spec.boundary.namespaces.user = container::Namespace::New;
    container.spec.inside.keep_owners = keep_owners;
    container.spec.inside.mounts.push(volume(volume_of_host, Path::new("/there")));
    text(&common::run(&container, script))
}

/// Whether the file systems of this host's root can be mounted with other owners: a tmpfs cannot
/// before Linux 6.3.
fn maps_ids_of_the_root() -> bool {
    let mut container = Container::default();
    container.spec.boundary.namespaces.user = container::Namespace::New;
    container.spec.inside.keep_owners = true;
    match container.run(&common::shell("true")) {
        Err(error) if error.fix().is_some_and(|fix| fix.contains("does not map ids")) => {
            println!("skipped: {}", sandbox::chain(&error));
            false
        }
        _ => true,
    }
}

#[test]
fn files_keep_their_owners_in_a_user_namespace_if_they_are_to() {
    if !ready_with(&[Need::UserNamespace]) {
        return;
    }
    if !maps_ids_of_the_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let owned = folder.path().join("owned");
    fs::write(&owned, "").unwrap();
    std::os::unix::fs::chown(&owned, Some(1234), Some(1234)).unwrap();
    let script = "cd /there; stat -c %u file owned /etc/passwd /; \
                  echo > new 2> /dev/null && stat -c %u new; chown 77 new && stat -c %u new";
    let whole = Root::Overlay { lowers: vec!["/".into()], upper: Upper::ThrowAway };
    for root in [Root::Host, whole] {
        let kept = with_owners(true, root, folder.path(), script);
        let kept: Vec<&str> = kept.split_whitespace().collect();
        assert_eq!(kept, ["0", "1234", "0", "0", "0", "77"]);
        // On the host it is as it was asked for inside, and not of an id that nobody has.
        let new = folder.path().join("new");
        let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(&new).unwrap());
        assert_eq!(owner, 77);
        fs::remove_file(new).unwrap();
    }
    let other =
        with_owners(false, Root::Host, folder.path(), "stat -c %u /there/file /there/owned");
    assert_eq!(other.split_whitespace().collect::<Vec<_>>(), ["65534", "65534"]);
}

#[test]
fn what_cannot_have_other_owners_is_named() {
    if !ready_with(&[Need::UserNamespace]) {
        return;
    }
    if !maps_ids_of_the_root() {
        return;
    }
    for source in ["/proc", "/sys"] {
        let mut container = Container::default();
        container.spec.boundary.namespaces.user = container::Namespace::New;
        container.spec.inside.keep_owners = true;
        container.spec.inside.mounts.push(volume(Path::new(source), Path::new("/there")));
        let error = container.run(&common::shell("true")).unwrap_err();
        let message = format!("{} {}", sandbox::chain(&error), error.fix().unwrap_or_default());
        assert!(message.contains(source) && message.contains("does not map ids"), "{message}");
    }
}

#[test]
fn a_read_only_root_is_so_everywhere_but_in_its_own_mounts() {
    if !ready() {
        return;
    }
    let volume_of_host = tempfile::tempdir().unwrap();
    let mut container = Container::default();
    container.spec.inside.read_only = true;
    container.spec.inside.mounts.push(volume(volume_of_host.path(), Path::new("/new/place")));
    for (path, status) in [
        ("/file", 1),
        ("/etc/file", 1),
        ("/usr/file", 1),
        ("/home/file", 1),
        ("/var/tmp/file", 1),
        ("/dev/shm/file", 0),
        ("/new/place/file", 0),
    ] {
        let outcome = common::run(&container, &format!("echo > {path} || exit 1"));
        // Its shell says 2 of a redirection that fails.
        let failed = outcome.status != Status::Exited(0);
        assert_eq!(failed, status == 1, "{path}: {outcome:?}");
    }
    assert!(volume_of_host.path().join("file").exists());
}
