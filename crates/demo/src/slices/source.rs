//! The workers of each mode, and what is known of them at a moment.

use container::{
    Container,
    scheduling::{leave_one_processor, round_robin},
};
use microvm::MicroVm;
use nix::sched::CpuSet;
use sandbox::{CpuQuota, Limits, Native, Sandbox, monotonic_now};

use super::{
    Mode, Row, Slices,
    processor::ProcessorCount,
    row::{cut, row},
    switches::{Recorder, Switches},
    worker::{Clock, Worker, set_clocks},
};
use crate::{Error, Result, Scene, Source};

/// The textbook's ten.
const EQUALS: usize = 10;

/// The live source.
pub struct SlicesDemo {
    mode: Mode,
    workers: Vec<Worker>,
    switches: std::result::Result<Recorder, String>,
    clock: Clock,
    shared: CpuSet,
    processor: ProcessorCount,
    note: Option<String>,
}

impl SlicesDemo {
    /// Measures the clock, leaves one processor to the workers, and starts them in turn; as normal
    /// ones where that is not allowed.
    ///
    /// # Errors
    ///
    /// When no worker can be started.
    pub fn start() -> Result<Self> {
        let clock = Clock::measure()?;
        let shared = leave_one_processor().map_err(Error::system("choose a processor"))?;
        let mut live = Self {
            mode: Mode::Normal,
            workers: Vec::new(),
            switches: Err(String::new()),
            clock,
            shared,
            processor: ProcessorCount::of(&shared),
            note: None,
        };
        live.change(Mode::RoundRobin);
        if live.workers.is_empty() {
            let workers = live.begin(Mode::Normal)?;
            live.watch(Mode::Normal, workers);
        }
        Ok(live)
    }

    /// Shares the processor in another way; as before where that is not allowed.
    fn change(&mut self, mode: Mode) {
        match self.begin(mode) {
            Ok(workers) => {
                self.watch(mode, workers);
                self.note = None;
            }
            Err(error) => self.note = Some(format!("[{}] {}", mode.key(), sandbox::chain(&error))),
        }
    }

    fn watch(&mut self, mode: Mode, workers: Vec<Worker>) {
        let threads: Vec<u32> = workers.iter().map(Worker::thread).collect();
        self.end();
        self.switches = Recorder::of(&threads).map_err(|error| error.to_string());
        (self.mode, self.workers) = (mode, workers);
    }

    fn begin(&self, mode: Mode) -> Result<Vec<Worker>> {
        let start =
            |sandbox: &dyn Sandbox, name: &str| Worker::start(sandbox, name.to_owned(), self.clock);
        let equals = |sandbox: &dyn Sandbox| -> Result<Vec<Worker>> {
            (1..=EQUALS).map(|number| start(sandbox, &number.to_string())).collect()
        };
        let limited = |limits: Limits| Container::default().limits(limits);
        let mut workers: Vec<Worker> = match mode {
            Mode::Normal | Mode::RoundRobin => equals(&Native),
            Mode::VirtualProcessors => equals(&MicroVm::default()),
            Mode::Quota => {
                let cpu_quota = CpuQuota::cpus(0.1).ok();
                let tenth = limited(Limits { cpu_quota, ..Limits::default() });
                Ok(vec![start(&tenth, "10 %")?])
            }
            Mode::Weights => {
                let weighted = |weight: u32| {
                    let cpu_weight = Some(weight * 100);
                    let sandbox = limited(Limits { cpu_weight, ..Limits::default() });
                    start(&sandbox, &weight.to_string())
                };
                [1, 2, 4].into_iter().map(weighted).collect()
            }
        }?;
        if mode == Mode::VirtualProcessors {
            set_clocks(&mut workers, self.clock)?;
        }
        for worker in &workers {
            worker.pin(&self.shared)?;
        }
        if mode == Mode::RoundRobin {
            for worker in &workers {
                round_robin(worker.thread())
                    .map_err(Error::system("set SCHED_RR, which needs root"))?;
            }
        }
        Ok(workers)
    }

    /// Kills all before any of them is waited for: one that is to end has to have the processor,
    /// and would wait for its turn.
    fn end(&mut self) {
        self.workers.iter().for_each(Worker::kill);
        self.workers.clear();
    }

    /// Restarts the workers before the memory that they write to is full.
    fn renew(&mut self) {
        if self.workers.iter().any(Worker::is_full) {
            self.change(self.mode);
        }
    }
}

impl Drop for SlicesDemo {
    fn drop(&mut self) {
        self.end();
    }
}

impl Source for SlicesDemo {
    fn scene(&mut self) -> Result<Option<Scene>> {
        self.renew();
        let now = self.clock.now();
        let left = now.saturating_sub(self.clock.ticks(Slices::WINDOW));
        // All counts are of the same time, so that the shares add up.
        self.workers.iter_mut().for_each(|worker| worker.count.take(now, left));
        self.processor.take(now, left);
        let runs: Vec<_> = self.workers.iter().map(Worker::ran).collect();
        let since = monotonic_now().saturating_sub(Slices::WINDOW);
        let switches = match &mut self.switches {
            Ok(recorder) => recorder.since(since),
            Err(reason) => Switches::NotAllowed(reason.clone()),
        };
        let rate = self.clock.rate;
        let row = |(worker, runs): (&Worker, &Vec<(u64, u64)>)| {
            let mut row = row(worker.name.clone(), runs, (left, now), rate);
            // Both shares are of the same stretch, or they could not be compared.
            // What the kernel counts goes up in ticks: a short one says nothing.
            let enough = self.clock.ticks(Slices::WINDOW) / 4;
            let window = worker.count.window().filter(|(from, to)| to - from >= enough);
            if let (Some(window), Some(ran)) = (window, worker.count.ran()) {
                let length = (window.1 - window.0) as f64;
                let own: u64 = cut(runs, window).iter().map(|(from, to)| to - from).sum();
                row.share = (own as f64 / length) as f32;
                row.counted = Some((self.clock.ticks(ran) as f64 / length) as f32);
            }
            row
        };
        let rows: Vec<Row> = self.workers.iter().zip(&runs).map(row).collect();
        let first = self.workers.first();
        Ok(Some(Scene::Slices(Slices {
            mode: self.mode,
            milliseconds: Slices::WINDOW.as_millis() as u32,
            rows,
            counter: first.map(|worker| worker.count.counter()),
            throttled: first
                .filter(|_| self.mode == Mode::Quota)
                .and_then(|worker| worker.count.throttled()),
            switches: Some(switches),
            processor: self.processor.time(),
            note: self.note.clone(),
        })))
    }

    fn key(&mut self, key: char) {
        if let Some(mode) = Mode::ALL.into_iter().find(|mode| mode.key() == key) {
            self.change(mode);
        }
    }
}
