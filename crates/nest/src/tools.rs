//! The programs of the host that a nest is made with.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::{Error, Result};

/// Where administrators' programs are, which is not in every user's `PATH`.
const ELSEWHERE: &str = "/usr/sbin:/sbin";

/// A program by its name.
///
/// # Errors
///
/// When it is not installed.
pub fn find(name: &'static str) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(env::split_paths(ELSEWHERE));
    let is_there = |file: &PathBuf| file.is_absolute() && Path::is_file(file);
    let mut files = folders.map(|folder| folder.join(name)).filter(is_there);
    files.next().ok_or(Error::NotInstalled { program: name })
}

/// How to install it.
pub(crate) fn how_to_install(program: &str) -> &'static str {
    match program {
        "qemu-system-x86_64" => {
            "sudo apt-get install qemu-system-x86 (on Fedora: dnf install qemu-system-x86-core)"
        }
        "setpriv" => "sudo apt-get install util-linux",
        "mke2fs" => "sudo apt-get install e2fsprogs",
        _ => "sudo apt-get install busybox-static",
    }
}
