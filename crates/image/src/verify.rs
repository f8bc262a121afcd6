//! Verifies what is in the store: every digest is computed anew.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
};

use oci_spec::image::Descriptor;

use crate::{
    digest::Digest,
    gc::{self, CollectError},
    manifest::{self, Document},
    store::{Store, StoreError},
};

/// A blob that is not what an image needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Its digest.
    pub digest: Digest,
    /// What is wrong with it.
    pub why: String,
    /// The images that need it.
    pub images: Vec<String>,
    /// Whether the blob itself is what its digest says, and only these images are wrong about it:
    /// to remove it would take it from others.
    pub is_intact: bool,
}

/// What was verified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// How many blobs.
    pub blobs: usize,
    /// Their bytes.
    pub bytes: u64,
    /// What is wrong, sorted by digest.
    pub damaged: Vec<Damage>,
}

/// A blob that is needed: by whom, and of which size they say it is.
type Needed = BTreeMap<Digest, BTreeMap<u64, Vec<String>>>;

/// Computes the digests of all blobs that these images need, each with the name that it is known by.
///
/// # Errors
///
/// When the store cannot be read at all; a blob that cannot be read is damaged.
pub fn verify(store: &Store, images: &[(String, Descriptor)]) -> Result<Verified, StoreError> {
    let mut needed = Needed::new();
    for (name, descriptor) in images {
        add(store, name, descriptor, &mut needed)?;
    }
    let all: Vec<(&Digest, &BTreeMap<u64, Vec<String>>)> = needed.iter().collect();
    let (next, bytes, damaged) = (AtomicUsize::new(0), AtomicU64::new(0), Mutex::new(Vec::new()));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((digest, sizes)) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (read, found) = check(store, digest, sizes);
                    bytes.fetch_add(read, Ordering::Relaxed);
                    damaged.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
                }
            });
        }
    });
    let mut damaged = damaged.into_inner().unwrap_or_else(PoisonError::into_inner);
    damaged.sort_by(|one, other| (&one.digest, &one.images).cmp(&(&other.digest, &other.images)));
    Ok(Verified { blobs: needed.len(), bytes: bytes.into_inner(), damaged })
}

