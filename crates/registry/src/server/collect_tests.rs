//! Any order of pushes, deletions and collections keeps every tagged image whole.

use std::{collections::HashMap, time::Duration};

use image::digest::Digest;
use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use super::{
    collect::collect,
    storage::{Storage, StoredManifest},
};

#[derive(Debug, Clone)]
enum Step {
    /// Pushes an image of some of a few layers under a tag of a repository.
    Push {
        repository: usize,
        tag: usize,
        layers: Vec<u8>,
    },
    DeleteTag {
        repository: usize,
        tag: usize,
    },
    DeleteManifestOf {
        repository: usize,
        tag: usize,
    },
    Collect,
}

const REPOSITORIES: [&str; 2] = ["class/a", "b"];
const TAGS: [&str; 3] = ["1", "2", "3"];
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn step() -> impl Strategy<Value = Step> {
    let place = || (0..REPOSITORIES.len(), 0..TAGS.len());
    prop_oneof![
        4 => (place(), prop::collection::vec(0u8..5, 0..4))
            .prop_map(|((repository, tag), layers)| Step::Push { repository, tag, layers }),
        2 => place().prop_map(|(repository, tag)| Step::DeleteTag { repository, tag }),
        1 => place().prop_map(|(repository, tag)| Step::DeleteManifestOf { repository, tag }),
        2 => Just(Step::Collect),
    ]
}

fn keep(storage: &Storage, repository: &str, bytes: &[u8]) -> Digest {
    let digest = Digest::of(bytes);
    let path = storage.uploads.temporary();
    storage.directory.write_new(&path, bytes).unwrap();
    storage.keep(repository, &path, &digest, bytes.len() as u64).unwrap();
    digest
}

fn push(storage: &Storage, repository: &str, tag: &str, layers: &[u8]) -> Vec<Digest> {
    let config = keep(storage, repository, b"{}");
    let layers: Vec<Digest> =
        layers.iter().map(|byte| keep(storage, repository, &[*byte; 9])).collect();
    let target = |digest: &Digest| json!({ "mediaType": "x", "digest": digest, "size": 9 });
    let manifest = json!({
        "schemaVersion": 2, "config": target(&config),
        "layers": layers.iter().map(target).collect::<Vec<_>>(),
    });
    let bytes = manifest.to_string().into_bytes();
    let digest = Digest::of(&bytes);
    let manifest = StoredManifest { digest: digest.clone(), media_type: MANIFEST.into(), bytes };
    storage.keep_manifest(repository, &manifest, Some(tag)).unwrap();
    [vec![digest, config], layers].concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_tagged_image_stays_whole(steps in prop::collection::vec(step(), 1..10)) {
        let folder = TempDir::new().unwrap();
        let storage = Storage::open(folder.path(), false, None).unwrap();
        let mut tagged: HashMap<(usize, usize), Vec<Digest>> = HashMap::new();
        for step in steps {
            match step {
                Step::Push { repository, tag, layers } => {
                    let blobs = push(&storage, REPOSITORIES[repository], TAGS[tag], &layers);
                    tagged.insert((repository, tag), blobs);
                }
                Step::DeleteTag { repository, tag } => {
                    storage.delete_tag(REPOSITORIES[repository], TAGS[tag]).unwrap();
                    tagged.remove(&(repository, tag));
                }
                Step::DeleteManifestOf { repository, tag } => {
                    if let Some(digest) = storage.tag(REPOSITORIES[repository], TAGS[tag]).unwrap() {
                        storage.delete_manifest(REPOSITORIES[repository], &digest).unwrap();
                        tagged.retain(|(of, _), blobs| *of != repository || blobs[0] != digest);
                    }
                }
                Step::Collect => _ = collect(&storage, Duration::ZERO).unwrap(),
            }
            for ((repository, tag), blobs) in &tagged {
                let name = REPOSITORIES[*repository];
                let found = storage.tag(name, TAGS[*tag]);
                prop_assert_eq!(found.unwrap(), Some(blobs[0].clone()));
                prop_assert!(storage.manifest(name, &blobs[0]).is_ok());
                for blob in &blobs[1..] {
                    prop_assert!(storage.blob_length(name, blob).unwrap().is_some(), "{} has lost {}", name, blob);
                }
            }
        }
    }
}

#[test]
fn what_nothing_names_is_removed_unless_it_is_young() {
    let folder = TempDir::new().unwrap();
    let storage = Storage::open(folder.path(), false, None).unwrap();
    push(&storage, "a", "1", &[1, 2]);
    storage.delete_manifest("a", &storage.tag("a", "1").unwrap().unwrap()).unwrap();
    let age = Duration::from_secs(3600);
    assert_eq!(collect(&storage, age).unwrap().blobs, 0);
    // Manifest, config and two layers.
    assert_eq!(collect(&storage, Duration::ZERO).unwrap().blobs, 4);
    assert_eq!(storage.all_blobs().unwrap().len(), 0);
}
