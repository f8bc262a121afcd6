//! Verifies what is in the store: every digest is computed anew.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use oci_spec::image::Descriptor;

use crate::{
    digest::Digest,
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

/// A blob that is needed: its size, and by whom.
type Needed = BTreeMap<Digest, (u64, Vec<String>)>;

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
    let all: Vec<(&Digest, &(u64, Vec<String>))> = needed.iter().collect();
    let (next, damaged) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((digest, (size, images))) =
                    all.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    if let Err(why) = check(store, digest, *size) {
                        let (digest, images) = ((*digest).clone(), images.clone());
                        let mut damaged = damaged.lock().unwrap_or_else(PoisonError::into_inner);
                        damaged.push(Damage { digest, why, images });
                    }
                }
            });
        }
    });
    let mut damaged = damaged.into_inner().unwrap_or_else(PoisonError::into_inner);
    damaged.sort_by(|one, other| one.digest.cmp(&other.digest));
    let bytes = needed.values().map(|(size, _)| size).sum();
    Ok(Verified { blobs: needed.len(), bytes, damaged })
}

fn add(store: &Store, name: &str, at: &Descriptor, needed: &mut Needed) -> Result<(), StoreError> {
    let mut need = |descriptor: &Descriptor| -> Result<(), StoreError> {
        let digest = manifest::digest_of(descriptor)?;
        let (_, images) = needed.entry(digest).or_insert((descriptor.size(), Vec::new()));
        if !images.iter().any(|known| known == name) {
            images.push(name.to_owned());
        }
        Ok(())
    };
    need(at)?;
    // What cannot be read is found damaged, and what it leads to is not known.
    let Ok(bytes) = store.read_small("manifest", at) else { return Ok(()) };
    match Document::read(&bytes, None) {
        Ok(Document::Manifest(manifest)) => {
            manifest.layers().iter().chain([manifest.config()]).try_for_each(need)
        }
        Ok(Document::Index(index)) => {
            for entry in index.manifests() {
                // Images for other platforms were never fetched.
                if store.blob(&manifest::digest_of(entry)?)?.is_some() {
                    add(store, name, entry, needed)?;
                }
            }
            Ok(())
        }
        Err(_) => Ok(()),
    }
}

fn check(store: &Store, digest: &Digest, size: u64) -> Result<(), String> {
    let failed =
        |error: StoreError| error.to_string().lines().next().unwrap_or_default().to_owned();
    let mut blob = store.blob(digest).map_err(failed)?.ok_or("it is missing")?;
    if blob.size != size {
        return Err(format!("it has {} bytes instead of {size}", blob.size));
    }
    blob.verify(digest).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::fs;

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
}
