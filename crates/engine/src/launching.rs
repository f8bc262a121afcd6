//! A supervisor with a launcher: how a container and a command that joins one begin.

use std::{path::Path, sync::Arc};

use crate::{
    engine::Engine,
    launch::{self, LaunchFailure, LaunchRequest},
    state,
    supervisor::{self, Connection, Message, SupervisorOptions},
};

/// Starts a supervisor in `directory`, which will launch what `request` says.
pub(crate) async fn supervise(
    engine: &Arc<Engine>,
    directory: &Path,
    request: LaunchRequest,
    options: SupervisorOptions,
) -> Result<Connection, LaunchFailure> {
    let (engine, own) = (Arc::clone(engine), directory.to_owned());
    let made = tokio::task::spawn_blocking(move || {
        let _ = std::fs::remove_file(own.join("exit"));
        state::save(&own.join(launch::REQUEST), &request).map_err(failed)?;
        let words = ["isolab", "engine", "launch"];
        supervisor::start(&own, &options, &engine.program, &words).map_err(failed)
    });
    made.await.map_err(failed)??;
    Connection::open(directory).await.map_err(lost)
}

/// Waits until the launcher has made what it was asked for, and gives the first process.
pub(crate) async fn started(connection: &mut Connection) -> Result<u32, LaunchFailure> {
    loop {
        match connection.next().await {
            Ok(Some(Message::Started(pid))) => return Ok(pid),
            // Of a launch that an earlier daemon has begun.
            Ok(Some(Message::Made(_))) => connection.proceed().await.map_err(lost)?,
            Ok(Some(Message::Failed(text))) => return Err(LaunchFailure::read(&text)),
            Ok(Some(_)) => {}
            Ok(None) => return Err(LaunchFailure::of_lost_supervisor()),
            Err(error) => return Err(lost(error)),
        }
    }
}

pub(crate) fn failed(error: impl std::error::Error + 'static) -> LaunchFailure {
    LaunchFailure { message: sandbox::chain(&error), code: 128 }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
pub(crate) fn lost(error: std::io::Error) -> LaunchFailure {
    LaunchFailure { message: format!("talk to the supervisor: {error}"), code: 128 }
}
