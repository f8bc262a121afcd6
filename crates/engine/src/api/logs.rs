//! `GET /containers/ID/logs`: what a container has written, and goes on to write.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{Response, StatusCode},
};
use tokio::sync::mpsc;

use super::{
    call::Call,
    response::{ChannelBody, of_type},
};
use crate::{
    attachment,
    container::{Container, Progress},
    engine::Engine,
    error::{ApiError, Result},
    supervisor::{LogLine, LogQuery, LogReader, LogStream},
    time,
};

/// How much is sent at once.
const PIECE: usize = 64 << 10;

/// Which lines a client wants, and how.
#[derive(Debug, Clone)]
struct Selection {
    stdout: bool,
    stderr: bool,
    timestamps: bool,
    tty: bool,
    since: Option<Duration>,
    until: Option<Duration>,
    tail: Option<u64>,
    follow: bool,
}

pub(super) async fn logs(engine: &Arc<Engine>, id: &str, call: &Call) -> Result<Response<Body>> {
    let container = engine.container(id)?;
    let query = &call.query;
    let (stdout, stderr) = (query.flag("stdout"), query.flag("stderr"));
    if !stdout && !stderr {
        return Err(ApiError::invalid("Bad parameters: you must choose at least one stream"));
    }
    let driver = container.record().host.log_config.clone().and_then(|log| log.typ);
    if driver.as_deref() == Some("none") {
        return Err(ApiError::new(
            StatusCode::NOT_IMPLEMENTED,
            "configured logging driver does not support reading",
        ));
    }
    let instant = |name: &str| -> Result<Option<Duration>> {
        let Some(text) = query.text(name).filter(|text| *text != "0") else { return Ok(None) };
        let read = time::of_query(text);
        read.map(Some).ok_or_else(|| ApiError::invalid(format!("invalid {name}: {text}")))
    };
    let selection = Selection {
        stdout,
        stderr,
        timestamps: query.flag("timestamps"),
        tty: container.record().tty(),
        since: instant("since")?,
        until: instant("until")?,
        // As dockerd does, a word that is not a number means all.
        tail: query.text("tail").and_then(|text| text.parse().ok()),
        follow: query.flag("follow"),
    };
    let framed = !selection.tty && call.version >= (1, 42);
    let kind = match framed {
        true => "application/vnd.docker.multiplexed-stream",
        false => "application/vnd.docker.raw-stream",
    };
    let (sender, body) = ChannelBody::pair();
    tokio::spawn(async move {
        // Only the client can be the reason of a failure here.
        let _ = copy(&container, &selection, &sender).await;
    });
    Ok(of_type(StatusCode::OK, kind, body))
}

/// All that is logged, framed for a client that attaches.
pub(super) fn all_framed(container: &Arc<Container>, tty: bool) -> mpsc::Receiver<Bytes> {
    let selection = Selection {
        stdout: true,
        stderr: true,
        timestamps: false,
        tty,
        since: None,
        until: None,
        tail: None,
        follow: false,
    };
    let (sender, receiver) = mpsc::channel(4);
    let own = Arc::clone(container);
    tokio::spawn(async move {
        let _ = copy(&own, &selection, &sender).await;
    });
    receiver
}

/// Sends the lines of a log; an error is a client that has gone.
async fn copy(
    container: &Container,
    selection: &Selection,
    sender: &mpsc::Sender<Bytes>,
) -> std::result::Result<(), mpsc::error::SendError<Bytes>> {
    // Asked before the log is opened: what is written before the end is there then.
    let mut progress = container.progress.subscribe();
    let ends = progress.borrow_and_update().ends;
    let follow = selection.follow && container.status().phase.is_up();
    let Selection { tail, since, until, .. } = *selection;
    let query = LogQuery { tail, since, until, follow };
    let Ok(mut log) = LogReader::open(&container.directory, &query) else { return Ok(()) };
    let ended = async {
        let over = |progress: &Progress| progress.ends > ends || progress.removed;
        tokio::select! {
            _ = progress.wait_for(over) => {}
            () = sender.closed() => {}
        }
    };
    let mut ended = std::pin::pin!(ended);
    let mut piece = Vec::with_capacity(PIECE);
    loop {
        // All that is there, in large pieces; then what comes.
        match log.read() {
            Ok(Some(line)) => {
                selection.write(&mut piece, &line);
                if piece.len() < PIECE {
                    continue;
                }
            }
            Ok(None) if piece.is_empty() => {
                let Ok(Some(line)) = log.next(ended.as_mut()).await else { return Ok(()) };
                selection.write(&mut piece, &line);
                continue;
            }
            Ok(None) => {}
            Err(_) => return Ok(()),
        }
        sender.send(std::mem::take(&mut piece).into()).await?;
    }
}

impl Selection {
    fn write(&self, to: &mut Vec<u8>, line: &LogLine) {
        let (number, is_chosen) = match line.stream {
            LogStream::Stdout => (1, self.stdout),
            LogStream::Stderr => (2, self.stderr),
        };
        if !is_chosen {
            return;
        }
        let stamp = match self.timestamps {
            true => format!("{} ", time::text(std::time::UNIX_EPOCH + line.time)),
            false => String::new(),
        };
        if !self.tty {
            to.extend(attachment::head(number, stamp.len() + line.bytes.len()));
        }
        to.extend(stamp.as_bytes());
        to.extend(&line.bytes);
    }
}
