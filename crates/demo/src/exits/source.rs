//! Real runs, each shown slowly when it is over.

use std::{
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    Exits, TIMES, Way,
    guests::{Run, run},
};
use crate::{Error, Result, Scene, Source};

/// How many exits are kept in the scene: a screenful.
const STREAM: usize = 16;

/// The live source.
#[derive(Default)]
pub struct ExitsDemo {
    asked: Option<Way>,
    running: Option<JoinHandle<Result<Run>>>,
    play: Option<Play>,
    /// What was measured, as the scene has it.
    measured: Exits,
}

impl ExitsDemo {
    /// Looks whether there is KVM; the first guest runs when its key is pressed.
    ///
    /// # Errors
    ///
    /// When there is no KVM, or this user may not use it.
    pub fn start() -> Result<Self> {
        microvm::available()?;
        Ok(Self::default())
    }

    /// Starts the guest that was asked for, once the one before has ended.
    fn begin(&mut self) {
        if self.running.is_some() {
            return;
        }
        let Some(way) = self.asked.take() else { return };
        let started = thread::Builder::new().name("guest".into()).spawn(move || run(way));
        match started.map_err(Error::system("start a thread for the guest")) {
            Ok(thread) => self.running = Some(thread),
            Err(error) => self.fail(&error),
        }
    }

