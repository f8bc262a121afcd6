//! Archives there and back, and those that lie.

use std::{
    fs,
    io::{Cursor, Write as _},
};

use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

use super::{
    layout::load_directory,
    load::{Layers, load},
    save::{Format, save, save_directory},
    *,
};
use crate::{
    config::ImageConfig,
    layer::{Attributes, LayerWriter},
    manifest::Platform,
    one_layer,
    store::Store,
};
use oci_spec::image::Descriptor;

fn store() -> (TempDir, Store) {
    let folder = TempDir::new().unwrap();
    let store = Store::open(&folder.path().join("images")).unwrap();
    (folder, store)
}

fn image(store: &Store, text: &str) -> (Option<Reference>, Descriptor) {
    let (descriptor, _) = one_layer::keep(store, ImageConfig::scratch(), |out| {
        let mut writer = LayerWriter::new(out);
        let attributes = Attributes { mode: 0o644, ..Attributes::default() };
        writer.file(b"text", &attributes, text.len() as u64, text.as_bytes())?;
        writer.finish().map(drop)
    })
    .unwrap();
    let name: Reference = format!("class/{text}:1").parse().unwrap();
    store.tag(&name, &descriptor).unwrap();
    (Some(name), descriptor)
}

fn text_in(store: &Store, name: &str) -> String {
    let image = store.image(&name.parse().unwrap(), &Platform::host()).unwrap();
    let layers = store.unpack(&image).unwrap();
    fs::read_to_string(layers[0].join("text")).unwrap()
}

#[test]
fn what_is_saved_is_loaded_as_the_same_image() {
    let (_folder, from) = store();
    let images = [image(&from, "one"), image(&from, "two")];
    for format in [Format::Docker, Format::Oci] {
        let mut archive = Vec::new();
        save(&from, &images, &mut archive, format).unwrap();
        let mut again = Vec::new();
        save(&from, &images, &mut again, format).unwrap();
        assert_eq!(archive, again);
        let mut encoder = crate::compression::gzip(Vec::new());
        encoder.write_all(&archive).unwrap();
        for archive in [archive, encoder.finish().unwrap()] {
            let (_folder, to) = store();
            let loaded = load(&to, Cursor::new(archive)).unwrap();
            assert_eq!(loaded.len(), 2);
            for (loaded, (name, descriptor)) in loaded.iter().zip(&images) {
                assert_eq!(loaded.names.first(), name.as_ref());
                let ids = [&to, &from].map(|store| {
                    let at = if std::ptr::eq(store, &raw const to) {
                        &loaded.descriptor
                    } else {
                        descriptor
                    };
                    store.image_at(at, &Platform::host()).unwrap().id().unwrap()
                });
                assert_eq!(ids[0], ids[1]);
            }
            assert_eq!(text_in(&to, "class/two:1"), "two");
        }
    }
    let (folder, to) = store();
    let path = folder.path().join("layout");
    save_directory(&from, &images, &path).unwrap();
    assert!(save_directory(&from, &images, &path).is_err());
    assert_eq!(load_directory(&to, &path).unwrap().len(), 2);
    assert_eq!(text_in(&to, "class/one:1"), "one");
}

fn entry(builder: &mut Builder<Vec<u8>>, kind: EntryType, name: &str, link: &str, bytes: &[u8]) {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(bytes.len() as u64);
    let gnu = header.as_gnu_mut().unwrap();
    gnu.name[..name.len()].copy_from_slice(name.as_bytes());
    gnu.linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_cksum();
    builder.append(&header, bytes).unwrap();
}

/// An older archive of docker's: layers that are not compressed, one of them a link.
fn old_archive(layers: &[&str], diff_id: Option<&str>) -> Vec<u8> {
    let mut layer = LayerWriter::new(Vec::new());
    let attributes = Attributes { mode: 0o644, ..Attributes::default() };
    layer.file(b"text", &attributes, 3, &b"old"[..]).unwrap();
    let layer = layer.finish().unwrap();
    let right = crate::digest::Digest::of(&layer).to_string();
    let mut config = ImageConfig::scratch();
    config.rootfs.diff_ids = vec![diff_id.unwrap_or(&right).parse().unwrap(); layers.len()];
    let mut builder = Builder::new(Vec::new());
    entry(&mut builder, EntryType::Regular, "a/layer.tar", "", &layer);
    entry(&mut builder, EntryType::Symlink, "b/layer.tar", "../a/layer.tar", b"");
    entry(&mut builder, EntryType::Symlink, "out/layer.tar", "../../../etc/passwd", b"");
    entry(&mut builder, EntryType::Symlink, "loop", "loop", b"");
    entry(&mut builder, EntryType::Regular, "../escape", "", b"x");
    entry(&mut builder, EntryType::Regular, "c.json", "", &serde_json::to_vec(&config).unwrap());
    let manifest =
        serde_json::json!([{ "Config": "c.json", "RepoTags": ["old:1"], "Layers": layers }]);
    entry(&mut builder, EntryType::Regular, "manifest.json", "", manifest.to_string().as_bytes());
    builder.into_inner().unwrap()
}

