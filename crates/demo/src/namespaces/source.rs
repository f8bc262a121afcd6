//! The host and its containers, as they are now.

use std::{
    io,
    path::Path,
    time::{Duration, Instant},
};

use sandbox::Process;

use super::{
    Answers, Column, LastChange, Namespaces, look,
    shell::{Shell, ShellResult},
};
use crate::{Error, Result, Scene, Source};

/// More do not fit on the screen.
const MOST: usize = 3;
/// How often all of `/proc` is read.
const LOOK: Duration = Duration::from_millis(400);

/// The live source.
pub struct NamespacesDemo {
    host: Box<Column>,
    shells: Vec<Shell>,
    who: bool,
    last_change: LastChange,
    note: Option<String>,
    looked: Option<Instant>,
}

impl NamespacesDemo {
    /// Looks at the host; there is no container yet.
    ///
    /// # Errors
    ///
    /// When no container can run here, or `/proc` does not tell.
    pub fn start() -> Result<Self> {
        container::available()?;
        let unknown =
            || io::Error::other("/proc is not mounted, or is that of another pid namespace");
        let (hierarchy, _) = look::cgroup("self").unwrap_or_default();
        let answers = Answers::own(&hierarchy)
            .ok_or_else(unknown)
            .map_err(Error::system("read /proc/self/status"))?;
        let host = Box::new(Column {
            pid: Some(answers.pid),
            user: Some(answers.user),
            answers: Some(answers),
            // Once: while a process joins a container, no ordinary user may look at isolab.
            tables: look::tables("self"),
            ..Column::default()
        });
        let (shells, last_change) = (Vec::new(), LastChange::Nothing);
        Ok(Self { host, shells, who: false, last_change, note: None, looked: None })
    }

    fn begin(&mut self, user: bool) -> ShellResult<()> {
        let is_own = |shell: &&Shell| !shell.is_elsewhere();
        let own = self.shells.iter().filter(is_own).count();
        if own >= MOST {
            return Err(format!("at most {MOST} containers fit here: [k] kills the newest"));
        }
        // One's own come first, and the others where there is room.
        self.shells.insert(own, Shell::begin(user)?);
        self.shells.truncate(MOST);
        Ok(())
    }

    /// Finds the containers that `isolab run` has started, as far as there is room.
    fn find_others(&mut self) {
        let own = Process::current();
        for entry in container::all_running().unwrap_or_default() {
            let is_known = self.shells.iter().any(|shell| shell.column.name == entry.name);
            let is_wanted = entry.launcher != own && !is_known && self.shells.len() < MOST;
            if let Some(first) = entry.first.filter(|_| is_wanted) {
                self.shells.push(Shell::elsewhere(entry.name, first));
            }
        }
    }

    /// Does it to the newest container that runs.
    fn with_newest(
        &mut self,
        act: impl FnOnce(&mut Shell) -> ShellResult<LastChange>,
    ) -> ShellResult<()> {
        let newest = self.shells.iter_mut().rfind(|shell| shell.is_running());
        self.last_change = act(newest.ok_or("no container is running: [s] starts one")?)?;
        Ok(())
    }

    /// Takes the results of finished work; whether there were any.
    fn advance(&mut self) -> bool {
        let mut changed = false;
        for shell in &mut self.shells {
            match shell.advance() {
                Ok(None) => {}
                Ok(Some(change)) => (self.last_change, changed) = (change, true),
                Err(note) => self.note = Some(note),
            }
        }
        self.shells.retain(|shell| !shell.is_gone());
        changed
    }

    fn look(&mut self) {
        self.find_others();
        self.host.processes = Some(look::processes(Path::new("/proc")));
        self.shells.iter_mut().for_each(Shell::look);
        self.looked = Some(Instant::now());
    }
}

impl Source for NamespacesDemo {
    fn scene(&mut self) -> Result<Option<Scene>> {
        let changed = self.advance();
        let complete = self.shells.iter().all(Shell::is_complete);
        if changed || !complete || self.looked.is_none_or(|looked| looked.elapsed() > LOOK) {
            self.look();
        }
        Ok(Some(Scene::Namespaces(Namespaces {
            host: self.host.clone(),
            containers: self.shells.iter().map(|shell| shell.column.clone()).collect(),
            who: self.who,
            last_change: self.last_change.clone(),
            note: self.note.clone(),
        })))
    }

    fn key(&mut self, key: char) {
        let done = match key {
            's' => self.begin(false),
            'u' => self.begin(true),
            'e' => self.with_newest(Shell::join),
            'k' => self.with_newest(Shell::kill),
            'w' => {
                self.who = !self.who;
                self.last_change = if self.who { LastChange::Asked } else { LastChange::Nothing };
                Ok(())
            }
            _ => return,
        };
        self.note = done.err().map(|why| format!("[{key}] {why}"));
        self.looked = None;
    }
}
