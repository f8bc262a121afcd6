//! The direction of imports: contract and guest, then backends, then tools.

use std::{collections::BTreeMap, fs, path::Path};

/// The crates of this workspace that each crate names among its dependencies.
fn imports() -> BTreeMap<String, Vec<String>> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates");
    let names: Vec<String> = fs::read_dir(&crates)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let imported = |name: &String| {
        let manifest = fs::read_to_string(crates.join(name).join("Cargo.toml")).unwrap();
        let dependencies = manifest.split_once("[dependencies]").map_or("", |(_, rest)| rest);
        let named = |line: &str| line.split(['.', ' ', '=']).next().unwrap_or("").to_owned();
        dependencies.lines().map(named).filter(|word| names.contains(word)).collect()
    };
    names.iter().map(|name| (name.clone(), imported(name))).collect()
}

#[test]
fn imports_go_one_way() {
    let imports = imports();
    let allowed: &[(&str, &[&str])] = &[
        ("guest", &[]),
        ("host", &[]),
        ("report", &[]),
        ("sandbox", &["guest", "host"]),
        ("supervisor", &["host", "sandbox"]),
        ("microvm", &["guest", "host", "sandbox"]),
        ("container", &["guest", "host", "sandbox"]),
        ("image", &["host"]),
        ("registry", &["host", "image"]),
        ("engine", &["container", "host", "image", "microvm", "registry", "sandbox"]),
        ("oci", &["container", "host", "microvm", "sandbox"]),
        ("nest", &["guest", "host", "microvm", "sandbox"]),
        ("lab", &["container", "guest", "host", "microvm", "nest", "report", "sandbox"]),
        // And the labs, which stand on top of all: the checks are theirs.
        ("judge", &["container", "guest", "host", "lab", "microvm", "report", "sandbox"]),
        ("demo", &["container", "engine", "guest", "host", "microvm", "nest", "report", "sandbox"]),
        (
            "measure",
            &["container", "guest", "host", "image", "microvm", "nest", "report", "sandbox"],
        ),
        (
            "cli",
            &[
                "container",
                "demo",
                "engine",
                "guest",
                "host",
                "image",
                "judge",
                "lab",
                "measure",
                "microvm",
                "nest",
                "oci",
                "registry",
                "report",
                "sandbox",
                "supervisor",
            ],
        ),
    ];
    for (name, imported) in &imports {
        let (_, allowed) = allowed
            .iter()
            .find(|(known, _)| known == name)
            .unwrap_or_else(|| panic!("crates/{name} is new: say here what it may import"));
        for import in imported {
            assert!(allowed.contains(&import.as_str()), "{name} must not import {import}");
        }
    }
    // The check can see what it denies.
    assert!(imports["cli"].contains(&"microvm".to_owned()));
}
