//! Pulls from registries that lie, stall, break, lead elsewhere and never end.

mod common;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use common::{
    chain, client, count,
    fixture::{Fixture, at, noise},
    hello, options,
    script::{Reply, Request, Script, Step},
    store,
};
use image::{
    digest::Digest,
    manifest::{OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Platform},
};
use registry::client::{Client, ClientOptions, Failure, Progress};
use serde_json::json;

const LAYER: usize = 400_000;

/// Pulls from a registry that answers so, and returns the error, which names what was tried.
fn refused(answer: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> (String, Script) {
    let (_folder, store) = store();
    let server = Script::new(answer);
    let name = hello(&server.address);
    let began = Instant::now();
    let error = client().pull(&store, &name, &Platform::host(), &()).unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let error = chain(&error);
    assert!(error.starts_with(&format!("pull {name}: ")), "{error}");
    assert!(store.find(&name).unwrap().is_none());
    for (_, blob) in blobs(&store) {
        assert!(blob, "a blob that is not what its name says");
    }
    (error, server)
}

/// The blobs of a store, and whether each has the digest that is its name.
fn blobs(store: &image::store::Store) -> Vec<(String, bool)> {
    let folder = std::fs::read_dir(store.path().join("blobs/sha256")).unwrap();
    let check = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let is_right = Digest::of(&std::fs::read(&path).unwrap()).hex() == name;
        (name, is_right)
    };
    folder.map(check).collect()
}

fn layer_path(fixture: &Fixture, index: usize) -> String {
    format!("/blobs/{}", Digest::of(&fixture.layers[index]))
}

#[test]
fn an_image_is_pulled_once_and_its_layers_never_again() {
    struct Record(AtomicU64, AtomicU64);
    impl Progress for Record {
        fn position(&self, _: usize, bytes: u64) {
            self.0.fetch_max(bytes, Ordering::Relaxed);
        }
        fn on_layer(&self, index: usize, _: &oci_spec::image::Descriptor) {
            self.1.fetch_add(1 << (8 * index), Ordering::Relaxed);
        }
    }
    let fixture = Fixture::new(&[LAYER, 1, 0, 70_000, LAYER / 2]);
    let (_folder, store) = store();
    let served = fixture.clone();
    let server = Script::new(move |request, _| served.answer(request));
    let name = hello(&server.address);
    let seen = Record(AtomicU64::new(0), AtomicU64::new(0));
    let found = client().pull(&store, &name, &Platform::host(), &seen).unwrap();
    assert_eq!(found.digest(), fixture.descriptor().digest());
    assert_eq!(seen.0.into_inner(), LAYER as u64);
    assert_eq!(seen.1.into_inner(), 0x01_01_01_01_01);
    let image = store.image(&name, &Platform::host()).unwrap();
    assert_eq!(image.manifest.layers().len(), 5);
    assert_eq!(count(&store), (7, 0));
    let gets = server.count("GET", "/blobs/");
    client().pull(&store, &name, &Platform::host(), &()).unwrap();
    assert_eq!(server.count("GET", "/blobs/"), gets);
    // By digest, all is there already.
    let by_digest = name.with_digest(Digest::of(&fixture.manifest));
    let before = server.log().len();
    client().pull(&store, &by_digest, &Platform::host(), &()).unwrap();
    assert_eq!(server.log().len(), before);
    assert!(store.find(&by_digest).unwrap().is_some());
}

#[test]
fn a_broken_download_goes_on_where_it_broke() {
    let fixture = Fixture::new(&[LAYER]);
    let (_folder, store) = store();
    let (served, path) = (fixture.clone(), layer_path(&fixture, 0));
    let server = Script::new(move |request, _| {
        let mut reply = served.answer(request);
        // Each connection gives 150,000 bytes and ends.
        if request.path.ends_with(&path)
            && let Some(Step::Send(bytes)) = reply.steps.last_mut()
            && bytes.len() > 150_000
        {
            bytes.truncate(150_000);
            reply.steps.push(Step::Close);
        }
        reply
    });
    let name = hello(&server.address);
    client().pull(&store, &name, &Platform::host(), &()).unwrap();
    let ranges: Vec<_> = server
        .log()
        .iter()
        .filter(|request| request.path.contains(&layer_path(&fixture, 0)))
        .map(|request| request.header("range").map(str::to_owned))
        .collect();
    let expected = [None, Some("bytes=150000-".into()), Some("bytes=300000-".into())];
    assert_eq!(ranges, expected);
    assert!(blobs(&store).iter().all(|(_, is_right)| *is_right));
}

