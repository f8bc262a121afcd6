//! A launcher's trace: written to a file in its working directory, read and removed by the daemon.

use std::{
    fs::{self, File},
    io::Read as _,
    path::Path,
};

use sandbox::TraceEntry;

use super::{Watch, WatchRecord};

/// The launcher's file.
pub(crate) const TRACE: &str = "trace.json";

/// No trace is longer, in bytes.
const MAX_TRACE: u64 = 4 << 20;

/// Records the calls of a launcher that worked in `directory`, if it has written any.
pub(crate) fn publish_trace(watch: &Watch, directory: &Path, container: &str) {
    let path = directory.join(TRACE);
    let mut text = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(MAX_TRACE).read_to_end(&mut text));
    if read.is_err() {
        return;
    }
    let _ = fs::remove_file(&path);
    let entries: Vec<TraceEntry> = serde_json::from_slice(&text).unwrap_or_default();
    for entry in &entries {
        watch.publish_record(WatchRecord::of_step(container, entry));
    }
}
