//! Containers that are never started, and how others end: by themselves, by a signal, by being
//! removed.

use std::io;

use lab::check::{Bench, Checked, ensure, fail};
use rustix::process::{Pid, Signal, kill_process};

use super::{
    AT_ONCE, LOST, SIGILLED, SIGKILLED,
    busy::ensure_sleeps,
    scene::{STARTED, Scene, Started, one_line},
};

/// A container of a program that does not exist.
pub fn not_started(scene: &mut Scene, bench: &Bench) -> Checked<()> {
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
pub fn ends(scene: &mut Scene, bench: &Bench) -> Checked<()> {
    let created = scene.create(bench)?;
    let client = scene.connect()?;
    let path = format!("/containers/{}/wait", created.id);
    client.send("POST", &path, "");
    if client.is_answered(AT_ONCE) {
        return Err(scene.finding(fail("L17-wait-created")));
    }
    ensure_sleeps(scene.daemon()?)?;
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

    signals(scene, bench)?;
    let container = scene.run(bench)?;
    removed_at_its_end(scene, &container)?;
    let ended = scene.has_ended(container.process, scene.timeout() / 2);
    ensure(ended, || fail("L17-not-killed").fact("pid", container.process.pid))
}

/// Containers that a signal ends, while no client waits for them.
fn signals(scene: &mut Scene, bench: &Bench) -> Checked<()> {
    let container = scene.run(bench)?;
    let shim = scene.shim(&container)?;
    scene.kill(&container)?;
    if scene.has_ended(shim, scene.timeout()) {
        scene.no_zombie()?;
    }
    let code = scene.code(&container.id)?;
    ensure(code == SIGKILLED, || fail("L17-signal").fact("code", code))?;
    scene.remove(&container.id, false)?;

    let id = scene.create_of(&[scene.payload()?, "payload".into(), "crash".into()])?;
    scene.expect("POST", &format!("/containers/{id}/start"), "", 204)?;
    let code = scene.code(&id)?;
    ensure(code == SIGILLED, || {
        fail("L17-other-signal").fact("code", code).fact("expected", SIGILLED)
    })?;
    scene.remove(&id, false)
}

/// Removes a container that runs, whose shim is stopped and so cannot record its end: until it has,
/// there is no answer, and the directory stays.
fn removed_at_its_end(scene: &mut Scene, container: &Started) -> Checked<()> {
    let shim = scene.shim(container)?;
    let pid = Pid::from_raw(shim.pid.cast_signed()).filter(|_| scene.has(shim));
    let send =
        |signal| pid.map_or(Ok(()), |pid| kill_process(pid, signal)).map_err(io::Error::from);
    send(Signal::STOP)?;
    let request = format!("/containers/{}?force=1", container.id);
    let client = scene.connect()?;
    client.send("DELETE", &request, "");
    let killed = scene.has_ended(container.process, scene.timeout() / 2);
    let early = killed && client.is_answered(AT_ONCE);
    send(Signal::CONT)?;
    ensure(!early, || fail("L17-removed-early").fact("shim", shim.pid))?;
    let reply = client.reply(scene.timeout());
    let reply = scene.replied(reply, &format!("DELETE {request}"))?;
    scene.is_removed(&container.id, &format!("DELETE {request}"), &reply)
}

pub fn exit_code(code: u64, container: &Started) -> Checked<()> {
    ensure(code == container.code, || {
        let id = if code == LOST { "L17-exit-code-lost" } else { "L17-exit-code" };
        fail(id).fact("code", code).fact("expected", container.code)
    })
}
