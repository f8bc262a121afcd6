//! Builds the commit of the sources into the program: records say what measured, wherever it runs.

use std::{env, path::Path, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let commit = git(&["rev-parse", "HEAD"]).unwrap_or_default();
    // The file that names the commit, and the one that the name of the branch leads to.
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]);
    for name in ["HEAD", "packed-refs", "index"].into_iter().chain(branch.as_deref()) {
        watch(git(&["rev-parse", "--path-format=absolute", "--git-path", name]));
    }
    // Of what is not committed a debug build notices only what was there when this last ran: it is
    // not for figures, and would compile anew at every keystroke elsewhere.
    if env::var("PROFILE").as_deref() == Ok("release") {
        watch(git(&["rev-parse", "--show-toplevel"]).map(|top| format!("{top}/crates")));
    }
    let changes = git(&["status", "--porcelain", "--untracked-files=no"]);
    let mark = if changes.is_none_or(|changes| changes.is_empty()) { "" } else { "-dirty" };
    let commit = if commit.is_empty() { commit } else { commit + mark };
    println!("cargo::rustc-env=ISOLAB_COMMIT={commit}");
    let profile = env::var("PROFILE").unwrap_or_default();
    println!("cargo::rustc-env=ISOLAB_PROFILE={profile}");
}

/// Runs again when this file changes. One that is not there would make it run each time.
fn watch(path: Option<String>) {
    if let Some(path) = path.filter(|path| Path::new(path).exists()) {
        println!("cargo::rerun-if-changed={path}");
    }
}

/// What git says about this repository, if it is one.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
