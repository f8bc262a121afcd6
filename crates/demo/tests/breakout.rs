//! The attempts for real: each is judged by its target, and nothing is left of any of them.

mod common;

use std::{
    fs,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use common::{can, skip};
use demo::{
    Scene, Source as _,
    breakout::{Attempt, Breakout, BreakoutDemo, Verdict, Wall},
};

fn scene(live: &mut BreakoutDemo) -> Breakout {
    match live.scene().unwrap().unwrap() {
        Scene::Breakout(scene) => *scene,
        other => panic!("{other:?} is another demonstration's"),
    }
}

/// The scene in which `done`, which comes within 20 seconds.
fn wait_for(live: &mut BreakoutDemo, what: &str, done: impl Fn(&Breakout) -> bool) -> Breakout {
    let began = Instant::now();
    loop {
        let scene = scene(live);
        if done(&scene) {
            return scene;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "waiting for {what}: {scene:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Presses the wall's key, and waits for the end of all three attempts.
fn attack(live: &mut BreakoutDemo, key: char, wall: Wall) -> Breakout {
    live.key(key);
    wait_for(live, "the attempts", |scene| {
        let ended = |trial: &demo::breakout::Trial| {
            !matches!(trial.verdict, Verdict::Untried | Verdict::Running)
        };
        scene.wall == Some(wall) && scene.trials[wall as usize].iter().all(ended)
    })
}

fn verdicts(scene: &Breakout, wall: Wall) -> [Verdict; 3] {
    [Attempt::File, Attempt::Process, Attempt::Memory]
        .map(|attempt| scene.trials[wall as usize][attempt as usize].verdict)
}

/// What a step of that attempt came to.
fn result(scene: &Breakout, wall: Wall, attempt: Attempt, call: &str) -> String {
    let steps = &scene.trials[wall as usize][attempt as usize].steps;
    let step = steps.iter().rfind(|step| step.call.starts_with(call));
    step.unwrap_or_else(|| panic!("no {call} in {steps:?}")).result.clone()
}

fn is_root() -> bool {
    container::host().root
}

/// Whether that wall can be built here, as root of a machine can and root of many a container
/// cannot.
fn is_built(scene: &Breakout, wall: Wall) -> bool {
    !verdicts(scene, wall).contains(&Verdict::Impossible)
}

/// What becomes of an attempt at the memory of one's parent where nothing but the kernel's usual
/// rules are in the way: Yama's are stricter, and a filter's may be (ptrace(2), "access mode
/// checking"). To open that file takes the same permission.
fn of_memory() -> Verdict {
    let opens = Command::new("sh").args(["-c", "true < /proc/$PPID/mem"]).output().unwrap();
    if opens.status.success() { Verdict::Escaped } else { Verdict::Contained }
}

#[test]
fn roots_chroot_holds_nothing() {
    if !is_root() {
        return skip("container", "this test needs root");
    }
    let mut live = BreakoutDemo::start().unwrap();
    let scene = attack(&mut live, 'c', Wall::Chroot);
    if !is_built(&scene, Wall::Chroot) {
        return skip("container", "this root may not chroot");
    }
    let expected = [Verdict::Escaped, Verdict::Escaped, of_memory()];
    assert_eq!(verdicts(&scene, Wall::Chroot), expected, "{scene:?}");
    assert!(!scene.targets.alive);
    let read = result(&scene, Wall::Chroot, Attempt::File, "read(target)");
    assert_eq!(read, format!("{:?}", scene.targets.file));
}

#[test]
fn a_pivoted_root_holds_files_and_nothing_else() {
    if !is_root() {
        return skip("container", "this test needs root");
    }
    let mut live = BreakoutDemo::start().unwrap();
    let scene = attack(&mut live, 'p', Wall::PivotRoot);
    if !is_built(&scene, Wall::PivotRoot) {
        return skip("container", "this root may make no mount namespace");
    }
    let expected = [Verdict::Contained, Verdict::Escaped, of_memory()];
    assert_eq!(verdicts(&scene, Wall::PivotRoot), expected, "{scene:?}");
    let tried = |call: &str| result(&scene, Wall::PivotRoot, Attempt::File, call);
    // It was allowed to try all of it.
    assert_eq!((&*tried("chdir(\"..\") x 64"), &*tried("read(target)")), ("0", "ENOENT"));
}

#[test]
fn a_container_holds_all_three() {
    if !can("container", container::available()) {
        return;
    }
    let mut live = BreakoutDemo::start().unwrap();
    let scene = attack(&mut live, 'n', Wall::Container);
    if verdicts(&scene, Wall::Container).contains(&Verdict::Impossible) {
        return skip("container", &scene.note.unwrap_or_default());
    }
    assert_eq!(verdicts(&scene, Wall::Container), [Verdict::Contained; 3], "{scene:?}");
    assert!(scene.targets.alive);
    let tried = |attempt, call: &str| result(&scene, Wall::Container, attempt, call);
    assert_eq!(tried(Attempt::File, "chroot(\"deeper\")"), "EPERM");
    assert_eq!(tried(Attempt::Process, "kill"), "ESRCH");
    assert_eq!(tried(Attempt::Memory, "process_vm_readv"), "ESRCH");
}

#[test]
fn a_microvm_holds_all_three_without_a_kernel() {
    if !can("microvm", microvm::available()) {
        return;
    }
    let mut live = BreakoutDemo::start().unwrap();
    let scene = attack(&mut live, 'm', Wall::MicroVm);
    assert_eq!(verdicts(&scene, Wall::MicroVm), [Verdict::Contained; 3], "{scene:?}");
    assert!(scene.targets.alive && scene.note.is_none());
    let tried = |attempt, call: &str| result(&scene, Wall::MicroVm, attempt, call);
    assert_eq!(tried(Attempt::File, "mov eax, 2; syscall"), "RIP 0x0");
    assert_eq!(tried(Attempt::Process, "out 0x10"), "request 62 (unknown)");
    assert_eq!(tried(Attempt::Memory, "mov al, [0x40000000]"), "0xff");
    assert!(tried(Attempt::Memory, "mov al").contains("page fault"), "{scene:?}");
}

#[test]
fn a_key_chooses_the_transcript_and_new_targets_begin_again() {
    let mut live = BreakoutDemo::start().unwrap();
    let first = attack(&mut live, 'c', Wall::Chroot);
    assert_eq!(first.attempt, Attempt::File);
    live.key('3');
    assert_eq!(scene(&mut live).attempt, Attempt::Memory);
    live.key('b');
    let again = wait_for(&mut live, "new targets", |scene| scene.wall.is_none());
    assert_eq!(again.trials, <[[demo::breakout::Trial; 3]; 4]>::default());
    assert!(again.targets.alive && again.targets.pid != first.targets.pid);
}

/// The directory in which that target is.
fn directory(target: &str) -> Option<PathBuf> {
    let prefix = format!("isolab-breakout-{}-", std::process::id());
    let listing = fs::read_dir(std::env::temp_dir()).unwrap();
    let paths = listing.filter_map(|entry| Some(entry.ok()?.path()));
    let mut own = paths.filter(|path| path.to_string_lossy().contains(&prefix));
    own.find(|path| fs::read_to_string(path.join("target")).is_ok_and(|text| text.trim() == target))
}

#[test]
fn a_dropped_demonstration_leaves_nothing() {
    let mut live = BreakoutDemo::start().unwrap();
    let targets = scene(&mut live).targets;
    let directory = directory(&targets.file).expect("the target is there");
    let process = PathBuf::from(format!("/proc/{}", targets.pid));
    let name = directory.file_name().unwrap().to_string_lossy().replace("isolab-", "");
    let ledger = sandbox::Ledger::open().unwrap();
    assert!(process.exists() && ledger.find(&name).unwrap().is_some());
    // In the middle of an attempt.
    live.key('n');
    drop(live);
    assert!(!process.exists() && !directory.exists());
    assert_eq!(ledger.find(&name).unwrap(), None);
}
