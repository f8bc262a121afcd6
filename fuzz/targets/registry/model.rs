//! What a registry has promised, and whether it holds: a tag that was acknowledged leads to its
//! manifest and all of its blobs, what is served under a digest has it, a quota is never overshot, and
//! nothing beside the data directory is read or written.

use std::{
    collections::{HashMap, HashSet},
    fs,
    time::Duration,
};

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use image::digest::{Digest, Digester};
use registry::server::{Handler, Options};
use tempfile::TempDir;

use super::{
    Answer,
    content::MEDIA_TYPE,
    outside::{self, SECRET},
    request::{Ask, Path, Repository, Step},
    send,
};

/// So many bytes may be kept where there is a quota.
const QUOTA: u64 = 20_000;

pub struct Model {
    folder: TempDir,
    options: Options,
    /// `None` only while it is started anew.
    handler: Option<Handler>,
    /// The digest that each tag was acknowledged with.
    tags: HashMap<(String, String), Digest>,
    /// Whose files were damaged, and were not pushed since.
    damaged: HashSet<Digest>,
    /// Where uploads were begun.
    uploads: Vec<String>,
}

impl Model {
    pub fn new(has_quota: bool) -> Self {
        let folder = TempDir::new().expect("memory for files");
        let mut options = Options::new(folder.path().join("data"));
        options.max_total = has_quota.then_some(QUOTA);
        options.upload_expiry = Duration::ZERO;
        let handler = open(&options);
        outside::plant(folder.path());
        let (tags, damaged, uploads) = Default::default();
        Self { folder, options, handler: Some(handler), tags, damaged, uploads }
    }

    fn send(&self, request: Request<Body>) -> Answer {
        send(self.handler.as_ref().expect("it is running"), request)
    }

    pub fn play(&mut self, step: &Step) {
        match step {
            Step::Request(ask) => self.ask(ask),
            Step::Push(repository, content) => self.push(*repository, &content.bytes()),
            Step::Put(repository, tag, manifest) => {
                let path = format!("/v2/{}/manifests/{}", repository.name(), tag.name());
                let request = Request::put(&path).header("content-type", MEDIA_TYPE);
                let request = request.body(manifest.bytes().into()).expect("well-formed");
                let answer = self.send(request);
                self.learn("PUT", &path, &answer);
            }
            Step::Damage(target, length) => self.damage(&target.digest(), *length),
            Step::CleanUp => _ = self.handler.as_ref().expect("it is running").clean_up(),
            Step::Restart => {
                self.handler = None;
                self.handler = Some(open(&self.options));
            }
        }
        self.check_quota();
    }

    fn push(&mut self, repository: Repository, bytes: &[u8]) {
        let digest = Digest::of(bytes);
        let path = format!("/v2/{}/blobs/uploads/", repository.name());
        let request = Request::post(format!("{path}?digest={digest}"));
        let answer = self.send(request.body(bytes.to_vec().into()).expect("well-formed"));
        self.learn("POST", &path, &answer);
    }

    fn ask(&mut self, ask: &Ask) {
        let path = self.path(&ask.path);
        let query: Vec<String> = ask.query.iter().take(4).map(|query| query.text()).collect();
        let mut request =
            Request::builder().method(ask.method.name()).uri(format!("{path}?{}", query.join("&")));
        for header in ask.headers.iter().take(8) {
            let (name, value) = header.pair();
            request = request.header(name, value);
        }
        // What is not HTTP never reaches a handler.
        let Ok(request) = request.body(ask.body()) else { return };
        let uri = request.uri().to_string();
        let answer = self.send(request);
        self.learn(ask.method.name(), &uri, &answer);
    }

    fn path(&self, path: &Path) -> String {
        match path {
            Path::Page => "/".into(),
            Path::Version => "/v2/".into(),
            Path::Catalog => "/v2/_catalog".into(),
            Path::Tags(name) => format!("/v2/{}/tags/list", name.name()),
            Path::Blob(name, target) => format!("/v2/{}/blobs/{}", name.name(), target.digest()),
            Path::Tagged(name, tag) => format!("/v2/{}/manifests/{}", name.name(), tag.name()),
            Path::Manifest(name, target) => {
                format!("/v2/{}/manifests/{}", name.name(), target.digest())
            }
            Path::Referrers(name, target) => {
                format!("/v2/{}/referrers/{}", name.name(), target.digest())
            }
            Path::Uploads(name) => format!("/v2/{}/blobs/uploads/", name.name()),
            Path::Upload(name, number) => {
                let begun = self.uploads.get(usize::from(*number)).cloned();
                begun.unwrap_or_else(|| format!("/v2/{}/blobs/uploads/x", name.name()))
            }
            Path::Text(text) => text.clone(),
        }
    }

