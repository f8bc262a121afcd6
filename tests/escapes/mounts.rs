//! Mounts: made, moved, taken away from inside.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
};

use container::spec::Inside;

use crate::{
    call::call,
    everywhere::{Kind, everywhere, everywhere_is},
    host::Host,
    inside::{Attempt, Failed, each},
};

pub const ATTEMPTS: &[(&str, Attempt)] = &[
    ("mount", mount),
    ("unmount", unmount),
    ("mount-by-descriptors", mount_by_descriptors),
    ("mount-cgroups", mount_cgroups),
    ("change-root", change_root),
    ("mount-as-root-of-a-user-namespace", mount_as_root_of_a_user_namespace),
    ("read-what-is-masked", read_what_is_masked),
    ("write-to-the-kernel", write_to_the_kernel),
];

fn mount(_: &[String]) -> Result<String, Failed> {
    let none = c"none";
    each([
        ("tmpfs", call!(SYS_mount, none, c"/tmp", c"tmpfs", 0, 0)),
        ("proc", call!(SYS_mount, none, c"/tmp", c"proc", 0, 0)),
        ("bind", call!(SYS_mount, c"/", c"/tmp", none, libc::MS_BIND, 0)),
        (
            "remount",
            call!(SYS_mount, none, c"/proc/sys", none, libc::MS_REMOUNT | libc::MS_BIND, 0),
        ),
        ("shared", call!(SYS_mount, none, c"/", none, libc::MS_SHARED | libc::MS_REC, 0)),
    ])
}

#[test]
fn no_file_system_is_mounted_from_inside() {
    everywhere_is("mount", "tmpfs=EPERM proc=EPERM bind=EPERM remount=EPERM shared=EPERM");
}

fn unmount(_: &[String]) -> Result<String, Failed> {
    each([
        ("mask", call!(SYS_umount2, c"/proc/interrupts", libc::MNT_DETACH)),
        ("read-only", call!(SYS_umount2, c"/proc/sys", libc::MNT_DETACH)),
        ("proc", call!(SYS_umount2, c"/proc", libc::MNT_DETACH)),
        ("root", call!(SYS_umount2, c"/", libc::MNT_DETACH)),
    ])
}

#[test]
fn no_mask_is_taken_away() {
    everywhere_is("unmount", "mask=EPERM read-only=EPERM proc=EPERM root=EPERM");
}

fn mount_by_descriptors(_: &[String]) -> Result<String, Failed> {
    const OPEN_TREE_CLONE: i32 = 1;
    let (here, root, nothing) = (libc::AT_FDCWD, File::open("/")?, c"");
    // struct mount_attr: set nothing, clear MOUNT_ATTR_RDONLY.
    let writable = [0u64, libc::MOUNT_ATTR_RDONLY, 0, 0].map(u64::to_ne_bytes).concat();
    let moved = |flags: i32| call!(SYS_move_mount, &root, nothing, here, c"/tmp", flags);
    each([
        ("open_tree", call!(SYS_open_tree, here, c"/", OPEN_TREE_CLONE)),
        ("fsopen", call!(SYS_fsopen, c"tmpfs", 0)),
        ("fspick", call!(SYS_fspick, here, c"/proc", 0)),
        ("move_mount", moved(4)),
        (
            "mount_setattr",
            call!(SYS_mount_setattr, here, c"/proc/sys", 0, writable.as_slice(), writable.len()),
        ),
    ])
}

#[test]
fn no_mount_is_made_or_changed_by_descriptors() {
    let all = "open_tree=EPERM fsopen=EPERM fspick=EPERM move_mount=EPERM mount_setattr=EPERM";
    everywhere_is("mount-by-descriptors", all);
}

/// A cgroup hierarchy of version 1 executes the program that its `release_agent` names, as root of the
/// host.
fn mount_cgroups(_: &[String]) -> Result<String, Failed> {
    let mount = |kind, options| call!(SYS_mount, c"none", c"/tmp", kind, 0, options);
    each([
        ("v1", mount(c"cgroup", c"pids")),
        ("named", mount(c"cgroup", c"none,name=isolab-escape")),
        ("v2", mount(c"cgroup2", c"")),
    ])
}

#[test]
fn no_cgroup_hierarchy_is_mounted() {
    everywhere_is("mount-cgroups", "v1=EPERM named=EPERM v2=EPERM");
}

/// CVE-like classics: another root, and a walk out of it with a directory that was kept.
fn change_root(_: &[String]) -> Result<String, Failed> {
    each([
        ("pivot_root", call!(SYS_pivot_root, c"/", c"/")),
        ("pivot_root-below", call!(SYS_pivot_root, c"/tmp", c"/tmp")),
        ("chroot", call!(SYS_chroot, c"/tmp")),
    ])
}

