//! What somebody who watches is told, one record at a time.

use std::time::Duration;

use sandbox::{Question, TraceEntry};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Something that the daemon, a client or the kernel did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WatchRecord {
    /// When, in seconds of CLOCK_MONOTONIC (clock_gettime(2)).
    pub time: f64,
    /// Over which connection, numbered since the daemon began; `None` of what the daemon does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<u64>,
    /// The id of the container that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// What it is.
    #[serde(flatten)]
    pub event: WatchEvent,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum WatchEvent {
    /// A client asks for something.
    Request(RequestRecord),
    /// The daemon answers the last request of that connection.
    Answer(AnswerRecord),
    /// The daemon agrees that from now on the connection carries the container's streams.
    Upgraded {
        /// HTTP's status: 101, or 200 for a client that did not ask for an upgrade.
        status: u16,
    },
    /// Bytes of a stream. Small pieces in quick succession can be one record.
    Bytes(BytesRecord),
    /// A call of the launcher, or of what it makes.
    Step(StepRecord),
    /// A container's first process, or a command in it, has ended.
    Exit {
        /// Its exit code.
        code: i64,
        /// The id of the exec; `None` means the first process.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exec: Option<String>,
    },
    /// Whoever watches is too slow: so many records were left out here.
    Lost {
        /// How many.
        records: u64,
    },
}

/// A request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// HTTP's method.
    pub method: String,
    /// The path with the version, as the client has written it.
    pub path: String,
    /// What is behind the question mark, still encoded.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub query: String,
    /// Its body, if it is JSON and not too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// The body's length in bytes, as far as it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_bytes: Option<u64>,
    /// Whether it has credentials for a registry, which are never shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_credentials: bool,
}

/// An answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AnswerRecord {
    /// HTTP's status.
    pub status: u16,
    /// Its body, if it is JSON, not too long, and known at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// The body's length in bytes; `None` of one that is sent as it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_bytes: Option<u64>,
}

/// Bytes of a stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BytesRecord {
    /// Which stream.
    pub stream: StreamName,
    /// The first of them as text; `None` where they are not shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// How many these are.
    pub bytes: u64,
    /// How many that stream has carried so far, these included.
    pub total: u64,
}

/// A stream between a client and a container, or of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamName {
    /// The container's input, from the client.
    Stdin,
    /// Its output.
    Stdout,
    /// Its errors.
    Stderr,
    /// The body of a request, such as an archive.
    RequestBody,
    /// The body of an answer that is sent as it is made.
    AnswerBody,
}

impl StreamName {
    /// Whether the client is who sends.
    pub fn is_of_client(self) -> bool {
        matches!(self, Self::Stdin | Self::RequestBody)
    }
}

/// A call and what it is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// The question that it helps to answer.
    pub question: Question,
    /// The call and its operands.
    pub call: String,
    /// How long it took, in seconds.
    pub took: f64,
}

impl WatchRecord {
    /// A call from a launcher's trace.
    pub(super) fn of_step(container: &str, entry: &TraceEntry) -> Self {
        Self {
            time: entry.began.as_secs_f64(),
            connection: None,
            container: Some(container.to_owned()),
            event: WatchEvent::Step(StepRecord {
                question: entry.question,
                call: entry.event.to_string(),
                took: entry.took.as_secs_f64(),
            }),
        }
    }

    /// When it was, on the clock of [`sandbox::monotonic_now`].
    pub fn at(&self) -> Duration {
        Duration::try_from_secs_f64(self.time).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_is_one_flat_object() {
        let request = RequestRecord {
            method: "POST".into(),
            path: "/v1.47/containers/create".into(),
            body: Some(json!({ "Image": "busybox" })),
            ..RequestRecord::default()
        };
        let event = WatchEvent::Request(request);
        let record = WatchRecord { time: 1.5, connection: Some(3), container: None, event };
        let value = serde_json::to_value(&record).unwrap();
        assert_eq!(
            value,
            json!({
                "time": 1.5,
                "connection": 3,
                "kind": "request",
                "method": "POST",
                "path": "/v1.47/containers/create",
                "body": { "Image": "busybox" },
            })
        );
        assert_eq!(serde_json::from_value::<WatchRecord>(value).unwrap(), record);
    }
}
