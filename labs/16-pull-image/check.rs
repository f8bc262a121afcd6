//! What must be true of lab 16, look after look: what the registry's log says, and what is in the
//! store.

#[path = "check/renames.rs"]
mod renames;
#[path = "check/scene.rs"]
mod scene;
#[path = "check/shelf.rs"]
mod shelf;
#[path = "check/token.rs"]
mod token;

use std::{io::ErrorKind, net::TcpListener, path::PathBuf, process::ExitCode};

use lab::check::{Bench, Checked, Setup, Student, cannot_tell, ensure, fail};
use pull_image::{
    Descriptor, Digest, Order,
    registry::{Content, Mishap, Registry},
};

use renames::Renames;
use scene::{PULLED, Scene, asked_for, has_final_name};
use shelf::{Image, Shelf};
use token::first_requests;

fn main() -> ExitCode {
    lab::check::main("16", check)
}

/// What is pulled.
struct Orders {
    shared: Descriptor,
    broken: Descriptor,
    ignored: Descriptor,
    other: Descriptor,
    left: Descriptor,
    complete: Descriptor,
    first: Image,
    second: Image,
    third: Image,
    fourth: Image,
    fifth: Image,
    by_digest: Image,
    expiring: Image,
    lie: Order,
    absent: Order,
    unavailable: Order,
    denied: Order,
}

fn fill(shelf: &mut Shelf<'_>) -> Orders {
    let shared = shelf.blob(Mishap::None);
    let broken = shelf.blob(Mishap::Breaks);
    let ignored = shelf.blob(Mishap::IgnoresRange);
    let other = shelf.blob(Mishap::OtherBytes);
    let left = shelf.blob(Mishap::None);
    let complete = shelf.blob(Mishap::None);
    let first = shelf.image("first", &[shared.clone(), broken.clone()]);
    let second = shelf.image("second", &[shared.clone(), ignored.clone()]);
    let third = shelf.image("third", std::slice::from_ref(&other));
    let mut fourth = shelf.image("fourth", std::slice::from_ref(&left));
    fourth.order.left = Some((left.digest.clone(), "!".repeat(left.size as usize)));
    let mut fifth = shelf.image("fifth", std::slice::from_ref(&complete));
    let bytes = shelf.content.blobs.get(&complete.digest).map(|(bytes, _)| bytes.clone());
    let text = String::from_utf8(bytes.unwrap_or_default()).unwrap_or_default();
    fifth.order.left = Some((complete.digest.clone(), text));
    let layer = std::slice::from_ref(&shared);
    Orders {
        by_digest: shelf.by_digest(layer),
        expiring: shelf.expiring(layer),
        lie: shelf.lie(),
        absent: shelf.absent(),
        unavailable: shelf.unavailable(layer),
        denied: shelf.denied(layer),
        shared,
        broken,
        ignored,
        other,
        left,
        complete,
        first,
        second,
        third,
        fourth,
        fifth,
    }
}

/// Judges the program on the bench.
pub fn check(bench: &mut Bench) -> Checked<()> {
    let service = format!("class-{}", bench.token());
    let content = Content { service: service.clone(), ..Content::default() };
    let mut shelf = Shelf { bench, content };
    let orders = fill(&mut shelf);
    let content = shelf.content;

    let mut student = bench.start(Setup::ordinary().with_loopback())?;
    student.meet("ready")?;
    let store = PathBuf::from(student.said("store")?);
    let listener = listener(&student)?;
    let renames = Renames::watch(student.main(), &store.join("blobs/sha256"));
    let (process, place) = (student.main(), store.clone());
    let looks = move |digest: &Digest, bytes| has_final_name(process, &place, digest, bytes);
    let registry = Registry::serve(listener, content, looks)?;
    let mut scene = Scene { student, registry, store, judged: 0 };

    names(bench, &mut scene, &orders, &service)?;
    blobs(bench, &mut scene, &orders)?;
    match renames {
        Ok(renames) => renames.ensure_each_once(bench)?,
        Err(error) => bench.unjudged("renames", error),
    }
    scene.student.go()?;
    scene.student.finish()
}

/// The program's socket, in this process: what it receives comes from the program's network.
fn listener(student: &Student) -> Checked<TcpListener> {
    let socket = student.number("socket")? as i32;
    let listener = student.main().descriptor(socket).map_err(|error| match error.kind() {
        ErrorKind::Unsupported | ErrorKind::PermissionDenied => {
            cannot_tell("lacking").fact("error", format!("pidfd_getfd(2): {error}"))
        }
        _ => fail("wrong-words").fact("said", format!("`socket {socket}`")),
    })?;
    Ok(TcpListener::from(listener))
}

