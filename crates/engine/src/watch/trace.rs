//! A launcher's trace: written to a file in its working directory, read and removed by the daemon.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

use sandbox::TraceEntry;

use super::{Watch, WatchRecord};

/// The launcher's file.
pub(crate) const TRACE: &str = "trace.json";

/// No trace is longer, in bytes.
const MAX_TRACE: u64 = 4 << 20;

/// The trace of one launch, if somebody watches.
#[derive(Debug)]
pub(crate) struct LaunchTrace(Option<PathBuf>);

impl LaunchTrace {
    /// That of a launcher which is to work in `directory`.
    pub(crate) fn begin(watch: &Watch, directory: &Path) -> Self {
        let path = watch.is_watched().then(|| directory.join(TRACE));
        if let Some(path) = &path {
            let _ = fs::remove_file(path); // of a launch whose daemon was killed
        }
        Self(path)
    }

    /// Whether the launcher is to write it.
    pub(crate) fn is_wanted(&self) -> bool {
        self.0.is_some()
    }

    /// Records the calls that the launcher has written, for `container`.
    pub(crate) fn publish(self, watch: &Watch, container: &str) {
        let Some(path) = self.0 else { return };
        let mut text = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(MAX_TRACE).read_to_end(&mut text));
        if read.is_err() {
            return; // it has failed before there was anything to record
        }
        let _ = fs::remove_file(&path);
        let entries: Vec<TraceEntry> = serde_json::from_slice(&text).unwrap_or_default();
        for entry in &entries {
            watch.publish_record(WatchRecord::of_step(container, entry));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_launch_is_traced_while_somebody_watches_and_an_old_trace_is_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let watch = Arc::new(Watch::default());
        fs::write(folder.path().join(TRACE), "[]").unwrap();
        assert!(!LaunchTrace::begin(&watch, folder.path()).is_wanted());
        let _watcher = watch.listen();
        let trace = LaunchTrace::begin(&watch, folder.path());
        assert!(trace.is_wanted() && !folder.path().join(TRACE).exists());
        fs::write(folder.path().join(TRACE), "[]").unwrap();
        trace.publish(&watch, "x");
        assert!(!folder.path().join(TRACE).exists());
    }
}
