//! Containers as these tests want them: plain data, so that another process can launch one, too.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use container::{
    Container, Device, Mount, Namespace, Network, Prepared, Root, Upper, seccomp::Seccomp,
};
use sandbox::{Limits, Outcome, Sandbox as _, Status, Workload};
use serde::{Deserialize, Serialize};

use crate::host::Host;

/// An ordinary user, whom no list of users has to know.
pub const ORDINARY: u32 = 54_321;

/// Who launches the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The caller of these tests, in this process.
    Root,
    /// The same, in a process of its own.
    RootElsewhere,
    /// A user with no power at all.
    Ordinary,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub enum Files {
    /// The host's own root.
    #[default]
    Host,
    Directory(PathBuf),
    /// Over this directory, thrown away.
    Overlay(PathBuf),
    /// The same with a layer that is kept.
    Kept(PathBuf, PathBuf),
}

/// A container and what it runs.
#[derive(Debug, Clone, Serialize, Deserialize, Default)]
pub struct Launch {
    pub files: Files,
    pub words: Vec<String>,
    /// A second command that joins the container.
    pub joins: Option<Vec<String>>,
    /// It joins when this file of the host's is there.
    pub joins_after: Option<PathBuf>,
    /// How often it joins before the first one is told to stop, by a file, and asked what came of
    /// it; 0 is once, and the first one is not asked.
    pub rounds: u32,
    pub directory: Option<PathBuf>,
    pub volumes: Vec<Mount>,
    pub devices: Vec<Device>,
    pub masked: Vec<PathBuf>,
    pub read_only: Vec<PathBuf>,
    pub network: Network,
    pub no_init: bool,
    pub share_pids: bool,
    pub user_namespace: bool,
    /// Files keep their owners in it.
    pub keep_owners: bool,
    pub unconfined: bool,
    pub terminal: bool,
    /// The launcher's own standard streams, not captured ones.
    pub inherit: bool,
    pub uid: u32,
    pub limits: Limits,
    pub upper_bytes: Option<u64>,
    /// It is created first, to wait at this FIFO, and started then.
    pub waits_at: Option<PathBuf>,
    /// Bind mounts that the launcher makes in its own mount namespace before: source and target.
    pub before: Vec<(PathBuf, PathBuf)>,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize, Default)]
pub struct Answer {
    /// Why this user can have no container at all.
    pub unavailable: Option<String>,
    /// Why there was none, with all causes.
    pub error: Option<String>,
    pub status: Option<Status>,
    pub output: String,
    pub errors: String,
}

impl Answer {
    /// What the program said, or the error.
    pub fn describe(&self) -> String {
        match &self.error {
            Some(error) => error.clone(),
            None if self.errors.is_empty() => self.output.trim().to_owned(),
            None => format!("{} {}", self.output.trim(), self.errors.trim()),
        }
    }
}

/// A read-write volume.
pub fn volume(source: &Path, destination: &str) -> Mount {
    let (source, destination) = (source.to_owned(), destination.into());
    Mount { destination, kind: "bind".into(), source, options: vec!["rbind".into()] }
}

impl Launch {
    /// One that runs an attempt over these files.
    pub fn of(host: &Host, files: Files, attempt: &[&str]) -> Self {
        let words = words(host, &files, attempt);
        Self { files, words, ..Self::default() }
    }

