//! The containers, and what is seen of them.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use super::{
    Found, LastChange, Layers, RealImage, Row,
    directory::{LayerDirectory, OverlayContainer, Targets},
    image::ImageLayers,
    inside::Inside,
    look::{Layer, rows},
    operations,
};
use crate::{Error, Result, Scene, Source};

/// The live source. The containers are dropped before the directory that they are in.
pub struct LayersDemo {
    containers: [Option<OverlayContainer>; 2],
    directory: LayerDirectory,
    targets: Targets,
    /// The names of a real image that are shown, and the layer of each; its layers do not change.
    real: Option<(Layer, BTreeMap<String, usize>)>,
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
        Self::on(&[])
    }

    /// Starts a container on the image of that name, whose layers are these directories, the
    /// uppermost first. They must stay while this is not dropped.
    ///
    /// # Errors
    ///
    /// When they cannot be read, and those of [`Self::start`].
    pub fn of_image(name: &str, lowers: &[PathBuf]) -> Result<Self> {
        let found = ImageLayers::of(lowers);
        let found = found.map_err(Error::system(format!("look through the layers of {name}")))?;
        let mut demo = Self::on(lowers)?;
        let merged = demo.container()?.merged()?;
        let is_file = |path: &str| {
            let about = Inside::of(&merged, path).and_then(|inside| inside.metadata());
            about.is_ok_and(|about| about.is_file())
        };
        demo.targets = found.targets(is_file);
        let shown = found.shown(&demo.targets);
        let layers = shown.iter().map(|(path, (_, layer))| (path.clone(), *layer)).collect();
        let names = shown.into_iter().map(|(path, (found, _))| (path, found));
        demo.real = Some((Layer::of_names(names, found.bytes), layers));
        demo.shown.image = Some(RealImage { name: name.to_owned(), layers: lowers.len() });
        Ok(demo)
    }

    fn on(lowers: &[PathBuf]) -> Result<Self> {
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
            let directory = LayerDirectory::make(parent, lowers)?;
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
            image: None,
        };
        let containers = [Some(first), None];
        let (targets, real) = (Targets::usual(), None);
        Ok(Self { containers, directory, targets, real, shown, changed: Vec::new(), failed: None })
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
            'w' => self.container().and_then(|it| operations::write(it, &self.targets)),
            'd' => self.container().and_then(|it| operations::delete(it, &self.targets)),
            'o' => self.container().and_then(|it| operations::replace(it, &self.targets)),
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
        let lower = match &self.real {
            Some((lower, _)) => lower.clone(),
            None => read(&self.directory.lower())?,
        };
        let mut uppers = [None, None];
        for (upper, container) in uppers.iter_mut().zip(&self.containers) {
            *upper = container.as_ref().map(|it| read(&it.upper())).transpose()?;
        }
        self.shown.lower_bytes = lower.bytes;
        self.shown.upper_bytes = [0, 1].map(|at| uppers[at].as_ref().map(|upper| upper.bytes));
        let upper = uppers[self.at()].take().unwrap_or_default();
        let root = self.container()?.merged()?;
        let merged = match &self.real {
            Some(_) => Layer::at_names(&root, lower.names().chain(upper.names())),
            None => read(&root)?,
        };
        self.shown.rows = rows(&lower, &upper, &merged);
        if let Some((_, layers)) = &self.real {
            // overlayfs makes the directories above what it copies up.
            let is_way = |row: &Row| row.lower.is_none() && row.upper == Some(Found::Directory);
            self.shown.rows.retain(|row| !is_way(row));
            for row in &mut self.shown.rows {
                row.layer = layers.get(&row.path).copied();
            }
        }
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
