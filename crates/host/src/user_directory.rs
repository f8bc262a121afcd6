//! Where programs keep the files of the calling user, by the XDG base directory specification.

use std::{env, path::PathBuf};

/// The directory that the environment's `variable` names, such as `XDG_DATA_HOME`; without it, `below`
/// the home. As the specification wants, a path that is not absolute counts as none.
pub fn user_directory(variable: &str, below: &str) -> Option<PathBuf> {
    let named = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    named(variable).or_else(|| Some(named("HOME")?.join(below)))
}

/// Where isolab keeps what is called `name`: for root in `/var/lib/isolab`, and otherwise with the
/// user's own data.
pub fn data_directory(name: &str) -> Option<PathBuf> {
    match nix::unistd::geteuid().is_root() {
        true => Some(PathBuf::from("/var/lib/isolab").join(name)),
        false => Some(user_directory("XDG_DATA_HOME", ".local/share")?.join("isolab").join(name)),
    }
}
