//! The containers, and what is seen of them now.

use std::{
    io,
    path::Path,
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

use container::{Container, Namespaces as Own};
use sandbox::{Instance, Ledger, Outcome, Process, Sandbox as _, Stdio, Workload};

use super::{Answers, Column, Kind, Namespaces, Told, answers, look};
use crate::{Error, Result, Scene, Source};

/// More have no room on the screen.
const MOST: usize = 3;
/// More join none.
const MOST_ENTERED: usize = 3;
/// All of `/proc` is read so often.
const LOOK: Duration = Duration::from_millis(400);

/// A failure as the screen tells it.
type Done<T> = std::result::Result<T, String>;

/// The live source.
pub struct Live {
    host: Column,
    houses: Vec<House>,
    who: bool,
    told: Told,
    note: Option<String>,
    looked: Option<Instant>,
}

/// A container with what is seen of it.
struct House {
    column: Column,
    state: State,
}

enum State {
    Starting(Work<sandbox::Result<Box<dyn Instance>>>),
    Running(Inside),
    Ending(Work<()>),
    /// It did not start.
    Failed,
}

/// Dropped in this order: killing the first process kills those that entered too.
struct Inside {
    _instance: Box<dyn Instance>,
    entered: Vec<Work<sandbox::Result<Outcome>>>,
    first: Process,
}

/// What takes longer than a picture stays. Dropping it waits for its end.
struct Work<T>(Option<JoinHandle<T>>);

impl<T: Send + 'static> Work<T> {
    fn begin(work: impl FnOnce() -> T + Send + 'static) -> Done<Self> {
        let begun = Builder::new().spawn(work);
        begun.map(|thread| Self(Some(thread))).map_err(|error| format!("start a thread: {error}"))
    }
}

impl<T> Work<T> {
    fn is_over(&self) -> bool {
        self.0.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// What came of it, once.
    fn result(&mut self) -> Option<T> {
        self.0.take_if(|thread| thread.is_finished())?.join().ok()
    }
}

impl<T> Drop for Work<T> {
    fn drop(&mut self) {
        // A panic in it has been told on standard error; there is nothing left to give up.
        let _ = self.0.take().map(JoinHandle::join);
    }
}

impl Live {
    /// Looks at the host; there is no container yet.
    ///
    /// # Errors
    ///
    /// When no container can run here, or `/proc` does not tell.
    pub fn start() -> Result<Self> {
        container::available()?;
        let unknown = || io::Error::other("/proc is not mounted, or it hides its own reader");
        let (hierarchy, _) = look::cgroup("self").unwrap_or_default();
        let answers = Answers::own(&hierarchy)
            .ok_or_else(unknown)
            .map_err(Error::system("read /proc/self/status"))?;
        let host = Column {
            pid: Some(answers.pid),
            user: Some(answers.user),
            answers: Some(answers),
            tables: look::tables("self"),
            ..Column::default()
        };
        let (houses, told) = (Vec::new(), Told::Nothing);
        Ok(Self { host, houses, who: false, told, note: None, looked: None })
    }

    fn begin(&mut self, user: bool) -> Done<()> {
        if self.houses.len() >= MOST {
            return Err(format!("{MOST} containers have room here: [k] kills the newest"));
        }
        let name = self.free_name()?;
        let container = Container {
            name: Some(name.clone()),
            hostname: name.clone(),
            namespaces: Own { user, ..Own::default() },
            init: false,
            ..Container::default()
        };
        let shell = Workload::command(["/bin/sh", "-c", &answers::script()]);
        let work = Work::begin(move || container.spawn(&shell));
        let state = State::Starting(work?);
        self.houses.push(House { column: Column { name, ..Column::default() }, state });
        Ok(())
    }

    /// A name that nobody has in the ledger.
    fn free_name(&self) -> Done<String> {
        let entries = Ledger::open().and_then(|ledger| ledger.entries());
        let entries = entries.map_err(|error| sandbox::chain(&error))?;
        let taken = |name: &String| entries.iter().any(|entry| entry.name == *name);
        let own = |name: &String| self.houses.iter().any(|house| house.column.name == *name);
        let mut names = (1..).map(|number: u32| format!("demo-{number}"));
        let free = names.find(|name| !taken(name) && !own(name));
        Ok(free.expect("numbers do not end before the ledger does"))
    }

    fn enter(&mut self) -> Done<()> {
        let (column, inside) = self.newest()?;
        if inside.entered.len() >= MOST_ENTERED {
            return Err(format!("{MOST_ENTERED} have joined {}: no more", column.name));
        }
        let name = column.name.clone();
        let work = Work::begin(move || {
            let entry = container::find(&name)?;
            container::exec(&entry, ["/bin/sh", "-c", "read -r line"], Stdio::Capture)
        });
        inside.entered.push(work?);
        self.told = Told::Entered { name: column.name.clone() };
        Ok(())
    }

    fn kill(&mut self) -> Done<()> {
        let (column, _) = self.newest()?;
        let (name, processes) = (column.name.clone(), 1 + column.others.len());
        self.told = Told::Killed { name: name.clone(), processes };
        let house = self.houses.iter_mut().find(|house| house.column.name == name);
        house.map_or(Ok(()), House::end)
    }