#[test]
fn a_server_that_begins_anew_each_time_and_breaks_is_left() {
    let fixture = Fixture::new(&[3 << 20]);
    let path = layer_path(&fixture, 0);
    // Two megabytes and nothing, in turn: what is there at the end is not more than before.
    let (error, server) = refused(move |request, before| match request.path.ends_with(&path) {
        true => Reply::new(200)
            .header("Content-Length", &(3 << 20).to_string())
            .step(Step::Send(fixture.layers[0][..(before % 2) << 21].into()))
            .step(Step::Close),
        false => fixture.answer(request),
    });
    assert!(error.contains("broke"), "{error}");
    assert!(server.count("GET", "/blobs/") < 12, "{}", server.count("GET", "/blobs/"));
}

#[test]
fn a_stalled_download_ends_and_the_next_pull_goes_on() {
    let fixture = Fixture::new(&[LAYER]);
    let (_folder, store) = store();
    let (served, path) = (fixture.clone(), layer_path(&fixture, 0));
    let server = Script::new(move |request, _| {
        let reply = served.answer(request);
        if !request.path.ends_with(&path) {
            return reply;
        }
        let length = served.layers[0].len();
        match request.header("range") {
            // Nothing is added any more.
            Some(_) => Reply::raw(vec![Step::Stall(Duration::from_secs(2)), Step::Close]),
            None => Reply::new(200)
                .header("Content-Length", &length.to_string())
                .step(Step::Send(served.layers[0][..100_000].into()))
                .step(Step::Stall(Duration::from_secs(2)))
                .step(Step::Close),
        }
    });
    let name = hello(&server.address);
    let error = client().pull(&store, &name, &Platform::host(), &()).unwrap_err();
    let error = chain(&error);
    assert!(error.contains("sent nothing for too long"), "{error}");
    assert_eq!(server.count("GET", &layer_path(&fixture, 0)), 5);
    assert_eq!(count(&store), (1, 1));
    let served = fixture.clone();
    let honest = Script::new(move |request, _| served.answer(request));
    client().pull(&store, &hello(&honest.address), &Platform::host(), &()).unwrap();
    let log = honest.log();
    let layer = log.iter().find(|request| request.is("GET", &layer_path(&fixture, 0))).unwrap();
    assert_eq!(layer.header("range"), Some("bytes=100000-"));
    assert_eq!(count(&store), (3, 0));
}

#[test]
fn a_server_that_ignores_or_mistakes_the_range_costs_only_time() {
    let kinds: [fn(&Request, &[u8]) -> Reply; 3] = [
        |_, layer| Reply::new(200).body(layer),
        |request, layer| match request.header("range") {
            Some(_) => {
                let whole = format!("bytes 0-{}/{}", layer.len() - 1, layer.len());
                Reply::new(206).header("Content-Range", &whole).body(layer)
            }
            None => Reply::new(200).body(layer),
        },
        |request, layer| match request.header("range") {
            Some(_) => Reply::error(416, "RANGE_INVALID", "no"),
            None => Reply::new(200).body(layer),
        },
    ];
    for kind in kinds {
        let fixture = Fixture::new(&[LAYER]);
        let (_folder, store) = store();
        // An attempt before this one, whose bytes were also wrong.
        let digest = Digest::of(&fixture.layers[0]);
        let mut ingest = store.ingest(&digest, Some(LAYER as u64)).unwrap().unwrap();
        ingest.push(&noise(99, 1000)).unwrap();
        drop(ingest);
        let (served, path) = (fixture.clone(), layer_path(&fixture, 0));
        let server = Script::new(move |request, _| match request.path.ends_with(&path) {
            true => kind(request, &served.layers[0]),
            false => served.answer(request),
        });
        client().pull(&store, &hello(&server.address), &Platform::host(), &()).unwrap();
        assert_eq!(count(&store), (3, 0));
    }
}

