//! Several clients at once.

use lab::check::{Checked, ensure, fail};

use super::{
    AT_ONCE,
    busy::ensure_sleeps,
    scene::{Scene, Started},
};

/// How many clients are slow at a time.
const MANY: usize = 20;

/// A client is gone in the middle of a request; another one is slow.
pub fn slow_clients(scene: &mut Scene) -> Checked<()> {
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

/// One client waits, one goes away, one asks; and what is asked in vain.
pub fn two_clients(scene: &mut Scene, main: &Started) -> Checked<()> {
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
