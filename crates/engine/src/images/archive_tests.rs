//! Archives in and out, and images of containers, in stores of their own.

use std::{collections::BTreeMap, fs, io::Read, path::PathBuf};

use bollard_stubs::models::ContainerConfig;
use image::{manifest::Platform, store::Store};
use proptest::prelude::*;

use super::{
    ImageError,
    archive::{ImportRequest, import, load, save, select},
    commit::{CommitRequest, ContainerRoot, commit, diff, export},
    inspect::{history, inspect},
    names,
    remove::tag,
    test_images::{TestStore, archive},
    test_registry::TestLines,
};

fn saved(store: &Store, images: &[&str]) -> Result<Vec<u8>, ImageError> {
    let names: Vec<String> = images.iter().map(|&name| name.to_owned()).collect();
    let mut bytes = Vec::new();
    save(store, &select(store, &names)?, &mut bytes)?;
    Ok(bytes)
}

fn loaded(store: &Store, bytes: &[u8]) -> Result<Vec<String>, ImageError> {
    let mut lines = TestLines::default();
    load(store, bytes, &mut lines.take())?;
    Ok(lines.texts("stream").into_iter().map(str::to_owned).collect())
}

fn imported(store: &Store, bytes: &[u8], request: &ImportRequest) -> Result<String, ImageError> {
    let mut lines = TestLines::default();
    import(store, bytes, request, &mut lines.take())?;
    Ok(lines.texts("status")[0].to_owned())
}

fn layers(store: &Store, name: &str) -> Vec<PathBuf> {
    store.unpack(&names::find(store, name).unwrap().image.image).unwrap()
}

fn content(archive: &[u8]) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        (name, text)
    });
    entries.collect()
}

#[test]
fn what_is_saved_is_loaded_with_all_its_names() {
    let (here, there) = (TestStore::new(), TestStore::new());
    here.image("one:1", "one");
    here.image("", "nameless");
    tag(&here.open(), "one:1", "one", "2").unwrap();
    let store = here.open();
    // A repository means all its tags.
    let bytes = saved(&store, &["one"]).unwrap();
    let lines = loaded(&there.open(), &bytes).unwrap();
    assert_eq!(lines, ["Loaded image: one:1\n", "Loaded image: one:2\n"]);
    let id = names::find(&store, "one:1").unwrap().image.id;
    assert_eq!(names::find(&there.open(), "one:2").unwrap().image.id, id);
    // By its id it has no name.
    let bytes = saved(&store, &[id.short()]).unwrap();
    let lines = loaded(&TestStore::new().open(), &bytes).unwrap();
    assert_eq!(lines, [format!("Loaded image ID: {id}\n")]);
    assert_eq!(saved(&store, &["one:1", "none"]).unwrap_err().status(), 404);
    assert_eq!(saved(&store, &[]).unwrap_err().status(), 400);
}

