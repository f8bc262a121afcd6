//! What must be true of lab 16, look after look: what the registry's log says, and what is in the
//! store.

use std::{
    io::{self, ErrorKind},
    net::TcpListener,
    path::{Path, PathBuf},
    process::ExitCode,
    thread::sleep,
    time::{Duration, Instant},
};

use lab::check::{
    Bench, Checked, Process, Setup, Student, cannot_tell, ensure, fail,
    kernel::{Node, tree},
};
use pull_image::{
    Descriptor, Digest, MANIFEST, Order,
    registry::{Content, Mishap, Registry, Request, parts},
};
use serde_json::json;

/// How long the client may take to write down what has arrived.
const WRITTEN: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    lab::check::main("16", check)
}

/// Judges the program on the bench.
pub fn check(bench: &mut Bench) -> Checked<()> {
    let mut shelf = Shelf { bench, content: Content::default() };
    let shared = shelf.blob(Mishap::None);
    let broken = shelf.blob(Mishap::Breaks);
    let ignored = shelf.blob(Mishap::IgnoresRange);
    let other = shelf.blob(Mishap::OtherBytes);
    let left = shelf.blob(Mishap::None);
    let first = shelf.image("first", &[shared.clone(), broken.clone()]);
    let second = shelf.image("second", &[shared.clone(), ignored.clone()]);
    let third = shelf.image("third", std::slice::from_ref(&other));
    let mut fourth = shelf.image("fourth", std::slice::from_ref(&left));
    let lie = shelf.lie();
    let absent = shelf.absent();
    let content = shelf.content;
    fourth.order.left = Some((left.digest.clone(), "!".repeat(left.size as usize)));

    let mut student = bench.start(Setup::ordinary().with_loopback())?;
    student.meet("ready")?;
    let store = PathBuf::from(student.said("store")?);
    let socket = student.number("socket")? as i32;
    // The same socket, in this process: what it receives comes from the program's network.
    let listener = student.main().descriptor(socket).map_err(|error| match error.kind() {
        ErrorKind::Unsupported | ErrorKind::PermissionDenied => {
            cannot_tell("lacking").fact("error", format!("pidfd_getfd(2): {error}"))
        }
        _ => fail("wrong-words").fact("said", format!("`socket {socket}`")),
    })?;
    let listener = TcpListener::from(listener);
    let (process, place) = (student.main(), store.clone());
    let looks = move |digest: &Digest, bytes| has_final_name(process, &place, digest, bytes);
    let registry = Registry::serve(listener, content, looks)?;
    let mut scene = Scene { student, registry, store, judged: 0 };

    // A connection breaks in the middle of a layer.
    let (log, outcome) = scene.pull(bench, &first.order)?;
    first_requests(&log, &first.order, &outcome)?;
    let asked = asked_for(&log, &broken);
    ensure(!log.iter().any(|request| request.early), || {
        fail("L16-too-early").fact("digest", &broken.digest)
    })?;
    if let Some(again) = asked.get(1) {
        ensure(again.range.is_some(), || {
            fail("L16-no-resume").fact("digest", &broken.digest).fact("bytes", broken.size / 2)
        })?;
    }
    scene.has(&first, &outcome)?;

    // A layer is there already; the registry does not go on in the middle.
    let (log, outcome) = scene.pull(bench, &second.order)?;
    let again = asked_for(&log, &shared);
    ensure(again.is_empty(), || fail("L16-again").fact("digest", &shared.digest))?;
    let asked = asked_for(&log, &ignored);
    ensure(asked.len() <= 2, || {
        fail("L16-range-ignored").fact("digest", &ignored.digest).fact("requests", asked.len())
    })?;
    scene.has(&second, &outcome)?;

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
    scene.has(&third, &outcome)?;

    // An earlier pull has left as many bytes as the layer has, and they are not its.
    let (_, outcome) = scene.pull(bench, &fourth.order)?;
    ensure(outcome == PULLED, || {
        fail("L16-nothing-follows").fact("digest", &left.digest).fact("error", &outcome)
    })?;
    scene.has(&fourth, &outcome)?;

    // A manifest that is not what its digest says; and none at all.
    let (log, outcome) = scene.pull(bench, &lie)?;
    let fetched = log.iter().any(|request| request.path.contains("/blobs/"));
    ensure(outcome != PULLED && !fetched, || fail("L16-manifest").fact("digest", &lie.reference))?;
    let (_, outcome) = scene.pull(bench, &absent)?;
    ensure(outcome.contains("404"), || fail("L16-status").fact("error", &outcome))?;
    scene.student.go()?;
    scene.student.finish()
}

const PULLED: &str = "pulled";

/// An image of the registry.
struct Image {
    order: Order,
    blobs: Vec<Descriptor>,
}

/// What the registry is filled with.
struct Shelf<'b> {
    bench: &'b Bench,
    content: Content,
}