    /// The container of it.
    fn container(&self) -> Container {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Relaxed);
        let lowers = |lower: &PathBuf| vec![lower.clone()];
        let root = match &self.files {
            Files::Host => Root::Host,
            Files::Directory(path) => Root::Directory(path.clone()),
            Files::Overlay(path) => Root::Overlay { lowers: lowers(path), upper: Upper::ThrowAway },
            Files::Kept(path, kept) => {
                Root::Overlay { lowers: lowers(path), upper: Upper::Kept(kept.clone()) }
            }
        };
        let container = Container::default().root(root).network(self.network).init(!self.no_init);
        let mut container = container.limits(self.limits.clone());
        if self.joins.is_some() {
            container.name = Some(format!("escape-{}-{number}", std::process::id()));
        }
        let spec = &mut container.spec;
        spec.boundary.namespaces.pid = Namespace::new_if(!self.share_pids);
        if self.user_namespace {
            spec.boundary.namespaces.user = Namespace::New;
        }
        spec.inside.mounts.extend(self.volumes.iter().cloned());
        spec.inside.devices.extend(self.devices.iter().cloned());
        spec.inside.masked_paths.extend(self.masked.iter().cloned());
        spec.inside.read_only_paths.extend(self.read_only.iter().cloned());
        spec.inside.upper_bytes = self.upper_bytes;
        spec.inside.keep_owners = self.keep_owners;
        (spec.power.user.uid, spec.power.user.gid) = (self.uid, self.uid);
        if self.unconfined {
            spec.power.seccomp = Seccomp::Unconfined;
        }
        container
    }

    /// Runs it in this process.
    pub fn here(&self) -> Answer {
        if let Err(error) = container::available() {
            let unavailable = Some(sandbox::chain(&error));
            return Answer { unavailable, ..Answer::default() };
        }
        match self.run() {
            Ok(Outcome { status, output, errors, .. }) => {
                let [output, errors] =
                    [output, errors].map(|text| String::from_utf8_lossy(&text).into_owned());
                Answer { status: Some(status), output, errors, ..Answer::default() }
            }
            Err(error) => {
                let error = Some(sandbox::chain_with_help(&error, error.fix()));
                Answer { error, ..Answer::default() }
            }
        }
    }

    fn run(&self) -> sandbox::Result<Outcome> {
        let container = self.container();
        let stdio = match (self.terminal, self.inherit) {
            (true, _) => sandbox::Stdio::Terminal,
            (false, true) => sandbox::Stdio::Inherit,
            (false, false) => sandbox::Stdio::Capture,
        };
        let workload = Workload::command(&self.words).deadline(Duration::from_secs(60));
        let workload = Workload { directory: self.directory.clone(), stdio, ..workload };
        if let Some(fifo) = &self.waits_at {
            let spec = container.spec.for_workload(&workload);
            let mut created = Prepared::new(&spec)?.create(fifo)?;
            created.start()?;
            return created.wait();
        }
        let Some(words) = &self.joins else { return container.run(&workload) };
        let first = container.spawn(&workload)?;
        let entry = container::find(container.name.as_deref().unwrap_or_default())?;
        while self.joins_after.as_ref().is_some_and(|file| !file.exists()) {
            std::thread::sleep(Duration::from_millis(1));
        }
        for _ in 0..self.rounds {
            let joined = container::exec(&entry, words, stdio)?;
            assert!(joined.status.is_success(), "{joined:?}");
        }
        if self.rounds > 0 {
            let stop: Vec<&str> = words[..2].iter().map(String::as_str).chain(["stop"]).collect();
            container::exec(&entry, stop, stdio)?;
            return first.wait();
        }
        let joined = container::exec(&entry, words, stdio);
        drop(first);
        joined
    }

    /// Runs it as `who`.
    pub fn run_as(&self, who: Who, host: &Host) -> Answer {
        if who == Who::Root {
            return self.here();
        }
        let mut launcher = self.launcher(who, host);
        let output = launcher.stdin(Stdio::null()).output().unwrap();
        let answer = serde_json::from_slice(&output.stdout);
        answer.unwrap_or_else(|error| panic!("{error}: the launcher said {output:?}"))
    }
}

/// The command line of an attempt inside.
pub fn words(host: &Host, files: &Files, attempt: &[&str]) -> Vec<String> {
    let program = match files {
        Files::Host => host.program().display().to_string(),
        _ => "/attempt".to_owned(),
    };
    let words = [&program, crate::inside::ROLE].map(str::to_owned);
    words.into_iter().chain(attempt.iter().map(|word| (*word).to_owned())).collect()
}
