//! isolab's registry, in a thread of the test.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread::JoinHandle,
};

use registry::server::{Options, serve};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// A registry that ends with the test.
pub struct OwnServer {
    pub at: SocketAddr,
    pub data: Arc<TempDir>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl OwnServer {
    pub fn start(change: impl FnOnce(&mut Options)) -> Self {
        Self::start_in(TempDir::new().unwrap(), change)
    }

    /// With its images in `registry` of this folder.
    pub fn start_in(data: TempDir, change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::new(data.path().join("registry"));
        options.listen = ([127, 0, 0, 1], 0).into();
        change(&mut options);
        let (stop, stopped) = oneshot::channel();
        let (ready, address) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let listening = |at| ready.send(at).unwrap();
            let stopped = async { _ = stopped.await };
            serve(options, Box::new(std::io::sink()), listening, stopped).unwrap();
        });
        let at = address.recv().expect("the server began");
        Self { at, data: Arc::new(data), stop: Some(stop), thread: Some(thread) }
    }

    /// Ends it, and leaves what it has.
    pub fn stop(self) -> Arc<TempDir> {
        Arc::clone(&self.data)
    }

    /// What the server has at this path below its directory.
    pub fn path(&self, below: &str) -> PathBuf {
        self.data.path().join("registry").join(below)
    }

    /// How many bytes of blobs are kept or arriving.
    pub fn bytes(&self) -> u64 {
        ["blobs/sha256", "uploads"].map(|folder| bytes_in(self.path(folder))).iter().sum()
    }

    /// How many files the unfinished uploads have.
    pub fn upload_files(&self) -> usize {
        upload_files(&self.path("uploads"))
    }
}

/// Beside them are small files that are about to get another name.
pub fn upload_files(uploads: &Path) -> usize {
    let names = std::fs::read_dir(uploads).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| !name.to_string_lossy().starts_with("new-")).count()
}

fn bytes_in(folder: PathBuf) -> u64 {
    let is_text = |path: &Path| path.extension().is_some();
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    // An upload may end meanwhile.
    let length = |path: PathBuf| path.metadata().map_or(0, |about| about.len());
    files.map(|file| file.path()).filter(|path| !is_text(path)).map(length).sum()
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
