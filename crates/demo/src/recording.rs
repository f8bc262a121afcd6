//! Recordings: a scene a line, with its time, packed by gzip. A laptop without root or KVM can show
//! everything from one.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde::{Deserialize, Serialize};

use crate::{Error, Origin, Result, Scene, Source};

/// The first line of every recording.
const MAGIC: &str = "isolab demo 1";
/// A line longer than this is nobody's scene.
const LONGEST_LINE: u64 = 1 << 20;
/// More scenes than this, an hour of them, are not kept in memory.
const MOST_SCENES: usize = 36_000;

#[derive(Debug, Serialize, Deserialize)]
struct Moment {
    milliseconds: u64,
    /// The keys that were pressed just before.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    keys: String,
    /// With the first one: on which host, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    made: Option<String>,
    scene: Scene,
}

/// Writes a recording while a demonstration runs.
pub struct Recorder {
    file: GzEncoder<File>,
    path: PathBuf,
    began: Instant,
    keys: String,
    made: Option<String>,
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
        Ok(Self {
            file,
            path: path.into(),
            began: Instant::now(),
            keys: String::new(),
            made: Some(here()),
        })
    }

    /// Notes that a key was pressed.
    pub fn press(&mut self, key: char) {
        self.keys.push(key);
    }

    /// Adds a scene.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn add(&mut self, scene: &Scene) -> Result<()> {
        let milliseconds = self.began.elapsed().as_millis() as u64;
        let keys = std::mem::take(&mut self.keys);
        let made = self.made.take();
        let moment = Moment { milliseconds, keys, made, scene: scene.clone() };
        let failed = |source| Error::Recording { action: "write", path: self.path.clone(), source };
        let text = serde_json::to_string(&moment).map_err(|error| failed(error.into()))?;
        writeln!(self.file, "{text}").map_err(failed)
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

/// This host and this day: the kernel, the processor, and how many of them.
fn here() -> String {
    let file = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let kernel = file("/proc/sys/kernel/osrelease");
    let processor = file("/proc/cpuinfo");
    let mut lines = processor.lines();
    let name = lines.find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let name = name.map_or("unknown processor", |(_, name)| name.trim());
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let day = report::format::date(since.as_secs());
    format!("Linux {}, {count} x {name}, {day}", kernel.trim())
}

/// A recording, played at the speed at which it was made. A key leads to where it was pressed.
#[derive(Debug)]
pub struct Replay {
    moments: Vec<Moment>,
    /// The time in the recording, and when that was.
    from: (Duration, Instant),
    at: usize,
}

impl Replay {
    /// Reads a recording.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is not a recording.
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
            return Err(none("the first line is not that of a recording".into()));
        }
        let mut moments = Vec::new();
        while let Some(line) = next().map_err(failed)? {
            let moment: Moment = serde_json::from_str(&line)
                .map_err(|error| none(format!("line {}: {error}", moments.len() + 2)))?;
            moments.push(moment);
            if moments.len() > MOST_SCENES {
                return Err(none("it is longer than an hour".into()));
            }
        }
        if moments.is_empty() {
            return Err(none("it has no scenes".into()));
        }
        Ok(Self { moments, from: (Duration::ZERO, Instant::now()), at: 0 })
    }

    /// The scenes in their order.
    pub fn scenes(&self) -> impl Iterator<Item = &Scene> {
        self.moments.iter().map(|moment| &moment.scene)
    }

    /// The first scene after `key` was pressed for the first time, and those that follow it.
    pub fn scenes_after(&self, key: char) -> impl Iterator<Item = &Scene> {
        let pressed = move |moment: &&Moment| !moment.keys.contains(key);
        self.moments.iter().skip_while(pressed).map(|moment| &moment.scene)
    }
}

impl Source for Replay {
    fn scene(&mut self) -> Result<Option<Scene>> {
        let now = self.from.0 + self.from.1.elapsed();
        let is_due = |moment: &Moment| Duration::from_millis(moment.milliseconds) <= now;
        while self.moments.get(self.at + 1).is_some_and(is_due) {
            self.at += 1;
        }
        let moment = &self.moments[self.at];
        let over = self.at + 1 == self.moments.len()
            && now > Duration::from_millis(moment.milliseconds + 500);
        Ok((!over).then(|| moment.scene.clone()))
    }

