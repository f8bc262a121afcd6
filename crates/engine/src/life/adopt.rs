//! What an earlier daemon has left: containers that run on under their supervisors, containers that
//! ended meanwhile, and removals that were interrupted.

use std::{fs, io, sync::Arc};

use bollard_stubs::models::RestartPolicyNameEnum;
use image::{manifest::Platform, store::Lock};

use super::{end, health, start::start};
use sandbox::Process;

use crate::{
    container::Container,
    engine::Engine,
    launching::started,
    state::{
        self,
        record::{FORMAT, Record},
        status::Phase,
    },
    supervisor::Connection,
    volumes,
};

/// Takes over all containers of the data directory. What cannot be read is left where it is, and said
/// in the result.
///
/// # Errors
///
/// When the directory cannot be listed.
pub async fn adopt_all(engine: &Arc<Engine>) -> io::Result<Vec<String>> {
    let mut remarks = Vec::new();
    for listed in fs::read_dir(engine.options.data.join("containers"))?.flatten() {
        let directory = listed.path();
        let path = directory.join("record.json");
        if !path.exists() {
            // A daemon was killed while it created this one: nobody has its id.
            let _ = volumes::remove(&directory);
            continue;
        }
        match state::load::<Record>(&path) {
            Ok(record) if record.format == FORMAT => {
                let layers = layers(engine, &record);
                let container = Container::new(directory, record, layers);
                if let Err(error) = engine.add(Arc::clone(&container)) {
                    remarks.push(format!("container {}: {error}", container.id));
                    continue;
                }
                adopt(engine, &container).await;
            }
            Ok(record) => remarks.push(format!(
                "container {}: its record has the format {}, this version reads {FORMAT}",
                record.id, record.format
            )),
            Err(error) => remarks.push(sandbox::chain(&error)),
        }
    }
    let running = engine.containers().into_iter().filter_map(|container| {
        let status = container.status();
        let process = Process::of(status.pid).filter(|_| status.phase.is_up())?;
        Some((container.id.clone(), process))
    });
    let running: Vec<_> = running.collect();
    let own = Arc::clone(engine);
    let adopted = tokio::task::spawn_blocking(move || own.networks.adopt(&running)).await;
    remarks.extend(adopted.unwrap_or_default());
    Ok(remarks)
}

/// What keeps the layers of its image; `None` if they are gone, which its next start will say.
fn layers(engine: &Engine, record: &Record) -> Option<Lock> {
    let store = engine.store().ok()?;
    let named = store.resolve(&record.image).ok()?;
    store.use_image(&store.image_at(&named.descriptor, &Platform::host()).ok()?).ok()
}

async fn adopt(engine: &Arc<Engine>, container: &Arc<Container>) {
    let status = container.status();
    match status.phase {
        Phase::Created | Phase::Up | Phase::Paused | Phase::Exited => {
            // Also of one that is said to be stopped: the daemon may have been killed between the
            // start and the record of it.
            match Connection::open(&container.directory).await {
                Ok(connection) => join(engine, container, connection).await,
                Err(_) if status.phase.is_up() => lost(engine, container).await,
                Err(_) => {
                    sweep(engine, container).await;
                    by_policy(engine, container).await;
                }
            }
        }
        Phase::Restarting => {
            let _ = engine.restarts.send(Arc::clone(container));
        }
        Phase::Removing => {
            let _ = volumes::remove(&container.directory);
            engine.forget(container);
        }
    }
}

/// Its supervisor lives: it is watched as if this daemon had started it.
async fn join(engine: &Arc<Engine>, container: &Arc<Container>, mut connection: Connection) {
    let joined = async {
        connection.subscribe(0).await.ok()?;
        let wait = started(&mut connection);
        tokio::time::timeout(std::time::Duration::from_secs(5), wait).await.ok()?.ok()
    };
    match joined.await {
        Some(pid) => {
            container.update(|record| {
                record.status.pid = pid;
                if !record.status.phase.is_up() {
                    record.status.phase = Phase::Up;
                    record.status.started_at = crate::time::now();
                }
            });
            let _ = container.save();
            health::watch(engine, container);
            tokio::spawn(end::watch(Arc::clone(engine), Arc::clone(container), connection));
        }
        None => lost(engine, container).await,
    }
}

/// It ended while no daemon was there, or its supervisor was killed.
async fn lost(engine: &Arc<Engine>, container: &Arc<Container>) {
    let (ledger, own) = (engine.ledger.clone(), Arc::clone(container));
    if let Ok(end) = tokio::task::spawn_blocking(move || end::clean_up(&ledger, &own)).await {
        end::ended(engine, container, end).await;
    }
}

/// Starts what its policy wants to have running whenever there is a daemon.
async fn by_policy(engine: &Arc<Engine>, container: &Arc<Container>) {
    let wanted = {
        let record = container.record();
        record.status.phase == Phase::Exited
            && match record.restart_policy() {
                RestartPolicyNameEnum::ALWAYS => true,
                RestartPolicyNameEnum::UNLESS_STOPPED => !record.stopped_by_client,
                _ => false,
            }
    };
    if wanted {
        // What fails is in its status.
        let _ = start(engine, container).await;
    }
}

/// Removes what a launch that was interrupted has left of a container that does not run.
async fn sweep(engine: &Arc<Engine>, container: &Arc<Container>) {
    let (ledger, own) = (engine.ledger.clone(), Arc::clone(container));
    let name = container.record().ledger_name();
    if engine.ledger.find(&name).is_ok_and(|found| found.is_some()) {
        let _ = tokio::task::spawn_blocking(move || end::clean_up(&ledger, &own)).await;
    }
}
