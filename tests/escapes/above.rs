//! What the host has mounted above its root, or on single files.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::MetadataExt as _,
};

use crate::{
    everywhere::{Kind, Root, everywhere, ready_as_root},
    host::Host,
    inside::{Attempt, Failed, describe},
    launch::{Files, Launch, Who},
};

pub const ATTEMPTS: &[(&str, Attempt)] = &[("climb", climb), ("write", write)];

/// Up from `/`: what is mounted above the root would be seen from there.
fn climb(words: &[String]) -> Result<String, Failed> {
    let place = |path: &str| fs::metadata(path).map(|about| (about.dev(), about.ino()));
    let root = place("/")?;
    let up = ["/..", "/../..", "/tmp/../..", "/proc/..", "/proc/self/root/..", "/proc/self/cwd/.."];
    let outside = up.iter().filter(|path| place(path).is_ok_and(|place| place != root));
    let outside: Vec<&str> = outside.copied().collect();
    let secret = words.first().map_or("", String::as_str);
    let secrets = up.iter().filter(|path| fs::read(format!("{path}{secret}")).is_ok()).count();
    Ok(format!("{} lead elsewhere, {secrets} to the secret", outside.len()))
}

#[test]
fn nothing_lies_above_the_root() {
    let words = |host: &Host| vec!["climb".to_owned(), host.secret()];
    // The overlay over the host's own root shows whose they are the host's files, by their names.
    let expected = |kind: &Kind| match kind.root {
        Root::Host if kind.is_owner() || kind.keep_owners => None,
        _ => Some("0 lead elsewhere, 0 to the secret".to_owned()),
    };
    everywhere(words, expected);
}

#[test]
fn what_the_host_has_mounted_above_its_root_does_not_lie_above_the_new_one() {
    if !ready_as_root() {
        return;
    }
    let mut host = Host::watched();
    let root = host.new_root("root");
    for files in [Files::Directory(root.clone()), Files::Overlay(root), Files::Host] {
        for layers in 1..3 {
            let nothing = "/no/secret";
            let launch = Launch::of(&host, files.clone(), &["climb", nothing]);
            let before = vec![("/".into(), "/".into()); layers];
            let answer = Launch { before, ..launch }.run_as(Who::RootElsewhere, &host);
            assert_eq!(
                answer.describe(),
                "0 lead elsewhere, 0 to the secret",
                "{files:?} {layers}"
            );
        }
    }
    host.is_unchanged("a root below others");
}

fn write(paths: &[String]) -> Result<String, Failed> {
    let open = |path: &String| File::options().append(true).open(path);
    let tried =
        paths.iter().map(|path| describe(open(path).and_then(|mut file| file.write(b"mine"))));
    Ok(tried.collect::<Vec<_>>().join(" "))
}

#[test]
fn a_single_file_that_the_host_has_mounted_is_not_written_through() {
    if !ready_as_root() {
        return;
    }
    let mut host = Host::watched();
    // As /etc/hosts is in a container of Docker's, in which isolab may run.
    let target = host.folder().join("hosts");
    fs::write(&target, "").unwrap();
    let target = target.display().to_string();
    let launch = Launch::of(&host, Files::Host, &["write", &target]);
    for user_namespace in [false, true] {
        let before = vec![(host.canary().join("file"), target.clone().into())];
        let launch = Launch { before, user_namespace, ..launch.clone() };
        assert_eq!(
            launch.run_as(Who::RootElsewhere, &host).describe(),
            "EROFS",
            "{user_namespace}"
        );
        host.is_unchanged("a file on which another is mounted");
    }
}
