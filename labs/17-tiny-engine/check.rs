//! What must be true of lab 17, look after look: what the daemon answers, what is on disk, and what
//! the kernel says of the processes.

#[path = "check/busy.rs"]
mod busy;
mod scene;

use std::{io, process::ExitCode, time::Duration};

use busy::ensure_sleeps;
use lab::check::{Bench, Checked, Process, cannot_tell, ensure, fail};
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

/// The exit code of a container whose end nobody has recorded; none of the payloads has it.
const LOST: u64 = 255;

/// How long an answer may take that does not wait for anything.
const AT_ONCE: Duration = Duration::from_millis(100);

/// How many clients are slow at a time.
const MANY: usize = 20;

/// What is done to the daemon, for the messages.
const KILLED: &str = "kill -KILL -- -DAEMON";

/// A client is gone in the middle of a request; another one is slow.
fn slow_clients(scene: &mut Scene) -> Checked<()> {
    scene.expect("GET", "/containers/json", "", 200)?;
    let gone = scene.connect()?;
    gone.send_part("GET /containers/js");
    drop(gone);
    scene.answers("L17-client-ends-daemon", "GET /containers/js")?;
    let slow = scene.connect()?;
    slow.send_part("GET /containers/json HT");
    scene.answers("L17-one-after-the-other", "GET /containers/json HT")?;
    slow.send_part("TP/1.1\r\n\r\n");
    let many: Vec<_> = (0..MANY).map(|_| scene.connect()).collect::<Checked<_>>()?;
    many.iter().for_each(|client| client.send_part("GET /containers/json HT"));
    scene.answers("L17-few-at-once", &format!("GET /containers/json HT, {MANY} x"))?;
    let reply = slow.reply(scene.timeout());
    scene.replied(reply, "GET /containers/json").map(drop)
}

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

/// One client waits, one goes away, one asks; and what is asked in vain.
fn two_clients(scene: &mut Scene, main: &Started) -> Checked<()> {
    let path = format!("/containers/{}/wait", main.id);
    let (waits, gone) = (scene.connect()?, scene.connect()?);
    waits.send("POST", &path, "");
    gone.send("POST", &path, "");
    drop(gone);
    scene.answers("L17-one-after-the-other", &format!("POST {path}"))?;
    scene.lives(main, "close(2)")?;
    if waits.is_answered(AT_ONCE) {
        return Err(scene.finding(fail("L17-wait-early").fact("pid", main.pid)));
    }
    ensure_sleeps(scene.daemon()?)?;
    let status = scene.ask("DELETE", &format!("/containers/{}", main.id), "")?.status;
    let there = scene.state(&main.id).is_some();
    ensure(status == 409 && there && scene.is_alive(main), || {
        fail("L17-removed-running").fact("status", status).fact("pid", main.pid)
    })?;
    let unknown = "0".repeat(64);
    let requests = [
        ("L17-unknown-start", "POST", "/start"),
        ("L17-unknown-wait", "POST", "/wait"),
        ("L17-unknown", "DELETE", ""),
    ];
    for (id, method, path) in requests {
        let path = format!("/containers/{unknown}{path}");
        let status = scene.ask(method, &path, "")?.status;
        ensure(status == 404, || {
            fail(id).fact("request", format!("{method} {path}")).fact("status", status)
        })?;
    }
    Ok(())
}

/// A container of a program that does not exist.
fn not_started(scene: &mut Scene, bench: &Bench) -> Checked<()> {
    let program = format!("/usr/bin/{}", bench.token());
    let id = scene.create_of(std::slice::from_ref(&program))?;
    let reply = scene.ask("POST", &format!("/containers/{id}/start"), "")?;
    let (status, text) = (reply.status, reply.text());
    ensure(status == 500, || {
        fail("L17-not-started").fact("program", &program).fact("status", status)
    })?;
    // ENOENT, as the shim has printed it.
    ensure(text.contains("os error 2"), || {
        fail("L17-why").fact("program", &program).fact("answer", one_line(&text))
    })?;
    scene.no_zombie()?;
    scene.remove(&id, false)
}

/// Containers that end: by themselves, by a signal, by being removed.
fn ends(scene: &mut Scene, bench: &Bench) -> Checked<()> {
    let created = scene.create(bench)?;
    let client = scene.connect()?;
    let path = format!("/containers/{}/wait", created.id);
    client.send("POST", &path, "");
    if client.is_answered(AT_ONCE) {
        return Err(scene.finding(fail("L17-wait-created")));
    }
    let container = scene.start(created)?;
    scene.printed(&container, 0, STARTED)?;
    scene.let_end(&container)?;
    let reply = client.reply(scene.timeout());
    let code = scene.code_of(reply, &path)?;
    exit_code(code, &container)?;
    scene.no_zombie()?;
    // Started again, it finds all its marks there, and goes through to its end.
    let path = format!("/containers/{}/start", container.id);
    let reply = scene.ask("POST", &path, "")?;
    ensure(reply.status == 204, || {
        let answer = format!("{} {}", reply.status, one_line(&reply.text()));
        scene.finding(fail("L17-not-restarted").fact("answer", answer))
    })?;
    exit_code(scene.code(&container.id)?, &container)?;
    let (log, whole) = (scene.log(&container)?, container.whole_log().repeat(2));
    ensure(log == whole, || {
        fail("L17-log-emptied").fact("log", one_line(&log)).fact("whole", one_line(&whole))
    })?;
    scene.remove(&container.id, false)?;

    let container = scene.run(bench)?;
    scene.kill(&container)?;
    let code = scene.code(&container.id)?;
    ensure(code == SIGKILLED, || fail("L17-signal").fact("code", code))?;
    scene.remove(&container.id, false)?;

    let container = scene.run(bench)?;
    scene.remove(&container.id, true)?;
    let ended = scene.has_ended(container.process, scene.timeout() / 2);
    ensure(ended, || fail("L17-not-killed").fact("pid", container.process.pid))
}

fn exit_code(code: u64, container: &Started) -> Checked<()> {
    ensure(code == container.code, || {
        let id = if code == LOST { "L17-exit-code-lost" } else { "L17-exit-code" };
        fail(id).fact("code", code).fact("expected", container.code)
    })
}

/// A shim dies in the middle of a write: the kernel kills it at its 17th byte (getrlimit(2),
/// `RLIMIT_FSIZE`).
fn cut(scene: &mut Scene, bench: &Bench) -> Checked<Started> {
    let limit = Rlimit { current: Some(16), maximum: Some(16) };
    let container = scene.run(bench)?;
    let parent = Process { pid: scene.look(&container, |process| process.stat(4))? as u32 };
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