    fn key(&mut self, key: char) {
        let (before, after) = self.moments.split_at(self.at + 1);
        let pressed = |moment: &Moment| moment.keys.contains(key);
        let next = after.iter().position(pressed).map(|at| before.len() + at);
        if let Some(at) = next.or_else(|| before.iter().position(pressed)) {
            let time = Duration::from_millis(self.moments[at].milliseconds);
            (self.at, self.from) = (at, (time, Instant::now()));
        }
    }

    fn origin(&self) -> Origin {
        Origin::Recording
    }

    fn made(&self) -> Option<String> {
        self.moments[0].made.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Demo, Language, picture::drawn, stage::View};

    #[test]
    fn every_demonstration_is_drawn_from_its_recording_in_any_size_and_language() {
        for demo in Demo::ALL {
            let recorded = demo.recorded().unwrap();
            assert!(recorded.scenes().count() > 50);
            for (number, scene) in recorded.scenes().enumerate() {
                assert_eq!(scene.demo(), demo);
                let size = [(80, 20), (1, 1), (47, 9), (200, 60)][number % 4];
                let caption = (number % 3 == 0).then(|| "a caption".to_owned());
                let view =
                    View { scene: scene.clone(), origin: Origin::Recording, caption, made: None };
                for language in [Language::En, Language::Zh] {
                    drawn(size, |frame| view.draw(frame, language));
                    assert!(view.summary(language).contains(demo.script().title.of(language)));
                }
            }
        }
    }

    #[test]
    fn nothing_is_shortened_in_a_terminal_of_80_by_24() {
        for demo in Demo::ALL {
            for scene in demo.recorded().unwrap().scenes().step_by(5) {
                for language in [Language::En, Language::Zh] {
                    let (origin, caption) = (Origin::Recording, None);
                    let view = View { scene: scene.clone(), origin, caption, made: None };
                    let screen = drawn((80, 24), |frame| view.draw(frame, language));
                    // What is going on is marked with an ellipsis of its own.
                    let screen = screen.to_string().replace("……", "").replace("… ", "");
                    assert!(!screen.contains('…'), "{screen}");
                }
            }
        }
    }

    #[test]
    fn a_key_leads_to_where_it_was_pressed() {
        for demo in Demo::ALL {
            let mut recorded = demo.recorded().unwrap();
            let mut keys = demo.script().steps.iter().filter_map(|step| step.key);
            // Round once more, from the last to the first.
            let first = keys.clone().next();
            let all: Vec<char> = keys.by_ref().chain(first).collect();
            for key in all {
                let there = recorded.scenes_after(key).next().expect("it was pressed").clone();
                recorded.key(key);
                assert!(recorded.moments[recorded.at].keys.contains(key), "{} {key}", demo.name());
                assert_eq!(recorded.scene().unwrap().unwrap().demo(), there.demo());
            }
        }
    }

    #[test]
    fn what_is_written_can_be_read_and_what_is_damaged_is_named() {
        let recorded = Demo::Slices.recorded().unwrap();
        let path = std::env::temp_dir().join(format!("isolab-demo-{}", std::process::id()));
        let mut recorder = Recorder::create(&path).unwrap();
        let first = recorded.scenes().next().unwrap();
        recorder.press('r');
        recorder.add(first).unwrap();
        recorder.finish().unwrap();
        let again = Replay::open(&path).unwrap();
        assert_eq!(again.scenes_after('r').collect::<Vec<_>>(), [first]);
        let made = again.made().unwrap();
        assert!(made.starts_with("Linux ") && made.contains(", 20"), "{made}");
        let whole = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        for damaged in [&b"no gzip"[..], &whole[..whole.len() / 2], b""] {
            let error = Replay::read(damaged, &path).unwrap_err().to_string();
            assert!(error.contains("isolab-demo-"), "{error}");
        }
    }
}