#[test]
fn what_is_not_an_archive_of_images_is_refused() {
    let (here, there) = (TestStore::new(), TestStore::new());
    here.image("one:1", &"one ".repeat(10_000));
    let whole = saved(&here.open(), &["one:1"]).unwrap();
    let store = there.open();
    let evil = archive(&[("../../evil", "x"), ("manifest.json", "[]")]);
    assert!(loaded(&store, &evil).unwrap().is_empty());
    for (bytes, words) in [
        (&b""[..], "neither manifest.json nor index.json"),
        (b"garbage", ""),
        (b"BZh91AY&SY", ""),
        (b"\xfd7zXZ\0..", ""),
        (&whole[..whole.len() / 2], ""),
        (&archive(&[("file", "x")]), "neither manifest.json nor index.json"),
        (&archive(&[("manifest.json", "{")]), "manifest.json"),
        (&archive(&[("manifest.json", r#"[{"Config":"../x","Layers":[]}]"#)]), "not in it"),
    ] {
        let error = loaded(&store, bytes).unwrap_err();
        assert_eq!(error.status(), 400, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    assert!(store.references().unwrap().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_damaged_archive_is_an_error_or_an_image_and_never_a_panic(
        at in 0..4096_usize, byte in any::<u8>(), cut in 0..8192_usize,
    ) {
        let (here, there) = (TestStore::new(), TestStore::new());
        here.image("one:1", "one");
        let mut bytes = saved(&here.open(), &["one:1"]).unwrap();
        let length = bytes.len();
        bytes[at % length] ^= byte;
        bytes.truncate(length - cut % length);
        let _ = loaded(&there.open(), &bytes);
    }
}

#[test]
fn an_import_is_an_image_with_the_changes_that_were_asked_for() {
    let directory = TestStore::new();
    let store = directory.open();
    let request = ImportRequest {
        repo: "root".into(),
        changes: vec!["CMD [\"/bin/x\"]".into(), "ENV A=1".into()],
        ..ImportRequest::default()
    };
    let id = imported(&store, &archive(&[("bin/x", "x")]), &request).unwrap();
    let found = inspect(&store, "root:latest").unwrap();
    assert_eq!(found.id.as_deref(), Some(&*id));
    assert_eq!(found.comment.as_deref(), Some("Imported from -"));
    let config = found.config.unwrap();
    assert_eq!(
        (config.cmd.unwrap(), config.env.unwrap()),
        (vec!["/bin/x".into()], vec!["A=1".into()])
    );
    let of = |repo: &str, changes: &str| ImportRequest {
        repo: repo.into(),
        changes: vec![changes.into()],
        ..ImportRequest::default()
    };
    let whole = archive(&[("bin/x", &"x".repeat(10_000))]);
    for (bytes, request) in [
        (&whole[..], of("Bad", "")),
        (&whole, of("a", "RUN true")),
        (&whole, of("a", "FROM x")),
        (&whole[..5000], of("a", "")),
        (&archive(&[("../../evil", "x")]), of("a", "")),
        (b"garbage that is longer than six bytes", of("a", "")),
    ] {
        let error = imported(&store, bytes, &request).unwrap_err();
        assert_eq!(error.status(), 400, "{request:?}: {error}");
    }
    assert_eq!(store.references().unwrap().len(), 1);
    assert!(!directory.directory.path().parent().unwrap().join("evil").exists());
}

#[test]
fn a_container_becomes_an_image_of_one_more_layer() {
    let directory = TestStore::new();
    directory.image("one:1", "one");
    let store = directory.open();
    let lowers = layers(&store, "one:1");
    let upper = directory.directory.path().join("upper");
    fs::create_dir_all(upper.join("etc")).unwrap();
    fs::create_dir(upper.join("dev")).unwrap();
    fs::write(upper.join("etc/hosts"), "").unwrap();
    fs::write(upper.join("new"), "new").unwrap();
    let root = ContainerRoot { upper: &upper, lowers: &lowers };
    let found: Vec<String> =
        diff(root).unwrap().iter().map(|it| format!("{} {}", it.kind as i32, it.path)).collect();
    assert_eq!(found, ["1 /new"]);

    let config = ContainerConfig {
        cmd: Some(vec!["/bin/false".into()]),
        env: Some(vec!["A=1".into()]),
        ..ContainerConfig::default()
    };
    let id = names::find(&store, "one:1").unwrap().image.id;
    let request = CommitRequest {
        image: id.to_string(),
        config,
        changes: vec!["LABEL a=b".into()],
        author: "Ada".into(),
        comment: "a remark".into(),
        repo: "two".into(),
        ..CommitRequest::default()
    };
    let made = commit(&store, root, &request).unwrap();
    let found = names::find(&store, "two").unwrap().image;
    assert_eq!(found.id, made);
    let layers = layers(&store, "two");
    assert_eq!(layers.len(), 2);
    assert_eq!(layers[1], lowers[0]);
    let mut bytes = Vec::new();
    let committed =
        ContainerRoot { upper: &directory.directory.path().join("none"), lowers: &layers };
    export(committed, &mut bytes).unwrap();
    assert_eq!(
        content(&bytes),
        [("file", "one"), ("new", "new")].map(|(a, b)| (a.into(), b.into())).into()
    );
    let execution = &found.image.config.config;
    assert_eq!(execution.cmd.as_deref().unwrap(), ["/bin/false"]);
    assert_eq!(execution.labels["a"], "b");
    let steps = history(&store, "two").unwrap();
    assert_eq!(
        (steps.len(), &*steps[0].comment, &*steps[0].created_by),
        (2, "a remark", "/bin/false")
    );
    assert_eq!(steps[0].size, 3);

    // One that never ran has no changes.
    assert!(diff(committed).unwrap().is_empty());
    let nameless = CommitRequest { repo: String::new(), ..request.clone() };
    let again = commit(&store, ContainerRoot { lowers: &lowers, ..committed }, &nameless).unwrap();
    assert!(names::find(&store, again.hex()).unwrap().image.references.is_empty());
    for (change, status) in [
        (CommitRequest { image: "0".repeat(64), ..request.clone() }, 404),
        (CommitRequest { repo: "Bad".into(), ..request.clone() }, 400),
        (CommitRequest { changes: vec!["RUN x".into()], ..request.clone() }, 400),
    ] {
        assert_eq!(commit(&store, root, &change).unwrap_err().status(), status);
    }
    let body =
        ContainerConfig { entrypoint: Some(vec!["/e".into()]), ..ContainerConfig::default() };
    let request = CommitRequest { body: Some(body), ..request };
    commit(&store, root, &request).unwrap();
    let at = store.find(&"two".parse().unwrap()).unwrap().unwrap();
    let execution = store.image_at(&at, &Platform::host()).unwrap().config.config;
    assert_eq!((execution.cmd, execution.env), (None, vec!["A=1".to_owned()]));
}
