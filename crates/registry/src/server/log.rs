//! The access log: a line of JSON for each request. It has no credentials and no queries.

use std::{
    fmt::Display,
    io::Write,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};

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
    /// What went wrong on this host.
    pub(super) cause: Option<&'a str>,
}

impl AccessLog {
    pub(super) fn new(output: Box<dyn Write + Send>) -> Self {
        Self(Mutex::new(output))
    }

    /// Says that something failed which no client has asked for.
    pub(super) fn write_failure(&self, action: &str, error: &dyn Display) {
        self.write_value(&json!({
            "time": now(),
            "action": action,
            "error": error.to_string(),
        }));
    }

    pub(super) fn write(&self, line: &Line<'_>) {
        let mut value = json!({
            "time": now(),
            "client": line.client.to_string(),
            "user": line.user,
            "method": line.method,
            "path": line.path,
            "status": line.status,
            "bytes": line.bytes,
            "ms": line.took.as_secs_f64() * 1e3,
            "agent": line.agent,
        });
        if let Some(cause) = line.cause {
            value["error"] = cause.into();
        }
        self.write_value(&value);
    }

    fn write_value(&self, value: &Value) {
        let mut output = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody to tell, if the log itself fails.
        let _ = writeln!(output, "{value}").and_then(|()| output.flush());
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
