//! Pushes to registries that break, lead elsewhere and lie.

mod common;

use std::sync::{Arc, Mutex};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use common::{
    chain, client,
    fixture::{Fixture, at},
    hello, options,
    script::{Reply, Request, Script, Step},
    store,
};
use image::{
    digest::Digest,
    manifest::{OCI_INDEX, OCI_LAYER, Platform},
};
use registry::{
    client::{Client, ClientOptions, Credentials, LayerState, Progress},
    credentials::{Credential, Secret},
};

const LAYER: usize = 3 << 20;

/// A registry that takes everything, and knows it by its digest.
#[derive(Default)]
struct Taking {
    blobs: Mutex<Vec<String>>,
    upload: Mutex<Vec<u8>>,
}

impl Taking {
    fn has(&self, digest: &str) -> bool {
        self.blobs.lock().unwrap().iter().any(|known| known == digest)
    }

    fn answer(&self, request: &Request) -> Reply {
        let path = request.path.split('?').next().unwrap();
        let name = path.rsplit('/').next().unwrap();
        let query = request.path.split_once("digest=").map(|(_, query)| query.replace("%3A", ":"));
        let location = ("Location", "/v2/class/hello/blobs/uploads/1?state=x");
        match &*request.method {
            "HEAD" if self.has(name) => Reply::new(200),
            "HEAD" => Reply::new(404),
            "POST" => {
                self.upload.lock().unwrap().clear();
                Reply::new(202).header(location.0, location.1)
            }
            "GET" => {
                let last = self.upload.lock().unwrap().len().saturating_sub(1);
                let range = format!("0-{last}");
                Reply::new(204).header(location.0, location.1).header("Range", &range)
            }
            "PATCH" => {
                let mut upload = self.upload.lock().unwrap();
                let from = request.header("content-range").unwrap().split_once('-').unwrap().0;
                assert_eq!(from.parse::<usize>().unwrap(), upload.len());
                upload.extend(&request.body);
                Reply::new(202).header(location.0, location.1)
            }
            "PUT" => {
                let mut bytes = std::mem::take(&mut *self.upload.lock().unwrap());
                bytes.extend(&request.body);
                let digest = Digest::of(&bytes).to_string();
                if query.is_some_and(|wanted| wanted != digest) {
                    return Reply::error(400, "DIGEST_INVALID", "no");
                }
                self.blobs.lock().unwrap().push(digest.clone());
                Reply::new(201).header("Docker-Content-Digest", &digest)
            }
            _ => Reply::error(405, "UNSUPPORTED", "no"),
        }
    }
}

/// One layer, so that uploads do not mix.
fn fixture() -> Fixture {
    Fixture::new(&[LAYER])
}

/// A store with `fixture` under the server's name, pushed there.
fn push(fixture: &Fixture, server: &Script) -> Result<(), String> {
    let (_folder, store) = store();
    let name = hello(&server.address);
    fixture.keep(&store, &name);
    client().push(&store, &name, &()).map(|_| ()).map_err(|error| {
        let error = chain(&error);
        assert!(error.starts_with(&format!("push {name}: ")), "{error}");
        error
    })
}

#[test]
fn only_what_is_missing_is_sent_and_the_manifest_comes_last() {
    let (fixture, taking) = (fixture(), Arc::new(Taking::default()));
    let registry = Arc::clone(&taking);
    let server = Script::new(move |request, _| registry.answer(request));
    push(&fixture, &server).unwrap();
    let log = server.log();
    let last = log.last().unwrap();
    assert!(last.is("PUT", "/manifests/1") && last.body == fixture.manifest, "{}", last.path);
    assert_eq!(last.header("content-type"), Some(image::manifest::OCI_MANIFEST));
    assert_eq!(taking.blobs.lock().unwrap().len(), 3);
    push(&fixture, &server).unwrap();
    assert_eq!(server.count("POST", "/uploads/"), 2);
}

#[test]
fn a_broken_upload_goes_on_where_it_broke() {
    let (fixture, taking) = (fixture(), Arc::new(Taking::default()));
    let registry = Arc::clone(&taking);
    let server = Script::new(move |request, _| {
        // Of the first attempt, a million bytes are kept, and no answer comes.
        if request.method == "PUT" && request.body.len() == LAYER {
            registry.upload.lock().unwrap().extend(&request.body[..1_000_000]);
            return Reply::raw(vec![Step::Close]);
        }
        registry.answer(request)
    });
    push(&fixture, &server).unwrap();
    assert!(taking.has(&Digest::of(&fixture.layers[0]).to_string()));
    let patch = server.log().into_iter().find(|request| request.method == "PATCH").unwrap();
    let range = format!("1000000-{}", LAYER - 1);
    assert_eq!(patch.header("content-range"), Some(&*range));
}

