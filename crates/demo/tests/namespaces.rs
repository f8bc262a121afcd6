//! The demonstration of namespaces on this host: what each key does, and that nothing is left.

mod common;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio, id},
    sync::{Mutex, MutexGuard, PoisonError},
    thread::sleep,
    time::{Duration, Instant},
};

use common::skip;
use demo::{
    Demo, Scene, Source,
    namespaces::{Column, LastChange, Namespaces},
};
use sandbox::{Ledger, LedgerEntry};

/// Set in the child of the test that kills one.
const CHILD: &str = "ISOLAB_TEST_NAMESPACES";

/// The demonstration, and the turn of one test: the names in the ledger are the same for all.
struct Stage {
    live: Box<dyn Source>,
    _turn: MutexGuard<'static, ()>,
}

impl Stage {
    /// `None`, with the reason printed, where no container can run.
    fn open() -> Option<Self> {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        match Demo::Namespaces.live() {
            Ok(live) => Some(Self { live, _turn: turn }),
            Err(error) => {
                skip("container", &sandbox::chain(&error));
                None
            }
        }
    }

    fn scene(&mut self) -> Namespaces {
        let mut scene = match self.live.scene().unwrap() {
            Some(Scene::Namespaces(scene)) => scene,
            other => panic!("{other:?}"),
        };
        // Somebody else's containers may run meanwhile.
        let own = entries_of(id());
        scene.containers.retain(|column| {
            let is_own = own.iter().any(|entry| entry.name == column.name);
            column.name.is_empty() || column.ending || is_own
        });
        scene
    }

    /// Presses the key and looks until `seen`.
    fn press(&mut self, key: char, seen: impl Fn(&Namespaces) -> bool) -> Namespaces {
        self.live.key(key);
        let began = Instant::now();
        loop {
            let scene = self.scene();
            if seen(&scene) {
                return scene;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "[{key}] {scene:#?}");
            sleep(Duration::from_millis(10));
        }
    }

    /// Starts one with a user namespace; `None`, with the reason printed, where root may make none.
    fn start_with_user_namespace(&mut self) -> Option<Column> {
        let before = self.scene().containers.len();
        let scene = self.press('u', |scene| {
            let is_answered = |column: &Column| column.answers.is_some();
            scene.note.is_some() || scene.containers.get(before).is_some_and(is_answered)
        });
        match scene.note {
            Some(note) if note.contains("ENOSPC") || note.contains("EPERM") => {
                skip("container", &note);
                None
            }
            Some(note) => panic!("{note}"),
            None => scene.containers.into_iter().nth(before),
        }
    }

    /// Starts one and waits until it has said who it is.
    fn start(&mut self, key: char) -> Column {
        let before = self.scene().containers.len();
        let has_answered = |scene: &Namespaces| {
            scene.containers.get(before).is_some_and(|column| column.answers.is_some())
        };
        self.press(key, has_answered).containers.pop().unwrap()
    }
}

/// What the launcher `pid` has in the ledger.
fn entries_of(pid: u32) -> Vec<LedgerEntry> {
    let mut entries = Ledger::open().unwrap().entries().unwrap();
    entries.retain(|entry| entry.launcher.pid == pid);
    entries
}

fn is_there(pid: u32) -> bool {
    fs::exists(format!("/proc/{pid}")).unwrap()
}

fn differs(column: &Column, host: &Column, kind: &str) -> bool {
    let kinds = ["mnt", "user", "pid", "uts", "ipc", "net", "cgroup", "time"];
    let at = kinds.iter().position(|known| *known == kind).unwrap();
    assert!(column.tables[at].is_some(), "{kind} is not known");
    column.tables[at] != host.tables[at]
}

#[test]
fn a_container_has_tables_of_its_own_and_says_itself_who_it_is() {
    let Some(mut stage) = Stage::open() else { return };
    let column = stage.start('s');
    let scene = stage.scene();
    for kind in ["mnt", "pid", "uts", "ipc", "net", "cgroup"] {
        assert!(differs(&column, &scene.host, kind), "{kind}");
    }
    assert_eq!(differs(&column, &scene.host, "user"), !container::host().root);
    let answers = column.answers.unwrap();
    assert_eq!((answers.pid, answers.user), (1, 0));
    assert_eq!(answers.host_name, column.name);
    // A kernel with tunnels may put some into every network; the host's devices are the host's.
    let is_device = |link: &String| fs::exists(format!("/sys/class/net/{link}/device")).unwrap();
    assert!(answers.links.contains(&"lo".to_owned()), "{:?}", answers.links);
    assert!(!answers.links.iter().any(is_device), "{:?}", answers.links);
    assert_eq!(answers.cgroup, "/");
    assert_eq!((column.processes, column.others), (Some(1), vec![]));
    let outside = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_ne!(outside.trim(), answers.host_name);
    assert_eq!(scene.host.answers.unwrap().host_name, outside.trim());
}

