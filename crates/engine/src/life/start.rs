//! Starting a container: its supervisor, everyone who is attached, and then the launcher.

use std::{
    mem,
    sync::{Arc, PoisonError},
};

use sandbox::Process;

use super::{
    announce, end, health, links,
    remove::{Removal, remove},
};
use crate::{
    container::{Container, Subscriber},
    engine::Engine,
    error::{ApiError, Result},
    launch::{ContainerLaunch, LaunchFailure, LaunchRequest},
    launching::{failed, lost, started, supervise},
    spec::Shared,
    state::{record::Record, status::Phase},
    supervisor::{Connection, LogOptions, Message, SupervisorOptions},
    time,
    watch::LaunchTrace,
};

/// Starts a container; false if it runs already.
///
/// # Errors
///
/// 400 or 500 with the reason when its first process cannot be made, 409 when it is being removed.
pub async fn start(engine: &Arc<Engine>, container: &Arc<Container>) -> Result<bool> {
    let _changing = container.changing.lock().await;
    match container.status().phase {
        Phase::Up => return Ok(false),
        Phase::Paused => {
            return Err(ApiError::conflict("cannot start a paused container, try unpause instead"));
        }
        Phase::Removing => {
            return Err(ApiError::conflict(
                "container is marked for removal and cannot be started",
            ));
        }
        Phase::Created | Phase::Restarting | Phase::Exited => {}
    }
    container.update(|record| record.stopped_by_client = false);
    match run(engine, container).await {
        Ok(connection) => {
            announce::taken(engine, container);
            container.emit(&engine.events, "start", &[]);
            health::watch(engine, container);
            tokio::spawn(end::watch(Arc::clone(engine), Arc::clone(container), connection));
            Ok(true)
        }
        Err(failure) => {
            links::release(engine, container).await;
            // Those who wait for its end learn of it too.
            container.update(|record| {
                record.status.error.clone_from(&failure.message);
                record.status.exit_code = failure.code;
                record.status.pid = 0;
                if record.status.phase != Phase::Created {
                    record.status.phase = Phase::Exited;
                }
            });
            container.save()?;
            let attributes = [("exitCode", failure.code.to_string())];
            container.emit(&engine.events, "die", &attributes);
            drop(mem::take(
                &mut *container.subscribers.lock().unwrap_or_else(PoisonError::into_inner),
            ));
            container.progress.send_modify(|progress| {
                (progress.ends, progress.exit_code) = (progress.ends + 1, failure.code);
            });
            if container.record().auto_remove() {
                // Its client waits for that.
                let (engine, container) = (Arc::clone(engine), Arc::clone(container));
                tokio::spawn(async move { remove(&engine, &container, Removal::ALL).await });
            }
            let words = format!(
                "failed to create task for container: failed to start the first process: {}",
                failure.message
            );
            Err(match failure.code {
                126 | 127 => ApiError::invalid(words),
                _ => ApiError::internal(words),
            })
        }
    }
}

/// The connection to the supervisor of its first process, which runs.
async fn run(
    engine: &Arc<Engine>,
    container: &Arc<Container>,
) -> std::result::Result<Connection, LaunchFailure> {
    let record = container.record().clone();
    let shared = shared(engine, &record)?;
    let options = SupervisorOptions {
        stdin: record.config.open_stdin.unwrap_or(false),
        stdin_once: record.config.stdin_once.unwrap_or(false),
        tty: record.tty(),
        log: log_options(&record),
    };
    let network = links::prepare(engine, container)
        .await
        .map_err(|error| LaunchFailure { message: error.message, code: 128 })?;
    let has_links = !network.links.is_empty();
    let trace = LaunchTrace::begin(&engine.watch, &container.directory);
    let request = ContainerLaunch { record, shared, network, trace: trace.is_wanted() };
    let request = LaunchRequest::Container(Box::new(request));
    let size = container.record().host.console_size.clone().unwrap_or_default();
    let size = [0, 1].map(|index| size.get(index).copied().unwrap_or(0).min(9999) as u16);
    let connection = supervise(engine, &container.directory, request, options).await?;
    let mut connection = connect_subscribers(container, connection).await?;
    connection.go(size[0], size[1]).await.map_err(lost)?;
    if has_links {
        serve_network(engine, container, &mut connection).await?;
    }
    let started = started(&mut connection).await;
    trace.publish(&engine.watch, &container.id);
    let pid = started?;
    container.update(|record| {
        let status = &mut record.status;
        (status.phase, status.pid, status.exit_code) = (Phase::Up, pid, 0);
        (status.error, status.oom_killed) = (String::new(), false);
        status.started_at = time::now();
    });
    // It runs, whether this can be written or not: the next daemon asks its supervisor.
    let _ = container.save();
    Ok(connection)
}