#[test]
fn an_older_archive_is_loaded_with_its_links() {
    let (folder, to) = store();
    load(&to, Cursor::new(old_archive(&["a/layer.tar", "b/layer.tar"], None))).unwrap();
    assert_eq!(text_in(&to, "old:1"), "old");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "something came out elsewhere");
}

#[test]
fn what_is_not_as_it_says_is_refused_and_named_nothing() {
    let (folder, to) = store();
    let wrong = format!("sha256:{}", "0".repeat(64));
    let cases: [(Vec<u8>, &str); 8] = [
        (old_archive(&["out/layer.tar"], None), "out/layer.tar"),
        (old_archive(&["loop"], None), "loop"),
        (old_archive(&["none"], None), "none"),
        (old_archive(&["../escape"], None), "escape"),
        (old_archive(&["a/layer.tar"], Some(&wrong)), "as the image config says"),
        (old_archive(&["a/layer.tar"], None)[..2000].to_vec(), "read the archive"),
        (Builder::new(Vec::new()).into_inner().unwrap(), "neither manifest.json nor index.json"),
        (b"not an archive".repeat(100), "read the archive"),
    ];
    for (archive, why) in cases {
        let error = load(&to, Cursor::new(archive)).unwrap_err().to_string();
        assert!(error.contains(why), "{why}: {error}");
        assert!(to.references().unwrap().is_empty());
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// A GNU entry whose content is the name of the next one.
fn long_name(builder: &mut Builder<Vec<u8>>, length: usize) {
    entry(builder, EntryType::GNULongName, "././@LongLink", "", &vec![b'a'; length]);
}

#[test]
fn names_are_bounded_one_by_one_and_together() {
    let (_folder, to) = store();
    let mut one = Builder::new(Vec::new());
    long_name(&mut one, 64 << 20);
    entry(&mut one, EntryType::Regular, "x", "", b"");
    let mut all = Builder::new(Vec::new());
    for _ in 0..9000 {
        long_name(&mut all, 4000);
        entry(&mut all, EntryType::Symlink, "x", "y", b"");
    }
    let mut path = Builder::new(Vec::new());
    long_name(&mut path, 100_000);
    entry(&mut path, EntryType::Symlink, "x", "y", b"");
    for (builder, why) in [(one, "longer than"), (all, "names"), (path, "name")] {
        let error = load(&to, Cursor::new(builder.into_inner().unwrap())).unwrap_err();
        let text = std::iter::successors(Some(&error as &dyn std::error::Error), |it| it.source())
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(": ");
        assert!(text.contains(why), "{why}: {text}");
    }
}

#[test]
fn there_is_a_limit_to_images_layers_and_names() {
    let (_folder, to) = store();
    let config = serde_json::to_vec(&ImageConfig::scratch()).unwrap();
    for (manifest, why) in [
        (serde_json::json!(vec![serde_json::json!({ "Config": "c" }); 1001]), "more than 1000"),
        (serde_json::json!([{ "Config": "c", "RepoTags": vec!["a:1"; 1001] }]), "more than 1000"),
        (serde_json::json!([{ "Config": "c", "Layers": vec!["c"; 501] }]), "501 layers"),
    ] {
        let mut builder = Builder::new(Vec::new());
        entry(&mut builder, EntryType::Regular, "c", "", &config);
        let manifest = manifest.to_string();
        entry(&mut builder, EntryType::Regular, "manifest.json", "", manifest.as_bytes());
        let error = load(&to, Cursor::new(builder.into_inner().unwrap())).unwrap_err().to_string();
        assert!(error.contains(why), "{why}: {error}");
        assert!(to.references().unwrap().is_empty());
    }
}

/// A layout whose index leads to the same indexes again and again: 500^4 paths through it.
fn maze() -> Vec<(String, Vec<u8>)> {
    let missing = crate::digest::Digest::of(b"nowhere");
    let mut at = crate::manifest::descriptor(crate::manifest::OCI_MANIFEST, &missing, 7);
    let mut files = Vec::new();
    for _ in 0..4 {
        let index = serde_json::json!({ "schemaVersion": 2, "manifests": vec![&at; 500] });
        let bytes = index.to_string().into_bytes();
        let digest = crate::digest::Digest::of(&bytes);
        at = crate::manifest::descriptor(crate::manifest::OCI_INDEX, &digest, bytes.len() as u64);
        files.push((format!("blobs/sha256/{}", digest.hex()), bytes));
    }
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [at] });
    files.push(("index.json".into(), index.to_string().into_bytes()));
    files
}

