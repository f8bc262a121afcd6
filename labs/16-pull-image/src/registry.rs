//! The check's registry: as much of the OCI distribution specification as a pull takes, with the
//! mishaps of a real one, and a log.

mod http;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::TcpListener,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use crate::{Digest, MANIFEST};
use http::{Answer, Connection, Head};

/// More requests than any pull takes: what comes then is not answered.
const MOST_REQUESTS: usize = 500;

/// How a blob is given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// As it should be.
    None,
    /// The connection breaks in the middle, the first time.
    Breaks,
    /// So it does, and a range that is asked for then is ignored.
    IgnoresRange,
    /// Other bytes, the first time.
    OtherBytes,
}

/// What a registry has.
#[derive(Debug, Default)]
pub struct Content {
    /// Manifests, by repository and by tag or digest.
    pub manifests: BTreeMap<(String, String), Vec<u8>>,
    /// Blobs; for simplicity each is in all repositories.
    pub blobs: BTreeMap<Digest, (Vec<u8>, Mishap)>,
    /// The tokens, by repository.
    pub tokens: BTreeMap<String, String>,
    /// The tokens that are good once the manifest has been given out, where those are others.
    pub later: BTreeMap<String, String>,
    /// Repositories of which every manifest comes with the status 503.
    pub unavailable: BTreeSet<String>,
    /// The name of the registry, as its token service knows it.
    pub service: String,
}

/// A request, and how it was answered.
#[derive(Debug, Clone)]
pub struct Request {
    /// What was asked for, with the query.
    pub path: String,
    /// `Accept`.
    pub accept: Option<String>,
    /// `Range`.
    pub range: Option<String>,
    /// The status of the answer.
    pub status: u16,
    /// Whether the blob had its final name when half of it had been sent.
    pub early: bool,
}

/// A registry that answers.
#[derive(Debug)]
pub struct Registry {
    log: Arc<Mutex<Vec<Request>>>,
}

impl Registry {
    /// Answers what comes to that socket, for as long as the process lives. `looks` is called when half of
    /// a blob has been sent whose connection is to break: it gives the client time for what it has, and
    /// says whether the blob has its final name already.
    ///
    /// # Errors
    ///
    /// When no thread can be made.
    pub fn serve(
        listener: TcpListener,
        content: Content,
        looks: impl Fn(&Digest, usize) -> bool + Send + 'static,
    ) -> io::Result<Self> {
        let log = Arc::new(Mutex::new(Vec::new()));
        let answers = Answers { content, looks, seen: BTreeSet::new() };
        let logged = Arc::clone(&log);
        thread::Builder::new().spawn(move || answer_all(&listener, answers, &logged))?;
        Ok(Self { log })
    }

    /// The requests so far.
    pub fn log(&self) -> Vec<Request> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn answer_all(
    listener: &TcpListener,
    mut answers: Answers<impl Fn(&Digest, usize) -> bool>,
    log: &Mutex<Vec<Request>>,
) {
    for stream in listener.incoming() {
        // A client that says nothing, or goes away, has itself to blame.
        let Ok(mut connection) = stream.and_then(Connection::new) else {
            // Nor is one that has given out something that is not a socket waited for without a pause.
            thread::sleep(Duration::from_millis(5));
            continue;
        };
        let Ok(head) = connection.head() else { continue };
        let answer = answers.answer(&head);
        let mut request = Request {
            path: head.path.clone(),
            accept: head.header("accept").map(str::to_owned),
            range: head.header("range").map(str::to_owned),
            status: answer.status,
            early: false,
        };
        let place = {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            if log.len() >= MOST_REQUESTS {
                return;
            }
            log.push(request.clone());
            log.len() - 1
        };
        match &answer.breaks {
            Some(digest) => {
                let half = answer.body.len() / 2;
                if connection.send(&answer, half).is_ok() {
                    request.early = (answers.looks)(digest, half);
                    log.lock().unwrap_or_else(PoisonError::into_inner)[place] = request;
                }
            }
            None => drop(connection.send(&answer, answer.body.len())),
        }
    }
}

struct Answers<Looks> {
    content: Content,
    looks: Looks,
    /// Blobs that were asked for.
    seen: BTreeSet<Digest>,
}

impl<Looks> Answers<Looks> {
    fn answer(&mut self, head: &Head) -> Answer {
        if let Some(query) = head.path.strip_prefix("/token?") {
            return self.token(query);
        }
        let Some((repository, kind, what)) = parts(&head.path) else { return Answer::error(404) };
        let token = self.content.tokens.get(repository);
        let bearer = head.header("authorization").and_then(|it| it.strip_prefix("Bearer "));
        if token.map(String::as_str) != bearer || token.is_none() {
            let host = head.header("host").unwrap_or_default();
            let way = format!(
                "Bearer realm=\"http://{host}/token\",service=\"{}\",\
                 scope=\"repository:{repository}:pull\"",
                self.content.service
            );
            return Answer::error(401).with("WWW-Authenticate", &way);
        }
        match kind {
            "manifests" => self.manifest(head, repository, what),
            _ => {
                what.parse().map_or_else(|_| Answer::error(404), |digest| self.blob(head, &digest))
            }
        }
    }

