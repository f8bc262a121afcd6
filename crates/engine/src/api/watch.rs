//! `GET /isolab/watch`: everything that is recorded, as it happens. isolab's own; dockerd has no such
//! request.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Response, StatusCode},
};

use super::response::{ChannelBody, line, of_type};
use crate::{engine::Engine, watch::stream::Ordered};

pub(super) fn watch(engine: &Arc<Engine>) -> Response<Body> {
    let (sender, body) = ChannelBody::pair();
    let mut records = Ordered::new(engine.watch.listen());
    let watch = Arc::clone(&engine.watch);
    tokio::spawn(async move {
        loop {
            let record = tokio::select! {
                record = records.next() => record,
                () = sender.closed() => return,
                () = watch.closed() => return,
            };
            if sender.send(line(&*record)).await.is_err() {
                return;
            }
        }
    });
    of_type(StatusCode::OK, "application/json", body)
}
