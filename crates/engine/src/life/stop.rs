//! Signals for a container, and waiting for its end.

use std::{sync::Arc, time::Duration};

use nix::{sys::signal, unistd::Pid};
use sandbox::Process;

use crate::{
    container::{Container, Progress},
    engine::Engine,
    error::{ApiError, Result},
    signals,
    state::status::Phase,
};

/// How long a container may take to end before it is killed.
const TIMEOUT: i64 = 10;
/// How long the kernel may take to end a killed container: a process in an uninterruptible sleep.
const KILLED: Duration = Duration::from_secs(30);

/// Sends `number` to the first process of a container that runs.
fn signal(engine: &Engine, container: &Container, number: i32) -> Result<()> {
    let name = container.record().ledger_name();
    let entry = engine.ledger.find(&name).map_err(|error| ApiError::of(&error))?;
    let first = entry.as_ref().and_then(|entry| entry.first).filter(Process::is_alive);
    let Some(first) = first else { return Ok(()) };
    let pid = i32::try_from(first.pid).unwrap_or_default();
    let sent = match signal::Signal::try_from(number) {
        Ok(named) => signal::kill(Pid::from_raw(pid), named),
        // A real-time signal, which nix has no name for.
        Err(_) => rustix::process::Pid::from_raw(pid)
            .zip(rustix::process::Signal::from_named_raw(number))
            .map_or(Err(nix::errno::Errno::EINVAL), |(pid, named)| {
                rustix::process::kill_process(pid, named)
                    .map_err(|errno| nix::errno::Errno::from_raw(errno.raw_os_error()))
            }),
    };
    match sent {
        Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
        Err(errno) => {
            return Err(ApiError::internal(format!(
                "Cannot kill container: {}: {}",
                container.id,
                std::io::Error::from(errno)
            )));
        }
    }
    if number == nix::libc::SIGKILL
        && let Some(entry) = entry
    {
        // A frozen process is not killed before it is thawed (version 1).
        let _ = container::thaw(&engine.ledger, &entry);
    }
    Ok(())
}

/// Sends a signal, as `docker kill` does; SIGKILL waits for the end.
///
/// # Errors
///
/// 400 for an unknown signal, 409 when it does not run, 500.
pub async fn kill(engine: &Arc<Engine>, container: &Arc<Container>, text: &str) -> Result<()> {
    let number = signals::parse(text)?;
    let phase = container.status().phase;
    if phase == Phase::Restarting {
        container.update(|record| record.status.phase = Phase::Exited);
        return container.save();
    }
    if !phase.is_up() {
        return Err(ApiError::conflict(format!(
            "cannot kill container: {}: container {} is not running",
            container.record().name,
            container.id
        )));
    }
    if number == nix::libc::SIGKILL {
        container.update(|record| record.stopped_by_client = true);
    }
    let ends = container.progress.borrow().ends;
    signal(engine, container, number)?;
    container.emit(&engine.events, "kill", &[("signal", number.to_string())]);
    if number == nix::libc::SIGKILL {
        wait_for_end(container, ends, Some(KILLED)).await;
    }
    Ok(())
}

/// Stops it: its stop signal, and after the timeout SIGKILL. False if it does not run.
///
/// # Errors
///
/// 400 for an unknown signal, 500.
pub async fn stop(
    engine: &Arc<Engine>,
    container: &Arc<Container>,
    given: Option<&str>,
    timeout: Option<i64>,
) -> Result<bool> {
    let (phase, own_signal, own_timeout) = {
        let record = container.record();
        (record.status.phase, record.config.stop_signal.clone(), record.config.stop_timeout)
    };
    let number = signals::parse(given.or(own_signal.as_deref()).unwrap_or("TERM"))?;
    if phase == Phase::Restarting {
        container.update(|record| {
            (record.stopped_by_client, record.status.phase) = (true, Phase::Exited);
        });
        container.save()?;
        return Ok(true);
    }
    if !phase.is_up() {
        return Ok(false);
    }
    container.update(|record| record.stopped_by_client = true);
    let _ = container.save(); // the end will be saved too
    let ends = container.progress.borrow().ends;
    signal(engine, container, number)?;
    container.emit(&engine.events, "kill", &[("signal", number.to_string())]);
    let seconds = timeout.or(own_timeout).unwrap_or(TIMEOUT);
    let limit = u64::try_from(seconds).ok().map(Duration::from_secs); // -1 means none
    if !wait_for_end(container, ends, limit).await {
        signal(engine, container, nix::libc::SIGKILL)?;
        container.emit(&engine.events, "kill", &[("signal", "9".into())]);
        if !wait_for_end(container, ends, Some(KILLED)).await {
            return Err(ApiError::internal(format!(
                "cannot stop container: {}: tried to kill container, but did not receive an exit \
                 event",
                container.record().name
            )));
        }
    }
    container.emit(&engine.events, "stop", &[]);
    Ok(true)
}

/// Waits until it has ended more often than `ends`; false when that takes longer than `limit`.
pub async fn wait_for_end(container: &Container, ends: u64, limit: Option<Duration>) -> bool {
    let mut progress = container.progress.subscribe();
    let over = |progress: &Progress| progress.ends > ends || progress.removed;
    let waited = progress.wait_for(over);
    match limit {
        None => waited.await.is_ok(),
        Some(limit) => tokio::time::timeout(limit, waited).await.is_ok(),
    }
}
