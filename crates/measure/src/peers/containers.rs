//! Runtimes that make a container and end with it: a bundle, or a directory, and no daemon.

use std::{path::Path, time::Duration};

use super::{
    definition::{Definition, ProgramFrom, Recipe, line, text},
    workshop::{PROGRAM, TEXT, Workshop},
};
use crate::{Error, command_time::Expected};

pub(super) const RUNC: Definition = Definition {
    name: "runc",
    programs: &["runc"],
    version: &["--version"],
    get: "sudo apt install runc",
    boots: None,
    obstacle: || None,
    prepare: runtime,
};

pub(super) const CRUN: Definition = Definition {
    name: "crun",
    programs: &["crun"],
    version: &["--version"],
    get: "sudo apt install crun",
    boots: None,
    obstacle: || None,
    prepare: runtime,
};

pub(super) const BUBBLEWRAP: Definition = Definition {
    name: "bubblewrap",
    programs: &["bwrap"],
    version: &["--version"],
    get: "sudo apt install bubblewrap",
    boots: None,
    obstacle: || None,
    prepare: bubblewrap,
};

pub(super) const NSPAWN: Definition = Definition {
    name: "nspawn",
    programs: &["systemd-nspawn"],
    version: &["--version"],
    get: "sudo apt install systemd-container",
    boots: None,
    obstacle: || None,
    prepare: nspawn,
};

/// No container of a small program takes longer.
const DEADLINE: Duration = Duration::from_secs(10);

/// A runtime with the command line of runc(8).
fn runtime(program: &Path, workshop: &Workshop) -> Result<Recipe, Error> {
    let (program, bundle) = (text(program)?, text(&workshop.bundle()?)?);
    let state = text(&workshop.path("state"))?;
    let words = |more: &[&str]| line(&[&[&*program, "--root", &*state], more].concat());
    Ok(Recipe {
        command: words(&["run", "--bundle", &bundle, "{id}"]),
        list: words(&["list", "--quiet"]),
        remove: words(&["delete", "--force", "{id}"]),
        program_from: ProgramFrom::Bundle,
        caveat: Some("without a filter of system calls, which a bundle has to bring along".into()),
        ..plain()
    })
}

fn bubblewrap(program: &Path, workshop: &Workshop) -> Result<Recipe, Error> {
    let (program, root) = (text(program)?, text(&workshop.root()?)?);
    let walls = ["--unshare-all", "--die-with-parent", "--new-session"];
    let mounts = ["--ro-bind", &root, "/", "--proc", "/proc", "--dev", "/dev"];
    Ok(Recipe {
        command: line(&[&[&*program], &walls[..], &mounts[..], &["--", PROGRAM]].concat()),
        caveat: Some(
            "namespaces and a root alone: no cgroup of its own, no limits, no filter of system calls"
                .into(),
        ),
        ..plain()
    })
}

fn nspawn(program: &Path, workshop: &Workshop) -> Result<Recipe, Error> {
    let (program, root) = (text(program)?, text(&workshop.root()?)?);
    // Not registered, and in no unit of its own: neither needs systemd to run on the host.
    let options = ["--quiet", "--register=no", "--keep-unit", "--pipe", "--private-network"];
    let directory = format!("--directory={root}");
    Ok(Recipe {
        command: line(
            &[&[&*program], &options[..], &["--read-only", &directory, "--", PROGRAM]].concat(),
        ),
        ..plain()
    })
}

/// A program that leaves nothing, and writes the text alone.
pub(super) fn plain() -> Recipe {
    Recipe {
        command: Vec::new(),
        list: Vec::new(),
        remove: Vec::new(),
        dismantle: Vec::new(),
        program_from: ProgramFrom::CommandLine,
        is_of_daemon: false,
        expected: Expected::Exactly(TEXT),
        deadline: DEADLINE,
        caveat: None,
    }
}
