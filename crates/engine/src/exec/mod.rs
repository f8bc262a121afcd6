//! Commands that join a running container: `docker exec`.

pub mod instance;
pub mod record;

use std::{
    fs,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::http::StatusCode;
use bollard_stubs::models::ExecConfig;

use crate::{
    container::Container,
    engine::Engine,
    error::{ApiError, Result},
    id::new_id,
    launch::{LaunchFailure, LaunchRequest},
    launching,
    runtime::Runtime,
    supervisor::{Connection, Message, STDERR, STDOUT, SupervisorOptions},
    volumes,
    watch::{LaunchTrace, WatchEvent},
};
use instance::Exec;
use record::ExecRecord;

/// Creates one in a container that runs.
///
/// # Errors
///
/// 409 when the container does not run, 400 without a command.
pub fn create(engine: &Engine, container: &Arc<Container>, config: ExecConfig) -> Result<String> {
    container.must_be_up()?;
    if config.cmd.as_ref().is_none_or(Vec::is_empty) {
        return Err(ApiError::invalid("No exec command specified"));
    }
    let of_guest = container.record().runtime() == Runtime::Microvm;
    if of_guest && config.user.as_ref().is_some_and(|user| !user.is_empty()) {
        return Err(ApiError::new(
            StatusCode::NOT_IMPLEMENTED,
            "a command in a microvm has the user of its container: change it inside, `su -s /bin/sh \
             USER -c COMMAND`",
        ));
    }
    let id = new_id();
    let words = config.cmd.as_deref().unwrap_or_default().join(" ");
    let exec = Exec {
        directory: container.directory.join("exec").join(&id),
        container: Arc::clone(container),
        status: Mutex::default(),
        config,
        id: id.clone(),
    };
    engine.add_exec(Arc::new(exec));
    container.emit(&engine.events, &format!("exec_create: {words}"), &[("execID", id.clone())]);
    Ok(id)
}

/// Takes it for the one start that it has.
///
/// # Errors
///
/// 409 when it was started before or its container does not run.
pub fn claim(exec: &Exec) -> Result<()> {
    exec.container.must_be_up()?;
    if std::mem::replace(&mut exec.status().started, true) {
        return Err(ApiError::conflict(format!("Error: Exec command {} has already run", exec.id)));
    }
    Ok(())
}

/// Starts what was [claimed](claim); for a client with these streams, a connection that misses
/// nothing.
///
/// # Errors
///
/// 400 or 500 with the reason when it cannot be started.
pub async fn start(
    engine: &Arc<Engine>,
    exec: &Arc<Exec>,
    streams: Option<u32>,
    size: [u16; 2],
) -> Result<Option<Connection>> {
    let launched = launch(engine, exec, streams, size).await;
    let (watcher, attached) = launched.map_err(|failure| {
        exec.status().exit_code = Some(failure.code);
        let _ = volumes::remove(&exec.directory); // made for it
        let words = format!("exec failed: unable to start process: {}", failure.message);
        match failure.code {
            126 | 127 => ApiError::invalid(words),
            _ => ApiError::internal(words),
        }
    })?;
    let words = exec.config.cmd.as_deref().unwrap_or_default().join(" ");
    let attributes = [("execID", exec.id.clone())];
    exec.container.emit(&engine.events, &format!("exec_start: {words}"), &attributes);
    tokio::spawn(watch(Arc::clone(engine), Arc::clone(exec), watcher));
    Ok(attached)
}

async fn launch(
    engine: &Arc<Engine>,
    exec: &Arc<Exec>,
    streams: Option<u32>,
    size: [u16; 2],
) -> std::result::Result<(Connection, Option<Connection>), LaunchFailure> {
    let failed = |error: std::io::Error| LaunchFailure { message: error.to_string(), code: 128 };
    fs::create_dir_all(&exec.directory).map_err(failed)?;
    let config = &exec.config;
    let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let variables = config.env.iter().flatten().filter_map(|given| given.split_once('='));
    let mut environment: Vec<_> =
        variables.map(|(name, value)| (name.into(), value.into())).collect();
    if exec.tty() {
        environment.insert(0, ("TERM".into(), "xterm".into()));
    }
    let trace = LaunchTrace::begin(&engine.watch, &exec.directory);
    let record = ExecRecord {
        ledger_name: exec.container.record().ledger_name(),
        words: config.cmd.clone().unwrap_or_default(),
        environment,
        directory: text(&config.working_dir).map(Into::into),
        user: text(&config.user),
        tty: exec.tty(),
        trace: trace.is_wanted(),
    };
    let stdin = config.attach_stdin.unwrap_or(false) && streams.is_some();
    let options = SupervisorOptions { stdin, stdin_once: stdin, tty: exec.tty(), log: None };
    let request = LaunchRequest::Exec(record);
    let supervise = launching::supervise(engine, &exec.directory, request, options);
    let mut watcher = supervise.await?;
    let attached = match streams {
        None => None,
        Some(streams) => {
            let mut own = Connection::open(&exec.directory).await.map_err(failed)?;
            own.subscribe(streams).await.map_err(failed)?;
            Some(own)
        }
    };
    watcher.subscribe(0).await.map_err(failed)?;
    watcher.go(size[0], size[1]).await.map_err(failed)?;
    let started = launching::started(&mut watcher).await;
    trace.publish(&engine.watch, &exec.container.id);
    let pid = started?;
    let mut status = exec.status();
    (status.up, status.pid) = (true, pid);
    drop(status);
    Ok((watcher, attached))
}

/// Records its end: whoever hears of it first, before anyone is told.
pub(crate) fn ended(exec: &Exec, code: i64) {
    let mut status = exec.status();
    (status.up, status.pid, status.exit_code) = (false, 0, Some(code));
}

/// Waits for its end.
async fn watch(engine: Arc<Engine>, exec: Arc<Exec>, mut connection: Connection) {
    let mut code = 137; // its supervisor was killed
    while let Ok(Some(message)) = connection.next().await {
        if let Message::Exited(status) = message {
            code = i64::from(status);
            break;
        }
    }
    ended(&exec, code);
    let attributes = [("execID", exec.id.clone()), ("exitCode", code.to_string())];
    exec.container.emit(&engine.events, "exec_die", &attributes);
    let exit = WatchEvent::Exit { code, exec: Some(exec.id.clone()) };
    engine.watch.publish(None, Some(exec.container.id.clone()), exit);
    let directory = exec.directory.clone();
    let _ = tokio::task::spawn_blocking(move || volumes::remove(&directory)).await;
    // As long as dockerd keeps it for those who ask for the exit code.
    tokio::time::sleep(Duration::from_secs(300)).await;
    engine.forget_exec(&exec.id);
}

/// Runs a command in a container to its end, or kills it after `timeout`: its exit code and the first
/// `most` bytes that it writes.
///
/// # Errors
///
/// When it cannot be started, and when it takes too long.
pub async fn captured(
    engine: &Arc<Engine>,
    container: &Arc<Container>,
    config: ExecConfig,
    timeout: Duration,
    most: usize,
) -> Result<(i64, String)> {
    let exec = engine.exec(&create(engine, container, config)?)?;
    let connection = start(engine, &exec, Some(STDOUT | STDERR), [0; 2]).await;
    let mut connection = match connection {
        Ok(Some(connection)) => connection,
        Ok(None) => return Err(ApiError::internal("the exec has no streams")),
        Err(error) => {
            engine.forget_exec(&exec.id);
            return Err(error);
        }
    };
    let mut output = Vec::new();
    let read = async {
        while let Ok(Some(message)) = connection.next().await {
            match message {
                Message::Stdout(bytes) | Message::Stderr(bytes) => {
                    let room = most.saturating_sub(output.len());
                    output.extend_from_slice(&bytes[..bytes.len().min(room)]);
                }
                Message::Exited(status) => return i64::from(status),
                Message::Made(_) | Message::Started(_) | Message::Failed(_) => {}
            }
        }
        137 // its supervisor was killed
    };
    let ended = tokio::time::timeout(timeout, read).await;
    engine.forget_exec(&exec.id);
    let Ok(code) = ended else {
        exec.kill();
        let words = format!("Health check exceeded timeout ({timeout:?})");
        return Err(ApiError::internal(words));
    };
    Ok((code, String::from_utf8_lossy(&output).into_owned()))
}