impl Shelf<'_> {
    fn blob(&mut self, mishap: Mishap) -> Descriptor {
        let words = 300 + self.bench.random(200);
        let text: String = (0..words).map(|_| self.bench.token()).collect();
        self.add("application/vnd.oci.image.layer.v1.tar", text.into_bytes(), mishap)
    }

    fn add(&mut self, media_type: &str, bytes: Vec<u8>, mishap: Mishap) -> Descriptor {
        let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
        self.content.blobs.insert(digest.clone(), (bytes, mishap));
        Descriptor { media_type: media_type.into(), digest, size }
    }

    /// A repository with a token of its own.
    fn repository(&mut self, name: &str) -> String {
        let repository = format!("class/{name}-{}", self.bench.token());
        self.content.tokens.insert(repository.clone(), format!("token-{}", self.bench.token()));
        repository
    }

    fn manifest(&mut self, layers: &[Descriptor]) -> (Vec<u8>, Vec<Descriptor>) {
        let config = format!("{{\"id\":\"{}\"}}", self.bench.token());
        let media_type = "application/vnd.oci.image.config.v1+json";
        let config = self.add(media_type, config.into_bytes(), Mishap::None);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers,
        });
        let blobs = [config].into_iter().chain(layers.iter().cloned()).collect();
        (manifest.to_string().into_bytes(), blobs)
    }

    fn image(&mut self, name: &str, layers: &[Descriptor]) -> Image {
        let (manifest, blobs) = self.manifest(layers);
        let (repository, reference) = (self.repository(name), format!("1.{}", self.bench.token()));
        self.content.manifests.insert((repository.clone(), reference.clone()), manifest);
        Image { order: Order { repository, reference, left: None }, blobs }
    }

    /// A digest, for which the registry has another manifest.
    fn lie(&mut self) -> Order {
        let layer = self.blob(Mishap::None);
        let (manifest, _) = self.manifest(&[layer]);
        let (repository, reference) =
            (self.repository("lie"), Digest::of(self.bench.token().as_bytes()).to_string());
        self.content.manifests.insert((repository.clone(), reference.clone()), manifest);
        Order { repository, reference, left: None }
    }

    fn absent(&mut self) -> Order {
        Order { repository: self.repository("absent"), reference: "none".into(), left: None }
    }
}

/// The program and the registry that it pulls from.
struct Scene {
    student: Student,
    registry: Registry,
    store: PathBuf,
    /// How much of the log has been judged.
    judged: usize,
}

impl Scene {
    /// Lets the program pull; gives the requests that it made, and what it says of it.
    fn pull(&mut self, bench: &mut Bench, order: &Order) -> Checked<(Vec<Request>, String)> {
        let order_line = serde_json::to_string(order).map_err(io::Error::from)?;
        self.student.go_with(&order_line)?;
        self.student.meet("pulled")?;
        let log = self.registry.log().split_off(self.judged);
        self.judged += log.len();
        for request in &log {
            let range = request.range.as_ref().map(|range| format!(", {range}"));
            let asked = format!("GET {}{}", request.path, range.unwrap_or_default());
            bench.saw(asked, request.status);
        }
        Ok((log, self.student.said("outcome")?.to_owned()))
    }

    /// The bytes of a blob in the store.
    fn content(&self, digest: &Digest) -> Checked<Option<Vec<u8>>> {
        let found = tree(self.student.main(), &self.store.join("blobs/sha256"))?
            .remove(Path::new(digest.hex()));
        Ok(match found {
            Some(Node::File { content, .. }) => Some(content),
            _ => None,
        })
    }

    /// The image is in the store, every blob as its digest says.
    fn has(&self, image: &Image, outcome: &str) -> Checked<()> {
        ensure(outcome == PULLED, || fail("L16-refused").fact("error", outcome))?;
        for blob in &image.blobs {
            let found = self.content(&blob.digest)?.map(|bytes| Digest::of(&bytes));
            ensure(found.as_ref() == Some(&blob.digest), || {
                let found = found.map_or("nothing".into(), |digest| digest.to_string());
                fail("L16-store").fact("digest", &blob.digest).fact("found", found)
            })?;
        }
        Ok(())
    }
}

/// What every pull begins with: a 401, a token for this repository, and the manifest.
fn first_requests(log: &[Request], order: &Order, outcome: &str) -> Checked<()> {
    let manifests = log.iter().filter(|request| request.path.contains("/manifests/"));
    for request in manifests {
        let accept = request.accept.as_deref().unwrap_or_default();
        ensure(accept.contains(MANIFEST), || {
            let shown = if accept.is_empty() { "no Accept" } else { accept };
            fail("L16-no-accept").fact("accept", shown).fact("path", &request.path)
        })?;
    }
    let tokens: Vec<&Request> =
        log.iter().filter(|request| request.path.starts_with("/token")).collect();
    ensure(!tokens.is_empty(), || fail("L16-no-token").fact("error", outcome))?;
    let scope = format!("scope=repository:{}:pull", order.repository);
    let complete = |request: &&&Request| {
        request.path.contains(&scope) && request.path.contains("service=class")
    };
    let incomplete = tokens.iter().find(|request| !complete(request));
    ensure(incomplete.is_none(), || {
        fail("L16-scope")
            .fact("path", incomplete.map_or("", |request| &request.path))
            .fact("scope", &scope)
    })?;
    let refused = log.iter().filter(|request| request.status == 401).count();
    ensure(tokens.len() == 1 && refused == 1, || {
        fail("L16-token-again").fact("tokens", tokens.len()).fact("refused", refused)
    })
}

/// The requests for a blob.
fn asked_for<'l>(log: &'l [Request], blob: &Descriptor) -> Vec<&'l Request> {
    let digest = blob.digest.to_string();
    let same = |request: &&Request| {
        request.status != 401 && parts(&request.path).is_some_and(|(_, _, what)| what == digest)
    };
    log.iter().filter(same).collect()
}

/// Waits until the client has written down that many bytes, and looks whether the blob has its final
/// name.
fn has_final_name(process: Process, store: &Path, digest: &Digest, bytes: usize) -> bool {
    let deadline = Instant::now() + WRITTEN;
    loop {
        let found = tree(process, store).unwrap_or_default();
        if found.contains_key(&Path::new("blobs/sha256").join(digest.hex())) {
            return true;
        }
        let arrived = found.get(&Path::new("ingest").join(digest.hex()));
        let enough = matches!(arrived, Some(Node::File { content, .. }) if content.len() >= bytes);
        if enough || Instant::now() >= deadline {
            return false;
        }
        sleep(Duration::from_millis(2));
    }
}
