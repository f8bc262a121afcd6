//! The server: what the specification demands of it, and what hostile clients get.

mod common;

use common::{
    http::{raw, request},
    images::{MANIFEST, code, push, push_image, put_manifest},
    own_server::OwnServer,
};
use image::digest::{Algorithm, Digest, Digester};
use serde_json::{Value, json};

#[test]
fn a_blob_is_pushed_in_pieces_and_out_of_order_is_refused_with_the_range() {
    let server = OwnServer::start(|_| {});
    let begun = request(server.at, "POST", "/v2/class/a/blobs/uploads/", &[], b"");
    assert_eq!(begun.status, 202);
    let location = begun.header("location").to_owned();
    let piece = |range: &str, bytes: &[u8]| {
        request(server.at, "PATCH", &location, &[("Content-Range", range)], bytes)
    };
    let first = piece("0-4", b"hello");
    assert_eq!((first.status, first.header("range")), (202, "0-4"));
    let wrong = piece("9-13", b"world");
    assert_eq!((wrong.status, wrong.header("range")), (416, "0-4"));
    assert_eq!(piece("x", b"world").status, 400);
    assert_eq!(piece("5-9", b"world").status, 202);
    let status = request(server.at, "GET", &location, &[], b"");
    assert_eq!((status.status, status.header("range")), (204, "0-9"));
    let digest = Digest::of(b"helloworld!");
    let end = request(server.at, "PUT", &format!("{location}?digest={digest}"), &[], b"!");
    assert_eq!(
        (end.status, end.header("location")),
        (201, &*format!("/v2/class/a/blobs/{digest}"))
    );
    assert_eq!(request(server.at, "GET", &location, &[], b"").status, 404);
    let got = request(server.at, "GET", &format!("/v2/class/a/blobs/{digest}"), &[], b"");
    assert_eq!((got.status, &*got.body), (200, &b"helloworld!"[..]));
}

#[test]
fn what_is_not_the_digest_is_refused_and_gone() {
    let server = OwnServer::start(|_| {});
    let digest = Digest::of(b"right");
    let path = format!("/v2/a/blobs/uploads/?digest={digest}");
    let answer = request(server.at, "POST", &path, &[], b"wrong");
    assert_eq!((answer.status, &*code(&answer)), (400, "DIGEST_INVALID"));
    let blob = format!("/v2/a/blobs/{digest}");
    assert_eq!(request(server.at, "HEAD", &blob, &[], b"").status, 404);
    assert_eq!(server.upload_files(), 0);
    // A length that the bytes do not have: what arrived stays for a resumption, under no digest.
    let lying = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\nConnection: close\r\n\r\nright"
    );
    let mut stream = std::net::TcpStream::connect(server.at).unwrap();
    std::io::Write::write_all(&mut stream, lying.as_bytes()).unwrap();
    drop(stream);
    assert_eq!(request(server.at, "HEAD", &blob, &[], b"").status, 404);
}

#[test]
fn a_blob_of_one_repository_is_no_other_repositorys_until_it_is_mounted() {
    let server = OwnServer::start(|_| {});
    let digest = push(&server, "one", b"secret");
    let of_other = format!("/v2/other/blobs/{digest}");
    assert_eq!(request(server.at, "GET", &of_other, &[], b"").status, 404);
    let mount = |from: &str| {
        let path = format!("/v2/other/blobs/uploads/?mount={digest}&from={from}");
        request(server.at, "POST", &path, &[], b"").status
    };
    assert_eq!(mount("nobody"), 202);
    assert_eq!(mount("..%2Fone"), 202);
    assert_eq!(request(server.at, "GET", &of_other, &[], b"").status, 404);
    assert_eq!(mount("one"), 201);
    assert_eq!(request(server.at, "GET", &of_other, &[], b"").body, b"secret");
}