/// Tokens and manifests.
fn names(bench: &mut Bench, scene: &mut Scene, orders: &Orders, service: &str) -> Checked<()> {
    let Orders { by_digest, expiring, lie, absent, unavailable, denied, .. } = orders;
    let (log, outcome) = scene.pull(bench, &by_digest.order)?;
    first_requests(&log, &by_digest.order, service, &outcome)?;
    let of_manifest = |path: &str| path.contains("/manifests/") || path.starts_with("/token");
    let went_on = log.iter().any(|request| !of_manifest(&request.path));
    ensure(outcome == PULLED || went_on, || {
        fail("L16-by-digest").fact("digest", &by_digest.order.reference).fact("error", &outcome)
    })?;
    scene.has(by_digest, &outcome)?;

    // The token has expired between the manifest and the config.
    let (_, outcome) = scene.pull(bench, &expiring.order)?;
    ensure(outcome == PULLED, || fail("L16-token-expired").fact("error", &outcome))?;
    let (log, outcome) = scene.pull(bench, denied)?;
    ensure(outcome != PULLED && log.len() <= 6, || {
        fail("L16-asks-forever").fact("requests", log.len()).fact("error", &outcome)
    })?;

    // A manifest that is not what its digest says; none at all; and one that is not given out.
    let (log, outcome) = scene.pull(bench, lie)?;
    let fetched = log.iter().any(|request| request.path.contains("/blobs/"));
    ensure(outcome != PULLED && !fetched, || fail("L16-manifest").fact("digest", &lie.reference))?;
    let (_, outcome) = scene.pull(bench, absent)?;
    ensure(outcome.contains("404"), || fail("L16-status").fact("error", &outcome))?;
    let (_, outcome) = scene.pull(bench, unavailable)?;
    ensure(outcome.contains("503"), || fail("L16-other-status").fact("error", &outcome))?;
    Ok(())
}

/// Blobs, with the mishaps of a real registry.
fn blobs(bench: &mut Bench, scene: &mut Scene, orders: &Orders) -> Checked<()> {
    let Orders { shared, broken, ignored, other, left, complete, .. } = orders;
    let Orders { first, second, third, fourth, fifth, .. } = orders;
    // A connection breaks in the middle of a layer.
    let (log, outcome) = scene.pull(bench, &first.order)?;
    let asked = asked_for(&log, broken);
    ensure(!log.iter().any(|request| request.early), || {
        fail("L16-too-early").fact("digest", &broken.digest)
    })?;
    if let Some(again) = asked.get(1) {
        let about = |id: &str| {
            let finding = fail(id).fact("digest", &broken.digest).fact("bytes", broken.size / 2);
            finding.fact("range", again.range.as_deref().unwrap_or("-"))
        };
        ensure(again.range.is_some(), || about("L16-no-resume"))?;
        ensure(scene.attempts(broken)? > 1, || about("L16-retried-inside"))?;
        ensure(asked.len() == 2 && again.status == 206, || {
            about("L16-wrong-range").fact("requests", asked.len())
        })?;
    }
    scene.has(first, &outcome)?;

    // A layer is there already; the registry does not go on in the middle.
    let (log, outcome) = scene.pull(bench, &second.order)?;
    let again = asked_for(&log, shared);
    ensure(again.is_empty(), || fail("L16-again").fact("digest", &shared.digest))?;
    let asked = asked_for(&log, ignored);
    ensure(asked.len() <= 2, || {
        fail("L16-range-ignored").fact("digest", &ignored.digest).fact("requests", asked.len())
    })?;
    scene.has(second, &outcome)?;

    // The registry gives out other bytes.
    let (_, outcome) = scene.pull(bench, &third.order)?;
    if let Some(found) = scene.content(&other.digest)? {
        let found = Digest::of(&found);
        ensure(found == other.digest, || {
            fail("L16-not-verified").fact("digest", &other.digest).fact("found", found)
        })?;
    }
    ensure(outcome == PULLED, || {
        fail("L16-poisoned").fact("digest", &other.digest).fact("error", &outcome)
    })?;
    scene.has(third, &outcome)?;

    // An earlier pull has left as many bytes as the layer has, and they are not its.
    let (_, outcome) = scene.pull(bench, &fourth.order)?;
    ensure(outcome == PULLED, || {
        fail("L16-nothing-follows").fact("digest", &left.digest).fact("error", &outcome)
    })?;
    scene.has(fourth, &outcome)?;

    // An earlier pull was killed between the last byte and the rename.
    let (log, outcome) = scene.pull(bench, &fifth.order)?;
    let whole = asked_for(&log, complete).into_iter().filter(|request| request.status == 200);
    let whole = whole.count();
    ensure(outcome == PULLED && whole == 0, || {
        fail("L16-complete").fact("digest", &complete.digest).fact("error", &outcome)
    })?;
    scene.has(fifth, &outcome)
}
