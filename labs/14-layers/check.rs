//! What must be true of lab 14, look after look.

#[path = "check/listing.rs"]
mod listing;
#[path = "check/overlay.rs"]
mod overlay;
#[path = "check/refusals.rs"]
mod refusals;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

use lab::check::{Bench, Capability, Checked, Setup, Student, cannot_tell, ensure, fail};
use layers::{
    Abilities, Change, Edit, Sample, Scenario, attribute,
    look::{content, holds, is_whiteout, within},
};
use rustix::fs::{XattrFlags, removexattr, setxattr};

fn main() -> ExitCode {
    lab::check::main("14", check)
}

/// Judges the program on the bench.
pub fn check(bench: &mut Bench) -> Checked<()> {
    let scenario = Scenario::random(|end| bench.random(end));
    let word = bench.token();
    let layers = serde_json::to_string(&scenario.layers).map_err(io::Error::from)?;
    // The kernel gives overlay's work folder to nobody (mode 000).
    let setup = Setup::root(&[Capability::SysAdmin, Capability::DacOverride])
        .with_namespaces()
        .argument("layers", layers)
        .argument("word", &word);
    let mut student = bench.start(setup.argument("hidden", scenario.hidden.display()))?;

    student.meet("built")?;
    let main = student.main();
    let works = student.said("overlayfs")?;
    bench.saw("fsopen(2) of an overlay", works);
    // No overlayfs, or none for user namespaces, as before Linux 5.11.
    ensure(works == "works", || {
        cannot_tell("lacking").fact("error", format!("overlayfs: {works}"))
    })?;
    let tree = PathBuf::from(student.said("tree")?);
    let seen = |path: &str| within(main, &tree.join(path));
    let before = content(&seen("layers"))?;
    bench.saw(seen("layers").display(), format!("{} files in three layers", before.len()));
    // A file system without such attributes, as tmpfs before Linux 6.6, knows no opaque directory.
    let probe = seen("one/upper");
    let marks = setxattr(&probe, "user.lab", b"y", XattrFlags::empty());
    let marks = marks.and_then(|()| removexattr(&probe, "user.lab"));
    let has_marks = marks.is_ok();
    bench.saw(
        probe.display(),
        if has_marks { "attributes work" } else { "no user attributes here" },
    );
    if let Err(error) = marks {
        bench.unjudged("opaque", error);
    }
    student.go()?;

    // A whiteout in the second container's layer, and nothing else changed.
    arrive(&mut student, "deleted")?;
    ensure_unchanged(bench, &before, &seen("layers"))?;
    judge_whiteout(bench, &seen("two/upper").join(&scenario.hidden), &scenario.hidden)?;
    student.go()?;

    // One tree of three layers, seen twice.
    for container in ["one", "two"] {
        arrive(&mut student, "mounted")?;
        overlay::judge_mount(bench, main, &tree, container)?;
        if container == "one" {
            overlay::judge_content(bench, &content(&seen("one/merged"))?, &scenario, &tree, main)?;
        }
        student.go()?;
    }
    arrive(&mut student, "ready")?;
    // Each file is seen in one, and in two all but the one that its own layer deletes.
    let (one, two) = (content(&seen("one/merged"))?, content(&seen("two/merged"))?);
    bench.saw(seen("two/merged").display(), format!("{} of {} files", two.len(), one.len()));
    if two.contains_key(&scenario.hidden) || two.len() + 1 != one.len() {
        return Err(io::Error::other("the whiteout does not hide its file alone").into());
    }
    let edits = scenario.edits(has_marks);
    student.go_with(&serde_json::to_string(&edits).map_err(io::Error::from)?)?;

    // What was done in the first container is in its upper layer, and nowhere else.
    arrive(&mut student, "edited")?;
    ensure_unchanged(bench, &before, &seen("layers"))?;
    if content(&seen("two/merged"))? != two {
        return Err(io::Error::other("the second container has changed").into());
    }
    for edit in &edits {
        look_at_edit(bench, edit, &seen("one/upper"), &one)?;
    }
    student.go()?;

    // And `changes` finds it there; first in a layer where it is easily misled.
    arrive(&mut student, "listed")?;
    let device = seen("sample/upper").join(Sample::device(&word)).symlink_metadata();
    if let Err(error) = &device {
        bench.unjudged("device", error);
    }
    let able = Abilities { marks: has_marks, device: device.is_ok() };
    listing::judge_sample(bench, &student, &word, able)?;
    student.go()?;
    arrive(&mut student, "listed")?;
    let wanted = edits.iter().flat_map(Edit::changes).collect();
    listing::judge(bench, &student, "one", &wanted, &scenario)?;
    student.go()?;
    arrive(&mut student, "listed")?;
    let hidden = BTreeSet::from([Change::Deleted(scenario.hidden.clone())]);
    listing::judge(bench, &student, "two", &hidden, &scenario)?;
    student.go()?;
    student.finish()
}

