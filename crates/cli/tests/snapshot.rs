//! `isolab snapshot` as a user meets it where there is none, or only a broken one. That guests go
//! on is tested in `microvm`.

mod common;

use std::{fs, process::Output};

use common::isolab;

/// What `isolab snapshot` does for a user with this folder.
fn snapshot(data: &std::path::Path, words: &[&str]) -> Output {
    isolab(&["snapshot"]).args(words).env("XDG_DATA_HOME", data).output().unwrap()
}

#[test]
fn where_there_is_none_it_is_said_how_to_save_one() {
    let data = tempfile::tempdir().unwrap();
    let list = snapshot(data.path(), &["list"]);
    assert!(list.status.success() && list.stdout.is_empty());
    assert!(String::from_utf8_lossy(&list.stderr).contains("isolab snapshot save NAME"));
    assert_eq!(snapshot(data.path(), &["list", "--json"]).stdout, b"[]\n");
    let restore = snapshot(data.path(), &["restore", "base"]);
    let message = String::from_utf8_lossy(&restore.stderr);
    assert_eq!(restore.status.code(), Some(125));
    assert!(message.contains("no snapshot at") && message.contains("help: "), "{message}");
    let save = snapshot(data.path(), &["save", "../base", "--", "/bin/true"]);
    assert_eq!(save.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&save.stderr).contains("invalid snapshot name"));
    assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0, "nothing was left");
}

#[test]
fn a_broken_one_is_listed_as_such_and_refused_by_name() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("isolab/snapshots/base");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("state.json"), "{}").unwrap();
    fs::write(folder.join("checksum"), "no").unwrap();
    let list = snapshot(data.path(), &["list", "--json"]);
    let list: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!(list[0]["name"], "base");
    assert!(
        list[0]["damage"]
            .as_str()
            .unwrap()
            .contains("state.json\" was changed after it was written")
    );
    let restore = snapshot(data.path(), &["restore", "base"]);
    let message = String::from_utf8_lossy(&restore.stderr);
    assert_eq!(restore.status.code(), Some(125));
    assert!(message.starts_with("isolab: the snapshot is damaged: "), "{message}");
    assert!(message.contains("help: remove it (`isolab snapshot rm NAME`)"), "{message}");
    assert_eq!(snapshot(data.path(), &["rm", "base"]).status.code(), Some(0));
    assert_eq!(snapshot(data.path(), &["list", "--json"]).stdout, b"[]\n");
    for name in ["base", "..", ""] {
        let removed = snapshot(data.path(), &["rm", name]);
        assert_eq!(removed.status.code(), Some(125), "{name:?}");
    }
    let folder = data.path().join("isolab/snapshots");
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0, "nothing is left of it");
}