    /// Anybody gets a token; it opens what was asked for.
    fn token(&self, query: &str) -> Answer {
        let scope = query.split('&').find_map(|pair| pair.strip_prefix("scope="));
        let repository = scope.and_then(|it| it.strip_prefix("repository:")?.strip_suffix(":pull"));
        let service = format!("service={}", self.content.service);
        let service = query.split('&').any(|pair| pair == service);
        let token = repository.filter(|_| service).and_then(|it| self.content.tokens.get(it));
        let token = token.map_or("for-nothing", String::as_str);
        Answer::ok(format!("{{\"token\":\"{token}\"}}").into_bytes())
    }

    fn manifest(&mut self, head: &Head, repository: &str, reference: &str) -> Answer {
        let key = (repository.to_owned(), reference.to_owned());
        let Some(manifest) = self.content.manifests.get(&key) else { return Answer::error(404) };
        if let Some(later) = self.content.later.remove(repository) {
            self.content.tokens.insert(repository.to_owned(), later);
        }
        if self.content.unavailable.contains(repository) {
            return Answer { status: 503, ..Answer::ok(manifest.clone()) };
        }
        if head.header("accept").is_some_and(|accept| accept.contains(MANIFEST)) {
            return Answer::ok(manifest.clone()).with("Content-Type", MANIFEST);
        }
        // To a client that does not say what it knows, what clients of 2014 knew.
        let old = "application/vnd.docker.distribution.manifest.v1+prettyjws";
        Answer::ok(br#"{"schemaVersion":1,"fsLayers":[]}"#.to_vec()).with("Content-Type", old)
    }

    fn blob(&mut self, head: &Head, digest: &Digest) -> Answer {
        let Some((bytes, mishap)) = self.content.blobs.get(digest) else {
            return Answer::error(404);
        };
        let first = self.seen.insert(digest.clone());
        let from = head.header("range").and_then(|range| {
            range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok()
        });
        let breaks = first && matches!(mishap, Mishap::Breaks | Mishap::IgnoresRange);
        let answer = match from {
            Some(from) if *mishap != Mishap::IgnoresRange => {
                let Some(rest) = bytes.get(from..).filter(|rest| !rest.is_empty()) else {
                    return Answer::error(416)
                        .with("Content-Range", &format!("bytes */{}", bytes.len()));
                };
                let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
                Answer { status: 206, ..Answer::ok(rest.to_vec()) }.with("Content-Range", &range)
            }
            _ if first && *mishap == Mishap::OtherBytes => Answer::ok(vec![b'?'; bytes.len()]),
            _ => Answer::ok(bytes.clone()),
        };
        Answer { breaks: breaks.then(|| digest.clone()), ..answer }
    }
}

/// `/v2/REPOSITORY/KIND/WHAT`; the repository's name may contain slashes.
pub fn parts(path: &str) -> Option<(&str, &str, &str)> {
    let (rest, what) = path.strip_prefix("/v2/")?.rsplit_once('/')?;
    let (repository, kind) = rest.rsplit_once('/')?;
    ["manifests", "blobs"].contains(&kind).then_some((repository, kind, what))
}
