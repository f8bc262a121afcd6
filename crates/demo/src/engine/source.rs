//! The live source: a daemon of its own, somebody who watches it, and a client.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
};

use engine::watch::client::Records;
use nix::sched::{CloneFlags, unshare};
use sandbox::Process;

use super::{
    EngineScene, ProcessState, TIME_LINE, client::ClientKind, commands::ClientCommand,
    daemon::Daemon, keeper::Keeper, question_of, recorder::RecordFilter,
};
use crate::{Error, Result, Scene, Source};

/// How many lines of a client's output are kept.
const LINES: usize = 5;
/// The container that stays.
const CONTAINER: &str = "web";

/// The live source.
pub struct EngineDemo {
    known: Arc<Mutex<Known>>,
    orders: Option<Sender<Order>>,
    worker: Option<JoinHandle<()>>,
}

/// What is shown, and the processes whose lives are looked up each time.
#[derive(Default)]
struct Known {
    scene: EngineScene,
    daemon: Option<Process>,
    container: Option<Process>,
}

enum Order {
    Ask(ClientCommand),
    /// Kill the daemon.
    Kill,
    /// Start the next one.
    Begin,
}

impl EngineDemo {
    /// Begins to start a daemon.
    ///
    /// # Errors
    ///
    /// When this host cannot have one.
    pub fn start() -> Result<Self> {
        let program = Daemon::program()?;
        let known: Arc<Mutex<Known>> = Arc::default();
        lock(&known).scene.is_busy = true;
        let (orders, given) = channel();
        let own = Arc::clone(&known);
        let worker = std::thread::Builder::new()
            .name("engine".into())
            .spawn(move || work(&program, &own, &given))
            .map_err(Error::system("start the thread of the daemon"))?;
        Ok(Self { known, orders: Some(orders), worker: Some(worker) })
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Source for EngineDemo {
    fn scene(&mut self) -> Result<Option<Scene>> {
        let known = lock(&self.known);
        let mut scene = known.scene.clone();
        let state =
            |process: &Process| ProcessState { pid: process.pid, is_alive: process.is_alive() };
        scene.daemon = known.daemon.as_ref().map(state).unwrap_or_default();
        scene.container = known.container.as_ref().map(state);
        Ok(Some(Scene::Engine(Box::new(scene))))
    }

    fn key(&mut self, key: char) {
        if key == TIME_LINE || question_of(key).is_some() {
            lock(&self.known).scene.question = question_of(key);
            return;
        }
        let order = match key {
            'k' => Some(Order::Kill),
            'n' => Some(Order::Begin),
            key => ClientCommand::of_key(key).map(Order::Ask),
        };
        if let (Some(order), Some(orders)) = (order, &self.orders) {
            // It fails only if the daemon could not be started, and then that is shown.
            let _ = orders.send(order);
        }
    }
}

impl Drop for EngineDemo {
    fn drop(&mut self) {
        // The worker ends when no more orders can come, and takes the daemon with it.
        self.orders = None;
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
    }
}

/// Starts the daemon and does what is ordered, until no more can come.
fn work(program: &Path, known: &Arc<Mutex<Known>>, orders: &Receiver<Order>) {
    let begun = Worker::begin(program, known);
    let mut worker = match begun {
        Ok(worker) => worker,
        Err(error) => {
            let scene = &mut lock(known).scene;
            (scene.note, scene.is_busy) = (Some(error.message()), false);
            return;
        }
    };
    lock(known).scene.is_busy = false;
    while let Ok(order) = orders.recv() {
        lock(known).scene.is_busy = true;
        let done = match order {
            Order::Ask(command) => worker.ask(command),
            Order::Kill => worker.kill(),
            Order::Begin => worker.begin_again(),
        };
        let scene = &mut lock(known).scene;
        scene.note = done.err().map(|error| error.message());
        scene.is_busy = false;
    }
}

struct Worker {
    known: Arc<Mutex<Known>>,
    daemon: Keeper,
    client: ClientKind,
}

impl Worker {
    fn begin(program: &Path, known: &Arc<Mutex<Known>>) -> Result<Self> {
        // This thread, and what it starts: the bridges and rules of the daemon are nobody else's.
        unshare(CloneFlags::CLONE_NEWNET)
            .map_err(|errno| Error::system("make a network of its own")(errno.into()))?;
        let daemon = Keeper::start(program)?;
        let worker = Self { known: Arc::clone(known), daemon, client: ClientKind::of_this_host() };
        lock(known).scene.client = worker.client;
        worker.watch()?;
        Ok(worker)
    }

    /// Adds what the daemon does to the scene, until it ends.
    fn watch(&self) -> Result<()> {
        let failed = |error: engine::watch::client::WatchError| {
            Error::system("watch the daemon")(std::io::Error::other(sandbox::chain(&error)))
        };
        let mut records = Records::of(&self.daemon.socket()).map_err(failed)?;
        lock(&self.known).daemon = Process::of(self.daemon.pid());
        let known = Arc::clone(&self.known);
        std::thread::spawn(move || {
            let mut filter = RecordFilter::default();
            // A daemon that was killed has no more.
            while let Ok(Some(record)) = records.read() {
                filter.add(record, &mut lock(&known).scene);
            }
        });
        Ok(())
    }

    fn clear(&self, command: String) {
        let scene = &mut lock(&self.known).scene;
        scene.command = command;
        scene.records.clear();
        scene.calls.clear();
        scene.output.clear();
        (scene.question, scene.note) = (None, None);
    }

    fn ask(&mut self, command: ClientCommand) -> Result<()> {
        if command == ClientCommand::RunDetached && self.has_container() {
            return Ok(()); // one is enough
        }
        self.clear(command.line());
        let (socket, config) = (self.daemon.socket(), self.daemon.directory());
        let output = self.client.run(command, &socket, config);
        let output = output.map_err(Error::system(command.line()))?;
        let lines: Vec<String> = output.lines().map(str::to_owned).collect();
        let from = lines.len().saturating_sub(LINES);
        lock(&self.known).scene.output = lines[from..].to_vec();
        if command == ClientCommand::RunDetached {
            let first = self.daemon.first_process(CONTAINER);
            lock(&self.known).container = first;
        }
        Ok(())
    }

    fn has_container(&self) -> bool {
        lock(&self.known).container.as_ref().is_some_and(Process::is_alive)
    }

    fn kill(&mut self) -> Result<()> {
        if self.daemon.pid() == 0 {
            return Ok(());
        }
        self.clear(format!("kill -9 {}", self.daemon.pid()));
        self.daemon.kill()
    }

    fn begin_again(&mut self) -> Result<()> {
        if self.daemon.pid() != 0 {
            return Ok(());
        }
        self.clear("isolab engine".into());
        self.daemon.begin()?;
        self.watch()
    }
}