#[test]
fn wrong_bytes_of_an_earlier_attempt_are_replaced() {
    let fixture = Fixture::new(&[LAYER]);
    let (_folder, store) = store();
    let digest = Digest::of(&fixture.layers[0]);
    let mut ingest = store.ingest(&digest, Some(LAYER as u64)).unwrap().unwrap();
    ingest.push(&noise(99, 1000)).unwrap();
    drop(ingest);
    let served = fixture.clone();
    let server = Script::new(move |request, _| served.answer(request));
    client().pull(&store, &hello(&server.address), &Platform::host(), &()).unwrap();
    assert_eq!(server.count("GET", &layer_path(&fixture, 0)), 2);
}

#[test]
fn what_lies_about_a_layer_is_refused() {
    type OfLayer = fn(&[u8]) -> Reply;
    let kinds: Vec<(&str, OfLayer)> = vec![
        ("the content is not sha256:", |layer| {
            let mut other = layer.to_vec();
            other[1000] ^= 1;
            Reply::new(200).body(&other)
        }),
        ("it sends 400001 bytes of the layer, and 400000 are missing", |layer| {
            Reply::new(200).body(&[layer, b"x"].concat())
        }),
        ("it sends 1 bytes of the layer, and 400000 are missing", |_| Reply::new(200).body(b"x")),
        ("the layer has more than 400000 bytes", |layer| {
            Reply::new(200)
                .header("Connection", "close")
                .step(Step::Send(layer.into()))
                .step(Step::Endless(vec![0; 65536]))
        }),
        ("the layer has more than 400000 bytes", |layer| {
            let head = format!("{:x}\r\n", layer.len() + 1).into_bytes();
            Reply::new(200)
                .header("Transfer-Encoding", "chunked")
                .step(Step::Send([&head, layer, b"x\r\n0\r\n\r\n"].concat()))
        }),
        ("broke", |layer| {
            Reply::new(200)
                .header("Connection", "close")
                .step(Step::Send(layer[..7].into()))
                .step(Step::Close)
        }),
        ("the registry answered 404: BLOB_UNKNOWN: gone", |_| {
            Reply::error(404, "BLOB_UNKNOWN", "gone")
        }),
        ("the registry answered 204", |_| Reply::new(204)),
        ("a part that nobody asked for", |layer| {
            Reply::new(206).header("Content-Range", "bytes 5-9/10").body(layer)
        }),
    ];
    for (why, kind) in kinds {
        let fixture = Fixture::new(&[LAYER]);
        let path = layer_path(&fixture, 0);
        let (error, server) = refused(move |request, _| match request.path.ends_with(&path) {
            true => kind(&fixture.layers[0]),
            false => fixture.answer(request),
        });
        assert!(error.contains(why), "{why}: {error}");
        assert!(server.count("GET", "/blobs/") <= 6, "{why}");
    }
}

#[test]
fn chunks_without_an_end_are_not_read_for_ever() {
    for endless in [&b"1;x=y"[..], b"00000000", b"ffffffffffffffff\r\n", b"1\r\nx\r\n"] {
        let fixture = Fixture::new(&[LAYER]);
        let path = layer_path(&fixture, 0);
        refused(move |request, _| match request.path.ends_with(&path) {
            true => Reply::new(200)
                .header("Transfer-Encoding", "chunked")
                .step(Step::Endless(endless.repeat(8192))),
            false => fixture.answer(request),
        });
    }
}