#[test]
fn an_upload_that_gets_on_may_break_often() {
    const KEPT: usize = 1_200_000;
    let (fixture, taking) = (Fixture::new(&[8 * KEPT]), Arc::new(Taking::default()));
    let registry = Arc::clone(&taking);
    let server = Script::new(move |request, _| {
        if request.body.len() > KEPT {
            registry.upload.lock().unwrap().extend(&request.body[..KEPT]);
            return Reply::raw(vec![Step::Close]);
        }
        registry.answer(request)
    });
    push(&fixture, &server).unwrap();
    assert!(taking.has(&Digest::of(&fixture.layers[0]).to_string()));
}

#[test]
fn an_upload_that_the_registry_forgot_begins_anew() {
    let (fixture, registry) = (fixture(), Taking::default());
    let once = Mutex::new(true);
    let server = Script::new(move |request, _| match &*request.method {
        "PUT" if request.body.len() == LAYER && std::mem::take(&mut *once.lock().unwrap()) => {
            Reply::raw(vec![Step::Close])
        }
        "GET" => Reply::error(404, "BLOB_UPLOAD_UNKNOWN", "no"),
        _ => registry.answer(request),
    });
    push(&fixture, &server).unwrap();
    assert_eq!(server.count("PATCH", ""), 0);
}

#[test]
fn what_is_too_large_for_one_request_is_sent_in_pieces() {
    let fixture = Fixture::new(&[20 << 20]);
    let taking = Arc::new(Taking::default());
    let registry = Arc::clone(&taking);
    let server = Script::new(move |request, _| match request.body.len() > 10 << 20 {
        true => Reply::error(413, "SIZE_INVALID", "too large"),
        false => registry.answer(request),
    });
    push(&fixture, &server).unwrap();
    assert_eq!(server.count("PATCH", ""), 3);
    assert!(taking.has(&Digest::of(&fixture.layers[0]).to_string()));
    // A registry that takes nothing says so.
    let registry = Taking::default();
    let server = Script::new(move |request, _| match request.body.len() > 1 << 20 {
        true => Reply::error(413, "SIZE_INVALID", "quota"),
        false => registry.answer(request),
    });
    let error = push(&fixture, &server).unwrap_err();
    assert!(error.contains("the registry answered 413: SIZE_INVALID: quota"), "{error}");
}

#[test]
fn a_layer_is_taken_from_another_repository_of_the_registry() {
    struct Mounts(Mutex<usize>);
    impl Progress for Mounts {
        fn state(&self, _: usize, state: LayerState) {
            *self.0.lock().unwrap() += usize::from(state == LayerState::Mounted);
        }
    }
    let (fixture, registry) = (fixture(), Taking::default());
    let pulled = fixture.clone();
    let server = Script::new(move |request, _| {
        if request.method == "GET" && !request.path.contains("/uploads/") {
            return pulled.answer(request);
        }
        match request.path.contains("mount=") {
            true => Reply::new(201),
            false => registry.answer(request),
        }
    });
    let (_folder, store) = store();
    let from = hello(&server.address);
    let found = client().pull(&store, &from, &Platform::host(), &()).unwrap();
    let to = format!("{}/class/other:2", server.address).parse().unwrap();
    store.tag(&to, &found).unwrap();
    let mounts = Mounts(Mutex::new(0));
    client().push(&store, &to, &mounts).unwrap();
    assert_eq!(mounts.0.into_inner().unwrap(), 1);
    let log = server.log();
    let mount = log.iter().find(|request| request.path.contains("mount=")).unwrap();
    assert!(mount.path.contains("from=class%2Fhello"), "{}", mount.path);
    assert!(log.iter().all(|request| request.body.len() < LAYER));
}

#[test]
fn an_upload_that_leads_elsewhere_goes_there_without_credentials() {
    let (fixture, taking) = (fixture(), Arc::new(Taking::default()));
    let elsewhere = Arc::clone(&taking);
    let storage = Script::new(move |request, _| elsewhere.answer(request));
    let to = format!("http://{}/put?x=1", storage.address);
    let registry = Taking::default();
    let server =
        Script::new(move |request, _| match (request.header("authorization"), &*request.method) {
            (None, _) => Reply::new(401).header("WWW-Authenticate", "Basic").body(b""),
            (_, "POST") => Reply::new(202).header("Location", &to),
            _ => registry.answer(request),
        });
    let (_folder, store) = store();
    let name = hello(&server.address);
    fixture.keep(&store, &name);
    let (username, password) = ("anna".into(), Secret::new("sEcReT"));
    let credentials = Credentials::Given(Credential::Password { username, password });
    let client = Client::new(ClientOptions { credentials, ..options() });
    client.push(&store, &name, &()).unwrap();
    assert!(!storage.log().is_empty());
    let encoded = STANDARD.encode("anna:sEcReT");
    for request in storage.log() {
        assert_eq!(request.header("authorization"), None);
        assert!(!request.headers.values().any(|value| value.contains(&encoded)));
    }
    for (why, location) in [("credentials", "http://a:b@127.0.0.1/"), ("neither", "ftp://x/")] {
        let server = Script::new(move |request, _| match &*request.method {
            "HEAD" => Reply::new(404),
            _ => Reply::new(202).header("Location", location),
        });
        let error = push(&fixture, &server).unwrap_err();
        assert!(error.contains(why), "{why}: {error}");
    }
}

