//! The containers, and what is seen of them.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    Layers, Told, acts,
    look::{Layer, rows},
    place::{Layered, Place},
};
use crate::{Error, Result, Scene, Source};

/// The live source. The containers are dropped before the place they are in.
pub struct Live {
    containers: [Option<Layered>; 2],
    place: Place,
    /// The last scene.
    shown: Layers,
    /// The names that the last key has changed.
    changed: Vec<String>,
    /// Why the last key had no effect.
    failed: Option<String>,
}

impl Live {
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
            let place = Place::make(parent)?;
            let first = place.start(1)?;
            Ok((place, first))
        };
        // An overlay cannot lie on every file system: not on another overlay, for example.
        let (place, first) = start(&parents[0]).or_else(|_: Error| start(&parents[1]))?;
        let shown = Layers {
            container: 1,
            rows: Vec::new(),
            lower_bytes: 0,
            upper_bytes: [None; 2],
            told: Told::Begun,
            place: place.path().display().to_string(),
            note: None,
        };
        let containers = [Some(first), None];
        Ok(Self { containers, place, shown, changed: Vec::new(), failed: None })
    }

    /// The place in `containers` of the one that is looked at.
    fn at(&self) -> usize {
        self.shown.container - 1
    }

    fn container(&self) -> Result<&Layered> {
        let none = || io::Error::other("there is none; [x] starts one");
        let container = self.containers[self.at()].as_ref();
        container.ok_or_else(none).map_err(Error::system("look into the container"))
    }

    /// What `key` does; `None` of one that does nothing.
    fn act(&mut self, key: char) -> Option<Result<Told>> {
        Some(match key {
            'c' => self.container().and_then(acts::create),
            'w' => self.container().and_then(acts::write),
            'd' => self.container().and_then(acts::delete),
            'o' => self.container().and_then(acts::replace),
            'x' => self.renew(),
            '1' => self.turn(1),
            '2' => self.turn(2),
            _ => return None,
        })
    }

    fn renew(&mut self) -> Result<Told> {
        let at = self.at();
        // First the old one with its upper layer.
        self.containers[at] = None;
        self.containers[at] = Some(self.place.start(at + 1)?);
        Ok(Told::Renewed)
    }

    fn turn(&mut self, number: usize) -> Result<Told> {
        let container = &mut self.containers[number - 1];
        let is_new = container.is_none();
        if is_new {
            *container = Some(self.place.start(number)?);
        }
        self.shown.container = number;
        Ok(if is_new { Told::Started } else { Told::Turned })
    }

    /// Looks at the layers; what was shown stays where one of them cannot be seen.
    fn look(&mut self) -> Result<()> {
        let read = |path: &Path| {
            Layer::of(path).map_err(Error::system(format!("look through {}", path.display())))
        };
        let lower = read(&self.place.lower())?;
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
        let changed = match &self.shown.told {
            // Another container's names are not this one's changes.
            Told::Started | Told::Turned => Vec::new(),
            // Its size is the same.
            Told::Written { path, .. } => vec![path.clone()],
            _ => {
                let new = self.shown.rows.iter().filter(|row| !before.rows.contains(row));
                new.map(|row| row.path.clone()).collect()
            }
        };
        self.changed = changed;
    }
}

impl Source for Live {
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
        // A failure to look is told by the next scene.
        let _ = self.look();
        let before = self.shown.clone();
        match self.act(key) {
            None => {}
            Some(Err(error)) => self.failed = Some(format!("[{key}] {}", sandbox::chain(&error))),
            Some(Ok(told)) => {
                (self.shown.told, self.failed) = (told, None);
                let _ = self.look();
                self.mark_changes(&before);
            }
        }
    }
}