/// Serves the network of a process that has been made, before it begins.
async fn serve_network(
    engine: &Arc<Engine>,
    container: &Arc<Container>,
    connection: &mut Connection,
) -> std::result::Result<(), LaunchFailure> {
    let pid = loop {
        match connection.next().await {
            Ok(Some(Message::Made(pid))) => break pid,
            Ok(Some(Message::Failed(text))) => return Err(LaunchFailure::read(&text)),
            Ok(Some(_)) => {}
            Ok(None) => return Err(LaunchFailure::of_lost_supervisor()),
            Err(error) => return Err(lost(error)),
        }
    };
    let (own, id, process) = (Arc::clone(engine), container.id.clone(), Process::of(pid));
    let serve = move || process.map(|process| own.networks.started(&id, process));
    let served = tokio::task::spawn_blocking(serve).await.map_err(failed)?;
    served.transpose().map_err(failed)?;
    connection.proceed().await.map_err(lost)
}

/// Connects all who have attached before the start, so that they miss nothing.
async fn connect_subscribers(
    container: &Arc<Container>,
    connection: Connection,
) -> std::result::Result<Connection, LaunchFailure> {
    let waiting: Vec<Subscriber> = {
        let mut all = container.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        mem::take(&mut *all)
    };
    for subscriber in waiting {
        let mut own = Connection::open(&container.directory).await.map_err(lost)?;
        own.subscribe(subscriber.streams).await.map_err(lost)?;
        // A client that has gone meanwhile takes nothing.
        let _ = subscriber.connected.send(own);
    }
    let mut connection = connection;
    connection.subscribe(0).await.map_err(lost)?;
    Ok(connection)
}

/// The processes of the containers whose namespaces it joins.
fn shared(engine: &Engine, record: &Record) -> std::result::Result<Shared, LaunchFailure> {
    let of = |mode: &Option<String>| -> std::result::Result<Option<Process>, LaunchFailure> {
        let Some(name) = mode.as_deref().and_then(|mode| mode.strip_prefix("container:")) else {
            return Ok(None);
        };
        let fail = |message: String| LaunchFailure { message, code: 128 };
        let other = engine.container(name).map_err(|error| fail(error.message))?;
        let pid = other.status().pid;
        let process = Process::of(pid).filter(|_| pid != 0);
        let stopped =
            || fail(format!("cannot join the namespace of a non running container: {name}"));
        process.map(Some).ok_or_else(stopped)
    };
    let host = &record.host;
    Ok(Shared { net: of(&host.network_mode)?, pid: of(&host.pid_mode)?, ipc: of(&host.ipc_mode)? })
}

/// Where its output is logged.
fn log_options(record: &Record) -> Option<LogOptions> {
    let log = record.host.log_config.clone().unwrap_or_default();
    if log.typ.as_deref() == Some("none") {
        return None;
    }
    let options = log.config.unwrap_or_default();
    let is_local = log.typ.as_deref() == Some("local");
    // The defaults of dockerd's drivers: json-file grows without a limit.
    let (size, files) = if is_local { (20 << 20, 5) } else { (0, 1) };
    let max_size = options.get("max-size").and_then(|text| bytes(text)).unwrap_or(size);
    let max_files = options.get("max-file").and_then(|text| text.parse().ok()).unwrap_or(files);
    Some(LogOptions { max_size, max_files })
}

/// `10m`, `1g`, `512`: bytes.
fn bytes(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let factor = match &lower[digits.len()..] {
        "" | "b" => 1,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(
            (bytes("10m"), bytes("512"), bytes("1KB")),
            (Some(10 << 20), Some(512), Some(1024))
        );
        assert_eq!((bytes("x"), bytes("10x"), bytes("")), (None, None, None));
    }
}
