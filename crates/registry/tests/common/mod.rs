//! What the tests share: a registry that answers as it is told, images, skips.

#![allow(dead_code, reason = "each test uses some of it")]

pub mod fixture;
pub mod http;
pub mod images;
pub mod own_server;
pub mod peer;
pub mod script;

use std::error::Error;

use image::{reference::Reference, store::Store};
use registry::client::{Client, ClientOptions};
use tempfile::TempDir;

/// A new store, and the folder that is deleted with the test.
pub fn store() -> (TempDir, Store) {
    let folder = TempDir::new().unwrap();
    let store = Store::open(&folder.path().join("images")).unwrap();
    (folder, store)
}

/// How the client of a test talks: as usual, but without patience.
pub fn options() -> ClientOptions {
    use std::time::Duration;
    ClientOptions {
        idle: Duration::from_millis(300),
        connect: Duration::from_secs(5),
        backoff: Duration::from_millis(10),
        ..ClientOptions::default()
    }
}

/// The client of a test.
pub fn client() -> Client {
    Client::new(options())
}

/// The image `class/hello:1` of the registry at `address`.
pub fn hello(address: &str) -> Reference {
    format!("{address}/class/hello:1").parse().unwrap()
}

/// An error and all its causes, as the command line prints them, and as a panic would.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    format!("{text}\n{error:?}")
}

/// How many blobs the store has, and how many are arriving.
pub fn count(store: &Store) -> (usize, usize) {
    let entries = |folder| std::fs::read_dir(store.path().join(folder)).unwrap().count();
    (entries("blobs/sha256"), entries("ingest"))
}

/// Says that the test is skipped, and why, which `ISOLAB_REQUIRE=registry` forbids.
pub fn skip(reason: &str) {
    let required = std::env::var("ISOLAB_REQUIRE").unwrap_or_default();
    assert!(!required.contains("registry"), "registry required: {reason}");
    println!("skipped: {reason}");
}
