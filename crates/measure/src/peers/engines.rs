//! Engines, which keep images: podman, and the docker command, which asks a daemon.

use std::{path::Path, time::Duration};

use super::{
    containers::plain,
    definition::{Definition, Recipe, line, output, text, with_id},
    dockerd::StartedDockerd,
    workshop::{PIDS, PROGRAM, Workshop},
};
use crate::{Error, engine::START};

pub(super) const PODMAN: Definition = Definition {
    name: "podman",
    programs: &["podman"],
    version: &["--version"],
    get: "sudo apt install podman",
    boots: None,
    obstacle: || None,
    prepare: podman,
};

pub(super) const DOCKER: Definition = Definition {
    name: "docker",
    programs: &["docker"],
    version: &["--version"],
    get: "install Docker: https://docs.docker.com/engine/install",
    boots: None,
    obstacle: || StartedDockerd::is_needed().err(),
    prepare: docker,
};

const DEADLINE: Duration = Duration::from_secs(30);

/// With images and containers in a folder of its own, and no network at all: to make one, podman
/// changes settings of the host that stay (`net.ipv4.ip_forward`).
fn podman(program: &Path, workshop: &Workshop) -> Result<Recipe, Error> {
    const IMAGE: &str = "localhost/isolab-compare-hello";
    let (program, archive) = (text(program)?, text(&workshop.archive()?)?);
    let [root, state] = ["root", "state"].map(|name| text(&workshop.path(name)));
    let (root, state) = (root?, state?);
    let own = [&*program, "--root", &root, "--runroot", &state];
    let own = [&own[..], &["--events-backend", "file", "--cgroup-manager", "cgroupfs"]].concat();
    output("podman", &line(&[&own[..], &["import", &archive, IMAGE]].concat()), DEADLINE)?;
    let recipe = |more: &[&str]| {
        let words = |words: &[&str]| line(&[&own[..], more, words].concat());
        let pids = PIDS.to_string();
        // Inside of another container podman may not raise its usual limits.
        let limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"];
        let run = ["run", "--rm", "--interactive", "--name", "{id}", "--network", "none"];
        let run = [&run[..], &["--pids-limit", &pids]].concat();
        Recipe {
            command: words(&[&run[..], &limits, &[IMAGE, PROGRAM]].concat()),
            list: words(&["ps", "--all", "--quiet", "--no-trunc"]),
            remove: words(&["rm", "--force", "--time", "0", "{id}"]),
            dismantle: words(&["rmi", "--force", IMAGE]),
            deadline: DEADLINE,
            ..plain()
        }
    };
    let usual = recipe(&[]);
    // Its runtime may be one that does not start here, beside one that does.
    let trial = |recipe: &Recipe| {
        let command = with_id(&recipe.command, "isolab-trial");
        output("podman", &command, DEADLINE)
    };
    match trial(&usual) {
        Ok(_) => Ok(usual),
        Err(error) => {
            let other = recipe(&["--runtime", "runc"]);
            let caveat = format!("with runc, because its own runtime fails here: {}", error.reason);
            match trial(&other) {
                Ok(_) => Ok(Recipe { caveat: Some(caveat), ..other }),
                Err(_) => Err(error),
            }
        }
    }
}

/// Asked of the daemon that the command finds, which belongs to others: only the image and what
/// bears its label is removed.
fn docker(program: &Path, workshop: &Workshop) -> Result<Recipe, Error> {
    const IMAGE: &str = "isolab-compare-peer:latest";
    const LABEL: &str = "isolab-compare-peer";
    let program = text(program)?;
    let words = |more: &[&str]| line(&[&[&*program], more].concat());
    let format = "{{.Server.Platform.Name}} {{.Server.Version}}";
    let server = output("docker", &words(&["version", "--format", format]), DEADLINE);
    let server = server.map_err(|Error { reason, .. }| Error { reason, fix: START.into() })?;
    if server.starts_with("isolab") {
        return Err(Error::new("isolab's own engine answers the docker command here"));
    }
    let archive = text(&workshop.archive()?)?;
    output("docker", &words(&["import", &archive, IMAGE]), DEADLINE)?;
    let pids = PIDS.to_string();
    let run = ["run", "--rm", "--name", "{id}", "--label", LABEL, "--network", "none"];
    let filter = format!("label={LABEL}");
    Ok(Recipe {
        command: words(&[&run[..], &["--pids-limit", &pids, IMAGE, PROGRAM]].concat()),
        list: words(&["ps", "--all", "--quiet", "--filter", &filter]),
        remove: words(&["rm", "--force", "{id}"]),
        dismantle: words(&["rmi", "--force", IMAGE]),
        deadline: DEADLINE,
        is_of_daemon: true,
        caveat: Some(format!("asked of {}", server.trim())),
        ..plain()
    })
}
