//! Restart policies: what has ended is started again after a pause, which doubles.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc::UnboundedReceiver;

use super::start::start;
use crate::{container::Container, engine::Engine, state::status::Phase, time};

/// The first pause before a restart; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// After a run that long, the pause begins again with the first one.
const LONG_RUN: Duration = Duration::from_secs(10);

/// Starts again what comes through the channel, as long as there is a daemon.
pub async fn restart_all(engine: Arc<Engine>, mut ended: UnboundedReceiver<Arc<Container>>) {
    while let Some(container) = ended.recv().await {
        tokio::spawn(restart_later(Arc::clone(&engine), container));
    }
}

/// Starts it again after a pause, unless a client stops, starts or removes it before.
async fn restart_later(engine: Arc<Engine>, container: Arc<Container>) {
    let (status, restarts) = {
        let record = container.record();
        (record.status.clone(), record.restarts)
    };
    let instant = |text: &str| time::since_1970(text).unwrap_or_default();
    let ran = instant(&status.finished_at).saturating_sub(instant(&status.started_at));
    let doubled = u32::try_from(restarts.min(20)).unwrap_or(20);
    let pause = match ran > LONG_RUN {
        true => FIRST_PAUSE,
        false => (FIRST_PAUSE * (1 << doubled.min(10))).min(LONGEST_PAUSE),
    };
    tokio::time::sleep(pause).await;
    if container.status().phase != Phase::Restarting {
        return;
    }
    container.update(|record| record.restarts += 1);
    // What fails is in its status; a policy tries again only after a run.
    let _ = start(&engine, &container).await;
}