#[test]
fn parts_and_unchanged_blobs_are_answered_as_in_http() {
    let server = OwnServer::start(|_| {});
    let digest = push(&server, "a", b"0123456789");
    let path = format!("/v2/a/blobs/{digest}");
    let part = |range: &str| request(server.at, "GET", &path, &[("Range", range)], b"");
    let some = part("bytes=2-4");
    assert_eq!((some.status, &*some.body), (206, &b"234"[..]));
    assert_eq!(some.header("content-range"), "bytes 2-4/10");
    assert_eq!(part("bytes=8-").body, b"89");
    assert_eq!(
        (part("bytes=10-").status, part("bytes=10-").header("content-range")),
        (416, "bytes */10")
    );
    let etag = format!("\"{digest}\"");
    assert_eq!(request(server.at, "GET", &path, &[("If-None-Match", &etag)], b"").status, 304);
    let head = request(server.at, "HEAD", &path, &[], b"");
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, "10", 0));
}

#[test]
fn a_manifest_needs_its_blobs_and_keeps_its_type() {
    let server = OwnServer::start(|_| {});
    let missing = Digest::of(b"missing");
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
        "config": { "mediaType": "x", "digest": missing, "size": 1 },
    });
    let put = |bytes: &[u8], media_type: &str| {
        request(server.at, "PUT", "/v2/a/manifests/1", &[("Content-Type", media_type)], bytes)
    };
    let answer = put(manifest.to_string().as_bytes(), MANIFEST);
    assert_eq!((answer.status, &*code(&answer)), (400, "MANIFEST_BLOB_UNKNOWN"));
    for (bytes, media_type, error) in [
        (&b"not json"[..], MANIFEST, "MANIFEST_INVALID"),
        (b"{}", "", "MANIFEST_INVALID"),
        (manifest.to_string().as_bytes(), "text/plain", "MANIFEST_INVALID"),
    ] {
        let answer = put(bytes, media_type);
        assert_eq!((answer.status, &*code(&answer)), (400, error));
    }
    let large = vec![b' '; 5 << 20];
    assert_eq!(put(&large, MANIFEST).status, 413);
    let digest = push_image(&server, "a", "1", &[b"layer"]);
    for which in ["1".to_owned(), digest.to_string()] {
        let got = request(server.at, "GET", &format!("/v2/a/manifests/{which}"), &[], b"");
        assert_eq!((got.status, got.header("content-type")), (200, MANIFEST));
        assert_eq!(Digest::of(&got.body), digest);
    }
    let unknown = request(server.at, "GET", "/v2/a/manifests/2", &[], b"");
    assert_eq!((unknown.status, &*code(&unknown)), (404, "MANIFEST_UNKNOWN"));
    let unknown = request(server.at, "GET", "/v2/b/manifests/2", &[], b"");
    assert_eq!((unknown.status, &*code(&unknown)), (404, "NAME_UNKNOWN"));
}

#[test]
fn sha512_names_blobs_and_manifests_too() {
    let server = OwnServer::start(|_| {});
    let mut digester = Digester::new(Algorithm::Sha512);
    digester.update(b"long");
    let digest = digester.finish();
    let path = format!("/v2/a/blobs/uploads/?digest={digest}");
    assert_eq!(request(server.at, "POST", &path, &[], b"long").status, 201);
    let got = request(server.at, "GET", &format!("/v2/a/blobs/{digest}"), &[], b"");
    assert_eq!(got.body, b"long");
}

