//! isolab's registry, in a thread of the test.

use std::{net::SocketAddr, sync::mpsc, thread::JoinHandle};

use registry::server::{Options, serve};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// A registry that ends with the test.
pub struct OwnServer {
    pub at: SocketAddr,
    pub data: TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl OwnServer {
    pub fn start(change: impl FnOnce(&mut Options)) -> Self {
        let data = TempDir::new().unwrap();
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
        Self { at, data, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