    /// What an answer promises, and what is wrong with it.
    fn learn(&mut self, method: &str, uri: &str, answer: &Answer) {
        let Answer { status, body, .. } = answer;
        let path = uri.split('?').next().unwrap_or_default();
        // Also `from=link`, with which blobs are mounted.
        let may_fail = uri.contains("link");
        assert!(may_fail || *status != StatusCode::INTERNAL_SERVER_ERROR, "{method} {uri}");
        assert!(!String::from_utf8_lossy(body).contains(SECRET), "{method} {uri}");
        let digest = answer.header("docker-content-digest").parse::<Digest>().ok();
        match (method, *status) {
            ("GET", StatusCode::OK) => {
                if let Some(digest) = &digest
                    && !self.damaged.contains(digest)
                {
                    assert_eq!(digest_like(digest, body), *digest, "{path}");
                }
            }
            ("POST" | "PATCH", StatusCode::ACCEPTED) => {
                self.uploads.push(answer.header("location").to_owned());
            }
            ("POST" | "PUT", StatusCode::CREATED) => {
                assert!(!path.starts_with("/v2/link"), "{method} {path}");
                let digest = digest.expect("the specification demands it");
                // Only a push brings bytes; a mount links what is there.
                self.damaged.remove(&digest);
                if let Some((name, tag)) = tag_of(path)
                    && method == "PUT"
                {
                    self.tags.insert((name, tag), digest);
                }
            }
            ("DELETE", StatusCode::ACCEPTED) => self.forget(path),
            _ => {}
        }
    }

    fn forget(&mut self, path: &str) {
        if let Some((name, tag)) = tag_of(path) {
            self.tags.retain(|(of, known), digest| {
                *of != name || (*known != tag && digest.to_string() != tag)
            });
        }
    }

    /// Leaves some of a file's bytes, fewer than there are.
    fn damage(&mut self, digest: &Digest, length: u8) {
        let path = self.folder.path().join("data/blobs").join(digest.algorithm().name());
        let path = path.join(digest.hex());
        if let Ok(bytes) = fs::read(&path)
            && bytes.len() > usize::from(length)
        {
            fs::write(&path, &bytes[..usize::from(length)]).expect("memory for files");
            self.damaged.insert(digest.clone());
        }
    }

    fn check_quota(&self) {
        let Some(most) = self.options.max_total.filter(|_| self.damaged.is_empty()) else { return };
        let data = self.folder.path().join("data");
        let folders = ["blobs/sha256", "blobs/sha512", "uploads"];
        let files =
            folders.iter().flat_map(|folder| fs::read_dir(data.join(folder)).expect("kept"));
        let files = files.flatten().filter(|file| file.path().extension().is_none());
        let bytes: u64 = files.map(|file| file.metadata().map_or(0, |about| about.len())).sum();
        assert!(bytes <= most, "{bytes} bytes");
    }

    /// All that was promised.
    pub fn check(&self) {
        for ((name, tag), digest) in &self.tags {
            let got = self.get(&format!("/v2/{name}/manifests/{tag}"));
            if self.damaged.contains(digest) {
                assert_eq!(got.status, StatusCode::NOT_FOUND, "a damaged manifest is not served");
                continue;
            }
            assert_eq!(got.status, StatusCode::OK, "{name}:{tag}");
            assert_eq!(digest_like(digest, &got.body), *digest, "{name}:{tag}");
            self.check_blobs(name, &got.body);
        }
        outside::check(self.folder.path());
    }

    fn check_blobs(&self, name: &str, manifest: &[u8]) {
        let manifest: serde_json::Value = serde_json::from_slice(manifest).expect("it was read");
        let layers = manifest["layers"].as_array().into_iter().flatten();
        for descriptor in layers.chain([&manifest["config"]]).filter(|it| it.is_object()) {
            let has_urls = descriptor["urls"].as_array().is_some_and(|urls| !urls.is_empty());
            let digest = descriptor["digest"].as_str().and_then(|text| text.parse().ok());
            let digest: Digest = digest.expect("it was read");
            if has_urls {
                continue;
            }
            let got = self.get(&format!("/v2/{name}/blobs/{digest}"));
            match self.damaged.contains(&digest) {
                true => assert_eq!(got.status, StatusCode::NOT_FOUND, "{name} {digest}"),
                false => {
                    assert_eq!(got.status, StatusCode::OK, "{name} {digest}");
                    assert_eq!(digest_like(&digest, &got.body), digest, "{name}");
                }
            }
        }
    }

    fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).expect("well-formed"))
    }
}

fn open(options: &Options) -> Handler {
    Handler::open(options.clone(), Box::new(std::io::sink())).expect("a directory of its own")
}

/// The repository and the tag or digest of a manifest's path.
fn tag_of(path: &str) -> Option<(String, String)> {
    let (name, tag) = path.strip_prefix("/v2/")?.rsplit_once("/manifests/")?;
    (!tag.contains('/')).then(|| (name.to_owned(), tag.to_owned()))
}

fn digest_like(digest: &Digest, bytes: &[u8]) -> Digest {
    let mut digester = Digester::new(digest.algorithm());
    digester.update(bytes);
    digester.finish()
}