#[test]
fn tags_and_repositories_are_listed_in_parts() {
    let server = OwnServer::start(|_| {});
    for tag in ["c", "a", "b"] {
        push_image(&server, "class/hello", tag, &[b"layer"]);
    }
    push_image(&server, "another", "1", &[]);
    let list = |path: &str| {
        let answer = request(server.at, "GET", path, &[], b"");
        let value: Value = serde_json::from_slice(&answer.body).unwrap();
        (value, answer.header("link").to_owned())
    };
    assert_eq!(list("/v2/class/hello/tags/list").0["tags"], json!(["a", "b", "c"]));
    let (first, link) = list("/v2/class/hello/tags/list?n=2");
    assert_eq!(first["tags"], json!(["a", "b"]));
    assert_eq!(link, "</v2/class/hello/tags/list?n=2&last=b>; rel=\"next\"");
    let (rest, link) = list("/v2/class/hello/tags/list?n=2&last=b");
    assert_eq!((rest["tags"].clone(), &*link), (json!(["c"]), ""));
    assert_eq!(list("/v2/class/hello/tags/list?n=0").0["tags"], json!([]));
    assert_eq!(list("/v2/_catalog").0["repositories"], json!(["another", "class/hello"]));
    let (_, link) = list("/v2/_catalog?n=1");
    assert!(link.contains("last=another"), "{link}");
}

#[test]
fn what_refers_to_a_manifest_is_found_by_its_type() {
    let server = OwnServer::start(|_| {});
    let subject = push_image(&server, "a", "1", &[b"layer"]);
    let config = push(&server, "a", b"{}");
    let attach = |artifact_type: &str| {
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": artifact_type, "layers": [],
            "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2 },
            "subject": { "mediaType": MANIFEST, "digest": subject, "size": 1 },
            "annotations": { "a": "b" },
        });
        put_manifest(&server, "a", artifact_type.rsplit('.').next().unwrap(), &manifest)
    };
    let (signature, _) = (attach("application/x.signature"), attach("application/x.sbom"));
    let list = |query: &str| {
        let path = format!("/v2/a/referrers/{subject}{query}");
        request(server.at, "GET", &path, &[], b"")
    };
    let all: Value = serde_json::from_slice(&list("").body).unwrap();
    assert_eq!(all["manifests"].as_array().unwrap().len(), 2);
    let filtered = list("?artifactType=application%2Fx.signature");
    assert_eq!(filtered.header("oci-filters-applied"), "artifactType");
    let some: Value = serde_json::from_slice(&filtered.body).unwrap();
    assert_eq!(some["manifests"][0]["digest"], json!(signature));
    assert_eq!(some["manifests"][0]["annotations"]["a"], "b");
    assert_eq!(some["manifests"].as_array().unwrap().len(), 1);
    let none = request(server.at, "GET", &format!("/v2/none/referrers/{subject}"), &[], b"");
    assert_eq!(none.status, 200);
}

#[test]
fn what_is_deleted_is_gone_and_nothing_else() {
    let server = OwnServer::start(|_| {});
    let digest = push_image(&server, "a", "1", &[b"layer"]);
    let other = push_image(&server, "a", "2", &[b"layer"]);
    let status = |method: &str, path: &str| request(server.at, method, path, &[], b"").status;
    assert_eq!(status("DELETE", "/v2/a/manifests/2"), 202);
    assert_eq!(status("DELETE", &format!("/v2/a/manifests/{other}")), 202);
    assert_eq!(status("DELETE", "/v2/a/manifests/2"), 404);
    assert_eq!(status("GET", "/v2/a/manifests/1"), 200);
    assert_eq!(status("DELETE", &format!("/v2/a/manifests/{digest}")), 202);
    assert_eq!(status("GET", "/v2/a/manifests/1"), 404);
    let blob = format!("/v2/a/blobs/{}", Digest::of(b"layer"));
    assert_eq!(status("DELETE", &blob), 202);
    assert_eq!(status("GET", &blob), 404);
}

