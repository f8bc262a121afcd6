//! What a server may keep, what it refuses to delete, and what manifests must say.

mod common;

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use common::{
    http::{raw, request},
    images::{MANIFEST, code, descriptor, push, push_image, put_manifest, try_manifest, try_push},
    own_server::OwnServer,
};
use image::digest::Digest;
use serde_json::json;

const MOST: u64 = 1 << 20;

/// A request whose body comes in chunks: nobody knows its length before its end.
fn chunked(server: &OwnServer, method: &str, path: &str, bytes: &[u8]) -> common::http::Answer {
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    for piece in bytes.chunks(8192) {
        request.extend(format!("{:x}\r\n", piece.len()).as_bytes());
        request.extend(piece);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    raw(server.at, &request).expect("an answer")
}

fn begin(server: &OwnServer) -> String {
    let begun = request(server.at, "POST", "/v2/a/blobs/uploads/", &[], b"");
    assert_eq!(begun.status, 202, "{}", begun.text());
    begun.header("location").to_owned()
}

#[test]
fn an_upload_that_outgrows_the_quota_is_ended_and_gives_its_room_back() {
    let server = OwnServer::start(|options| options.max_total = Some(MOST));
    let location = begin(&server);
    let answer = chunked(&server, "PATCH", &location, &vec![1; 3 << 20]);
    assert_eq!((answer.status, &*code(&answer)), (507, "DENIED"), "{}", answer.text());
    assert_eq!(request(server.at, "GET", &location, &[], b"").status, 404);
    assert_eq!(server.upload_files(), 0);
    push(&server, "a", &vec![2; MOST as usize]);
    assert_eq!(try_push(&server, "a", b"x").status, 507);
    // A second time it is the same blob, and needs no more room in the end than it has; but it must
    // arrive before that is known.
    assert_eq!(try_push(&server, "b", &vec![2; MOST as usize]).status, 507);
}

#[test]
fn uploads_at_the_same_time_stay_within_the_quota() {
    let server = OwnServer::start(|options| options.max_total = Some(MOST));
    let kept: usize = std::thread::scope(|scope| {
        let pushes: Vec<_> = (0..8u8)
            .map(|number| {
                let server = &server;
                scope.spawn(move || {
                    let bytes = vec![number; 400 << 10];
                    let (location, digest) = (begin(server), Digest::of(&bytes));
                    let sent = chunked(server, "PATCH", &location, &bytes);
                    assert!(matches!(sent.status, 202 | 507), "{}", sent.text());
                    assert!(server.bytes() <= MOST, "{} bytes", server.bytes());
                    let path = format!("{location}?digest={digest}");
                    usize::from(request(server.at, "PUT", &path, &[], b"").status == 201)
                })
            })
            .collect();
        pushes.into_iter().map(|push| push.join().unwrap()).sum()
    });
    assert!((1..=2).contains(&kept), "{kept} blobs of 400 KiB");
    assert!(server.bytes() <= MOST);
    assert_eq!(server.upload_files(), 0);
}

#[test]
fn room_is_given_back_when_an_upload_is_cancelled_and_when_a_blob_comes_twice() {
    let server = OwnServer::start(|options| options.max_total = Some(MOST));
    for _ in 0..3 {
        let location = begin(&server);
        assert_eq!(chunked(&server, "PATCH", &location, &vec![1; 900 << 10]).status, 202);
        assert_eq!(try_push(&server, "a", &vec![2; 900 << 10]).status, 507);
        assert_eq!(request(server.at, "DELETE", &location, &[], b"").status, 204);
    }
    for _ in 0..5 {
        push(&server, "a", &vec![3; 400 << 10]);
    }
    push(&server, "a", &vec![4; 500 << 10]);
    // Manifests count too.
    let long = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
        "annotations": { "long": "x".repeat(200 << 10) },
    });
    let answer = try_manifest(&server, "a", "1", &long);
    assert_eq!((answer.status, &*code(&answer)), (507, "DENIED"));
    assert!(server.bytes() <= MOST);
}

