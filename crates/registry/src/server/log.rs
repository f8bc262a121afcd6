//! The access log: a line of JSON for each request. It has no credentials and no queries.

use std::{
    io::Write,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use serde_json::json;

/// Where the lines go.
pub(super) struct AccessLog(Mutex<Box<dyn Write + Send>>);

/// What is said of a request.
pub(super) struct Line<'a> {
    pub(super) client: SocketAddr,
    pub(super) user: Option<&'a str>,
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) status: u16,
    pub(super) bytes: u64,
    pub(super) took: Duration,
    pub(super) agent: &'a str,
}

impl AccessLog {
    pub(super) fn new(output: Box<dyn Write + Send>) -> Self {
        Self(Mutex::new(output))
    }

    pub(super) fn write(&self, line: &Line<'_>) {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let value = json!({
            "time": since.as_secs_f64(),
            "client": line.client.to_string(),
            "user": line.user,
            "method": line.method,
            "path": line.path,
            "status": line.status,
            "bytes": line.bytes,
            "ms": line.took.as_secs_f64() * 1e3,
            "agent": line.agent,
        });
        let mut output = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody to tell, if the log itself fails.
        let _ = writeln!(output, "{value}").and_then(|()| output.flush());
    }
}