#[test]
fn a_maze_of_indexes_has_an_end() {
    let (folder, to) = store();
    let mut builder = Builder::new(Vec::new());
    let layout = folder.path().join("layout");
    fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
    for (name, bytes) in maze() {
        entry(&mut builder, EntryType::Regular, &name, "", &bytes);
        fs::write(layout.join(name), bytes).unwrap();
    }
    let error = load(&to, Cursor::new(builder.into_inner().unwrap())).unwrap_err();
    assert!(matches!(error, ArchiveError::Missing { .. }), "{error}");
    let error = load_directory(&to, &layout).unwrap_err();
    assert!(matches!(error, ArchiveError::Missing { .. }), "{error}");
}

#[test]
fn a_layout_with_pipes_and_links_that_lead_out_is_refused_at_once() {
    let (folder, to) = store();
    let (from, layout) = (folder.path().join("from"), folder.path().join("layout"));
    let (_other, made) = store();
    let images = [image(&made, "one")];
    save_directory(&made, &images, &from).unwrap();
    let manifest = crate::manifest::digest_of(&images[0].1).unwrap();
    let blob = format!("blobs/sha256/{}", manifest.hex());
    let pipe = |path: &std::path::Path| {
        nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    };
    fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
    for name in ["index.json", &blob] {
        let path = layout.join(name);
        pipe(&path);
        let error = load_directory(&to, &layout).unwrap_err();
        assert!(matches!(error, ArchiveError::Read(_)), "{error}");
        fs::remove_file(&path).unwrap();
        // Right, but elsewhere.
        std::os::unix::fs::symlink(from.join(name), &path).unwrap();
        let error = load_directory(&to, &layout).unwrap_err();
        assert!(matches!(error, ArchiveError::Read(_)), "{error}");
        fs::remove_file(&path).unwrap();
        fs::copy(from.join(name), &path).unwrap();
    }
    assert!(to.references().unwrap().is_empty());
}

#[test]
fn a_layer_that_many_images_have_is_compressed_once() {
    let (_folder, to) = store();
    let layer = (to.add(&[7; 4096]).unwrap(), 4096);
    let mut layers = Layers { store: &to, kept: std::collections::HashMap::new() };
    let first = layers.keep(layer.clone()).unwrap();
    let packed = to.blob_path(&crate::manifest::digest_of(&first.descriptor).unwrap());
    // Compressed once more, it would be there again.
    fs::remove_file(&packed).unwrap();
    assert_eq!(layers.keep(layer).unwrap(), first);
    assert!(!packed.exists());
}

#[test]
fn an_image_beside_indexes_that_lead_to_each_other_deep_and_often_is_saved() {
    let (_folder, from) = store();
    let (name, image) = image(&from, "one");
    let mut own = image.clone();
    own.set_platform(Some(
        serde_json::from_str(r#"{"os":"linux","architecture":"amd64"}"#).unwrap(),
    ));
    let index = |entries: serde_json::Value| {
        let index = serde_json::json!({ "schemaVersion": 2, "manifests": entries });
        let bytes = index.to_string().into_bytes();
        let digest = from.add(&bytes).unwrap();
        crate::manifest::descriptor(crate::manifest::OCI_INDEX, &digest, bytes.len() as u64)
    };
    let deep = (0..2000).fold(image, |below, _| index(serde_json::json!([below, below])));
    let top = index(serde_json::json!([own, deep]));
    let mut archive = Vec::new();
    save(&from, &[(name, top)], &mut archive, Format::Oci).unwrap();
    let (_folder, to) = store();
    load(&to, Cursor::new(archive)).unwrap();
    assert_eq!(text_in(&to, "class/one:1"), "one");
}
