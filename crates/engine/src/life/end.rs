//! The end of a container's first process: what is recorded, what is removed, and whether it starts
//! again.

use std::sync::Arc;

use bollard_stubs::models::RestartPolicyNameEnum;

use super::{
    announce, links,
    remove::{Removal, remove},
};
use crate::{
    container::Container,
    engine::Engine,
    runtime::Runtime,
    state::status::Phase,
    supervisor::{Connection, ExitRecord, Message},
    time,
    watch::WatchEvent,
};

/// Watches a container until its first process has ended.
pub(crate) async fn watch(
    engine: Arc<Engine>,
    container: Arc<Container>,
    mut connection: Connection,
) {
    while let Ok(Some(message)) = connection.next().await {
        if let Message::Exited(_) = message {
            break;
        }
    }
    drop(connection);
    let own = Arc::clone(&container);
    let ledger = engine.ledger.clone();
    let cleaned = tokio::task::spawn_blocking(move || clean_up(&ledger, &own)).await;
    let end = cleaned.unwrap_or(ProcessExit { code: 137, at: time::now(), oom_killed: false });
    ended(&engine, &container, end).await;
}

/// How a first process has ended.
pub(crate) struct ProcessExit {
    /// The exit code.
    pub(crate) code: i64,
    /// When, by RFC 3339.
    pub(crate) at: String,
    /// Whether the kernel killed something in it for lack of memory.
    pub(crate) oom_killed: bool,
}

/// Removes what is left of the processes of a container, and says how the first one ended.
pub(crate) fn clean_up(ledger: &sandbox::Ledger, container: &Container) -> ProcessExit {
    let record = crate::supervisor::read_exit(&container.directory);
    let name = container.record().ledger_name();
    let mut oom_killed = false;
    if let Ok(Some(entry)) = ledger.find(&name) {
        oom_killed = container::observe::out_of_memory_kills(&entry) > 0;
        // What cannot be removed stays in the ledger, for `isolab clean`.
        if container::free_resources(&entry).is_ok() {
            drop(ledger.adopt(&entry));
            if entry.sandbox == Runtime::Microvm.ledger_kind() {
                // The socket of a monitor that was killed. Whatever stays, `isolab clean` removes.
                let _ = ledger.sweep();
            }
        }
    }
    // A supervisor that was killed has told nothing: then all of it was killed just now.
    let ExitRecord { status, time: at } =
        record.unwrap_or(ExitRecord { status: 137, time: std::time::SystemTime::now() });
    ProcessExit { code: i64::from(status), at: time::text(at), oom_killed }
}

/// Records the end, tells those who wait, and removes or restarts the container as it wants it.
pub(crate) async fn ended(engine: &Arc<Engine>, container: &Arc<Container>, end: ProcessExit) {
    announce::given_back(engine, container);
    links::release(engine, container).await;
    let restart = {
        let _changing = container.changing.lock().await;
        let restart = container.update(|record| {
            record.status.phase = Phase::Exited;
            (record.status.pid, record.status.exit_code) = (0, end.code);
            record.status.finished_at.clone_from(&end.at);
            record.status.oom_killed = end.oom_killed;
            let policy = record.host.restart_policy.clone().unwrap_or_default();
            let most = policy.maximum_retry_count.unwrap_or(0).unsigned_abs();
            let restarts = match record.restart_policy() {
                RestartPolicyNameEnum::ALWAYS | RestartPolicyNameEnum::UNLESS_STOPPED => true,
                RestartPolicyNameEnum::ON_FAILURE => {
                    end.code != 0 && (most == 0 || record.restarts < most)
                }
                _ => false,
            } && !record.stopped_by_client;
            if restarts {
                record.status.phase = Phase::Restarting;
            }
            restarts
        });
        let _ = container.save();
        restart
    };
    container.set_health(None);
    if end.oom_killed {
        container.emit(&engine.events, "oom", &[]);
    }
    container.emit(&engine.events, "die", &[("exitCode", end.code.to_string())]);
    let exit = WatchEvent::Exit { code: end.code, exec: None };
    engine.watch.publish(None, Some(container.id.clone()), exit);
    container.progress.send_modify(|progress| {
        (progress.ends, progress.exit_code) = (progress.ends + 1, end.code);
    });
    if container.record().auto_remove() && !restart {
        // A client may have removed it just now.
        let _ = remove(engine, container, Removal::ALL).await;
    }
    if restart {
        // It fails only if the daemon ends.
        let _ = engine.restarts.send(Arc::clone(container));
    }
}
