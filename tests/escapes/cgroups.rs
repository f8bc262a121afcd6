//! The container's own cgroup, which it sees: nothing of it is changed, and no other is seen.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use crate::{
    call::call,
    everywhere::{everywhere_with, ready_for_limits},
    inside::{Attempt, Failed, describe},
    launch::Who,
};

pub const ATTEMPTS: &[(&str, Attempt)] = &[("change-own-cgroup", change_own_cgroup)];

const PLACE: &str = "/sys/fs/cgroup";

/// Opens every file of it to write, makes a cgroup in every directory, and mounts it anew.
fn change_own_cgroup(_: &[String]) -> Result<String, Failed> {
    let (mut directories, mut files) = (vec![PathBuf::from(PLACE)], Vec::new());
    let mut next = 0;
    while let Some(directory) = directories.get(next).cloned() {
        next += 1;
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            match entry.file_type()? {
                kind if kind.is_dir() => directories.push(entry.path()),
                kind if kind.is_file() => files.push(entry.path()),
                _ => {}
            }
        }
    }
    let opened = files.iter().filter(|file| File::options().write(true).open(file).is_ok());
    let made = directories.iter().filter(|directory| fs::create_dir(directory.join("x")).is_ok());
    let depth = |path: &PathBuf| path.components().count() - Path::new(PLACE).components().count();
    let foreign = directories.iter().filter(|directory| depth(directory) > 1);
    let limits = files.iter().filter(|file| {
        let name = file.file_name().unwrap_or_default();
        name == "memory.limit_in_bytes" || name == "memory.max"
    });
    let remount = libc::MS_REMOUNT | libc::MS_BIND;
    Ok(format!(
        "opened={} made={} foreign={} limits={} remount={}",
        opened.count(),
        made.count(),
        foreign.count(),
        limits.count(),
        describe(call!(SYS_mount, c"none", c"/sys/fs/cgroup", c"none", remount, c"")),
    ))
}

#[test]
fn its_own_cgroup_is_not_changed_and_no_other_is_seen() {
    if !ready_for_limits() {
        return;
    }
    everywhere_with(
        |_, launch| launch.limits.memory_bytes = Some(64 << 20),
        |_| vec!["change-own-cgroup".into()],
        |kind| {
            let expected = "opened=0 made=0 foreign=0 limits=1 remount=EPERM";
            (kind.who != Who::Ordinary).then(|| expected.to_owned())
        },
    );
}
