//! `docker update`: other limits and another restart policy, also while it runs.

use std::{fs, io, path::Path};

use axum::http::StatusCode;
use bollard_stubs::models::{ContainerUpdateBody, RestartPolicy, RestartPolicyNameEnum};
use container::{cgroup, observe};

use crate::{
    container::Container,
    engine::Engine,
    error::{ApiError, Result},
    runtime::Runtime,
    spec::{self, Shared},
    state::record::Record,
};

/// Changes what `body` names.
///
/// # Errors
///
/// 400 for values that cannot be, 409 when a limit cannot be set while it runs, 500.
pub fn update(engine: &Engine, container: &Container, body: ContainerUpdateBody) -> Result<()> {
    let mut record = container.record().clone();
    let before = record.host.memory;
    change(&mut record, body);
    let directory = &container.directory;
    let spec = spec::of(&record, directory, &Shared::default())?;
    let restarts = !matches!(
        record.restart_policy(),
        RestartPolicyNameEnum::EMPTY | RestartPolicyNameEnum::NO
    );
    if restarts && record.auto_remove() {
        return Err(ApiError::invalid(
            "Restart policy cannot be updated because AutoRemove is enabled for the container",
        ));
    }
    if record.status.phase.is_up() {
        if record.runtime() == Runtime::Microvm && record.host.memory != before {
            return Err(ApiError::new(
                StatusCode::NOT_IMPLEMENTED,
                "Cannot update container: a virtual machine that runs keeps the memory that it has; \
                 stop it first",
            ));
        }
        let entry = engine.ledger.find(&record.ledger_name());
        let entry = entry.map_err(|error| ApiError::of(&error))?;
        let paths: Vec<&Path> = entry.iter().flat_map(observe::cgroups).collect();
        write(&paths, &spec.budget.limits)?;
    }
    container.update(|own| own.host = record.host);
    container.save()?;
    container.emit(&engine.events, "update", &[]);
    Ok(())
}

fn change(record: &mut Record, body: ContainerUpdateBody) {
    let host = &mut record.host;
    let set = |own: &mut Option<i64>, given: Option<i64>| {
        if given.is_some_and(|given| given != 0) {
            *own = given;
        }
    };
    set(&mut host.memory, body.memory);
    set(&mut host.memory_swap, body.memory_swap);
    set(&mut host.memory_reservation, body.memory_reservation);
    set(&mut host.nano_cpus, body.nano_cpus);
    set(&mut host.cpu_shares, body.cpu_shares);
    set(&mut host.cpu_quota, body.cpu_quota);
    set(&mut host.cpu_period, body.cpu_period);
    set(&mut host.pids_limit, body.pids_limit);
    let is_named =
        |policy: &RestartPolicy| policy.name.is_some_and(|name| !name.to_string().is_empty());
    if let Some(policy) = body.restart_policy.filter(is_named) {
        host.restart_policy = Some(policy);
    }
}

/// Writes the limits into the files of its cgroup.
fn write(paths: &[&Path], limits: &sandbox::Limits) -> Result<()> {
    let version = |path: &Path| if path.join("cgroup.controllers").exists() { 2 } else { 1 };
    let is_v2 = paths.iter().any(|path| version(path) == 2);
    let mut files = cgroup::files(limits, if is_v2 { 2 } else { 1 });
    // Memory may not be more than memory and swap together at any moment: what fails in one order
    // succeeds in the other.
    let failed = files.iter().find_map(|file| write_one(paths, file).err());
    let Some(_) = failed else { return Ok(()) };
    files.reverse();
    files.iter().try_for_each(|file| write_one(paths, file))
}

fn write_one(paths: &[&Path], (file, value): &(&'static str, String)) -> Result<()> {
    let home = paths.iter().map(|path| path.join(file)).find(|path| path.exists());
    let Some(path) = home else {
        // A kernel that does not count swap has no such file.
        if file.contains("swap") || file.contains("memsw") {
            return Ok(());
        }
        return Err(ApiError::conflict(format!(
            "Cannot update container: {file}: it was started without a limit of this kind, and cgroup \
             version 1 made no directory for it; restart it"
        )));
    };
    let write = || -> io::Result<()> { fs::write(&path, value) };
    write().map_err(|error| ApiError::conflict(format!("Cannot update container: {file}: {error}")))
}
