//! Waiting for changes in a directory (inotify(7)).

use std::{io, os::fd::OwnedFd, path::Path, time::Duration};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::unix::AsyncFd;

/// How often to look where the kernel has no more watches for this user.
const INTERVAL: Duration = Duration::from_millis(50);

/// A watch of a directory.
#[derive(Debug)]
pub(super) struct Watch {
    /// `None` if the kernel does not tell of changes.
    events: Option<AsyncFd<OwnedFd>>,
}

impl Watch {
    /// Watches the files in a directory from now on. Needs a tokio runtime.
    pub(super) fn new(directory: &Path) -> Self {
        Self { events: Self::events(directory).ok() }
    }

    #[expect(
        deprecated,
        reason = "sound for a descriptor that it owns; the new function is unsafe"
    )]
    fn events(directory: &Path) -> io::Result<AsyncFd<OwnedFd>> {
        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let changes = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO;
        inotify::add_watch(&events, directory, changes | WatchFlags::ONLYDIR)?;
        AsyncFd::new(events)
    }

    /// Waits until something has changed since the last time.
    pub(super) async fn wait(&self) -> io::Result<()> {
        let Some(events) = &self.events else {
            tokio::time::sleep(INTERVAL).await;
            return Ok(());
        };
        loop {
            let mut ready = events.readable().await?;
            let mut changes = [0; 4096];
            let read = ready.try_io(|events| Ok(rustix::io::read(events, &mut changes)?));
            // What they are does not matter.
            if let Ok(result) = read {
                return result.map(drop);
            }
        }
    }
}