#[test]
fn headers_without_an_end_are_not_read_for_ever() {
    let line =
        b"X-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n".repeat(1000);
    let status = b"HTTP/1.1 200 OK\r\n".to_vec();
    for steps in [
        vec![Step::Send(status.clone()), Step::Endless(line)],
        vec![Step::Send(status), Step::Send(b"X: ".to_vec()), Step::Endless(vec![b'a'; 65536])],
        vec![Step::Endless(vec![b'H'; 65536])],
        vec![Step::Endless(b"HTTP/1.1 100 Continue\r\n\r\n".repeat(1000))],
        vec![Step::Endless(b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n".repeat(1000))],
    ] {
        let (error, _) = refused(move |_, _| Reply::raw(steps.clone()));
        let known = ["protocol", "sent nothing for too long", "broke"];
        assert!(known.iter().any(|why| error.contains(why)), "{error}");
    }
}

#[test]
fn headers_that_drip_are_not_waited_for_for_ever() {
    let (error, _) = refused(|_, _| {
        let head = b"HTTP/1.1 200 OK\r\nX-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
        Reply::raw(vec![Step::Drip(head.to_vec(), Duration::from_millis(100)), Step::Close])
    });
    assert!(error.contains("sent nothing for too long"), "{error}");
}

#[test]
fn bytes_that_drip_are_not_waited_for_for_ever() {
    let fixture = Fixture::new(&[LAYER]);
    let path = layer_path(&fixture, 0);
    let (error, _) = refused(move |request, _| match request.path.ends_with(&path) {
        true => Reply::new(200)
            .header("Content-Length", "400000")
            .step(Step::Drip(fixture.layers[0].clone(), Duration::from_millis(50))),
        false => fixture.answer(request),
    });
    assert!(error.contains("sent nothing for too long"), "{error}");
    // Nor if they are those of a manifest, or of an error.
    for (status, attempts) in [(200, 2), (400, 1)] {
        let (error, server) = refused(move |_, before| match before {
            0 => Reply::new(status)
                .header("Content-Length", "100000")
                .step(Step::Drip(vec![b' '; 100_000], Duration::from_millis(50))),
            _ => Reply::error(400, "UNKNOWN", "the next attempt"),
        });
        assert!(error.contains("the registry answered 400"), "{error}");
        assert_eq!(server.log().len(), attempts);
    }
}

#[test]
fn manifests_without_an_end_are_not_read_for_ever() {
    let endless = || Step::Endless(vec![b' '; 65536]);
    let (error, _) = refused(move |_, _| {
        Reply::new(200)
            .header("Content-Type", OCI_MANIFEST)
            .header("Connection", "close")
            .step(endless())
    });
    assert!(error.contains("the manifest has more than 4194304 bytes"), "{error}");
    let (error, server) =
        refused(move |_, _| Reply::new(200).header("Content-Length", "5000000").step(endless()));
    assert!(error.contains("the manifest has more than 4194304 bytes"), "{error}");
    assert_eq!(server.log().len(), 1);
}

#[test]
fn a_manifest_is_what_its_digest_and_its_type_say() {
    let fixture = Fixture::new(&[10]);
    let other = Digest::of(b"other").to_string();
    let cases: Vec<(&str, Vec<(&str, &str)>)> = vec![
        ("the manifest should be sha256:", vec![("Docker-Content-Digest", &other)]),
        ("its digest is not a digest", vec![("Docker-Content-Digest", "sha256:../../x")]),
        ("not of its media type", vec![("Content-Type", OCI_INDEX)]),
        (
            "unsupported media type \"text/html\"",
            vec![("Content-Type", "text/html; charset=utf-8")],
        ),
    ];
    for (why, headers) in cases {
        let mut reply = Reply::new(200);
        for (name, value) in headers {
            reply = reply.header(name, value);
        }
        let reply = reply.body(&fixture.manifest);
        let (error, server) = refused(move |_, _| reply.clone());
        assert!(error.contains(why), "{why}: {error}");
        assert_eq!(server.log().len(), 1, "{why}");
    }
    // By digest, the bytes decide.
    let (_folder, store) = store();
    let server = Script::new(move |_, _| Reply::new(200).body(&fixture.manifest));
    let name = hello(&server.address).with_digest(Digest::of(b"other"));
    let error = client().pull(&store, &name, &Platform::host(), &()).unwrap_err();
    assert!(chain(&error).contains("the manifest should be sha256:"), "{error}");
    assert_eq!(count(&store), (0, 0));
}

#[test]
fn what_cannot_be_run_here_is_refused_before_its_layers_arrive() {
    let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    let with_layer = |media_type: &str| {
        let mut fixture = Fixture::new(&[LAYER]);
        fixture.describe(&[at(media_type, &fixture.layers[0].clone())]);
        fixture
    };
    let mut huge = Fixture::new(&[LAYER]);
    let said = json!({ "mediaType": OCI_LAYER, "digest": Digest::of(b"x"), "size": u64::MAX / 2 });
    huge.describe(&[serde_json::from_value(said).unwrap()]);
    let mut fewer = Fixture::new(&[LAYER]);
    fewer.describe(&[]);
    for (why, fixture) in [
        (
            "no image for linux/amd64: there is linux/riscv64",
            Fixture::with(&[LAYER], |config| config.architecture = "riscv64".into()),
        ),
        ("is a foreign layer", with_layer(foreign)),
        ("unsupported media type \"application/x\" of layer", with_layer("application/x")),
        ("the layer has more than", huge),
        ("the manifest has 0 layers, the config 1", fewer),
    ] {
        let path = layer_path(&fixture, 0);
        let (error, server) = refused(move |request, _| fixture.answer(request));
        assert!(error.contains(why), "{why}: {error}");
        assert_eq!(server.count("GET", &path), 0, "{why}");
    }
}

#[test]
fn an_artifact_that_is_not_an_image_says_so() {
    let fixture = Fixture::new(&[10]);
    let text = String::from_utf8(fixture.manifest.clone()).unwrap();
    let config = "application/vnd.cncf.helm.config.v1+json";
    let text = text.replace("application/vnd.oci.image.config.v1+json", config);
    let (error, _) = refused(move |_, _| Reply::new(200).body(text.as_bytes()));
    assert!(error.contains("not an image that can be run"), "{error}");
}

fn index(entries: &[(&Fixture, &str)]) -> Vec<u8> {
    let entry = |(fixture, architecture): &(&Fixture, &str)| {
        let mut entry = serde_json::to_value(fixture.descriptor()).unwrap();
        entry["platform"] = json!({ "os": "linux", "architecture": architecture });
        entry
    };
    let entries: Vec<_> = entries.iter().map(entry).collect();
    serde_json::to_vec(&json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries }))
        .unwrap()
}