#[test]
fn what_was_kept_before_a_restart_counts() {
    let data = tempfile::tempdir().unwrap();
    for expected in [201, 507] {
        let folder = tempfile::tempdir().unwrap();
        let server = OwnServer::start_in(folder, |options| {
            options.data = data.path().join("registry");
            options.max_total = Some(MOST);
        });
        let bytes = vec![expected as u8; 600 << 10];
        assert_eq!(try_push(&server, "a", &bytes).status, expected);
    }
}

#[test]
fn an_upload_that_has_ended_takes_no_more_bytes() {
    let server = OwnServer::start(|_| {});
    let location = begin(&server);
    let head = format!("PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n");
    let mut slow = TcpStream::connect(server.at).unwrap();
    slow.write_all(&[head.as_bytes(), b"01234"].concat()).unwrap();
    let has_five = |_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        request(server.at, "GET", &location, &[], b"").header("range") == "0-4"
    };
    assert!((0..200).any(has_five), "the first bytes did not arrive");
    let digest = Digest::of(b"01234");
    let path = format!("{location}?digest={digest}");
    assert_eq!(request(server.at, "PUT", &path, &[], b"").status, 201);
    slow.write_all(b"56789").unwrap();
    let mut answer = [0; 12];
    slow.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 404");
    let got = request(server.at, "GET", &format!("/v2/a/blobs/{digest}"), &[], b"");
    assert_eq!(got.body, b"01234");
}

#[test]
fn a_blob_that_a_manifest_needs_is_not_deleted() {
    let server = OwnServer::start(|_| {});
    let manifest = push_image(&server, "a", "1", &[b"layer"]);
    push(&server, "b", b"layer");
    let layer = Digest::of(b"layer");
    let delete = |path: &str| request(server.at, "DELETE", path, &[], b"");
    let refused = delete(&format!("/v2/a/blobs/{layer}"));
    assert_eq!((refused.status, &*code(&refused)), (405, "UNSUPPORTED"));
    assert!(refused.text().contains(&manifest.to_string()), "{}", refused.text());
    assert_eq!(delete(&format!("/v2/b/blobs/{layer}")).status, 202);
    assert_eq!(delete(&format!("/v2/a/manifests/{manifest}")).status, 202);
    assert_eq!(delete(&format!("/v2/a/blobs/{layer}")).status, 202);
}

#[test]
fn the_sizes_in_a_manifest_are_those_of_the_blobs() {
    let server = OwnServer::start(|_| {});
    push(&server, "a", b"layer");
    push(&server, "a", b"{}");
    let manifest = |size: u64| {
        let layer = json!({ "mediaType": "x", "digest": Digest::of(b"layer"), "size": size });
        json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(b"{}"), "layers": [layer],
        })
    };
    for size in [0, 4, 6, u64::MAX] {
        let answer = try_manifest(&server, "a", "1", &manifest(size));
        assert_eq!((answer.status, &*code(&answer)), (400, "SIZE_INVALID"), "{size}");
        assert!(answer.text().contains("5 bytes"), "{}", answer.text());
    }
    let child = put_manifest(&server, "a", "1", &manifest(5));
    let index = |size: usize| {
        json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [{ "mediaType": MANIFEST, "digest": child, "size": size }],
        })
    };
    let right = manifest(5).to_string().len();
    assert_eq!(try_manifest(&server, "a", "2", &index(right + 1)).status, 400);
    assert_eq!(try_manifest(&server, "a", "2", &index(right)).status, 201);
}

#[test]
fn a_media_type_is_short() {
    let server = OwnServer::start(|_| {});
    let manifest = json!({
        "schemaVersion": 2, "mediaType": format!("x/{}", "y".repeat(300)), "layers": [],
    });
    let answer = try_manifest(&server, "a", "1", &manifest);
    assert_eq!((answer.status, &*code(&answer)), (400, "MANIFEST_INVALID"));
}