    /// Shows the guest that has ended, if one has.
    fn take(&mut self) {
        let Some(ended) = self.running.take_if(|thread| thread.is_finished()) else { return };
        match ended.join() {
            Ok(Ok(run)) => {
                self.keep();
                self.measured.note = None;
                self.play = Some(Play::of(run));
            }
            Ok(Err(error)) => self.fail(&error),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    fn fail(&mut self, error: &Error) {
        self.measured.note = Some(error.message());
    }

    /// What was shown, or need not be any more, stays as a number.
    fn keep(&mut self) {
        let Some(play) = &self.play else { return };
        let counts = &mut self.measured.counts;
        counts.retain(|count| count.way != play.run.count.way);
        counts.push(play.run.count.clone());
        counts.sort_by_key(|count| count.way as usize);
    }
}

impl Source for ExitsDemo {
    fn scene(&mut self) -> Result<Option<Scene>> {
        self.take();
        self.begin();
        let Some(play) = &self.play else {
            return Ok(Some(Scene::Exits(self.measured.clone())));
        };
        let seen = play.seen(play.began.elapsed());
        if seen.slower.is_none() {
            self.keep();
        }
        let Exits { counts, note, .. } = self.measured.clone();
        Ok(Some(Scene::Exits(Exits { counts, note, ..seen })))
    }

    fn key(&mut self, key: char) {
        if let Some(way) = Way::ALL.into_iter().find(|way| way.key() == key) {
            self.asked = Some(way);
            self.begin();
        }
    }
}

impl Drop for ExitsDemo {
    fn drop(&mut self) {
        // Its machine goes with it; no guest of ours runs for long.
        if let Some(thread) = self.running.take() {
            let _ = thread.join();
        }
    }
}

/// A run that is over, shown in slow motion: the first exits one by one, then all the others.
struct Play {
    run: Run,
    began: Instant,
    /// The parts of it: until when, in microseconds of the guest, and how many times slower.
    parts: Vec<(f32, u32)>,
}

impl Play {
    /// How many exits are shown one by one,
    const ONE_BY_ONE: usize = 8;
    /// the time for them,
    const SECONDS: f32 = 2.0;
    /// and the time for the others.
    const REST_SECONDS: f32 = 1.2;

    fn of(run: Run) -> Self {
        let times: Vec<f32> = run.exits.iter().map(|exit| exit.at).collect();
        let end = times.last().copied().unwrap_or(0.0);
        let first = times.get(Self::ONE_BY_ONE - 1).copied().unwrap_or(end);
        let slower = |seconds: f32, microseconds: f32| round(seconds * 1e6 / microseconds.max(1.0));
        let mut parts = vec![(first, slower(Self::SECONDS, first))];
        if first < end {
            parts.push((end, slower(Self::REST_SECONDS, end - first)));
        }
        Self { run, began: Instant::now(), parts }
    }

    /// Where in the guest's time it is, `elapsed` after its begin, and how many times slower time
    /// goes; nothing of that when it is over.
    fn at(&self, elapsed: Duration) -> Option<(f32, u32)> {
        let mut left = elapsed.as_secs_f32() * 1e6;
        let mut from = 0.0;
        for (until, slower) in self.parts.iter().copied() {
            let length = (until - from) * slower as f32;
            if left < length {
                return Some((from + left / slower as f32, slower));
            }
            left -= length;
            from = until;
        }
        None
    }

    fn seen(&self, elapsed: Duration) -> Exits {
        let at = self.at(elapsed);
        let exits = &self.run.exits;
        let shown = match at {
            Some((time, _)) => exits.partition_point(|exit| exit.at <= time),
            None => exits.len(),
        };
        let answered = shown.min(self.run.count.answered as usize) as u32;
        let way = self.run.count.way;
        Exits {
            way: Some(way),
            slower: at.map(|(_, slower)| slower),
            answered,
            // That they have all arrived was seen when the guest had ended.
            arrived: match way {
                Way::Full => answered,
                Way::Para => answered * TIMES,
                Way::Direct if at.is_none() => TIMES,
                Way::Direct | Way::Cpuid => 0,
            },
            stream: exits[..shown].iter().rev().take(STREAM).cloned().collect(),
            counts: Vec::new(),
            note: None,
        }
    }
}

/// Down to one digit and noughts.
fn round(number: f32) -> u32 {
    let number = number.max(1.0) as u32;
    let power = 10u32.pow(number.ilog10());
    number / power * power
}

#[cfg(test)]
mod tests {
    use sandbox::ExitReason;

    use super::*;
    use crate::exits::{Count, Exit};

    /// A byte every 100 microseconds, and the end.
    fn run(count: u32) -> Run {
        let exit = |number: u32| Exit {
            at: number as f32 * 100.0,
            reason: ExitReason::Out { port: 0x3f8 },
            device: "console".into(),
            took: 2.0,
        };
        let exits: Vec<Exit> = (1..=count + 1).map(exit).collect();
        let took = exits[count as usize].at;
        let count = Count { way: Way::Full, answered: count, by_kvm: Some(3), took, vendor: None };
        Run { exits, count }
    }

    #[test]
    fn the_first_exits_are_seen_one_by_one_and_the_end_is_none_of_them() {
        let play = Play::of(run(1000));
        assert_eq!(play.parts, [(800.0, 2000), (100_100.0, 10)]);
        let seen = play.seen(Duration::from_millis(700));
        assert_eq!((seen.answered, seen.slower, seen.arrived), (3, Some(2000), 3));
        assert_eq!(seen.stream[0].at, 300.0);
        let seen = play.seen(Duration::from_secs(10));
        assert_eq!((seen.answered, seen.slower, seen.stream.len()), (1000, None, STREAM));
    }

    #[test]
    fn a_guest_that_asks_nothing_has_only_its_end() {
        let play = Play::of(run(0));
        let seen = play.seen(Duration::ZERO);
        assert_eq!((seen.answered, seen.stream.len()), (0, 0));
        let seen = play.seen(Duration::from_secs(10));
        assert_eq!((seen.answered, seen.stream.len()), (0, 1));
    }

    #[test]
    fn what_is_measured_stays_in_the_order_of_the_lesson() {
        let mut live = ExitsDemo::default();
        for way in [Way::Direct, Way::Full, Way::Direct] {
            let mut run = run(0);
            run.count.way = way;
            live.play = Some(Play::of(run));
            live.keep();
        }
        let ways: Vec<Way> = live.measured.counts.iter().map(|count| count.way).collect();
        assert_eq!(ways, [Way::Full, Way::Direct]);
    }
}
