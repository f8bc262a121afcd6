//! Archives there and back, and those that lie.

use std::{
    fs,
    io::{Cursor, Write as _},
};

use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

use super::{
    load::{load, load_directory},
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
