//! The sources of the workspace as the tests of its structure read them: in tokens, without comments
//! and without what only its own tests see.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folders below `parent` that hold a crate.
#[allow(dead_code, reason = "each test takes what it needs")]
pub fn crates(parent: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(parent)).unwrap();
    let mut folders: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("Cargo.toml").exists())
        .collect();
    folders.sort();
    folders
}

/// All files in Rust below `folder`, in the order of their names.
#[allow(dead_code, reason = "each test takes what it needs")]
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            found.append(&mut files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The tokens of a file.
pub fn tokens(path: &Path) -> TokenStream {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    text.parse().unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

/// A module by its path in its crate: `["linux", "boot"]`; the crate's root is empty.
pub type Name = Vec<String>;

/// The modules of the crate whose root is `file`, each with its own tokens: those of its child
/// modules and of modules under `#[cfg(test)]` are left out.
#[allow(dead_code, reason = "each test takes what it needs")]
pub fn modules(file: &Path) -> BTreeMap<Name, Vec<TokenTree>> {
    let mut modules = BTreeMap::new();
    read(Vec::new(), tokens(file), file.parent().unwrap(), &mut modules);
    modules
}

/// Takes the module `name` apart; the files of its children are in `folder`.
fn read(
    name: Name,
    tokens: TokenStream,
    folder: &Path,
    modules: &mut BTreeMap<Name, Vec<TokenTree>>,
) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut own = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if is_test_only(&tokens[at..]) {
            at += item(&tokens[at..]);
            continue;
        }
        let child = match &tokens[at..] {
            [TokenTree::Ident(word), TokenTree::Ident(child), ..] if word == "mod" => child,
            _ => {
                own.push(tokens[at].clone());
                at += 1;
                continue;
            }
        };
        let mut path = name.clone();
        path.push(child.to_string());
        let below = folder.join(child.to_string());
        match &tokens[at + 2] {
            TokenTree::Group(inline) => read(path, inline.stream(), &below, modules),
            _ => {
                let file = [below.with_extension("rs"), below.join("mod.rs")];
                // A module with `#[path]` is somebody else's file.
                if let Some(file) = file.iter().find(|file| file.exists()) {
                    read(path, self::tokens(file), &below, modules);
                }
            }
        }
        at += 3;
    }
    modules.insert(name, own);
}

/// Whether `#[cfg(test)]` comes next.
fn is_test_only(tokens: &[TokenTree]) -> bool {
    let [TokenTree::Punct(hash), TokenTree::Group(attribute), ..] = tokens else { return false };
    hash.as_char() == '#' && attribute.stream().to_string().replace(' ', "") == "cfg(test)"
}

/// How many tokens the item takes that comes next: to its semicolon or its braces.
fn item(tokens: &[TokenTree]) -> usize {
    let ends = |token: &TokenTree| match token {
        TokenTree::Punct(mark) => mark.as_char() == ';',
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        _ => false,
    };
    tokens.iter().position(ends).map_or(tokens.len(), |last| last + 1)
}
