//! Whatever is tagged stays whole, and whatever is not, goes.

use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::{
    build::cache,
    config::ImageConfig,
    layer::{Attributes, LayerWriter},
    manifest::{OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Platform, descriptor},
    reference::Reference,
};

/// An image of layers, each a file with its number.
fn add_image(store: &Store, layers: &[u8]) -> Descriptor {
    let (mut config, mut blobs) = (ImageConfig::scratch(), Vec::new());
    for number in layers {
        let mut writer = LayerWriter::new(Vec::new());
        writer.file(b"f", &Attributes::default(), 1, &[*number][..]).unwrap();
        let archive = writer.finish().unwrap();
        let digest = store.add(&archive).unwrap();
        blobs.push(descriptor(OCI_LAYER, &digest, archive.len() as u64));
        config.rootfs.diff_ids.push(digest);
    }
    let config = serde_json::to_vec(&config).unwrap();
    let config = descriptor(OCI_CONFIG, &store.add(&config).unwrap(), config.len() as u64);
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": blobs,
    });
    let manifest = serde_json::to_vec(&manifest).unwrap();
    descriptor(OCI_MANIFEST, &store.add(&manifest).unwrap(), manifest.len() as u64)
}

fn store() -> (TempDir, Store) {
    let folder = TempDir::new().unwrap();
    let store = Store::open(&folder.path().join("images")).unwrap();
    (folder, store)
}

fn name(number: u8) -> Reference {
    format!("class/hello:{number}").parse().unwrap()
}

fn assert_whole(store: &Store, reference: &Reference) {
    let image = store.image(reference, &Platform::host()).unwrap();
    for layer in image.layers() {
        let digest = manifest::digest_of(&layer.descriptor).unwrap();
        store.blob(&digest).unwrap().unwrap().verify(&digest).unwrap();
    }
}

#[derive(Debug, Clone)]
enum Step {
    Tag(u8, Vec<u8>),
    Untag(u8),
    Unpack(u8),
    Collect,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..4u8, prop::collection::vec(0..3u8, 0..4)).prop_map(|(at, it)| Step::Tag(at, it)),
        2 => (0..4u8).prop_map(Step::Untag),
        1 => (0..4u8).prop_map(Step::Unpack),
        2 => Just(Step::Collect),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_tag_untag_and_collection_keeps_every_tagged_image_whole(
        steps in prop::collection::vec(step(), 1..14),
    ) {
        let (_folder, mut store) = store();
        for step in steps {
            match step {
                Step::Tag(at, layers) => {
                    let image = add_image(&store, &layers);
                    store.tag(&name(at), &image).unwrap();
                }
                Step::Untag(at) => drop(store.untag(&name(at)).unwrap()),
                Step::Unpack(at) => {
                    if let Ok(image) = store.image(&name(at), &Platform::host()) {
                        store.unpack(&image).unwrap();
                    }
                }
                Step::Collect => {
                    let path = store.path().to_owned();
                    collect(store, Scope::Dangling).unwrap();
                    store = Store::open(&path).unwrap();
                    prop_assert!(store.dangling().unwrap().is_empty());
                }
            }
            for (reference, _) in store.references().unwrap() {
                assert_whole(&store, &reference);
            }
        }
        // And nothing but these is left.
        let path = store.path().to_owned();
        collect(store, Scope::All).unwrap();
        for folder in ["blobs/sha256", "unpacked", "ingest", "in-use"] {
            prop_assert_eq!(fs::read_dir(path.join(folder)).unwrap().count(), 0, "{}", folder);
        }
    }
}

#[test]
fn an_image_that_runs_is_kept_with_its_name_and_layers() {
    let (_folder, store) = store();
    for (number, layers) in [(0, &[1, 2][..]), (1, &[1, 3])] {
        store.tag(&name(number), &add_image(&store, layers)).unwrap();
    }
    let image = store.image(&name(0), &Platform::host()).unwrap();
    let other = store.image(&name(1), &Platform::host()).unwrap();
    let lowers = store.unpack(&image).unwrap();
    let gone = store.unpack(&other).unwrap();
    let in_use = store.use_image(&image).unwrap();
    let path = store.path().to_owned();
    let collected = collect(store, Scope::All).unwrap();
    let digest = other.descriptor.digest().to_string();
    assert_eq!(collected.images, ["class/hello:1".to_owned(), digest]);
    // Manifest, config, and the layer that only the other has.
    assert_eq!((collected.blobs, collected.layers), (3, 1));
    assert!(collected.layer_bytes > 0);
    let store = Store::open(&path).unwrap();
    assert_whole(&store, &name(0));
    assert!(lowers.iter().all(|lower| lower.exists()) && !gone[0].exists());
    // Its name and entry removed, it still runs.
    store.forget(&[image.descriptor]).unwrap();
    collect(store, Scope::All).unwrap();
    assert!(lowers.iter().all(|lower| lower.exists()));
    drop(in_use);
    collect(Store::open(&path).unwrap(), Scope::All).unwrap();
    assert!(!lowers[0].exists());
}

