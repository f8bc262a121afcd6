//! The environment of what root builds and runs: made anew.
//!
//! Root may have been called by somebody else, with that user's variables (sudo -E): `RUSTC_WRAPPER`
//! names a program to run, so do `CARGO_TARGET_..._RUNNER` and many others, and so does a folder on
//! `PATH`. And what root has in its own is no business of a student's build script.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use nix::unistd::Uid;
use sandbox::environment;
use tempfile::TempDir;

use super::trust;
use crate::runner::{Error, LocalUser, Result};

/// What only says how words are shown, and how the network is reached.
const HARMLESS: [&str; 11] = [
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LC_MESSAGES",
    "TERM",
    "TZ",
    "http_proxy",
    "https_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
];

/// Gives `command`, which `builder` runs, what it may have of the caller's environment: all, unless
/// root calls.
pub(crate) fn prepare(command: &mut Command, builder: &LocalUser) {
    if !Uid::effective().is_root() {
        return;
    }
    command.env_clear();
    for name in HARMLESS {
        command.envs(env::var_os(name).map(|value| (name, value)));
    }
    let mut path: Vec<PathBuf> = env::split_paths(&search_path(builder)).collect();
    if let Some(home) = &builder.home {
        command.env("HOME", home);
        path.insert(0, home.join(".cargo/bin"));
    }
    command.env("USER", &builder.name).env("LOGNAME", &builder.name);
    command.env("PATH", env::join_paths(path).unwrap_or(environment::PATH.into()));
    let roots = env::var_os("HOME").map_or("/root".into(), PathBuf::from);
    for name in ["CARGO_HOME", "RUSTUP_HOME", "CARGO_TARGET_DIR"] {
        let Some(value) = env::var_os(name).map(PathBuf::from) else { continue };
        let usable = match builder.is_not_root_here() {
            // One that all users share.
            true => !value.starts_with(&roots),
            false => trust::may_hold(&value),
        };
        if usable {
            command.env(name, value);
        }
    }
    // The name of a toolchain, and no path to one.
    let toolchain = env::var_os("RUSTUP_TOOLCHAIN");
    let is_name = |value: &OsString| !value.as_encoded_bytes().contains(&b'/');
    command.envs(toolchain.filter(is_name).map(|value| ("RUSTUP_TOOLCHAIN", value)));
}

/// A folder for what only lasts as long as this call: for root in /tmp, where what is root's stays,
/// and not in a folder of the caller's (`TMPDIR`).
pub(crate) fn temporary_folder() -> Result<TempDir> {
    let made = match Uid::effective().is_root() {
        true => tempfile::tempdir_in("/tmp"),
        false => tempfile::tempdir(),
    };
    made.map_err(Error::system("make a temporary folder"))
}

/// Where programs are looked for that this user is to run: for root, only where root alone puts
/// them.
pub(crate) fn search_path(user: &LocalUser) -> OsString {
    let said = env::var_os("PATH").unwrap_or(environment::PATH.into());
    if !Uid::effective().is_root() {
        return said;
    }
    let sole = |folder: &PathBuf| user.is_not_root_here() || trust::path(folder).is_ok();
    let kept = env::split_paths(&said).filter(|folder| folder.is_absolute() && sole(folder));
    env::join_paths(kept).unwrap_or(environment::PATH.into())
}

/// Whether `program` is one that root may run: nobody else could have put it there.
pub(crate) fn may_run(program: &Path) -> bool {
    !Uid::effective().is_root() || trust::path(program).is_ok()
}
