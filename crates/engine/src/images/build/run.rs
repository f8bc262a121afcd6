//! `RUN`: each command in a container, isolated as those of `docker run` are.

use std::{cell::RefCell, os::unix::process::ExitStatusExt as _, process::ExitStatus};

use bollard_stubs::models::{ContainerConfig, HostConfig, NetworkingConfig};
use container::{Container, Network, Root, Upper, clean_those, mount_points};
use image::build::{AnyError, Run, RunStep};
use sandbox::{Ledger, Status, Stdio, Workload};

use super::{
    network::BuildNetwork,
    output::{BuildOutput, TextPieces},
    request::BuildRequest,
};
use crate::{
    id::new_id,
    images::error::ImageError,
    launch::LaunchFailure,
    spec::{self, Shared},
    state::{
        record::{FORMAT, Record},
        status,
    },
    time,
};

/// What the names of their cgroups begin with, by which the ledger knows them too.
const CGROUP: &str = "isolab-build-";

/// Kills what commands of a daemon that was killed have left, and removes their cgroups and links: it
/// could not end with the daemon, whose threads start them.
pub(super) fn remove_left() {
    // One that cannot be removed is nobody's reason not to build.
    if let Ok(ledger) = Ledger::open() {
        let _ = clean_those(&ledger, |entry| entry.name.starts_with(CGROUP));
    }
}

/// Runs commands in containers, and prints what they write.
pub(super) struct Containers<'a, 'l, 'o> {
    request: &'a BuildRequest,
    network: Network,
    output: &'o BuildOutput<'a, 'l>,
    failed: RefCell<Option<ImageError>>,
}

impl<'a, 'l, 'o> Containers<'a, 'l, 'o> {
    pub(super) fn new(
        request: &'a BuildRequest,
        network: BuildNetwork,
        output: &'o BuildOutput<'a, 'l>,
    ) -> Self {
        Self { request, network: network.network(), output, failed: RefCell::default() }
    }

    /// The command whose failure has ended the build, if one has.
    pub(super) fn failed_command(&self) -> Option<ImageError> {
        self.failed.take()
    }

    /// What the engine would know of the container of a command.
    fn record(&self, id: String, step: &RunStep<'_>) -> Record {
        let env = step.environment.iter().map(|(name, value)| format!("{name}={value}"));
        let config = ContainerConfig {
            hostname: Some(id[..12].to_owned()),
            user: Some(step.user.to_owned()),
            env: Some(env.collect()),
            working_dir: Some(step.directory.to_owned()),
            ..ContainerConfig::default()
        };
        let mode = if self.network == Network::Host { "host" } else { "none" };
        Record {
            format: FORMAT,
            name: id.clone(),
            id,
            created: time::now(),
            image: String::new(),
            layers: step.layers.to_vec(),
            arguments: step.arguments.to_vec(),
            config,
            host: HostConfig { network_mode: Some(mode.into()), ..self.request.host.clone() },
            networking: NetworkingConfig { endpoints_config: None },
            mounts: Vec::new(),
            status: status::Status::default(),
            restarts: 0,
            stopped_by_client: false,
        }
    }

    fn container(&self, id: String, step: &RunStep<'_>) -> Result<Container, ImageError> {
        let short = id[..12].to_owned();
        let record = self.record(id, step);
        let spec = spec::of(&record, step.kept, &Shared::default());
        let mut spec = spec.map_err(|error| ImageError::Invalid(error.message))?;
        let upper = Upper::Kept(step.kept.to_owned());
        spec.inside.root = Root::Overlay { lowers: step.layers.to_vec(), upper };
        spec.way_out.network = self.network;
        spec.budget.cgroup = Some(format!("{CGROUP}{short}"));
        Ok(Container { spec, ..Container::default() })
    }

    fn run_in(&self, container: &Container, step: &RunStep<'_>) -> Result<ExitStatus, ImageError> {
        let mut workload = Workload::command(step.arguments).stdio(Stdio::Capture);
        workload.directory = Some(step.directory.into());
        let mut pieces = TextPieces::default();
        let outcome = container.run_passing_on(&workload, &mut |bytes| {
            match pieces.add(bytes) {
                text if text.is_empty() => self.output.look(),
                text => self.output.print(&text),
            }
            !self.output.is_gone()
        });
        let not_run = |error| ImageError::Failed(LaunchFailure::from(error).message);
        let outcome = outcome.map_err(not_run)?.ok_or(ImageError::ClientGone)?;
        let rest = pieces.end();
        if !rest.is_empty() {
            self.output.print(&rest);
        }
        Ok(match outcome.status {
            Status::Exited(code) => ExitStatus::from_raw(i32::from(code) << 8),
            Status::Signaled(signal) => ExitStatus::from_raw(signal),
        })
    }
}

impl Run for Containers<'_, '_, '_> {
    fn run(&self, step: &RunStep<'_>) -> Result<ExitStatus, AnyError> {
        if self.output.is_gone() {
            return Err(ImageError::ClientGone.into());
        }
        if step.layers.is_empty() {
            return Err("FROM scratch has no program to run".into());
        }
        let id = new_id();
        let short = id[..12].to_owned();
        self.output.print(&format!(" ---> Running in {short}\n"));
        let container = self.container(id, step)?;
        let status = self.run_in(&container, step);
        mount_points::remove(&step.kept.join("upper"), step.layers)?;
        let status = status?;
        if status.success() && self.request.remove || self.request.force_remove {
            self.output.print(&format!(" ---> Removed intermediate container {short}\n"));
        }
        if !status.success() {
            let code = status.code().or(status.signal().map(|signal| 128 + signal));
            let code = i64::from(code.unwrap_or(1));
            let words = step.arguments.join(" ");
            let message = format!("The command '{words}' returned a non-zero code: {code}");
            self.failed.replace(Some(ImageError::Command { message, code }));
        }
        Ok(status)
    }
}