/// Waits for the program at `point`; a refusal on the way is explained by the step that it ends.
fn arrive(student: &mut Student, point: &str) -> Checked<()> {
    student.meet(point).map_err(refusals::explain)
}

/// The lower layers must be as they were.
fn ensure_unchanged(
    bench: &mut Bench,
    before: &BTreeMap<PathBuf, String>,
    layers: &Path,
) -> Checked<()> {
    let after = content(layers)?;
    let other = after.iter().find(|(path, text)| before.get(*path) != Some(*text));
    let gone = before.keys().find(|path| !after.contains_key(*path));
    let other = other.map(|(path, _)| path).or(gone);
    let says = other.map_or("as before".to_owned(), |path| format!("{} differs", path.display()));
    bench.saw(layers.display(), says);
    match other {
        None => Ok(()),
        Some(path) => Err(fail("L14-lower-changed").fact("path", path.display())),
    }
}

/// Under the name of the deleted file there must be a character device with the number 0:0.
fn judge_whiteout(bench: &mut Bench, path: &Path, name: &Path) -> Checked<()> {
    let found = fs::symlink_metadata(path);
    // The letters of ls -l (POSIX).
    let says = match found.as_ref().map(fs::Metadata::file_type) {
        Err(_) => "-",
        Ok(_) if is_whiteout(path) => "`c`, 0:0",
        Ok(kind) if kind.is_char_device() => "`c`",
        Ok(kind) if kind.is_fifo() => "`p`",
        Ok(kind) if kind.is_dir() => "`d`",
        Ok(kind) if kind.is_symlink() => "`l`",
        Ok(_) => "`-`",
    };
    bench.saw(path.display(), says);
    let finding = |id: &str| fail(id).fact("path", name.display()).fact("type", says);
    ensure(found.is_ok(), || finding("L14-not-deleted"))?;
    ensure(is_whiteout(path), || finding("L14-not-a-whiteout"))
}

/// What an edit has left in the upper layer: the kernel has seen to it.
fn look_at_edit(
    bench: &mut Bench,
    edit: &Edit,
    upper: &Path,
    merged: &BTreeMap<PathBuf, String>,
) -> Checked<()> {
    let (path, right, says) = match edit {
        Edit::Add(path, text) => (path, holds(&upper.join(path), text), "a new file"),
        Edit::Append(path, text) => {
            let old = merged.get(path).map_or("", String::as_str);
            (path, holds(&upper.join(path), &format!("{old}{text}")), "copied up")
        }
        Edit::Delete(path) => (path, is_whiteout(&upper.join(path)), "character device 0:0"),
        Edit::Replace(path, ..) => {
            let mark = attribute(&upper.join(path), "user.overlay.opaque");
            (path, mark.as_deref() == Some(b"y"), "user.overlay.opaque is y")
        }
    };
    bench.saw(upper.join(path).display(), if right { says } else { "is not as it should be" });
    if right {
        return Ok(());
    }
    Err(io::Error::other(format!("{} has no trace of its edit", path.display())).into())
}
