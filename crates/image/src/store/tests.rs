//! Tests of the store.

use tempfile::TempDir;

use super::*;
use crate::manifest::{DOCKER_CONFIG, DOCKER_MANIFEST, descriptor};

fn store() -> (TempDir, Store) {
    let folder = TempDir::new().unwrap();
    let store = Store::open(&folder.path().join("images")).unwrap();
    (folder, store)
}

fn left_in_ingest(store: &Store) -> usize {
    fs::read_dir(store.path().join("ingest")).unwrap().count()
}

#[test]
fn a_blob_is_whole_or_not_there() {
    let (_folder, store) = store();
    let digest = Digest::of(b"hello");
    let mut ingest = store.ingest(&digest, Some(5)).unwrap().unwrap();
    ingest.push(b"hel").unwrap();
    assert!(store.blob(&digest).unwrap().is_none());
    drop(ingest);
    // The next attempt goes on from there.
    let mut ingest = store.ingest(&digest, Some(5)).unwrap().unwrap();
    assert_eq!(ingest.offset(), 3);
    ingest.push(b"lo").unwrap();
    ingest.commit().unwrap();
    let blob = store.blob(&digest).unwrap().unwrap();
    assert_eq!(blob.read_verified(&digest, 5).unwrap(), b"hello");
    assert!(store.ingest(&digest, Some(5)).unwrap().is_none());
    assert_eq!(left_in_ingest(&store), 0);
}

#[test]
fn what_is_not_the_blob_is_deleted() {
    let (_folder, store) = store();
    let digest = Digest::of(b"hello");
    for (size, bytes, why) in [
        (Some(5), &b"jello"[..], "the content is not"),
        (Some(5), b"hell", "should have 5 bytes and has 4"),
        (Some(5), b"hello!", "should have 5 bytes and has 6"),
        (None, b"hello!", "the content is not"),
    ] {
        let mut ingest = store.ingest(&digest, size).unwrap().unwrap();
        let error = ingest.push(bytes).and_then(|()| ingest.commit()).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
        assert!(store.blob(&digest).unwrap().is_none());
        assert_eq!(left_in_ingest(&store), 0);
    }
}

#[test]
fn a_blob_that_changed_on_disk_is_not_used() {
    let (_folder, store) = store();
    let digest = store.add(b"hello").unwrap();
    fs::remove_file(store.blob_path(&digest)).unwrap();
    fs::write(store.blob_path(&digest), b"jello").unwrap();
    let at = descriptor(DOCKER_MANIFEST, &digest, 5);
    let error = store.read_small("manifest", &at).unwrap_err();
    assert!(matches!(error, StoreError::WrongDigest { .. }), "{error}");
}

#[test]
fn two_writers_of_one_blob_make_one_blob() {
    let (_folder, store) = store();
    let bytes = vec![7; 1 << 20];
    let digest = Digest::of(&bytes);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let store = Store::open(store.path()).unwrap();
                if let Some(mut ingest) = store.ingest(&digest, Some(1 << 20)).unwrap() {
                    ingest.restart().unwrap();
                    bytes.chunks(10_000).for_each(|piece| ingest.push(piece).unwrap());
                    ingest.commit().unwrap();
                }
                store.blob(&digest).unwrap().unwrap().verify(&digest).unwrap();
            });
        }
    });
    assert_eq!(left_in_ingest(&store), 0);
}

/// An image without layers, whose config says `author`.
fn add_image(store: &Store, author: &str) -> Descriptor {
    let config = ImageConfig { author: author.into(), ..ImageConfig::scratch() };
    let config = serde_json::to_vec(&config).unwrap();
    let digest = store.add(&config).unwrap();
    let config = descriptor(DOCKER_CONFIG, &digest, config.len() as u64);
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": config, "layers": [],
    });
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let digest = store.add(&manifest).unwrap();
    descriptor(DOCKER_MANIFEST, &digest, manifest.len() as u64)
}

#[test]
fn a_name_leads_to_its_image_and_a_new_image_takes_it() {
    let (_folder, store) = store();
    let (one, other) = (add_image(&store, "one"), add_image(&store, "other"));
    let name: Reference = "class/hello:1".parse().unwrap();
    let error = store.image(&name, &Platform::host()).unwrap_err();
    assert!(error.to_string().starts_with("no such image: class/hello:1\n"), "{error}");
    store.tag(&name, &one).unwrap();
    assert_eq!(store.image(&name, &Platform::host()).unwrap().config.author, "one");
    store.tag(&name, &other).unwrap();
    assert_eq!(store.image(&name, &Platform::host()).unwrap().config.author, "other");
    assert_eq!(store.dangling().unwrap().len(), 1);
    let by_digest = name.with_digest(manifest::digest_of(&other).unwrap());
    assert_eq!(store.image(&by_digest, &Platform::host()).unwrap().config.author, "other");
    // The first one again: it is no longer dangling.
    store.tag(&name, &one).unwrap();
    let (removed, has_other_name) = store.untag(&name).unwrap().unwrap();
    assert_eq!((removed.digest(), has_other_name), (one.digest(), false));
    assert!(store.find(&name).unwrap().is_none());
}

#[test]
fn no_name_is_lost_when_many_are_given_at_once() {
    let (_folder, store) = store();
    let image = add_image(&store, "one");
    std::thread::scope(|scope| {
        for number in 0..16 {
            let (store, image) = (&store, &image);
            scope.spawn(move || {
                let name = format!("class/hello:{number}").parse().unwrap();
                Store::open(store.path()).unwrap().tag(&name, image).unwrap();
            });
        }
    });
    assert_eq!(store.references().unwrap().len(), 16);
}

#[test]
fn an_index_that_leads_to_itself_has_an_end() {
    let (_folder, store) = store();
    // A digest cannot be its own, but a chain can be long.
    let mut at = add_image(&store, "deep");
    for _ in 0..10 {
        let index = serde_json::json!({
            "schemaVersion": 2, "mediaType": manifest::OCI_INDEX, "manifests": [at],
        });
        let index = serde_json::to_vec(&index).unwrap();
        let digest = store.add(&index).unwrap();
        at = descriptor(manifest::OCI_INDEX, &digest, index.len() as u64);
    }
    let error = store.image_at(&at, &Platform::host()).unwrap_err();
    assert!(matches!(error, StoreError::TooManyIndexes { .. }), "{error}");
}

#[test]
fn a_directory_of_something_else_is_not_taken() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("mine"), "x").unwrap();
    let error = Store::open(folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::NotAStore { .. }), "{error}");
    assert!(!folder.path().join("blobs").exists());
}
