use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use super::{
    super::{collect::collect, uploads},
    *,
};

fn push(storage: &Storage, name: &str, bytes: &[u8]) -> Digest {
    let digest = Digest::of(bytes);
    let id = storage.uploads.begin(name).unwrap();
    let upload = storage.uploads.find(name, &id).unwrap();
    let file = storage.uploads.file(&id).unwrap();
    storage.uploads.push(&mut uploads::lock(&upload), &file, bytes).unwrap();
    let keep = |path: &str, length| storage.keep(name, path, &digest, length);
    storage.uploads.finish(&id, &upload, &digest, keep).unwrap();
    digest
}

fn push_manifest(storage: &Storage, name: &str, layer: &[u8]) -> Digest {
    let layer = serde_json::json!({ "digest": Digest::of(layer), "size": layer.len() });
    let bytes = serde_json::json!({ "layers": [layer] }).to_string().into_bytes();
    let digest = Digest::of(&bytes);
    let manifest = StoredManifest { digest: digest.clone(), media_type: "x".into(), bytes };
    storage.keep_manifest(name, &manifest, Some("1")).unwrap();
    digest
}

fn is_there(storage: &Storage, name: &str, digest: &Digest) -> bool {
    storage.blob_length(name, digest).unwrap().is_some()
}

#[test]
fn who_is_told_that_a_blob_is_there_is_not_told_so_while_it_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::open(folder.path(), false, None).unwrap();
    let digest = push(&storage, "a", b"layer");
    let has_answered = AtomicBool::new(false);
    thread::scope(|scope| {
        // As a collection does.
        let alone = storage.alone();
        let head = scope.spawn(|| {
            let found = storage.rely_on_blob("a", &digest);
            has_answered.store(true, Ordering::Relaxed);
            found.is_ok()
        });
        thread::sleep(Duration::from_millis(200));
        assert!(!has_answered.load(Ordering::Relaxed));
        storage.unlink_blob("a", &digest).unwrap();
        drop(alone);
        assert!(!head.join().unwrap(), "it was told of a blob that is gone");
    });
}

#[test]
fn what_a_damaged_manifest_needed_is_not_collected() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::open(folder.path(), false, None).unwrap();
    let layer = push(&storage, "a", b"layer");
    let manifest = push_manifest(&storage, "a", b"layer");
    let file = folder.path().join(layout::blob(&manifest));
    fs::write(&file, b"").unwrap();
    assert_eq!(collect(&storage, Duration::ZERO).unwrap().blobs, 0);
    assert!(is_there(&storage, "a", &layer));
    // Pushed again, it is whole, and then it can go.
    push_manifest(&storage, "a", b"layer");
    assert!(storage.delete_manifest("a", &manifest).unwrap());
    assert_eq!(collect(&storage, Duration::ZERO).unwrap().blobs, 2);
}

#[test]
fn a_blob_that_no_manifest_ever_needed_is_collected() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::open(folder.path(), false, None).unwrap();
    push(&storage, "a/b", b"layer");
    assert_eq!(collect(&storage, Duration::from_secs(60)).unwrap().blobs, 0);
    assert_eq!(collect(&storage, Duration::ZERO).unwrap().blobs, 1);
}

#[test]
fn a_directory_that_is_made_is_synced_before_anything_is_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::open(folder.path(), true, None).unwrap();
    let digest = push(&storage, "class/a", b"layer");
    push_manifest(&storage, "class/a", b"layer");
    let trace = std::mem::take(&mut *storage.directory.trace.lock().unwrap());
    let position = |event: &str| trace.iter().position(|traced| traced == event);
    for made in [
        "repositories/class",
        "repositories/class/a",
        "repositories/class/a/_blobs",
        "repositories/class/a/_manifests",
        "repositories/class/a/_tags",
    ] {
        let (above, _) = made.rsplit_once('/').unwrap();
        let at = position(&format!("make {made}")).unwrap_or_else(|| panic!("{made}: {trace:?}"));
        assert_eq!(trace[at + 1], format!("sync {above}"), "{trace:?}");
    }
    for named in ["blobs/sha256", "repositories/class/a/_blobs", "repositories/class/a/_tags"] {
        assert!(position(&format!("sync {named}")).is_some(), "{named}: {trace:?}");
    }
    // The same blob again: whoever is answered now relies on nothing that another push will sync.
    assert_eq!(push(&storage, "class/a", b"layer"), digest);
    let trace = storage.directory.trace.lock().unwrap();
    assert!(trace.contains(&"sync blobs/sha256".to_owned()), "{trace:?}");
}

#[test]
fn room_is_given_back_by_expiry_deletion_and_collection() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::open(folder.path(), false, Some(1000)).unwrap();
    let id = storage.uploads.begin("a").unwrap();
    let upload = storage.uploads.find("a", &id).unwrap();
    let file = storage.uploads.file(&id).unwrap();
    storage.uploads.push(&mut uploads::lock(&upload), &file, &[1; 600]).unwrap();
    assert!(storage.uploads.push(&mut uploads::lock(&upload), &file, &[1; 600]).is_err());
    assert_eq!(storage.quota.taken(), 600);
    assert_eq!(storage.uploads.expire(Duration::ZERO).unwrap(), 1);
    assert_eq!(storage.quota.taken(), 0);
    push(&storage, "a", &[2; 500]);
    push(&storage, "b", &[2; 500]);
    assert_eq!(storage.quota.taken(), 500);
    drop(storage);
    let storage = Storage::open(folder.path(), false, Some(1000)).unwrap();
    assert_eq!(storage.quota.taken(), 500);
    collect(&storage, Duration::ZERO).unwrap();
    assert_eq!(storage.quota.taken(), 0);
}

#[test]
fn what_a_killed_server_left_is_removed_or_taken_up() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::open(folder.path(), false, None).unwrap();
    let id = storage.uploads.begin("a").unwrap();
    fs::write(folder.path().join(layout::upload(&id)), b"received").unwrap();
    drop(storage);
    let orphan = format!("{}.repository", "0".repeat(32));
    for name in ["new-1", &orphan] {
        fs::write(folder.path().join(layout::upload(name)), b"x").unwrap();
    }
    let storage = Storage::open(folder.path(), false, None).unwrap();
    let taken_up = storage.uploads.find("a", &id).unwrap();
    assert_eq!(uploads::lock(&taken_up).offset(), 8);
    assert!(storage.uploads.find("b", &id).is_err());
    let left = |folder: &Path| fs::read_dir(folder.join("uploads")).unwrap().count();
    assert_eq!(left(folder.path()), 3);
    storage.uploads.expire(Duration::ZERO).unwrap();
    assert_eq!(left(folder.path()), 0);
}

#[test]
fn uploads_that_nobody_finishes_have_a_limit_and_no_descriptors() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::open(folder.path(), false, None).unwrap();
    let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
    let before = descriptors();
    let begun: Vec<String> =
        (0..uploads::MOST).map(|_| storage.uploads.begin("a").unwrap()).collect();
    // Other tests open some at the same time.
    assert!(descriptors() < before + 200, "{}", descriptors());
    let refused = storage.uploads.begin("a").unwrap_err();
    assert_eq!(refused.status, 429);
    storage.uploads.end(&begun[0]);
    storage.uploads.begin("a").unwrap();
}
