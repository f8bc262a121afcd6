//! Removing a container with all that it has written.

use std::sync::Arc;

use super::stop;
use crate::{
    container::Container,
    engine::Engine,
    error::{ApiError, Result},
    state::status::Phase,
    volumes,
};

/// How a container is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removal {
    /// Whether it is killed if it runs.
    pub force: bool,
    /// Whether its anonymous volumes go too.
    pub volumes: bool,
}

impl Removal {
    /// What `--rm` asks for.
    pub const ALL: Self = Self { force: true, volumes: true };
}

/// Removes it.
///
/// # Errors
///
/// 409 when it runs and is not to be killed, or is being removed already; 500.
pub async fn remove(
    engine: &Arc<Engine>,
    container: &Arc<Container>,
    removal: Removal,
) -> Result<()> {
    let phase = container.status().phase;
    if phase.is_up() || phase == Phase::Restarting {
        if !removal.force {
            let name = container.record().name.clone();
            let what = if phase == Phase::Paused { "paused" } else { "running" };
            return Err(ApiError::conflict(format!(
                "cannot remove container \"/{name}\": container is {what}: stop the container \
                 before removing or force remove"
            )));
        }
        // It may end by itself meanwhile.
        let killed = stop::kill(engine, container, "KILL").await;
        killed.or_else(|error| if error.status == 409 { Ok(()) } else { Err(error) })?;
    }
    let _changing = container.changing.lock().await;
    let was =
        container.update(|record| std::mem::replace(&mut record.status.phase, Phase::Removing));
    match was {
        // Somebody else was faster, and this one has waited for it.
        Phase::Removing if container.progress.borrow().removed => return Ok(()),
        Phase::Removing => {
            return Err(ApiError::conflict(format!(
                "removal of container {} is already in progress",
                container.record().name
            )));
        }
        Phase::Up | Phase::Paused => {
            container.update(|record| record.status.phase = was);
            return Err(ApiError::internal("the container could not be killed"));
        }
        Phase::Created | Phase::Restarting | Phase::Exited => {}
    }
    // Written first: what a crash interrupts here, the next daemon finishes.
    container.save()?;
    let directory = container.directory.clone();
    let removed = tokio::task::spawn_blocking(move || volumes::remove(&directory)).await;
    let removed = removed.map_err(|error| ApiError::of(&error)).and_then(|removed| removed);
    if let Err(error) = removed {
        container.update(|record| record.status.phase = was);
        return Err(error);
    }
    let mounts = container.record().mounts.clone();
    container.emit(&engine.events, "destroy", &[]);
    engine.forget(container);
    if removal.volumes {
        let names = mounts.into_iter().filter_map(|mount| mount.name);
        for name in names.filter(|name| is_anonymous(engine, name)) {
            // Another container may have it by now.
            let _ = engine.volumes.remove(&name, &users(engine, &name));
        }
    }
    container.progress.send_modify(|progress| progress.removed = true);
    Ok(())
}

fn is_anonymous(engine: &Engine, name: &str) -> bool {
    engine.volumes.find(name).is_ok_and(|volume| volume.anonymous)
}

/// The containers that have a volume.
pub fn users(engine: &Engine, name: &str) -> Vec<String> {
    let has = |container: &&Arc<Container>| {
        container.record().mounts.iter().any(|mount| mount.name.as_deref() == Some(name))
    };
    engine.containers().iter().filter(has).map(|container| container.id.clone()).collect()
}
