//! Blobs and images, pushed by plain requests.

use image::digest::Digest;
use serde_json::{Value, json};

use super::{
    http::{Answer, request},
    own_server::OwnServer,
};

/// The media type of the manifests here.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The specification's code of an error.
pub fn code(answer: &Answer) -> String {
    let value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    value["errors"][0]["code"].as_str().unwrap_or_default().to_owned()
}

/// Tries to push a blob at once.
pub fn try_push(server: &OwnServer, name: &str, bytes: &[u8]) -> Answer {
    let path = format!("/v2/{name}/blobs/uploads/?digest={}", Digest::of(bytes));
    request(server.at, "POST", &path, &[], bytes)
}

/// Pushes a blob at once.
pub fn push(server: &OwnServer, name: &str, bytes: &[u8]) -> Digest {
    let answer = try_push(server, name, bytes);
    assert_eq!(answer.status, 201, "{}", answer.text());
    let digest = Digest::of(bytes);
    assert_eq!(answer.header("docker-content-digest"), digest.to_string());
    digest
}

/// A descriptor of these bytes.
pub fn descriptor(bytes: &[u8]) -> Value {
    json!({ "mediaType": "x", "digest": Digest::of(bytes), "size": bytes.len() })
}

/// Pushes an image of these layers, and returns the digest of its manifest.
pub fn push_image(server: &OwnServer, name: &str, tag: &str, layers: &[&[u8]]) -> Digest {
    let config = format!("{{\"tag\":\"{tag}\"}}").into_bytes();
    push(server, name, &config);
    let layers = layers.iter().map(|bytes| {
        push(server, name, bytes);
        descriptor(bytes)
    });
    let layers: Vec<Value> = layers.collect();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "layers": layers,
        "config": descriptor(&config),
    });
    put_manifest(server, name, tag, &manifest)
}

/// Tries to put a manifest under a tag.
pub fn try_manifest(server: &OwnServer, name: &str, tag: &str, manifest: &Value) -> Answer {
    let media_type = manifest["mediaType"].as_str().unwrap();
    let path = format!("/v2/{name}/manifests/{tag}");
    let headers = [("Content-Type", media_type)];
    request(server.at, "PUT", &path, &headers, manifest.to_string().as_bytes())
}

/// Puts a manifest under a tag.
pub fn put_manifest(server: &OwnServer, name: &str, tag: &str, manifest: &Value) -> Digest {
    let answer = try_manifest(server, name, tag, manifest);
    assert_eq!(answer.status, 201, "{}", answer.text());
    Digest::of(manifest.to_string().as_bytes())
}