#[test]
fn the_root_cannot_be_changed() {
    everywhere_is("change-root", "pivot_root=EPERM pivot_root-below=EPERM chroot=EPERM");
}

/// In a user namespace of one's own one is root again, and may mount: what was locked stays so.
fn mount_as_root_of_a_user_namespace(_: &[String]) -> Result<String, Failed> {
    call!(SYS_unshare, libc::CLONE_NEWUSER | libc::CLONE_NEWNS)?;
    let none = c"none";
    each([
        ("mask", call!(SYS_umount2, c"/proc/interrupts", libc::MNT_DETACH)),
        ("read-only", call!(SYS_umount2, c"/proc/sys", libc::MNT_DETACH)),
        (
            "remount",
            call!(SYS_mount, none, c"/proc/sys", none, libc::MS_REMOUNT | libc::MS_BIND, 0),
        ),
        ("proc", call!(SYS_mount, none, c"/tmp", c"proc", 0, 0)),
        ("sysfs", call!(SYS_mount, none, c"/tmp", c"sysfs", 0, 0)),
        ("cgroup", call!(SYS_mount, none, c"/tmp", c"cgroup", 0, c"pids")),
    ])
}

#[test]
fn another_user_namespace_gives_no_power_over_mounts() {
    let unconfined =
        "mask=EINVAL read-only=EINVAL remount=EPERM proc=EPERM sysfs=EPERM cgroup=EPERM";
    everywhere(
        |_| vec!["mount-as-root-of-a-user-namespace".into()],
        |kind| Some(if kind.unconfined { unconfined } else { "EPERM" }.to_owned()),
    );
}

/// What can be seen of masked paths: a file that is not empty, a directory that has something in it.
fn read_what_is_masked(paths: &[String]) -> Result<String, Failed> {
    let seen = paths.iter().map(Path::new).filter(|path| match fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_some(),
        Err(_) => fs::read(path).is_ok_and(|content| !content.is_empty()),
    });
    let seen: Vec<String> = seen.map(|path| path.display().to_string()).collect();
    Ok(format!("{} of them say something: {}", seen.len(), seen.join(" ")))
}

#[test]
fn what_is_masked_says_nothing() {
    let masked = || Inside::default().masked_paths.into_iter();
    let words = |_: &Host| {
        let paths = masked().map(|path| path.display().to_string());
        std::iter::once("read-what-is-masked".to_owned()).chain(paths).collect::<Vec<String>>()
    };
    // The host shows something in some of them: the attempt can see what it denies.
    let paths: Vec<String> = words(&Host::watched()).split_off(1);
    assert_ne!(read_what_is_masked(&paths).unwrap(), "0 of them say something: ");
    everywhere(words, |_| Some("0 of them say something:".into()));
}

fn write_to_the_kernel(_: &[String]) -> Result<String, Failed> {
    let write = |path: &str, text: &str| {
        let opened = File::options().write(true).open(path);
        opened.and_then(|mut file| file.write_all(text.as_bytes()))
    };
    each([
        ("core_pattern", write("/proc/sys/kernel/core_pattern", "|/attempt")),
        ("modprobe", write("/proc/sys/kernel/modprobe", "/attempt")),
        ("sysrq-trigger", write("/proc/sysrq-trigger", "h")),
        ("irq", write("/proc/irq/default_smp_affinity", "1")),
        ("sysfs", write("/sys/kernel/mm/transparent_hugepage/enabled", "never")),
    ])
}

#[test]
fn the_kernel_cannot_be_set_through_its_files() {
    if !Path::new("/sys/kernel/mm/transparent_hugepage").exists() {
        crate::everywhere::skip("this kernel has no transparent huge pages to set");
        return;
    }
    let expected = |kind: &Kind| {
        let refused = if kind.is_hosts_root() { "EROFS" } else { "EACCES" };
        // Only who owns the network namespace may mount sysfs: then there is none.
        let shares_network = kind.network == container::Network::Host;
        let sysfs = if shares_network && !kind.is_hosts_root() { "ENOENT" } else { refused };
        let answer = |path: &str| if Path::new(path).exists() { refused } else { "ENOENT" };
        let proc = [
            ("core_pattern", "/proc/sys/kernel/core_pattern"),
            ("modprobe", "/proc/sys/kernel/modprobe"),
            ("sysrq-trigger", "/proc/sysrq-trigger"),
            ("irq", "/proc/irq/default_smp_affinity"),
        ];
        let proc = proc.map(|(name, path)| format!("{name}={}", answer(path))).join(" ");
        Some(format!("{proc} sysfs={sysfs}"))
    };
    everywhere(|_| vec!["write-to-the-kernel".into()], expected);
}