#[test]
fn an_index_stays_as_it_is_and_one_image_of_it_is_fetched() {
    let mine = Fixture::new(&[LAYER]);
    let other = Fixture::with(&[LAYER, 7], |config| config.architecture = "arm64".into());
    let bytes = index(&[(&other, "arm64"), (&mine, "amd64")]);
    let (served, fixture) = (bytes.clone(), mine.clone());
    let server = Script::new(move |request, _| match request.path.ends_with("/1") {
        true => Reply::new(200).header("Content-Type", OCI_INDEX).body(&served),
        false => fixture.answer(request),
    });
    let (_folder, store) = store();
    let name = hello(&server.address);
    let found = client().pull(&store, &name, &Platform::host(), &()).unwrap();
    assert_eq!(found.digest().to_string(), Digest::of(&bytes).to_string());
    let image = store.image(&name, &Platform::host()).unwrap();
    assert_eq!(image.descriptor.digest(), mine.descriptor().digest());
    assert_eq!(count(&store), (4, 0));
    let riscv: Platform = "linux/riscv64".parse().unwrap();
    let error = chain(&client().pull(&store, &name, &riscv, &()).unwrap_err());
    assert!(
        error.contains("no image for linux/riscv64: there is linux/arm64, linux/amd64"),
        "{error}"
    );
}

