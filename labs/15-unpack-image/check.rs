//! What must be true of lab 15, look after look.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
};

use lab::check::{
    Bench, Checked, Finding, Process, Setup, Student, ensure, fail,
    kernel::{Node, tree},
};
use unpack_image::{Attack, Expected, Scenario, TestImage};

fn main() -> ExitCode {
    lab::check::main("15", check)
}

/// Judges the program on the bench.
pub fn check(bench: &mut Bench) -> Checked<()> {
    let scenario = Scenario::random(|end| bench.random(end));
    let mut student = bench.start(Setup::ordinary())?;
    student.meet("ready")?;
    let work = PathBuf::from(student.said("work")?);

    // An image like any other.
    let image = &scenario.image;
    let outcome = unpacked(&mut student, image)?;
    let place = work.join(&image.name);
    let found = tree(student.main(), &place.join("root"))?;
    let root =
        student.main().path("root").join(place.join("root").strip_prefix("/").unwrap_or(&place));
    bench.saw(root.display(), format!("{} files and directories", found.len()));
    nothing_outside(student.main(), &place, image, &found, "L15-link-followed")?;
    if let Some(refusal) = &outcome {
        return Err(refused(refusal));
    }
    compare(&scenario, &found)?;
    bench.saw(root.display(), "as the layers say, from the base up");

    // Images that lie, and images that want out.
    for attack in Attack::ALL {
        let image = attack.image(&work, &bench.token());
        let outcome = unpacked(&mut student, &image)?;
        let place = work.join(&image.name);
        let found = tree(student.main(), &place.join("root"));
        let id = id_of(attack);
        nothing_outside(student.main(), &place, &image, &found.unwrap_or_default(), id)?;
        let Some(refusal) = outcome else {
            let id = match attack {
                Attack::Tampered | Attack::Size | Attack::Platform => id,
                _ => "L15-skipped",
            };
            return Err(fail(id).fact("attack", words_of(attack)).fact("path", "nothing"));
        };
        bench.saw(format!("an image: {}", words_of(attack)), format!("refused, {refusal}"));
    }
    student.go()?;
    student.finish()
}

/// Gives the program an image; gives back why it was refused, if it was.
fn unpacked(student: &mut Student, image: &TestImage) -> Checked<Option<String>> {
    student.go_with(&image.line()?)?;
    student.meet("unpacked")?;
    let outcome = student.said("outcome")?;
    Ok((outcome != "unpacked").then(|| outcome.to_owned()))
}

fn id_of(attack: Attack) -> &'static str {
    match attack {
        Attack::Tampered => "L15-not-verified",
        Attack::Size => "L15-size",
        Attack::Platform => "L15-other-platform",
        Attack::DotDot => "L15-dotdot",
        Attack::Absolute => "L15-absolute",
        Attack::Symlink => "L15-through-link",
        Attack::HardLink => "L15-hard-link-out",
        Attack::Whiteout => "L15-whiteout-out",
    }
}

fn words_of(attack: Attack) -> &'static str {
    match attack {
        Attack::Tampered => "a blob that is not what its digest says",
        Attack::Size => "a blob that is shorter than its descriptor says",
        Attack::Platform => "nothing for linux and amd64",
        Attack::DotDot => "a path with ..",
        Attack::Absolute => "an absolute path",
        Attack::Symlink => "a path through a symbolic link",
        Attack::HardLink => "a hard link to ../victim",
        Attack::Whiteout => "a whiteout called .wh...",
    }
}

/// A good image was refused.
fn refused(refusal: &str) -> Finding {
    let (step, error) = refusal.split_once(' ').unwrap_or((refusal, ""));
    let id = match step {
        "read_blob," => "L15-blob-refused",
        "choose_manifest" => "L15-no-platform",
        _ => "L15-image-refused",
    };
    fail(id).fact("step", step.trim_end_matches(',')).fact("error", error)
}

