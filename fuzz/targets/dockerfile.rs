//! A Dockerfile, a `.dockerignore`, a whole build, and an archive that `ADD` unpacks. The first byte
//! says which.
#![no_main]

mod checksums;

use std::{
    fs,
    os::unix::{fs::symlink, process::ExitStatusExt as _},
    path::Path,
    process::ExitStatus,
};

use checksums::with_checksums;
use image::{
    build::{AnyError, Builder, Built, Request, Run, RunStep},
    compression::{Limits, decoder},
    dockerfile::{
        Dockerfile, Instruction,
        ignore::Ignore,
        pattern::Pattern,
        scope::{Given, Global},
        variables::{expand, expand_words},
    },
    manifest::{Platform, digest_of},
    store::Store,
};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

/// No value of a variable is longer.
const MOST: usize = 128 << 10;

fuzz_target!(|input: &[u8]| {
    let Some((kind, bytes)) = input.split_first() else { return };
    match kind % 4 {
        0 => text(bytes),
        1 => ignored(bytes),
        2 => build(&[b"FROM scratch\nADD . /all/\n", bytes].concat(), b"no archive"),
        _ => build(b"FROM scratch\nCOPY root /\nADD t /d/\n", &with_checksums(bytes)),
    }
});

/// Whatever is read is where it says, and expands to no more than a program may be given.
fn text(bytes: &[u8]) {
    let Ok(file) = Dockerfile::parse("D", bytes) else { return };
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
    let scope = |name: &str| if name.len() % 2 == 0 { Some("$value ${x") } else { None };
    for stage in &file.stages {
        assert!(matches!(stage.from.instruction, Instruction::From(_)));
        for line in &stage.instructions {
            assert!((1..=lines).contains(&line.position.line) && line.position.column > 0);
            assert!(!line.text.contains('\n'));
            if let Ok(value) = expand(&line.text, file.escape, &scope) {
                assert!(value.len() <= MOST);
            }
            let _ = expand_words(&line.text, file.escape, &scope);
        }
    }
    if let Ok(order) = file.build_order(None, Global::new(Given::new())) {
        assert!(order.stages.is_sorted_by_key(|(index, _)| *index));
        assert_eq!(order.stages.last().map(|(index, _)| *index), Some(file.stages.len() - 1));
    }
}

/// Patterns, and behind a null byte a path.
fn ignored(bytes: &[u8]) {
    let Some(at) = bytes.iter().position(|byte| *byte == 0) else { return };
    let (patterns, path) = (&bytes[..at], String::from_utf8_lossy(&bytes[at + 1..]));
    if let Ok(ignore) = Ignore::parse(patterns) {
        // What is left out as a whole is left out in all of its parts.
        if ignore.ignores_all_below(&path) {
            assert!(ignore.ignores(&path) && ignore.ignores(&format!("{path}/below")));
        }
    }
    if let Ok(pattern) = Pattern::of_names(&String::from_utf8_lossy(patterns)) {
        let _ = pattern.matches(&path);
    }
}

struct Nobody;

impl Run for Nobody {
    fn run(&self, step: &RunStep<'_>) -> Result<ExitStatus, AnyError> {
        assert!(!step.directory.is_empty());
        Ok(ExitStatus::from_raw(0))
    }
}

/// Nothing of the host comes into the image, nothing is written beside the store, and nothing is
/// left of a build that fails.
fn build(dockerfile: &[u8], archive: &[u8]) {
    let folder = TempDir::new().expect("memory for files");
    let context = folder.path().join("context");
    fs::create_dir_all(context.join("root/usr/lib")).expect("memory for files");
    fs::write(context.join("root/usr/lib/file"), "own").expect("memory for files");
    symlink("usr/lib", context.join("root/lib")).expect("memory for files");
    symlink("../../secret", context.join("up")).expect("memory for files");
    symlink(folder.path().join("secret"), context.join("absolute")).expect("memory for files");
    fs::write(folder.path().join("secret"), "outside").expect("memory for files");
    fs::write(context.join("t"), archive).expect("memory for files");
    let store = Store::open(&folder.path().join("store")).expect("memory for files");
    let builder = Builder { store: &store, run: &Nobody, images: &store, events: &|_| {} };
    let request = Request {
        file: "D".into(),
        dockerfile: dockerfile.to_vec(),
        context: Some(context),
        ..Request::default()
    };
    let built = builder.build(&request);
    let count = |path: &Path| fs::read_dir(path).into_iter().flatten().count();
    assert_eq!(count(folder.path()), 3, "it came out elsewhere");
    assert_eq!(count(&store.path().join("ingest")), 0, "something is left");
    assert!(count(&store.path().join("build")) <= 1, "something is left");
    if let Ok(built) = built {
        look(&store, &built);
    }
}

fn look(store: &Store, built: &Built) {
    let image = store.image_at(&built.descriptor, &Platform::host()).expect("it was built");
    for layer in image.layers() {
        let digest = digest_of(&layer.descriptor).expect("it was built");
        let blob = store.blob(&digest).expect("it was built").expect("it was built");
        let decoder = decoder(blob.file, &Limits::default()).expect("it was built");
        let mut archive = tar::Archive::new(decoder);
        for entry in archive.entries().expect("it was built") {
            let mut entry = entry.expect("it was built");
            let path = entry.path_bytes().into_owned();
            let mut names = path.split(|byte| *byte == b'/');
            assert!(!path.starts_with(b"/") && names.all(|name| name != b".." && name != b"."));
            let mut content = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut content).expect("it was built");
            assert_ne!(content, b"outside");
        }
    }
}