#[test]
fn while_another_has_the_store_open_nothing_is_removed() {
    let (_folder, store) = store();
    store.add(b"of nobody").unwrap();
    let other = Store::open(store.path()).unwrap();
    let error = collect(store, Scope::All).unwrap_err();
    assert!(error.to_string().contains("in use by another"), "{error}");
    assert!(other.blob(&Digest::of(b"of nobody")).unwrap().is_some());
}

#[test]
fn what_was_killed_leaves_nothing() {
    let (_folder, store) = store();
    let path = store.path().to_owned();
    let digest = Digest::of(b"never whole");
    store.ingest(&digest, None).unwrap().unwrap().push(b"never").unwrap();
    fs::write(path.join("ingest/unpack-1.lock"), "").unwrap();
    fs::write(path.join("in-use/stale"), "").unwrap();
    // Deeper than there are descriptors.
    let mut deep = path.join("unpacked/.new-1");
    for _ in 0..1500 {
        deep.push("d");
    }
    fs::create_dir_all(&deep).unwrap();
    let collected = collect(store, Scope::Dangling).unwrap();
    assert_eq!((collected.blobs, collected.bytes, collected.layers), (0, 5, 0));
    for folder in ["unpacked", "ingest", "in-use"] {
        assert_eq!(fs::read_dir(path.join(folder)).unwrap().count(), 0, "{folder}");
    }
}

/// A record of the build cache, of a step that made that layer.
fn cache_step(store: &Store, key: &[u8], layer: Option<&Digest>) -> PathBuf {
    let layer = layer.map(|digest| {
        let size = store.blob(digest).unwrap().unwrap().size;
        cache::LayerRecord { digest: digest.clone(), size, diff_id: digest.clone() }
    });
    let key = Digest::of(key);
    cache::write(store, &key, &cache::Record { created: 1, layer });
    store.path().join(cache::DIRECTORY).join(key.hex())
}

#[test]
fn what_is_noted_about_a_blob_goes_with_it() {
    let (_folder, store) = store();
    let path = store.path().to_owned();
    let image = add_image(&store, &[1]);
    store.tag(&name(0), &image).unwrap();
    let kept = store.image(&name(0), &Platform::host()).unwrap().layers()[0].diff_id.clone();
    let gone = store.add(b"of a removed image").unwrap();
    let of_kept = cache_step(&store, b"1", Some(&kept));
    let of_gone = cache_step(&store, b"2", Some(&gone));
    let of_none = cache_step(&store, b"3", None);
    let killed = of_kept.with_file_name(".new-1-2");
    fs::write(&killed, "{").unwrap();
    let origins = [&kept, &gone].map(|digest| store.origins_path(digest));
    fs::create_dir(path.join(Store::ORIGINS)).unwrap();
    origins.iter().for_each(|path| fs::write(path, "r.example/hello\n").unwrap());
    let scratch = path.join("build/run-1-0/upper");
    fs::create_dir_all(&scratch).unwrap();

    let collected = collect(store, Scope::Dangling).unwrap();
    assert!(!scratch.exists());
    assert_eq!((collected.blobs, collected.cached_steps), (1, 1));
    assert!(of_kept.exists() && of_none.exists() && !of_gone.exists() && !killed.exists());
    assert!(origins[0].exists() && !origins[1].exists());
    assert!(collected.note_bytes > "r.example/hello\n".len() as u64, "{collected:?}");

    // The whole cache goes, but an image that runs keeps its blobs, and what is noted about them.
    let store = Store::open(&path).unwrap();
    let _in_use = store.use_image(&store.image(&name(0), &Platform::host()).unwrap()).unwrap();
    assert_eq!(collect(store, Scope::All).unwrap().cached_steps, 2);
    assert!(!of_kept.exists() && !of_none.exists() && origins[0].exists());
}

#[test]
fn usage_tells_what_other_images_have_too() {
    let (_folder, store) = store();
    for (number, layers) in [(0, &[1, 2][..]), (1, &[1, 3])] {
        store.tag(&name(number), &add_image(&store, layers)).unwrap();
    }
    let images = [0, 1].map(|number| store.image(&name(number), &Platform::host()).unwrap());
    let before = store.usage(&images).unwrap();
    // A layer of one file: header, content, two blocks of zeros.
    assert_eq!((before[0].shared, before[0].unpacked_unique), (4 * 512, 0));
    assert!(before[0].unique > 4 * 512);
    store.unpack(&images[0]).unwrap();
    let after = store.usage(&images).unwrap();
    assert!(after[0].unpacked_unique > 0 && after[0].unpacked_shared > 0);
    assert_eq!((after[1].unpacked_shared, after[1].unpacked_unique), (after[0].unpacked_shared, 0));
}

/// A document of the store: a manifest or an index, as somebody may have written it.
fn add_document(store: &Store, media_type: &str, document: &serde_json::Value) -> Descriptor {
    let bytes = serde_json::to_vec(document).unwrap();
    descriptor(media_type, &store.add(&bytes).unwrap(), bytes.len() as u64)
}

