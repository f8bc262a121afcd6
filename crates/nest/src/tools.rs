//! Finds the programs of the host that a nest needs.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::{Error, Result};

/// The directories of administrators' programs, which are not in every user's `PATH`.
const ELSEWHERE: &str = "/usr/sbin:/sbin";

/// The path of the program `name`.
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
