//! No import circle between the modules of a crate: each can be read, moved and replaced with only
//! what stands below it.
//!
//! A module imports another when it names something in it: by `use`, or by a path in its code, also
//! through the `pub use` of a module in between. A parent and what is inside of it may know each
//! other; they are one thing, seen from outside and from within.

mod source;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use source::{Name, crates, modules, root};

/// A path in the code, `["crate", "linux", "boot"]`, and the name that a `use` gives it.
struct Import {
    path: Name,
    name: String,
}

/// The modules of one crate, and what each of them names.
struct Crate {
    imports: BTreeMap<Name, Vec<Import>>,
    paths: BTreeMap<Name, Vec<Name>>,
}

impl Crate {
    fn of(modules: BTreeMap<Name, Vec<TokenTree>>) -> Self {
        let (mut imports, mut paths) = (BTreeMap::new(), BTreeMap::new());
        for (name, tokens) in modules {
            let (mut imported, mut named) = (Vec::new(), Vec::new());
            collect(&tokens, &mut imported, &mut named);
            imports.insert(name.clone(), imported);
            paths.insert(name, named);
        }
        Self { imports, paths }
    }

    /// What `path` means in the module `here`, seen from the crate's root; `None` of other crates'.
    fn absolute(&self, here: &Name, path: &[String]) -> Option<Name> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some([here, rest].concat()),
            "super" => {
                let supers = path.iter().take_while(|word| *word == "super").count();
                let above = here.len().checked_sub(supers)?;
                Some([&here[..above], &path[supers..]].concat())
            }
            _ => {
                let child = [here.as_slice(), &path[..1]].concat();
                self.imports.contains_key(&child).then(|| [here, path].concat())
            }
        }
    }

    /// The same, also where `path` begins with a name that a `use` of the module has given.
    fn named(&self, here: &Name, path: &[String]) -> Option<Name> {
        self.absolute(here, path).or_else(|| {
            let import = self.imports[here].iter().find(|import| import.name == path[0])?;
            Some([self.absolute(here, &import.path)?, path[1..].to_vec()].concat())
        })
    }

    /// The module that has what `path` names, through the `use` of modules in between.
    fn home(&self, path: &[String], depth: usize) -> Name {
        let inside = |length: &usize| self.imports.contains_key(&path[..*length]);
        let length = (0..=path.len()).rev().find(inside).unwrap_or(0);
        let (module, rest) = path.split_at(length);
        let module = module.to_vec();
        let again = rest.first().and_then(|name| {
            let import = self.imports[&module].iter().find(|import| import.name == *name)?;
            let found = self.absolute(&module, &import.path)?;
            (found != path && depth < 8).then(|| [found, rest[1..].to_vec()].concat())
        });
        again.map_or(module, |path| self.home(&path, depth + 1))
    }

    /// Every module with the others that it imports.
    fn edges(&self) -> BTreeMap<&Name, BTreeSet<Name>> {
        let of = |here: &Name| {
            let imported = self.imports[here].iter().map(|import| &import.path);
            let all = imported.chain(&self.paths[here]);
            let homes = all.filter_map(|path| Some(self.home(&self.named(here, path)?, 0)));
            homes.filter(|home| !home.starts_with(here) && !here.starts_with(home)).collect()
        };
        self.imports.keys().map(|name| (name, of(name))).collect()
    }

    /// The modules that lead back to themselves, with all that are on the way.
    fn circles(&self) -> Vec<BTreeSet<Name>> {
        let edges = self.edges();
        let reached = |from: &Name| {
            let (mut reached, mut next) = (BTreeSet::new(), vec![from.clone()]);
            while let Some(module) = next.pop() {
                next.extend(
                    edges[&module].iter().filter(|to| reached.insert((*to).clone())).cloned(),
                );
            }
            reached
        };
        let reached: BTreeMap<&Name, BTreeSet<Name>> =
            edges.keys().map(|name| (*name, reached(name))).collect();
        let mut circles: Vec<BTreeSet<Name>> = Vec::new();
        for (name, to) in &reached {
            if to.contains(*name) && !circles.iter().any(|circle| circle.contains(*name)) {
                circles.push(
                    to.iter().filter(|other| reached[other].contains(*name)).cloned().collect(),
                );
            }
        }
        circles
    }
}

/// Takes the `use` declarations and the paths out of the code.
fn collect(tokens: &[TokenTree], imports: &mut Vec<Import>, paths: &mut Vec<Name>) {
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Ident(word) if word == "use" => {
                let length = tokens[at..].iter().take_while(|token| !is(token, ';')).count();
                tree(&tokens[at + 1..at + length], &[], imports);
                at += length;
            }
            TokenTree::Ident(_) => {
                let (path, length) = path(&tokens[at..]);
                if path.len() > 1 {
                    paths.push(path);
                }
                at += length;
            }
            TokenTree::Group(group) => {
                collect(&Vec::from_iter(group.stream()), imports, paths);
                at += 1;
            }
            _ => at += 1,
        }
    }
}

