//! The race, live: what it measures, who lives, and that nothing is left.

mod common;

use std::{
    fs,
    sync::{Mutex, MutexGuard, PoisonError},
    thread::sleep,
    time::{Duration, Instant},
};

use common::can;
use demo::{
    Scene, Source as _,
    race::{Busy, Race, RaceDemo},
};
use host::ProcessStat;

/// The children of this process are looked at: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether all of it can be tested here; otherwise prints why not, which `ISOLAB_REQUIRE` forbids.
fn ready() -> bool {
    let container = can("container", container::available());
    can("microvm", microvm::available()) && container
}

/// The scene once it is like that; how long that may take is bounded by a timeout alone.
fn once(live: &mut RaceDemo, what: &str, is: impl Fn(&Race) -> bool) -> Race {
    let began = Instant::now();
    loop {
        let Some(Scene::Race(race)) = live.scene().unwrap() else { panic!("no scene") };
        if is(&race) {
            return race;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "waiting for {what}: {race:?}");
        sleep(Duration::from_millis(20));
    }
}

fn counts(race: &Race) -> Vec<u32> {
    race.idle.iter().map(|idle| idle.count).collect()
}

fn children() -> Vec<ProcessStat> {
    let own = std::process::id();
    let all = fs::read_dir("/proc").unwrap().flatten();
    let stats = all.filter_map(|entry| ProcessStat::read(entry.path().join("stat")).ok());
    stats.filter(|stat| stat.parent() == Some(own)).collect()
}

#[test]
fn starts_are_measured_and_crowds_live_until_they_are_ended() {
    let _alone = alone();
    if !ready() {
        return;
    }
    let mut live = RaceDemo::start().unwrap();
    let race = once(&mut live, "a race", |race| race.starts.is_some());
    let starts = race.starts.unwrap();
    assert!(starts.rounds >= 5 && starts.lanes.len() == 3);
    for lane in &starts.lanes {
        assert!(lane.missing.is_none() && lane.reached.iter().all(Option::is_some), "{lane:?}");
    }
    live.key('c');
    live.key('v');
    let race = once(&mut live, "ten of each", |race| counts(race) == [10, 10]);
    let [containers, microvms] = &race.idle[..] else { panic!("{race:?}") };
    assert!(containers.inside > 10 * 4096, "{containers:?}");
    assert!(microvms.inside == 0 && microvms.launcher > 10 * 4096, "{microvms:?}");
    assert_eq!(children().len(), 10);
    live.key('k');
    once(&mut live, "none of them", |race| counts(race) == [0, 0] && race.busy.is_none());
    assert_eq!(children(), []);
}

#[test]
fn whoever_lives_ends_with_it() {
    let _alone = alone();
    if !ready() {
        return;
    }
    let mut live = RaceDemo::start().unwrap();
    live.key('c');
    live.key('v');
    once(&mut live, "a few of each", |race| counts(race).iter().all(|count| *count > 2));
    drop(live);
    assert_eq!(children(), []);
}

#[test]
fn a_boot_can_be_given_up() {
    let _alone = alone();
    let mut live = RaceDemo::start().unwrap();
    live.key('l');
    let is_booting = |race: &Race| matches!(race.busy, Some(Busy::Booting(..)));
    // Where there is neither a kernel nor QEMU it is over at once, and says why.
    let race = once(&mut live, "a boot", |race| is_booting(race) || race.note.is_some());
    if race.note.is_some() {
        return;
    }
    live.key('k');
    once(&mut live, "its end", |race| race.busy.is_none());
    drop(live);
    assert_eq!(children(), []);
}