#[test]
fn no_request_leads_out_of_the_registry_or_ends_it() {
    let server = OwnServer::start(|_| {});
    let digest = Digest::of(b"");
    for line in [
        "GET /v2/../../etc/passwd HTTP/1.1",
        "GET /v2/%2e%2e/%2e%2e/tags/list HTTP/1.1",
        "PUT /v2/a/manifests/..%2f..%2fx HTTP/1.1",
        "POST /v2/a/../b/blobs/uploads/ HTTP/1.1",
        &format!("GET /v2//blobs/{digest} HTTP/1.1"),
        "GET /v2/a/blobs/uploads/../../x HTTP/1.1",
        "TRACE /v2/ HTTP/1.1",
        "DELETE / HTTP/1.1",
        "PATCH /v2/a/manifests/1 HTTP/1.1",
        "nonsense",
    ] {
        let request = format!("{line}\r\nHost: x\r\nConnection: close\r\n\r\n");
        let status = raw(server.at, request.as_bytes()).map(|answer| answer.status);
        assert!(status.is_none_or(|status| (400..500).contains(&status)), "{line}: {status:?}");
    }
    let long = format!("GET /v2/ HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "y".repeat(1 << 20));
    let answer = raw(server.at, long.as_bytes());
    assert!(answer.is_none_or(|answer| answer.status == 431));
    assert_eq!(request(server.at, "GET", "/v2/", &[], b"").status, 200);
    let top: Vec<_> = std::fs::read_dir(server.data.path()).unwrap().collect();
    assert_eq!(top.len(), 1);
}

#[test]
fn a_read_only_registry_takes_nothing_and_quotas_hold() {
    let server = OwnServer::start(|options| options.read_only = true);
    let answer = request(server.at, "POST", "/v2/a/blobs/uploads/", &[], b"");
    assert_eq!((answer.status, &*code(&answer)), (405, "UNSUPPORTED"));
    let server = OwnServer::start(|options| {
        options.max_blob = 100;
        options.max_total = Some(150);
    });
    push(&server, "a", &[1; 100]);
    let post = |bytes: &[u8]| {
        let path = format!("/v2/a/blobs/uploads/?digest={}", Digest::of(bytes));
        request(server.at, "POST", &path, &[], bytes).status
    };
    assert_eq!(post(&[2; 101]), 413);
    assert_eq!(post(&[3; 60]), 507);
    assert_eq!(post(&[4; 40]), 201);
}

#[test]
fn many_clients_at_once_lose_nothing() {
    let server = OwnServer::start(|_| {});
    let layer = vec![7; 200_000];
    std::thread::scope(|scope| {
        for number in 0..100 {
            let (server, layer) = (&server, &layer);
            scope.spawn(move || {
                let own = format!("layer of {number}").into_bytes();
                // All push the same blob as well, and into the same repository.
                let name = format!("class/{}", number % 4);
                let tag = format!("t{number}");
                let digest = push_image(server, &name, &tag, &[layer, &own]);
                let path = format!("/v2/{name}/manifests/{tag}");
                let got = request(server.at, "GET", &path, &[], b"");
                assert_eq!(Digest::of(&got.body), digest);
                let blob = format!("/v2/{name}/blobs/{}", Digest::of(layer));
                assert_eq!(request(server.at, "GET", &blob, &[], b"").body, *layer);
            });
        }
    });
    let list = request(server.at, "GET", "/v2/_catalog", &[], b"");
    assert!(list.text().contains("class/3"), "{}", list.text());
}

#[test]
fn the_page_shows_what_is_there_in_both_languages_without_a_script() {
    let server = OwnServer::start(|_| {});
    let empty = request(server.at, "GET", "/", &[], b"");
    assert!(empty.text().contains("Nothing was pushed yet"), "{}", empty.text());
    push_image(&server, "class/hello", "1", &[b"shared layer", b"one"]);
    push_image(&server, "class/other", "2", &[b"shared layer"]);
    let page = request(server.at, "GET", "/", &[], b"").text();
    for part in ["class/hello", "class/other", "shared by 2", "lang=\"en\""] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("<script"));
    let chinese = request(server.at, "GET", "/?lang=zh", &[], b"").text();
    assert!(chinese.contains("镜像仓库") && chinese.contains("lang=\"zh\""));
    let accepted = request(server.at, "GET", "/", &[("Accept-Language", "zh-CN,zh;q=0.9")], b"");
    assert!(accepted.text().contains("镜像仓库"));
}