#[test]
fn indexes_in_indexes_have_an_end_and_sizes_that_lie_are_refused() {
    let fixture = Fixture::new(&[10]);
    let mut chain_of = vec![index(&[(&fixture, "amd64")])];
    for _ in 0..6 {
        let below = at(OCI_INDEX, chain_of.last().unwrap());
        let above = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [below] });
        chain_of.push(serde_json::to_vec(&above).unwrap());
    }
    let served = fixture.clone();
    let (error, _) = refused(move |request, _| {
        let asked = request.path.rsplit('/').next().unwrap();
        let by_digest = |bytes: &&Vec<u8>| Digest::of(bytes).to_string() == asked;
        match chain_of.iter().find(by_digest) {
            Some(bytes) => Reply::new(200).body(bytes),
            None if asked == "1" => Reply::new(200).body(chain_of.last().unwrap()),
            None => served.answer(request),
        }
    });
    assert!(error.contains("more than 4 indexes"), "{error}");
    let mut entry = serde_json::to_value(fixture.descriptor()).unwrap();
    entry["size"] = json!(fixture.manifest.len() + 1);
    let lying = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry] });
    let (error, _) = refused(move |request, _| match request.path.ends_with("/1") {
        true => Reply::new(200).body(lying.to_string().as_bytes()),
        false => fixture.answer(request),
    });
    assert!(error.contains("should have"), "{error}");
}

#[test]
fn a_busy_registry_is_asked_again_but_not_for_ever() {
    let fixture = Fixture::new(&[10]);
    let (_folder, store) = store();
    let served = fixture.clone();
    let server = Script::new(move |request, before| match before % 3 {
        0 => Reply::new(429).header("Retry-After", "0"),
        1 => Reply::error(503, "UNAVAILABLE", "soon"),
        _ => served.answer(request),
    });
    client().pull(&store, &hello(&server.address), &Platform::host(), &()).unwrap();
    let began = Instant::now();
    let served = fixture.clone();
    let server = Script::new(move |request, before| match before {
        0 => Reply::new(429).header("Retry-After", "1"),
        _ => served.answer(request),
    });
    client().pull(&store, &hello(&server.address), &Platform::host(), &()).unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
    let (error, server) = refused(|_, _| Reply::error(503, "UNAVAILABLE", "sorry"));
    assert!(error.contains("the registry answered 503: UNAVAILABLE: sorry"), "{error}");
    assert_eq!(server.log().len(), 5);
    let (error, server) = refused(|_, _| Reply::new(429).header("Retry-After", "86400"));
    assert!(error.contains("try again in 86400 s"), "{error}");
    assert_eq!(server.log().len(), 1);
    let (error, server) = refused(|_, _| Reply::error(400, "NAME_INVALID", "\u{1b}[2Jno\u{7}"));
    assert!(error.contains("the registry answered 400: NAME_INVALID: [2Jno\n"), "{error}");
    assert_eq!(server.log().len(), 1);
}

