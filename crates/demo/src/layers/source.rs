//! The containers, and what is seen of them.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    LastChange, Layers,
    directory::{LayerDirectory, OverlayContainer},
    look::{Layer, rows},
    operations,
};
use crate::{Error, Result, Scene, Source};

/// The live source. The containers are dropped before the directory that they are in.
pub struct LayersDemo {
    containers: [Option<OverlayContainer>; 2],
    directory: LayerDirectory,
    /// The last scene.
    shown: Layers,
    /// The names that the last key has changed.
    changed: Vec<String>,
    /// Why the last key had no effect.
    failed: Option<String>,
}

impl LayersDemo {
    /// Makes an image, and starts a container on it.
    ///
    /// # Errors
    ///
    /// When no container can be started, or none with an overlay.
    pub fn start() -> Result<Self> {
        container::available()?;
        let memory = PathBuf::from("/dev/shm");
        let disk = std::env::temp_dir();
        // In memory copies cost no disk's time, and a file system that only pretends to copy does
        // not spoil the numbers. But not every kernel has a user's attributes there (tmpfs, 6.6).
        let parents = match container::host().root {
            true => [memory, disk],
            false => [disk, memory],
        };
        let start = |parent: &PathBuf| {
            let directory = LayerDirectory::make(parent)?;
            let first = directory.start(1)?;
            Ok((directory, first))
        };
        // An overlay cannot lie on every file system: not on another overlay, for example.
        let (directory, first) = start(&parents[0]).or_else(|_: Error| start(&parents[1]))?;
        let shown = Layers {
            container: 1,
            rows: Vec::new(),
            lower_bytes: 0,
            upper_bytes: [None; 2],
            last_change: LastChange::Begun,
            directory: directory.path().display().to_string(),
            note: None,
        };
        let containers = [Some(first), None];
        Ok(Self { containers, directory, shown, changed: Vec::new(), failed: None })
    }

    /// The index in `containers` of the one that is looked at.
    fn at(&self) -> usize {
        self.shown.container - 1
    }

    fn container(&self) -> Result<&OverlayContainer> {
        let none = || io::Error::other("it is not running; [x] starts a new one");
        let container = self.containers[self.at()].as_ref();
        container.ok_or_else(none).map_err(Error::system("read the container's files"))
    }

    /// What `key` does; `None` of one that does nothing.
    fn act(&mut self, key: char) -> Option<Result<LastChange>> {
        Some(match key {
            'c' => self.container().and_then(operations::create),
            'w' => self.container().and_then(operations::write),
            'd' => self.container().and_then(operations::delete),
            'o' => self.container().and_then(operations::replace),
            'x' => self.renew(),
            '1' => self.turn(1),
            '2' => self.turn(2),
            _ => return None,
        })
    }

    fn renew(&mut self) -> Result<LastChange> {
        let at = self.at();
        // First the old one with its upper layer.
        self.containers[at] = None;
        self.containers[at] = Some(self.directory.start(at + 1)?);
        Ok(LastChange::Renewed)
    }

    fn turn(&mut self, number: usize) -> Result<LastChange> {
        let container = &mut self.containers[number - 1];
        let is_new = container.is_none();
        if is_new {
            *container = Some(self.directory.start(number)?);
        }
        self.shown.container = number;
        Ok(if is_new { LastChange::Started } else { LastChange::Turned })
    }

    /// Looks at the layers; what was shown stays where one of them cannot be seen.
    fn look(&mut self) -> Result<()> {
        let read = |path: &Path| {
            Layer::of(path).map_err(Error::system(format!("look through {}", path.display())))
        };
        let lower = read(&self.directory.lower())?;
        let mut uppers = [None, None];
        for (upper, container) in uppers.iter_mut().zip(&self.containers) {
            *upper = container.as_ref().map(|it| read(&it.upper())).transpose()?;
        }
        let merged = read(&self.container()?.merged()?)?;
        self.shown.lower_bytes = lower.bytes;
        self.shown.upper_bytes = [0, 1].map(|at| uppers[at].as_ref().map(|upper| upper.bytes));
        let upper = uppers[self.at()].take().unwrap_or_default();
        self.shown.rows = rows(&lower, &upper, &merged);
        Ok(())
    }

    /// What the last key has changed, if the names were those before.
    fn mark_changes(&mut self, before: &Layers) {
        let changed = match &self.shown.last_change {
            // Another container's names are not this one's changes.
            LastChange::Started | LastChange::Turned => Vec::new(),
            // Its size is the same.
            LastChange::Written { path, .. } => vec![path.clone()],
            _ => {
                let new = self.shown.rows.iter().filter(|row| !before.rows.contains(row));
                new.map(|row| row.path.clone()).collect()
            }
        };
        self.changed = changed;
    }
}

impl Source for LayersDemo {
    fn scene(&mut self) -> Result<Option<Scene>> {
        let unseen = self.look().err().map(|error| sandbox::chain(&error));
        self.shown.note = self.failed.clone().or(unseen);
        let mut scene = self.shown.clone();
        for row in &mut scene.rows {
            row.changed = self.changed.contains(&row.path);
        }
        Ok(Some(Scene::Layers(scene)))
    }

    fn key(&mut self, key: char) {
        // A failure to look is shown by the next scene.
        let _ = self.look();
        let before = self.shown.clone();
        match self.act(key) {
            None => {}
            Some(Err(error)) => self.failed = Some(format!("[{key}] {}", sandbox::chain(&error))),
            Some(Ok(change)) => {
                (self.shown.last_change, self.failed) = (change, None);
                let _ = self.look();
                self.mark_changes(&before);
            }
        }
    }
}