#[test]
fn what_a_registry_says_of_a_push_is_checked() {
    let other = Digest::of(b"other").to_string();
    for part in ["/uploads/", "/manifests/"] {
        let (registry, other) = (Taking::default(), other.clone());
        let server = Script::new(move |request, _| {
            let reply = registry.answer(request);
            match request.is("PUT", part) {
                true => Reply::new(201).header("Docker-Content-Digest", &other),
                false => reply,
            }
        });
        let error = push(&fixture(), &server).unwrap_err();
        assert!(error.contains("should be sha256:"), "{error}");
    }
    let server = Script::new(|request, _| match &*request.method {
        "HEAD" => Reply::new(404),
        _ => Reply::error(405, "UNSUPPORTED", "read-only\u{1b}]0;x\u{7}"),
    });
    let error = push(&fixture(), &server).unwrap_err();
    assert!(error.contains("the registry answered 405: UNSUPPORTED: read-only]0;x\n"), "{error}");
    assert_eq!(server.count("POST", ""), 1);
}

#[test]
fn an_index_of_which_one_image_is_here_is_pushed_as_that_image() {
    struct Notes(Mutex<Vec<String>>);
    impl Progress for Notes {
        fn note(&self, text: &str) {
            self.0.lock().unwrap().push(text.into());
        }
    }
    let fixture = Fixture::new(&[10]);
    let missing = at(image::manifest::OCI_MANIFEST, b"arm64");
    let entries = [missing, fixture.descriptor()];
    let index =
        serde_json::json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries });
    let index = serde_json::to_vec(&index).unwrap();
    for has_all in [false, true] {
        let registry = Arc::new(Taking::default());
        if has_all {
            registry.blobs.lock().unwrap().push(Digest::of(b"arm64").to_string());
        }
        let server = Script::new(move |request, _| registry.answer(request));
        let (_folder, store) = store();
        let name = hello(&server.address);
        fixture.keep(&store, &name);
        store.add(&index).unwrap();
        store.tag(&name, &at(OCI_INDEX, &index)).unwrap();
        let notes = Notes(Mutex::default());
        let pushed = client().push(&store, &name, &notes).unwrap();
        let expected = if has_all { at(OCI_INDEX, &index) } else { fixture.descriptor() };
        assert_eq!(pushed.digest(), expected.digest());
        assert_eq!(notes.0.into_inner().unwrap().len(), usize::from(!has_all));
        let puts: Vec<_> =
            server.log().into_iter().filter(|r| r.is("PUT", "/manifests/")).collect();
        assert_eq!(puts.len(), 1 + usize::from(has_all));
        assert!(puts.last().unwrap().path.ends_with("/manifests/1"));
    }
}

#[test]
fn what_is_not_in_the_store_or_must_not_leave_it_is_said() {
    let server = Script::new(|_, _| Reply::new(404));
    let (_folder, store) = store();
    let name = hello(&server.address);
    let error = chain(&client().push(&store, &name, &()).unwrap_err());
    assert!(error.contains("no such image: ") && error.contains("isolab image list"), "{error}");
    let mut fixture = fixture();
    let foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    fixture.describe(&[at(foreign, &fixture.layers[0].clone())]);
    assert!(push(&fixture, &server).unwrap_err().contains("is a foreign layer"));
    let mut fixture = Fixture::new(&[10]);
    let gone = at(OCI_LAYER, b"gone");
    fixture.describe(&[gone]);
    let error = push(&fixture, &server).unwrap_err();
    assert!(error.contains("is missing from the store"), "{error}");
}

#[test]
fn tags_are_listed_page_by_page_and_not_for_ever() {
    let server = Script::new(|request, _| match request.path.contains("last=b") {
        true => Reply::new(200).body(br#"{"name":"x","tags":["c"]}"#),
        false => Reply::new(200)
            .header("Link", "</v2/class/hello/tags/list?n=2&last=b>; rel=\"next\"")
            .body(br#"{"name":"x","tags":["a","b"]}"#),
    });
    assert_eq!(client().tags(&hello(&server.address)).unwrap(), ["a", "b", "c"]);
    for (why, link) in [
        ("has no end", "</v2/x?last=a>; rel=\"next\""),
        ("elsewhere", "<http://192.0.2.1/>; rel=next"),
    ] {
        let server = Script::new(move |_, _| {
            Reply::new(200).header("Link", link).body(br#"{"tags":["a"]}"#)
        });
        let error = chain(&client().tags(&hello(&server.address)).unwrap_err());
        assert!(error.contains(why), "{why}: {error}");
        assert!(server.log().len() <= 100);
    }
    let server = Script::new(|_, _| Reply::new(202));
    client().delete(&hello(&server.address)).unwrap();
    assert_eq!(server.count("DELETE", "/manifests/1"), 1);
}
