//! What must be true of lab 17, look after look: what the daemon answers, what is on disk, and what
//! the kernel says of the processes.

#[path = "check/busy.rs"]
mod busy;
#[path = "check/clients.rs"]
mod clients;
#[path = "check/ends.rs"]
mod ends;
mod scene;

use std::{io, process::ExitCode, time::Duration};

use clients::{slow_clients, two_clients};
use ends::{ends, exit_code, not_started};
use lab::check::{Bench, Checked, cannot_tell, ensure, fail};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use scene::{STARTED, Scene, Started, one_line};
use tiny_engine::{Container, Order, State};

fn main() -> ExitCode {
    lab::check::main("17", check)
}

/// Judges the program on the bench.
pub fn check(bench: &mut Bench) -> Checked<()> {
    let mut scene = Scene::of(bench)?;
    scene.order(&Order::Start)?;
    scene.socket_mode(bench)?;
    slow_clients(&mut scene)?;
    let main = started(&mut scene, bench)?;
    two_clients(&mut scene, &main)?;
    not_started(&mut scene, bench)?;
    ends(&mut scene, bench)?;
    let cut = cut(&mut scene, bench)?;
    let meanwhile = scene.run(bench)?;
    let reused = scene.create(bench)?;

    // The daemon is killed. One container goes on, one ends, and one is as after the host was down:
    // its number is another process's, which was started at another time.
    scene.order(&Order::Kill)?;
    scene.lives(&main, KILLED)?;
    let earlier = scene.state_file(&meanwhile.id);
    scene.let_end(&meanwhile)?;
    scene.ended(&meanwhile)?;
    scene.order(&Order::Mark(main.second.clone()))?;
    scene.printed(&main, 1, KILLED)?;
    let state = State::Running { pid: main.pid, start_time: main.start_time.saturating_sub(1) };
    let state = Container { id: reused.id.clone(), command: Vec::new(), state };
    let text = serde_json::to_string(&state).map_err(io::Error::from)?;
    scene.order(&Order::Write(scene.directory_of(&reused.id).join("state.json"), text))?;
    scene.order(&Order::Start).map_err(|finding| {
        let in_the_way = finding.is_refusal("listen", "os error 98");
        if in_the_way { fail("L17-stale-socket") } else { finding }
    })?;
    scene.socket_mode(bench)?;

    // The next daemon goes on with what it finds.
    let status = scene.ask("GET", &format!("/containers/{}/json", main.id), "")?.status;
    bench.saw("the container's status, by the next daemon", status);
    ensure(status != 404, || fail("L17-forgotten").fact("id", &main.id))?;
    scene.is_running(&main, KILLED)?;
    let (log, whole) = (scene.log(&main)?, main.whole_log());
    ensure(log == whole, || {
        fail("L17-log-broken").fact("log", one_line(&log)).fact("whole", one_line(&whole))
    })?;
    let code = scene.code(&meanwhile.id)?;
    exit_code(code, &meanwhile)?;
    scene.is_replaced(&meanwhile.id, earlier)?;
    let json = scene.ask("GET", &format!("/containers/{}/json", reused.id), "")?.json();
    ensure(json["State"]["Status"] != "running", || {
        fail("L17-pid-reuse").fact("pid", main.pid).fact("start", main.start_time)
    })?;
    scene.remove(&reused.id, true)?;
    scene.let_end(&main)?;
    let code = scene.code(&main.id)?;
    // A process that is being killed may look alive for a moment: its exit code tells.
    ensure(code != SIGKILLED, || fail("L17-stranger-killed").fact("pid", main.pid))?;
    exit_code(code, &main)?;
    // Whatever it answers: nobody has recorded the end of this one.
    scene.code(&cut.id)?;
    for container in [&main, &meanwhile, &cut] {
        scene.remove(&container.id, false)?;
    }
    scene.finish()
}

/// The exit code of a process that SIGKILL has ended.
const SIGKILLED: u64 = 128 + 9;
/// And of one that has executed an undefined instruction.
const SIGILLED: u64 = 128 + 4;

/// The exit code of a container whose end nobody has recorded; none of the payloads has it.
const LOST: u64 = 255;

/// How long an answer may take that does not wait for anything.
const AT_ONCE: Duration = Duration::from_millis(100);

/// What is done to the daemon, for the messages.
const KILLED: &str = "kill -KILL -- -DAEMON";

/// A container from nothing to running: what is on disk, and who its parent is.
fn started(scene: &mut Scene, bench: &mut Bench) -> Checked<Started> {
    let created = scene.create(bench)?;
    let state = scene.state(&created.id);
    ensure(state.is_some(), || fail("L17-only-in-memory").fact("id", &created.id))?;
    let container = scene.start(created)?;
    let start_time = scene.look(&container, |process| process.stat(22))?;
    bench.saw(container.process.path("stat").display(), format!("start time {start_time}"));
    ensure(start_time == container.start_time, || {
        fail("L17-start-time").fact("state", container.start_time).fact("kernel", start_time)
    })?;
    let daemon = scene.daemon()?;
    let parent = scene.look(&container, |process| process.stat(4))?;
    bench.saw(container.process.path("stat").display(), format!("parent {parent}"));
    ensure(parent != u64::from(daemon.pid), || {
        fail("L17-parent").fact("pid", container.process.pid).fact("daemon", daemon.pid)
    })?;
    let (session, daemons) =
        (scene.look(&container, |process| process.stat(6))?, daemon.stat(6).unwrap_or(0));
    bench.saw(container.process.path("stat").display(), format!("session {session}"));
    ensure(session != daemons, || {
        fail("L17-same-session").fact("pid", container.process.pid).fact("session", session)
    })?;
    scene.is_running(&container, STARTED)?;
    scene.printed(&container, 0, STARTED)?;
    let log = scene.log_with(&container, &container.lines[0])?;
    ensure(log.contains(&container.lines[0]), || {
        fail("L17-log-late").fact("line", &container.lines[0]).fact("log", one_line(&log))
    })?;
    let path = format!("/containers/{}/start", container.id);
    let status = scene.ask("POST", &path, "")?.status;
    let state = scene.state(&container.id).map(|container| container.state);
    let same = State::Running { pid: container.pid, start_time: container.start_time };
    ensure(status == 304 && state == Some(same), || {
        fail("L17-started-twice").fact("status", status).fact("pid", container.pid)
    })?;
    Ok(container)
}

/// A shim dies in the middle of a write: the kernel kills it at its 17th byte (getrlimit(2),
/// `RLIMIT_FSIZE`).
fn cut(scene: &mut Scene, bench: &Bench) -> Checked<Started> {
    let limit = Rlimit { current: Some(16), maximum: Some(16) };
    let container = scene.run(bench)?;
    let parent = scene.shim(&container)?;
    // Never another process than one of the program's.
    let pid = Pid::from_raw(parent.pid.cast_signed()).filter(|_| scene.has(parent));
    if pid.is_some() {
        prlimit(pid, Resource::Fsize, limit).map_err(|error| {
            cannot_tell("lacking").fact("error", format!("prlimit(2): {error}"))
        })?;
    }
    scene.let_end(&container)?;
    scene.ended(&container)?;
    scene.has_ended(parent, scene.timeout());
    let text = scene.state_text(&container.id).unwrap_or_default();
    let whole = serde_json::from_str::<Container>(&text).is_ok();
    ensure(whole, || scene::cut(&text))?;
    Ok(container)
}
