//! The attempts, made one after the other while the class looks on.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use sandbox::Process;

use super::{
    Attempt, Breakout, Trial, Verdict, Wall, attempts,
    targets::{BreakoutDirectory, Targets},
};
use crate::{Error, Result, Scene, Source};

/// Between two attempts, so that eyes can follow.
const PAUSE: Duration = Duration::from_millis(600);

/// The live source.
pub struct BreakoutDemo {
    known: Arc<Mutex<Known>>,
    orders: Option<Sender<Order>>,
    worker: Option<JoinHandle<()>>,
}

/// What is shown, and whether that process lives is looked up each time.
struct Known {
    scene: Breakout,
    process: Process,
}

enum Order {
    Try(Wall),
    ResetTargets,
}

impl BreakoutDemo {
    /// Makes a cell and lays the first targets.
    ///
    /// # Errors
    ///
    /// When there is no room for them.
    pub fn start() -> Result<Self> {
        let directory = BreakoutDirectory::make()?;
        let targets = Targets::make(&directory)?;
        let scene = Breakout {
            targets: targets.state(),
            trials: Default::default(),
            wall: None,
            attempt: Attempt::File,
            note: None,
        };
        let known = Arc::new(Mutex::new(Known { scene, process: targets.process }));
        let (orders, given) = channel();
        let worker = Worker { known: Arc::clone(&known), targets, directory };
        let worker = std::thread::Builder::new()
            .name("breakout".into())
            .spawn(move || worker.follow(&given))
            .map_err(Error::system("start the thread for the attempts"))?;
        Ok(Self { known, orders: Some(orders), worker: Some(worker) })
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Source for BreakoutDemo {
    fn scene(&mut self) -> Result<Option<Scene>> {
        let known = lock(&self.known);
        let mut scene = known.scene.clone();
        scene.targets.alive = known.process.is_alive();
        Ok(Some(Scene::Breakout(Box::new(scene))))
    }

    fn key(&mut self, key: char) {
        if let Some(attempt) = Attempt::ALL.into_iter().find(|attempt| attempt.key() == key) {
            lock(&self.known).scene.attempt = attempt;
            return;
        }
        let wall = Wall::ALL.into_iter().find(|wall| wall.key() == key);
        if let Some(wall) = wall {
            let scene = &mut lock(&self.known).scene;
            scene.wall = Some(wall);
            scene.attempt = Attempt::File;
        }
        let order = wall.map(Order::Try).or((key == 'b').then_some(Order::ResetTargets));
        if let (Some(order), Some(orders)) = (order, &self.orders) {
            // It fails only if the worker has panicked, and then there is nothing new to see.
            let _ = orders.send(order);
        }
    }
}

impl Drop for BreakoutDemo {
    fn drop(&mut self) {
        // The worker ends when no more orders can come, and takes all that it made with it.
        self.orders = None;
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
    }
}

/// Makes the attempts.
struct Worker {
    known: Arc<Mutex<Known>>,
    // The target process ends before the directory goes.
    targets: Targets,
    directory: BreakoutDirectory,
}

impl Worker {
    fn follow(mut self, orders: &Receiver<Order>) {
        let mut next = orders.recv().ok();
        while let Some(order) = next {
            next = match order {
                Order::ResetTargets => {
                    let reset = self.reset_targets();
                    let mut known = lock(&self.known);
                    known.scene.trials = Default::default();
                    known.scene.wall = None;
                    known.scene.attempt = Attempt::File;
                    known.scene.note = reset.err().map(|error| error.message());
                    drop(known);
                    orders.recv().ok()
                }
                Order::Try(wall) => self.attack(wall, orders),
            };
        }
    }

    fn reset_targets(&mut self) -> Result<()> {
        self.targets = Targets::make(&self.directory)?;
        let mut known = lock(&self.known);
        known.scene.targets = self.targets.state();
        known.process = self.targets.process;
        Ok(())
    }

    /// Makes all attempts at one wall, and returns the next order, even if it arrives before the last
    /// attempt; `None` when no more can come.
    fn attack(&mut self, wall: Wall, orders: &Receiver<Order>) -> Option<Order> {
        let reset = self.reset_targets();
        let mut known = lock(&self.known);
        // New targets that were asked for before it have just been reset.
        known.scene.wall = Some(wall);
        known.scene.note = None;
        known.scene.trials[wall as usize] = Default::default();
        drop(known);
        if let Err(error) = reset {
            lock(&self.known).scene.note = Some(error.message());
            return orders.recv().ok();
        }
        for attempt in Attempt::ALL {
            self.show(wall, attempt, Trial { verdict: Verdict::Running, ..Trial::default() });
            let made = attempts::make(wall, attempt, &self.directory, &self.targets);
            let trial = made.unwrap_or_else(|error| {
                lock(&self.known).scene.note = Some(error.message());
                Trial { verdict: Verdict::Impossible, ..Trial::default() }
            });
            self.show(wall, attempt, trial);
            match orders.recv_timeout(PAUSE) {
                Ok(order) => return Some(order),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
        orders.recv().ok()
    }

    fn show(&self, wall: Wall, attempt: Attempt, trial: Trial) {
        lock(&self.known).scene.trials[wall as usize][attempt as usize] = trial;
    }
}