fn add_index(store: &Store, entries: &[&Descriptor]) -> Descriptor {
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": entries });
    add_document(store, OCI_INDEX, &index)
}

#[test]
fn an_image_that_calls_the_manifest_of_another_its_layer_does_not_hide_what_that_needs() {
    let (_folder, store) = store();
    let victim = add_image(&store, &[1, 2]);
    let config = descriptor(OCI_CONFIG, &store.add(b"{}").unwrap(), 2);
    let layer = Descriptor::new(OCI_LAYER.into(), victim.size(), victim.digest().clone());
    let manifest = serde_json::json!({ "schemaVersion": 2, "config": config, "layers": [layer] });
    store.tag(&name(0), &add_document(&store, OCI_MANIFEST, &manifest)).unwrap();
    store.tag(&name(1), &victim).unwrap();
    let path = store.path().to_owned();
    collect(store, Scope::Dangling).unwrap();
    assert_whole(&Store::open(&path).unwrap(), &name(1));
}

#[test]
fn an_image_that_is_deep_in_the_indexes_of_another_is_kept_by_its_own_name() {
    for depth in [1, 2, 3, 4, 5, 6, 2000] {
        let (_folder, store) = store();
        let victim = add_index(&store, &[&add_image(&store, &[1])]);
        let other = (0..depth).fold(victim.clone(), |below, _| add_index(&store, &[&below]));
        store.tag(&name(0), &other).unwrap();
        store.tag(&name(1), &victim).unwrap();
        let path = store.path().to_owned();
        collect(store, Scope::Dangling).unwrap();
        assert_whole(&Store::open(&path).unwrap(), &name(1));
    }
}

#[test]
fn an_index_with_entries_that_nobody_can_read_does_not_keep_the_rest_from_collection() {
    let (_folder, store) = store();
    let image = add_image(&store, &[1]);
    let not_json = store.add(b"not a document").unwrap();
    let mut own = serde_json::json!(image);
    own["platform"] = serde_json::json!({ "os": "linux", "architecture": "amd64" });
    let mut other = own.clone();
    other["digest"] = format!("sha384:{}", "0".repeat(96)).into();
    let entries = serde_json::json!([
        own,
        descriptor(OCI_MANIFEST, &not_json, 14),
        descriptor(OCI_MANIFEST, &not_json, 1 << 30),
        // Right, but for the size.
        Descriptor::new(OCI_MANIFEST.into(), 1, add_image(&store, &[2]).digest().clone()),
        other,
    ]);
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": entries });
    let index = add_document(&store, OCI_INDEX, &index);
    store.tag(&name(0), &index).unwrap();
    let left_over = store.add(b"left over").unwrap();
    let path = store.path().to_owned();
    assert_eq!(collect(store, Scope::Dangling).unwrap().blobs, 1);
    let store = Store::open(&path).unwrap();
    assert!(store.blob(&left_over).unwrap().is_none());
    assert!(store.blob(&not_json).unwrap().is_some());
    assert_whole(&store, &name(0));
}

#[test]
fn nothing_is_removed_while_a_manifest_is_damaged() {
    let (_folder, store) = store();
    let image = add_image(&store, &[1]);
    store.tag(&name(0), &image).unwrap();
    let left_over = store.add(b"left over").unwrap();
    let manifest = store.blob_path(&manifest::digest_of(&image).unwrap());
    let bytes = fs::read(&manifest).unwrap();
    fs::remove_file(&manifest).unwrap();
    fs::write(&manifest, [&bytes[1..], b"}"].concat()).unwrap();
    let path = store.path().to_owned();
    let error = collect(store, Scope::Dangling).unwrap_err();
    assert!(error.to_string().contains("the content is not"), "{error}");
    assert!(Store::open(&path).unwrap().blob(&left_over).unwrap().is_some());
}

#[test]
fn what_is_unreachable_goes_alone_and_the_build_cache_keeps_its_layers() {
    let (_folder, store) = store();
    let path = store.path().to_owned();
    let nameless = add_image(&store, &[1]);
    store.keep(&nameless).unwrap();
    let of_cache = store.add(b"of a step of a build").unwrap();
    let step = cache_step(&store, b"1", Some(&of_cache));
    store.add(b"of a removed image").unwrap();
    let collected = collect(store, Scope::Unreachable).unwrap();
    assert_eq!((collected.images.len(), collected.blobs, collected.cached_steps), (0, 1, 0));
    let store = Store::open(&path).unwrap();
    assert_eq!(store.dangling().unwrap().len(), 1);
    assert!(store.blob(&of_cache).unwrap().is_some() && step.exists());
    let known = cache::steps(&store);
    assert_eq!(known.len(), 1);
    cache::forget(&store, &known).unwrap();
    assert_eq!(collect(store, Scope::Unreachable).unwrap().blobs, 1);
}
