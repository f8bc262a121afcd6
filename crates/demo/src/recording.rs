//! Recordings: a scene a line, with its time, packed by gzip. A laptop without root or KVM can show
//! everything from one.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde::{Deserialize, Serialize};

use crate::{Error, Result, Scene, Source};

/// The first line of every recording.
const MAGIC: &str = "isolab demo 1";
/// A line longer than this is nobody's scene.
const LONGEST_LINE: u64 = 1 << 20;
/// More scenes than this, an hour of them, are not kept in memory.
const MOST_SCENES: usize = 36_000;

#[derive(Serialize, Deserialize)]
struct Moment {
    milliseconds: u64,
    scene: Scene,
}

/// Writes a recording while a demonstration runs.
pub struct Recorder {
    file: GzEncoder<File>,
    path: PathBuf,
    began: Instant,
}

impl Recorder {
    /// A new recording in the file `path`.
    ///
    /// # Errors
    ///
    /// When it cannot be created.
    pub fn create(path: &Path) -> Result<Self> {
        let failed = |source| Error::Recording { action: "create", path: path.into(), source };
        let file = File::create(path).map_err(failed)?;
        let mut file = GzEncoder::new(file, Compression::best());
        writeln!(file, "{MAGIC}").map_err(failed)?;
        Ok(Self { file, path: path.into(), began: Instant::now() })
    }

    /// Adds a scene.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn add(&mut self, scene: &Scene) -> Result<()> {
        let milliseconds = self.began.elapsed().as_millis() as u64;
        let moment = Moment { milliseconds, scene: scene.clone() };
        let text = serde_json::to_string(&moment).unwrap_or_default();
        let path = self.path.clone();
        writeln!(self.file, "{text}").map_err(|source| Error::Recording {
            action: "write",
            path,
            source,
        })
    }

    /// Completes the file.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn finish(self) -> Result<()> {
        let path = self.path;
        let failed = |source| Error::Recording { action: "write", path, source };
        self.file.finish().map(drop).map_err(failed)
    }
}

/// A recording, played at the speed at which it was made.
#[derive(Debug)]
pub struct Replay {
    moments: Vec<(Duration, Scene)>,
    began: Instant,
    next: usize,
}

impl Replay {
    /// Reads a recording.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is none.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |source| Error::Recording { action: "read", path: path.into(), source };
        Self::read(File::open(path).map_err(failed)?, path)
    }

    /// Reads a recording from its bytes; `path` is for messages.
    ///
    /// # Errors
    ///
    /// Those of [`Replay::open`].
    pub fn read(file: impl Read, path: &Path) -> Result<Self> {
        let failed = |source| Error::Recording { action: "read", path: path.into(), source };
        let none = |what: String| Error::NoRecording { path: path.into(), what };
        let mut lines = BufReader::new(GzDecoder::new(file));
        let mut next = || -> io::Result<Option<String>> {
            let mut line = String::new();
            match (&mut lines).take(LONGEST_LINE).read_line(&mut line)? {
                0 => Ok(None),
                _ => Ok(Some(line)),
            }
        };
        let first = next().map_err(failed)?.unwrap_or_default();
        if first.trim_end() != MAGIC {
            return Err(none("its first line is another one".into()));
        }
        let mut moments = Vec::new();
        while let Some(line) = next().map_err(failed)? {
            let moment: Moment = serde_json::from_str(&line)
                .map_err(|error| none(format!("line {}: {error}", moments.len() + 2)))?;
            moments.push((Duration::from_millis(moment.milliseconds), moment.scene));
            if moments.len() > MOST_SCENES {
                return Err(none("it is longer than an hour".into()));
            }
        }
        Ok(Self { moments, began: Instant::now(), next: 0 })
    }

    /// The scenes with their times.
    pub fn moments(&self) -> &[(Duration, Scene)] {
        &self.moments
    }
}

impl Source for Replay {
    fn scene(&mut self) -> Result<Option<Scene>> {
        let now = self.began.elapsed();
        while self.moments.get(self.next + 1).is_some_and(|(time, _)| *time <= now) {
            self.next += 1;
        }
        let last = self.moments.last().map_or(Duration::ZERO, |(time, _)| *time);
        if now > last + Duration::from_millis(500) {
            return Ok(None);
        }
        Ok(self.moments.get(self.next).map(|(_, scene)| scene.clone()))
    }

    fn key(&mut self, _: char) {}
}

#[cfg(test)]
mod tests {
    use ratatui::{Terminal, backend::TestBackend};

    use super::*;
    use crate::{Demo, Language};

    #[test]
    fn every_demonstration_is_drawn_from_its_recording_in_any_size_and_language() {
        for demo in Demo::ALL {
            let recorded = demo.recorded().unwrap();
            assert!(recorded.moments().len() > 50);
            for (number, (_, scene)) in recorded.moments().iter().enumerate() {
                let (width, height) = [(80, 20), (1, 1), (47, 9), (200, 60)][number % 4];
                let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
                for language in [Language::En, Language::Zh] {
                    terminal.draw(|frame| scene.draw(frame, language)).unwrap();
                    assert!(scene.summary(language).starts_with(demo.title(language)));
                }
            }
        }
    }

    #[test]
    fn the_recorded_second_is_cut_into_ten_tenths() {
        let recorded = Demo::Slices.recorded().unwrap();
        let Scene::Slices(scene) = &recorded.moments()[35].1;
        assert_eq!(scene.rows.len(), 10);
        let tenths = scene.rows.iter().filter(|row| (row.share - 0.1).abs() < 0.01).count();
        assert!(tenths >= 7, "{scene:?}");
    }

    #[test]
    fn what_is_written_can_be_read_and_what_is_damaged_is_named() {
        let recorded = Demo::Slices.recorded().unwrap();
        let path = std::env::temp_dir().join(format!("isolab-demo-{}", std::process::id()));
        let mut recorder = Recorder::create(&path).unwrap();
        recorder.add(&recorded.moments()[0].1).unwrap();
        recorder.finish().unwrap();
        let again = Replay::open(&path).unwrap();
        assert_eq!(again.moments()[0].1, recorded.moments()[0].1);
        let whole = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        for damaged in [&b"no gzip"[..], &whole[..whole.len() / 2], b""] {
            let error = Replay::read(damaged, &path).unwrap_err().to_string();
            assert!(error.contains("isolab-demo-"), "{error}");
        }
    }
}