/// Removes the damaged blobs among these, so that the next pull fetches them. Returns how many there
/// were. Each is verified again when nobody else has the store open: it may have been fetched anew.
///
/// # Errors
///
/// When another process uses the store, or a blob cannot be removed.
pub fn remove(store: Store, damaged: &[Damage]) -> Result<usize, CollectError> {
    let store = gc::exclusive(store)?;
    let mut removed = 0;
    for Damage { digest, .. } in damaged.iter().filter(|damage| !damage.is_intact) {
        let path = store.blob_path(digest);
        if content(&store, digest).is_err() && fs::symlink_metadata(&path).is_ok() {
            gc::remove_file(&path)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Adds what the image needs: a manifest or an index once, however often others lead to it.
fn add(store: &Store, name: &str, at: &Descriptor, needed: &mut Needed) -> Result<(), StoreError> {
    let mut documents = HashSet::new();
    let mut left = vec![at.clone()];
    while let Some(at) = left.pop() {
        let digest = need(name, &at, needed);
        if digest.is_none_or(|digest| !documents.insert(digest)) {
            continue;
        }
        // What cannot be read is found damaged, and what it leads to is not known.
        let Ok(bytes) = store.read_small("manifest", &at) else { continue };
        match Document::read(&bytes, None) {
            Ok(Document::Manifest(manifest)) => {
                for part in manifest.layers().iter().chain([manifest.config()]) {
                    need(name, part, needed);
                }
            }
            Ok(Document::Index(index)) => {
                for entry in index.manifests() {
                    // Images for other platforms were never fetched.
                    if let Ok(digest) = manifest::digest_of(entry)
                        && store.blob(&digest)?.is_some()
                    {
                        left.push(entry.clone());
                    }
                }
            }
            Err(_) => {}
        }
    }
    Ok(())
}

/// Adds a blob. `None` if its digest is of an algorithm that nothing in the store has: one image
/// must not keep the others from being verified.
fn need(name: &str, at: &Descriptor, needed: &mut Needed) -> Option<Digest> {
    let digest = manifest::digest_of(at).ok()?;
    let images = needed.entry(digest.clone()).or_default().entry(at.size()).or_default();
    // The images come one after the other.
    if images.last().is_none_or(|last| last != name) {
        images.push(name.to_owned());
    }
    Some(digest)
}

/// How many bytes the blob has, and what is wrong with it.
fn check(store: &Store, digest: &Digest, sizes: &BTreeMap<u64, Vec<String>>) -> (u64, Vec<Damage>) {
    let damage = |why, images, is_intact| Damage { digest: digest.clone(), why, images, is_intact };
    let size = match content(store, digest) {
        Ok(size) => size,
        Err(why) => {
            let mut images: Vec<String> = sizes.values().flatten().cloned().collect();
            images.sort();
            images.dedup();
            return (0, vec![damage(why, images, false)]);
        }
    };
    let wrong = sizes.iter().filter(|(said, _)| **said != size);
    let wrong = wrong.map(|(said, images)| {
        let why = format!("it has {size} bytes, and the image says {said}");
        damage(why, images.clone(), true)
    });
    (size, wrong.collect())
}

/// The size of a blob that is what its digest says.
fn content(store: &Store, digest: &Digest) -> Result<u64, String> {
    let failed =
        |error: StoreError| error.to_string().lines().next().unwrap_or_default().to_owned();
    let mut blob = store.blob(digest).map_err(failed)?.ok_or("it is missing")?;
    blob.verify(digest).map_err(failed)?;
    Ok(blob.size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::ImageConfig, one_layer};

    #[test]
    fn what_is_missing_or_changed_is_found_with_its_images() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("images")).unwrap();
        let image = |text: &str| {
            let (at, _) = one_layer::keep(&store, ImageConfig::scratch(), |out| {
                out.write_all(text.as_bytes())
            })
            .unwrap();
            (text.to_owned(), at)
        };
        let images = [image("one"), image("two")];
        let verified = verify(&store, &images).unwrap();
        assert_eq!((verified.blobs, &*verified.damaged), (6, &[][..]));
        let layers = images.clone().map(|(_, at)| {
            let bytes = store.read_small("manifest", &at).unwrap();
            let Ok(Document::Manifest(manifest)) = Document::read(&bytes, None) else { panic!() };
            manifest::digest_of(&manifest.layers()[0]).unwrap()
        });
        fs::remove_file(store.blob_path(&layers[0])).unwrap();
        let path = store.blob_path(&layers[1]);
        let mut bytes = fs::read(&path).unwrap();
        bytes[5] ^= 1;
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        let mut damaged = verify(&store, &images).unwrap().damaged;
        damaged.sort_by(|one, other| one.images.cmp(&other.images));
        assert_eq!(damaged.len(), 2);
        assert_eq!(
            (&*damaged[0].why, &damaged[0].images[..]),
            ("it is missing", &["one".to_owned()][..])
        );
        assert!(damaged[1].why.contains("the content is not"), "{}", damaged[1].why);
    }

    #[test]
    fn what_is_damaged_is_removed_when_nobody_else_has_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("images");
        let store = Store::open(&path).unwrap();
        let damaged = |bytes: &[u8]| {
            let digest = store.add(bytes).unwrap();
            let path = store.blob_path(&digest);
            fs::remove_file(&path).unwrap();
            fs::write(&path, b"damaged").unwrap();
            Damage { digest, why: String::new(), images: Vec::new(), is_intact: false }
        };
        let all = [damaged(b"one"), damaged(b"fetched anew"), damaged(b"missing")];
        let [one, anew, missing] = all.each_ref().map(|it| store.blob_path(&it.digest));
        fs::remove_file(&missing).unwrap();
        // While it was verified, somebody else has removed it, and another has fetched it.
        fs::remove_file(&anew).unwrap();
        fs::write(&anew, b"fetched anew").unwrap();
        let other = Store::open(&path).unwrap();
        let error = remove(store.clone(), &all).unwrap_err();
        assert!(error.to_string().contains("in use by another"), "{error}");
        assert!(one.exists());
        drop((other, store));
        assert_eq!(remove(Store::open(&path).unwrap(), &all).unwrap(), 1);
        assert!(!one.exists() && anew.exists());
    }

    fn add_document(store: &Store, media_type: &str, document: &serde_json::Value) -> Descriptor {
        let bytes = serde_json::to_vec(document).unwrap();
        manifest::descriptor(media_type, &store.add(&bytes).unwrap(), bytes.len() as u64)
    }

    #[test]
    fn an_image_that_lies_about_a_blob_of_another_does_not_make_it_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("images")).unwrap();
        let layer = store.add(b"layer").unwrap();
        let config = manifest::descriptor("", &store.add(b"{}").unwrap(), 2);
        let image = |size| {
            let layers = [manifest::descriptor(manifest::OCI_LAYER, &layer, size)];
            let manifest =
                serde_json::json!({ "schemaVersion": 2, "config": config, "layers": layers });
            add_document(&store, manifest::OCI_MANIFEST, &manifest)
        };
        let images = [("a/liar".to_owned(), image(1)), ("b/honest".to_owned(), image(5))];
        let damaged = verify(&store, &images).unwrap().damaged;
        assert_eq!(damaged.len(), 1, "{damaged:?}");
        assert!(damaged[0].is_intact, "{damaged:?}");
        assert_eq!((&damaged[0].digest, &damaged[0].images[..]), (&layer, &["a/liar".into()][..]));
        assert_eq!(verify(&store, &images[1..]).unwrap().damaged, []);
    }

    #[test]
    fn indexes_that_lead_to_each_other_deep_and_often_have_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("images")).unwrap();
        let (mut at, _) =
            one_layer::keep(&store, ImageConfig::scratch(), |out| out.write_all(b"x")).unwrap();
        // Each path through them once would be 2^3000.
        for _ in 0..3000 {
            let index = serde_json::json!({ "schemaVersion": 2, "manifests": [at, at] });
            at = add_document(&store, manifest::OCI_INDEX, &index);
        }
        let verified = verify(&store, &[("deep".to_owned(), at)]).unwrap();
        assert_eq!((verified.blobs, verified.damaged), (3003, vec![]));
    }
}
