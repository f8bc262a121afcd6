//! isolab's own registry, in a thread of the test.

use std::{io, net::SocketAddr, sync::mpsc, thread::JoinHandle};

use registry::server::{Options, serve};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;

/// A registry that ends with the test.
pub struct TestRegistry {
    pub at: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _data: TempDir,
}

impl TestRegistry {
    pub fn start() -> Self {
        Self::with_users(None)
    }

    /// With this file of users, as htpasswd(1) writes it.
    pub fn with_users(users: Option<&str>) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut options = Options::new(data.path().join("registry"));
        options.listen = ([127, 0, 0, 1], 0).into();
        if let Some(users) = users {
            let path = data.path().join("htpasswd");
            std::fs::write(&path, users).unwrap();
            options.htpasswd = Some(path);
        }
        let (stop, stopped) = oneshot::channel();
        let (ready, address) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let listening = |at| ready.send(at).unwrap();
            let stopped = async { _ = stopped.await };
            serve(options, Box::new(io::sink()), listening, stopped).unwrap();
        });
        let at = address.recv().expect("the server began");
        Self { at, stop: Some(stop), thread: Some(thread), _data: data }
    }
}

impl Drop for TestRegistry {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The lines of a response, without those that are not sent.
#[derive(Default)]
pub struct TestLines(pub Vec<Value>);

impl TestLines {
    pub fn take(&mut self) -> impl FnMut(Value) -> io::Result<()> + '_ {
        |line| {
            self.0.extend(Some(line).filter(|line| !line.is_null()));
            Ok(())
        }
    }

    /// What each has of this key.
    pub fn texts(&self, key: &str) -> Vec<&str> {
        self.0.iter().filter_map(|line| line[key].as_str()).collect()
    }
}