#[test]
fn with_a_user_namespace_root_inside_is_another_user_outside() {
    let Some(mut stage) = Stage::open() else { return };
    let Some(column) = stage.start_with_user_namespace() else { return };
    assert!(differs(&column, &stage.scene().host, "user"));
    assert_eq!(column.user, Some(container::privileges::root_outside()));
    assert_eq!(column.answers.unwrap().user, 0);
}

#[test]
fn who_enters_has_the_same_tables_and_dies_with_number_one() {
    let Some(mut stage) = Stage::open() else { return };
    let column = stage.start('s');
    // One look counts the processes before it lists the others: the count may be a look behind.
    let joined = |scene: &Namespaces| {
        let column = &scene.containers[0];
        column.others.len() == 1 && column.processes == Some(2)
    };
    let scene = stage.press('e', joined);
    assert_eq!(scene.last_change, LastChange::Entered { name: column.name.clone() });
    let (inside, outside) = scene.containers[0].others[0];
    assert!(inside > 1);
    for kind in ["mnt", "user", "pid", "uts", "ipc", "net", "cgroup"] {
        let link = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap();
        assert_eq!(link(outside), link(column.pid.unwrap()), "{kind}");
    }
    let scene = stage.press('k', |scene| scene.containers.is_empty());
    assert_eq!(scene.last_change, LastChange::Killed { name: column.name, processes: 2 });
    assert!(!is_there(outside) && !is_there(column.pid.unwrap()));
    assert_eq!(entries_of(id()), []);
}

#[test]
fn what_cannot_be_done_is_reported_with_a_fix() {
    let Some(mut stage) = Stage::open() else { return };
    for key in ['k', 'e'] {
        let scene = stage.press(key, |_| true);
        assert!(scene.note.unwrap().contains("[s] starts one"));
    }
    for _ in 0..3 {
        stage.start('s');
    }
    let scene = stage.press('s', |_| true);
    assert!(scene.note.unwrap().contains("[k] kills the newest"));
    assert_eq!(scene.containers.len(), 3);
    assert_eq!(stage.press('w', |_| true).note, None);
}

#[test]
fn one_that_somebody_else_ends_is_missed() {
    let Some(mut stage) = Stage::open() else { return };
    let column = stage.start('s');
    let pid = column.pid.unwrap().to_string();
    assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
    let scene = stage.press('x', |scene| scene.containers.is_empty());
    assert_eq!(scene.last_change, LastChange::Ended { name: column.name });
}

#[test]
fn nothing_is_left_when_it_is_closed_at_any_moment() {
    for moment in 0..4 {
        let Some(mut stage) = Stage::open() else { return };
        let mut pids = vec![stage.start('s').pid.unwrap()];
        match moment {
            0 => stage.live.key('u'),
            1 => stage.live.key('e'),
            2 => stage.live.key('k'),
            _ => {
                let scene = stage.press('e', |scene| !scene.containers[0].others.is_empty());
                pids.push(scene.containers[0].others[0].1);
            }
        }
        assert_ne!(entries_of(id()), []);
        let Stage { live, _turn } = stage;
        drop(live);
        assert_eq!(entries_of(id()), [], "{moment}");
        assert!(pids.into_iter().all(|pid| !is_there(pid)), "{moment}");
    }
}

#[test]
fn when_isolab_is_killed_its_shells_end_and_clean_finds_the_rest() {
    if std::env::var_os(CHILD).is_some() {
        return wait_to_be_killed();
    }
    if Stage::open().is_none() {
        return;
    }
    let name = "when_isolab_is_killed_its_shells_end_and_clean_finds_the_rest";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(CHILD, "")
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let pids: Vec<u32> = line.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(pids.len(), 3, "{line}");
    let began = Instant::now();
    while pids.iter().any(|pid| is_there(*pid)) {
        assert!(began.elapsed() < Duration::from_secs(20), "{pids:?} have no input and live on");
        sleep(Duration::from_millis(10));
    }
    assert_eq!(entries_of(child.id()).len(), 2);
    let ledger = Ledger::open().unwrap();
    container::clean_those(&ledger, |entry| entry.launcher.pid == child.id()).unwrap();
    assert_eq!(entries_of(child.id()), []);
}

/// In the child: two containers, one of them joined; their processes are printed.
fn wait_to_be_killed() {
    let mut stage = Stage::open().expect("the parent has looked whether it can");
    let (one, two) = (stage.start('s'), stage.start('s'));
    let scene = stage.press('e', |scene| !scene.containers[1].others.is_empty());
    let joined = scene.containers[1].others[0].1;
    eprintln!("{} {} {joined}", one.pid.unwrap(), two.pid.unwrap());
    sleep(Duration::from_secs(60));
}