/// Beside the root all is as it was, and nothing in it is a file from outside.
fn nothing_outside(
    process: Process,
    place: &Path,
    image: &TestImage,
    root: &BTreeMap<PathBuf, Node>,
    id: &str,
) -> Checked<()> {
    let outside = image.outside();
    let now = tree(process, place)?;
    let found = now.iter().filter(|(path, _)| !path.starts_with("root"));
    let files: BTreeMap<&PathBuf, &Node> =
        found.filter(|(_, node)| !matches!(node, Node::Directory(_))).collect();
    let same = |path: &PathBuf, content: &Vec<u8>| matches!(files.get(path), Some(Node::File { content: found, .. }) if found == content);
    let changed = outside.iter().find(|(path, content)| !same(path, content)).map(|(path, _)| path);
    let added = files.keys().find(|path| !outside.contains_key(**path)).copied();
    let path = changed.or(added);
    ensure(path.is_none(), || {
        fail(id).fact("path", place.join(path.unwrap_or(&PathBuf::new())).display())
    })?;
    // A second name of a file outside is a way to it.
    let inode = |node: &&Node| match node {
        Node::File { inode, .. } => Some(*inode),
        _ => None,
    };
    let out: Vec<u64> = files.values().filter_map(inode).collect();
    let way = root.iter().find(|(_, node)| inode(node).is_some_and(|inode| out.contains(&inode)));
    ensure(way.is_none(), || {
        fail(id).fact("path", way.map_or(Path::new(""), |(path, _)| path).display())
    })
}

/// Compares the unpacked tree with what the layers say; the first difference is told.
fn compare(scenario: &Scenario, found: &BTreeMap<PathBuf, Node>) -> Checked<()> {
    let about = |id: &str, path: &Path| fail(id).fact("path", path.display());
    if found.contains_key(&scenario.foreign) {
        return Err(about("L15-platform", &scenario.foreign));
    }
    let wanted = scenario.expected.get(&scenario.shared);
    if let (Some(Node::File { content, .. }), Some(Expected::File(text, _))) =
        (found.get(&scenario.shared), wanted)
    {
        let shown = String::from_utf8_lossy(content);
        ensure(shown == text.as_str(), || {
            let finding = about("L15-order", &scenario.shared);
            finding.fact("found", shown.trim()).fact("wanted", text.trim())
        })?;
    }
    ensure(!found.contains_key(&scenario.hidden), || about("L15-not-hidden", &scenario.hidden))?;
    if let Some(path) = found.keys().find(|path| !scenario.expected.contains_key(*path)) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        return Err(if name.starts_with(".wh.") {
            about("L15-whiteout-kept", path)
        } else if path.starts_with(&scenario.hidden_directory) {
            about("L15-directory-kept", path)
        } else if path.starts_with(&scenario.opaque) {
            about("L15-opaque-ignored", path)
        } else {
            about("L15-tree", path).fact("found", "a file").fact("wanted", "nothing")
        });
    }
    for (path, expected) in &scenario.expected {
        let node = found.get(path);
        if matches(found, node, expected) {
            continue;
        }
        let finding = match (node, expected) {
            (None, _) if path.starts_with(&scenario.opaque) => about("L15-own-removed", path),
            (None, _) if path.starts_with(&scenario.kept) => about("L15-emptied", path),
            (Some(Node::File { mode: now, .. }), Expected::File(_, mode))
            | (Some(Node::Directory(now)), Expected::Directory(mode))
                if now != mode =>
            {
                return Err(about("L15-mode", path)
                    .fact("found", format!("{now:o}"))
                    .fact("wanted", format!("{mode:o}")));
            }
            (Some(Node::File { .. }), Expected::SameAs(_)) => about("L15-copied", path),
            _ => about("L15-tree", path),
        };
        let shown = node.map_or("nothing".into(), |node| match node {
            Node::File { content, .. } => String::from_utf8_lossy(content).trim().to_owned(),
            other => format!("{other:?}"),
        });
        let wanted = match expected {
            Expected::File(content, _) => content.trim().to_owned(),
            other => format!("{other:?}"),
        };
        return Err(finding.fact("found", shown).fact("wanted", wanted));
    }
    Ok(())
}

fn matches(found: &BTreeMap<PathBuf, Node>, node: Option<&Node>, expected: &Expected) -> bool {
    match (node, expected) {
        (Some(Node::Directory(mode)), Expected::Directory(wanted)) => mode == wanted,
        (Some(Node::File { content, mode, .. }), Expected::File(text, wanted)) => {
            content == text.as_bytes() && mode == wanted
        }
        (Some(Node::Symlink(to)), Expected::Symlink(wanted)) => to == wanted,
        (Some(Node::File { inode, .. }), Expected::SameAs(path)) => {
            matches!(found.get(path), Some(Node::File { inode: other, .. }) if inode == other)
        }
        _ => false,
    }
}
