//! The server and the clients that people have.

mod common;

use std::{path::Path, process::Command};

use common::{
    http::{raw, request},
    own_server::OwnServer,
};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn is_there(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        common::skip(&format!("{program} is not installed"));
    }
    found
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// An OCI layout with one image of two layers, made by hand.
fn layout(directory: &Path) {
    use image::digest::Digest;
    use serde_json::json;
    let blobs = directory.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let add = |media_type: &str, bytes: &[u8]| {
        let digest = Digest::of(bytes);
        std::fs::write(blobs.join(digest.hex()), bytes).unwrap();
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    };
    // The end of a tar archive is one: an empty layer. The second has one more block of zeros.
    let tars = [vec![0; 1024], vec![0; 1536]];
    let ids: Vec<_> = tars.iter().map(|tar| Digest::of(tar)).collect();
    let layers: Vec<_> =
        tars.iter().map(|tar| add("application/vnd.oci.image.layer.v1.tar", tar)).collect();
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": ids},
    });
    let config = add("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers,
    });
    let manifest = add(MANIFEST, manifest.to_string().as_bytes());
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    std::fs::write(directory.join("index.json"), index.to_string()).unwrap();
    std::fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

#[test]
fn skopeo_pushes_lists_pulls_and_deletes() {
    if !is_there("skopeo") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    layout(&directory.path().join("in"));
    let served = OwnServer::start(|_| {});
    let from = format!("oci:{}", directory.path().join("in").display());
    let to = format!("oci:{}:x", directory.path().join("out").display());
    let image = format!("docker://{}/class/hello:1", served.at);
    run("skopeo", &["copy", "--dest-tls-verify=false", &from, &image]);
    let other = image.replace("hello:1", "other:2");
    run("skopeo", &["copy", "--src-tls-verify=false", "--dest-tls-verify=false", &image, &other]);
    let repository = image.trim_end_matches(":1");
    assert!(run("skopeo", &["list-tags", "--tls-verify=false", repository]).contains("\"1\""));
    assert!(run("skopeo", &["inspect", "--tls-verify=false", &image]).contains("amd64"));
    run("skopeo", &["copy", "--src-tls-verify=false", &other, &to]);
    assert_eq!(std::fs::read_dir(directory.path().join("out/blobs/sha256")).unwrap().count(), 4);
    run("skopeo", &["delete", "--tls-verify=false", &image]);
    let deleted = request(served.at, "GET", "/v2/class/hello/manifests/1", &[], b"");
    assert_eq!(deleted.status, 404);
}

/// Whether `program`, which keeps images of its own, may work in `directory`.
fn keeps_images_in(program: &str, directory: &Path) -> Option<Vec<String>> {
    if !nix::unistd::geteuid().is_root() {
        common::skip(&format!("{program} needs root to unpack an image with its owners"));
        return None;
    }
    is_there(program).then(|| {
        let below = |name| directory.join(name).display().to_string();
        let words = ["--root", &below("root"), "--runroot", &below("run")].map(str::to_owned);
        words.into_iter().chain(["--storage-driver".into(), "vfs".into()]).collect()
    })
}

#[test]
fn podman_and_buildah_pull_name_and_push() {
    if !is_there("skopeo") {
        return;
    }
    for program in ["podman", "buildah"] {
        let directory = tempfile::tempdir().unwrap();
        let Some(storage) = keeps_images_in(program, directory.path()) else { continue };
        layout(&directory.path().join("in"));
        let served = OwnServer::start(|_| {});
        let image = format!("{}/class/hello:1", served.at);
        let other = format!("{}/{program}/hello:2", served.at);
        let call = |words: &[&str]| {
            let storage = storage.iter().map(String::as_str);
            run(program, &storage.chain(words.iter().copied()).collect::<Vec<_>>())
        };
        let from = format!("oci:{}", directory.path().join("in").display());
        let to = format!("docker://{image}");
        run("skopeo", &["copy", "--dest-tls-verify=false", &from, &to]);
        call(&["pull", "-q", "--tls-verify=false", &image]);
        call(&["tag", &image, &other]);
        call(&["push", "-q", "--tls-verify=false", &other, &format!("docker://{other}")]);
        let tags = request(served.at, "GET", &format!("/v2/{program}/hello/tags/list"), &[], b"");
        assert!(String::from_utf8_lossy(&tags.body).contains("\"2\""), "{program}");
    }
}

#[test]
fn skopeo_logs_in_with_a_password_of_htpasswd() {
    if !is_there("skopeo") || !is_there("htpasswd") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    layout(&directory.path().join("in"));
    let passwords = directory.path().join("passwords");
    run("htpasswd", &["-cbB", passwords.to_str().unwrap(), "ann", "secret"]);
    let served = OwnServer::start(|options| options.htpasswd = Some(passwords.clone()));
    let from = format!("oci:{}", directory.path().join("in").display());
    let image = format!("docker://{}/class/hello:1", served.at);
    let copy = ["copy", "--dest-tls-verify=false", "--dest-creds"];
    run("skopeo", &[&copy[..], &["ann:secret", &from, &image]].concat());
    let wrong = [&copy[..], &["ann:wrong", &from, &image]].concat();
    assert!(!Command::new("skopeo").args(wrong).output().unwrap().status.success());
}

#[test]
fn tls_is_spoken_with_a_certificate() {
    if !is_there("openssl") || !is_there("curl") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (certificate, key) = (file("certificate"), file("key"));
    let request =
        ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"];
    let names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", &key, "-out", &certificate];
    run("openssl", &[&request[..], &names].concat());
    let served = OwnServer::start(|options| {
        options.tls = Some((certificate.clone().into(), key.clone().into()));
    });
    let url = format!("https://{}/v2/", served.at);
    assert_eq!(run("curl", &["-sf", "--cacert", &certificate, &url]), "{}");
    // Who speaks plain HTTP gets nothing.
    assert!(raw(served.at, b"GET /v2/ HTTP/1.1\r\nHost: r\r\n\r\n").is_none());
}