    /// The newest container that runs.
    fn newest(&mut self) -> Done<(&mut Column, &mut Inside)> {
        let running = self.houses.iter_mut().rev().find_map(|house| match &mut house.state {
            State::Running(inside) => Some((&mut house.column, inside)),
            _ => None,
        });
        running.ok_or_else(|| "no container runs: [s] starts one".into())
    }

    /// Takes over what has been done meanwhile; whether anything has.
    fn advance(&mut self) -> bool {
        let mut changed = false;
        for house in &mut self.houses {
            match house.advance() {
                Ok(None) => {}
                Ok(Some(told)) => (self.told, changed) = (told, true),
                Err(note) => self.note = Some(note),
            }
        }
        self.houses.retain(|house| match &house.state {
            State::Ending(work) => !work.is_over(),
            state => !matches!(state, State::Failed),
        });
        changed
    }

    fn look(&mut self) {
        self.host.processes = Some(look::processes(Path::new("/proc")));
        self.houses.iter_mut().filter(|house| !house.column.ending).for_each(House::look);
        self.looked = Some(Instant::now());
    }
}

impl House {
    fn advance(&mut self) -> Done<Option<Told>> {
        let name = self.column.name.clone();
        match &mut self.state {
            State::Starting(work) => {
                if !work.is_over() {
                    return Ok(None);
                }
                let started = work.result();
                self.state = State::Failed;
                let instance = started.ok_or("a thread of isolab panicked")?.map_err(explained)?;
                let pid = instance.processes().first().copied();
                let Some(first) = pid.and_then(Process::of) else {
                    return Ok(Some(Told::Ended { name }));
                };
                self.column.pid = Some(first.pid);
                let inside = Inside { _instance: instance, entered: Vec::new(), first };
                self.state = State::Running(inside);
                Ok(Some(Told::Started { name }))
            }
            State::Running(inside) if !inside.first.is_alive() => {
                self.end()?;
                Ok(Some(Told::Ended { name }))
            }
            State::Running(inside) => {
                let failed = inside.entered.iter_mut().filter_map(Work::result);
                let failed = failed.filter_map(sandbox::Result::err).next();
                inside.entered.retain(|work| !work.is_over());
                failed.map_or(Ok(None), |error| Err(explained(error)))
            }
            State::Ending(_) | State::Failed => Ok(None),
        }
    }

    /// Kills it; to remove its cgroup takes longer than a picture stays.
    fn end(&mut self) -> Done<()> {
        self.column.ending = true;
        let ended = std::mem::replace(&mut self.state, State::Failed);
        let work = Work::begin(move || drop(ended));
        self.state = State::Ending(work?);
        Ok(())
    }

    /// Whether nothing is expected to be seen soon.
    fn is_complete(&self) -> bool {
        match &self.state {
            State::Running(inside) => {
                self.column.answers.is_some() && self.column.others.len() >= inside.entered.len()
            }
            _ => true,
        }
    }

    fn look(&mut self) {
        let column = &mut self.column;
        let Some(pid) = column.pid else { return };
        // A process keeps its namespaces, its user and its cgroup until it changes them itself.
        if column.answers.is_none() {
            column.tables = look::tables(&pid.to_string());
            column.user = look::user(pid);
            let (hierarchy, cgroup) = look::cgroup(&pid.to_string()).unzip();
            column.cgroup = cgroup;
            column.answers = Answers::of_process(pid, &hierarchy.unwrap_or_default());
        }
        column.processes = Some(look::processes(&look::proc_of(pid)));
        let table = column.tables[Kind::PID];
        column.others = table.map(|table| look::others(table, pid)).unwrap_or_default();
    }
}

/// Why it failed, and the way out if there is one.
fn explained(error: sandbox::Error) -> String {
    let way_out = error.fix().map_or(String::new(), |fix| format!(": {fix}"));
    format!("{}{way_out}", sandbox::chain(&error))
}

impl Source for Live {
    fn scene(&mut self) -> Result<Option<Scene>> {
        let changed = self.advance();
        let complete = self.houses.iter().all(House::is_complete);
        if changed || !complete || self.looked.is_none_or(|looked| looked.elapsed() > LOOK) {
            self.look();
        }
        Ok(Some(Scene::Namespaces(Namespaces {
            host: self.host.clone(),
            containers: self.houses.iter().map(|house| house.column.clone()).collect(),
            who: self.who,
            told: self.told.clone(),
            note: self.note.clone(),
        })))
    }

    fn key(&mut self, key: char) {
        let done = match key {
            's' => self.begin(false),
            'u' => self.begin(true),
            'e' => self.enter(),
            'k' => self.kill(),
            'w' => {
                self.who = !self.who;
                self.told = if self.who { Told::Asked } else { Told::Nothing };
                Ok(())
            }
            _ => return,
        };
        self.note = done.err().map(|why| format!("[{key}] {why}"));
        self.looked = None;
    }
}