#[test]
fn a_missing_tag_says_which_tags_there_are() {
    let (error, _) = refused(|request, _| match request.path.contains("/tags/list") {
        true => Reply::new(200).body(br#"{"name":"x","tags":["2","../x","latest"]}"#),
        false => Reply::error(404, "MANIFEST_UNKNOWN", "unknown"),
    });
    assert!(error.contains("no such image in 127.0.0.1:"), "{error}");
    assert!(error.contains("class/hello:1\nthe repository has the tags 2, latest"), "{error}");
    let (error, _) = refused(|_, _| Reply::error(404, "NAME_UNKNOWN", "unknown"));
    assert!(error.contains("isolab image list"), "{error}");
}

#[test]
fn redirects_are_followed_a_few_times_and_not_anywhere() {
    let fixture = Fixture::new(&[LAYER]);
    let (_folder, store) = store();
    let served = fixture.clone();
    let storage = Script::new(move |request, _| served.answer(request));
    let elsewhere = storage.address.clone();
    let server = Script::new(move |request, _| match request.path.contains("/blobs/") {
        true => {
            let to = format!("http://{elsewhere}{}?sig=sEcReT", request.path);
            Reply::new(307).header("Location", &to)
        }
        false => fixture.answer(request),
    });
    client().pull(&store, &hello(&server.address), &Platform::host(), &()).unwrap();
    assert_eq!(storage.log().len(), 2);
    for (why, location) in [
        ("too many redirects", "/v2/"),
        ("contains credentials", "http://user:pass@127.0.0.1/"),
        ("neither http nor https", "ftp://127.0.0.1/"),
        ("not a URL", "http://a b/"),
    ] {
        let (error, server) = refused(move |_, _| Reply::new(302).header("Location", location));
        assert!(error.contains(why), "{why}: {error}");
        assert!(server.log().len() <= 6);
        assert!(!error.contains("pass@"), "{error}");
    }
    let (error, _) = refused(|_, _| Reply::new(302));
    assert!(error.contains("it names no address"), "{error}");
}

#[test]
fn a_user_who_stops_a_pull_does_not_wait() {
    struct Stopped(Instant);
    impl Progress for Stopped {
        fn is_cancelled(&self) -> bool {
            self.0.elapsed() > Duration::from_millis(500)
        }
    }
    let fixture = Fixture::new(&[LAYER]);
    let (_folder, store) = store();
    let path = layer_path(&fixture, 0);
    let server = Script::new(move |request, _| match request.path.ends_with(&path) {
        true => Reply::new(503).header("Retry-After", "30"),
        false => fixture.answer(request),
    });
    let began = Instant::now();
    let name = hello(&server.address);
    let stopped = Stopped(began);
    let error = client().pull(&store, &name, &Platform::host(), &stopped).unwrap_err();
    assert!(chain(&error).contains("cancelled"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn nobody_there_is_said_at_once_with_the_way_out() {
    struct Patient;
    impl Progress for Patient {
        fn retrying(&self, _: u32, _: Duration, failure: &Failure) {
            panic!("tried again after {failure}");
        }
    }
    let (_folder, store) = store();
    // A port that nobody listens at: its listener is gone.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let name = hello(&listener.local_addr().unwrap().to_string());
    drop(listener);
    for plain_http in [false, true] {
        let client = Client::new(ClientOptions { plain_http, ..options() });
        let error = chain(&client.pull(&store, &name, &Platform::host(), &Patient).unwrap_err());
        assert!(error.contains("isolab registry serve"), "{error}");
        assert!(error.contains("Connection refused"), "{error}");
    }
    // No name ends in this (RFC 6761).
    let name = hello("registry.invalid");
    let error = client().pull(&store, &name, &Platform::host(), &Patient).unwrap_err();
    assert!(chain(&error).contains("connect to registry.invalid"), "{error:?}");
}

#[test]
fn the_same_layer_twice_arrives_once() {
    let mut fixture = Fixture::new(&[LAYER, LAYER]);
    fixture.layers[1] = fixture.layers[0].clone();
    let layers: Vec<_> = fixture.layers.iter().map(|layer| at(OCI_LAYER, layer)).collect();
    fixture.describe(&layers);
    let (_folder, store) = store();
    let served = fixture.clone();
    let server = Script::new(move |request, _| served.answer(request));
    client().pull(&store, &hello(&server.address), &Platform::host(), &()).unwrap();
    assert_eq!(server.count("GET", &layer_path(&fixture, 0)), 1);
}

#[test]
fn whatever_is_damaged_on_the_way_nothing_wrong_gets_a_name() {
    let (mut pulled, mut failed) = (0, 0);
    for round in 0..60 {
        let fixture = Fixture::new(&[3000, 10]);
        let (_folder, store) = store();
        let served = fixture.clone();
        // The manifest, the config or a layer.
        let server = Script::new(move |request, before| {
            let reply = served.answer(request);
            let seed = noise(round + 1, 8).try_into().unwrap();
            match before as u64 == round % 4 {
                true => reply.damaged(u64::from_le_bytes(seed)),
                false => reply,
            }
        });
        let name = hello(&server.address);
        match client().pull(&store, &name, &Platform::host(), &()) {
            // A tag can lead to another manifest, but never to half of an image.
            Ok(_) => {
                store.image(&name, &Platform::host()).unwrap();
                pulled += 1;
            }
            Err(_) => {
                assert!(store.find(&name).unwrap().is_none());
                failed += 1;
            }
        }
        assert!(blobs(&store).iter().all(|(_, is_right)| *is_right));
    }
    assert!(pulled > 0 && failed > 0, "{pulled} {failed}");
}