/// The words joined by `::` that come next, and how many tokens they take.
fn path(tokens: &[TokenTree]) -> (Name, usize) {
    let (mut words, mut at) = (Vec::new(), 0);
    while let Some(TokenTree::Ident(word)) = tokens.get(at) {
        words.push(word.to_string());
        at += 1;
        let joined = |at| tokens.get(at).is_some_and(|token| is(token, ':'));
        if !(joined(at) && joined(at + 1)) {
            break;
        }
        at += 2;
    }
    (words, at.max(1))
}

/// Takes a tree of `use` apart: `a::{b, c as d}`.
fn tree(tokens: &[TokenTree], prefix: &[String], imports: &mut Vec<Import>) {
    let branches = tokens.split(|token| is(token, ','));
    // Behind the last comma is nothing.
    for branch in branches.filter(|branch| !branch.is_empty()) {
        let (words, length) = path(branch);
        let mut full = [prefix, &words].concat();
        match branch.get(length) {
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                tree(&Vec::from_iter(group.stream()), &full, imports);
            }
            renamed => {
                if full.last().is_some_and(|word| word == "self") {
                    full.pop();
                }
                let new_name = match (renamed, branch.last()) {
                    (Some(_), Some(TokenTree::Ident(name))) => Some(name.to_string()),
                    _ => None,
                };
                if let Some(name) = new_name.or_else(|| full.last().cloned()) {
                    imports.push(Import { path: full, name });
                }
            }
        }
    }
}

fn is(token: &TokenTree, mark: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == mark)
}

/// Modules made of text, as the test of the test has them.
fn crate_of(modules: &[(&str, &str)]) -> Crate {
    let module = |&(path, text): &(&str, &str)| {
        let words = path.split("::").filter(|word| !word.is_empty());
        let tokens = text.parse::<TokenStream>().unwrap();
        (words.map(str::to_owned).collect(), tokens.into_iter().collect())
    };
    Crate::of(modules.iter().map(module).collect())
}

#[test]
fn a_circle_is_seen() {
    let through = |imports: &str| {
        crate_of(&[("", imports), ("a", "use crate::B;"), ("b", "fn f() { g!(crate::a::X) }")])
    };
    assert_eq!(through("pub use b::B;").circles().len(), 1);
    assert_eq!(through("pub use other::B;").circles().len(), 0);
    let nested = [
        ("", ""),
        ("a", "use b::X;"),
        ("a::b", "use super::Y;"),
        ("c", "use crate::a::{self, b::{Z as W}};"),
    ];
    assert_eq!(crate_of(&nested).circles().len(), 0);
    let renamed =
        [("", ""), ("a", "use crate::{c::{self as d}}; fn f() { d::g() }"), ("c", "use crate::a;")];
    assert_eq!(crate_of(&renamed).circles()[0].len(), 2);
}

/// The files at which the crates of this workspace begin.
fn crate_roots() -> Vec<PathBuf> {
    let folders = [crates("crates"), crates("labs")].concat();
    let libraries = folders
        .iter()
        .flat_map(|folder| ["src/lib.rs", "src/main.rs"].map(|name| folder.join(name)));
    let programs = fs::read_dir(root().join("crates/guest/programs")).unwrap();
    let programs = programs.map(|entry| entry.unwrap().path());
    libraries
        .chain(programs.filter(|path| path.extension().is_some()))
        .filter(|path| path.exists())
        .collect()
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let mut circles = Vec::new();
    for file in crate_roots() {
        for circle in Crate::of(modules(&file)).circles() {
            let names: Vec<_> = circle.iter().map(|name| name.join("::")).collect();
            let shown = file.strip_prefix(root()).unwrap().display();
            circles.push(format!("{shown}: {}", names.join(", ")));
        }
    }
    assert!(circles.is_empty(), "import circles:\n{}", circles.join("\n"));
}

/// A machine and its devices, which answer the five questions, know nothing of the Linux that boots on
/// them, nor of what saves and restores it.
#[test]
fn the_microvm_is_layered() {
    let microvm = Crate::of(modules(&root().join("crates/microvm/src/lib.rs")));
    let uppers = ["linux", "snapshot"];
    // One enum names every error of the crate, so it may name those of the upper layers.
    let is_below = |name: &Name| {
        name.first().is_some_and(|first| !uppers.contains(&&**first) && first != "error")
    };
    let mut wrong = Vec::new();
    for (name, imported) in microvm.edges().into_iter().filter(|(name, _)| is_below(name)) {
        let upper = |to: &&Name| to.first().is_some_and(|first| uppers.contains(&&**first));
        wrong.extend(imported.iter().filter(upper).map(|to| format!("{name:?} imports {to:?}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
