//! What must be true of lab 14, look after look.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use lab::check::{Bench, Capability, Checked, Setup, Student, cannot_tell, ensure, fail};
use layers::{
    Change, Edit, Scenario, attribute,
    look::{content, holds, is_whiteout, lowers, within},
};
use rustix::fs::{XattrFlags, removexattr, setxattr};

fn main() -> ExitCode {
    lab::check::main("14", check)
}

/// Judges the program on the bench.
pub fn check(bench: &mut Bench) -> Checked<()> {
    let scenario = Scenario::random(|end| bench.random(end));
    let layers = serde_json::to_string(&scenario.layers).map_err(io::Error::from)?;
    // The kernel gives overlay's work folder to nobody (mode 000).
    let setup = Setup::root(&[Capability::SysAdmin, Capability::DacOverride])
        .with_namespaces()
        .argument("layers", layers);
    let mut student = bench.start(setup.argument("hidden", scenario.hidden.display()))?;

    student.meet("built")?;
    let main = student.main();
    let tree = PathBuf::from(student.said("tree")?);
    let seen = |path: &str| within(main, &tree.join(path));
    let before = content(&seen("layers"))?;
    bench.saw(seen("layers").display(), format!("{} files in three layers", before.len()));
    // A file system without such attributes, as tmpfs before Linux 6.6, knows no opaque directory.
    let probe = seen("one/upper");
    let marks = setxattr(&probe, "user.lab", b"y", XattrFlags::empty());
    let marks = marks.and_then(|()| removexattr(&probe, "user.lab")).is_ok();
    bench.saw(probe.display(), if marks { "attributes work" } else { "no user attributes here" });
    student.go()?;

    // One tree of three layers, seen twice.
    student.meet("mounted").map_err(|finding| {
        let refused = |errno| finding.is_refusal("mount_overlay", errno);
        if refused("EINVAL") {
            fail("L14-work-elsewhere")
        } else if refused("EBUSY") {
            // Kernels that keep an index let nobody mount one upper layer twice.
            fail("L14-lower-edited").fact("path", "upperdir")
        } else if refused("ENODEV") || refused("EPERM") {
            // No overlayfs, or none for user namespaces, as before Linux 5.11.
            cannot_tell("lacking").fact("error", format!("overlayfs: {}", finding.get("error")))
        } else {
            finding
        }
    })?;
    let mounts = main.mounts()?;
    for container in ["one", "two"] {
        let point = tree.join(container).join("merged");
        let mount = mounts.iter().find(|mount| Path::new(&mount.point) == point);
        bench.saw(main.path("mountinfo").display(), mount.map_or("nothing", |mount| &mount.line));
        let overlay = mount.filter(|mount| mount.kind == "overlay");
        let Some(overlay) = overlay else {
            return Err(fail("L14-copied").fact("target", point.display()));
        };
        let own = overlay.options.split(',').any(|option| option == "userxattr");
        ensure(own, || fail("L14-no-userxattr").fact("options", &overlay.options))?;
        let merged = seen(container).join("merged");
        let shown = fs::read_to_string(merged.join(&scenario.shared)).unwrap_or_default();
        let wanted = scenario.text(&scenario.shared);
        bench.saw(
            merged.join(&scenario.shared).display(),
            format!("{shown}; uppermost layer: {wanted}"),
        );
        let finding = fail("L14-order").fact("shown", shown.trim()).fact("wanted", wanted.trim());
        ensure(shown == wanted, || finding)?;
        let foreign = lowers(overlay).find(|lower| !lower.starts_with(tree.join("layers")));
        let finding =
            fail("L14-not-shared").fact("lower", foreign.clone().unwrap_or_default().display());
        ensure(foreign.is_none(), || finding)?;
    }
    // Each file is seen in one, and in two all but the one that its own layer deletes.
    let (one, two) = (content(&seen("one/merged"))?, content(&seen("two/merged"))?);
    let hides = |merged: &BTreeMap<PathBuf, String>| !merged.contains_key(&scenario.hidden);
    bench.saw(seen("two/merged").display(), format!("{} of {} files", two.len(), one.len()));
    if hides(&one) {
        return Err(io::Error::other("there is no file to delete").into());
    }
    let edits = scenario.edits(marks);
    student.go_with(&serde_json::to_string(&edits).map_err(io::Error::from)?)?;

    // What was done in the first container is in its upper layer, and nowhere else.
    student.meet("edited")?;
    let after = content(&seen("layers"))?;
    let other = after.iter().find(|(path, text)| before.get(*path) != Some(*text));
    let gone = before.keys().find(|path| !after.contains_key(*path));
    let other = other.map(|(path, _)| path).or(gone);
    bench.saw(seen("layers").display(), format!("first difference: {other:?}"));
    if let Some(path) = other {
        return Err(fail("L14-lower-edited").fact("path", path.display()));
    }
    ensure(hides(&two), || fail("L14-not-deleted").fact("path", scenario.hidden.display()))?;
    ensure(content(&seen("two/merged"))? == two, || fail("L14-upper").fact("path", "two/merged"))?;
    for edit in &edits {
        look_at_edit(bench, edit, &seen("one/upper"), &one)?;
    }
    student.go()?;

    // And `changes` finds it there.
    student.meet("listed")?;
    let wanted = edits.iter().flat_map(Edit::changes).collect();
    compare(&student, "one", &wanted, &scenario)?;
    let hidden = BTreeSet::from([Change::Deleted(scenario.hidden.clone())]);
    compare(&student, "two", &hidden, &scenario)?;
    bench.saw("changes", format!("{} in one, 1 in two, as planned", wanted.len()));
    student.go()?;
    student.finish()
}

/// What an edit has left in the upper layer.
fn look_at_edit(
    bench: &mut Bench,
    edit: &Edit,
    upper: &Path,
    merged: &BTreeMap<PathBuf, String>,
) -> Checked<()> {
    let (path, right, says) = match edit {
        Edit::Add(path, text) => (path, holds(&upper.join(path), text), "a new file".to_owned()),
        Edit::Append(path, text) => {
            let old = merged.get(path).map_or("", String::as_str);
            (path, holds(&upper.join(path), &format!("{old}{text}")), "copied up".to_owned())
        }
        Edit::Delete(path) => {
            (path, is_whiteout(&upper.join(path)), "character device 0:0".to_owned())
        }
        Edit::Replace(path, ..) => {
            let mark = attribute(&upper.join(path), "user.overlay.opaque");
            (path, mark.as_deref() == Some(b"y"), format!("user.overlay.opaque {mark:?}"))
        }
    };
    bench.saw(upper.join(path).display(), if right { &says } else { "is not as it should be" });
    ensure(right, || fail("L14-upper").fact("path", path.display()))
}

/// Compares what the student's function has found with what was done.
fn compare(
    student: &Student,
    container: &str,
    wanted: &BTreeSet<Change>,
    scenario: &Scenario,
) -> Checked<()> {
    let reported = student.said(container)?;
    let found: Vec<Change> = serde_json::from_str(reported).map_err(io::Error::from)?;
    let found: BTreeSet<Change> = found.into_iter().collect();
    let path = |change: &Change| match change {
        Change::Written(path) | Change::Deleted(path) | Change::Replaced(path) => path.clone(),
    };
    let touched: BTreeSet<PathBuf> = wanted.iter().map(path).collect();
    let files = scenario.paths();
    let untouched = |path: &PathBuf| !touched.contains(path) && files.contains(&**path);
    let untouched = found.iter().map(path).find(untouched);
    if let Some(path) = untouched {
        return Err(fail("L14-walked-merged").fact("path", path.display()));
    }
    let missing = wanted.iter().find(|change| !found.contains(change));
    let extra = found.iter().find(|change| !wanted.contains(change));
    let id = match missing {
        Some(Change::Deleted(_)) => "L14-whiteout-ignored",
        Some(Change::Replaced(_)) => "L14-opaque-ignored",
        _ => "L14-changes",
    };
    ensure(missing.is_none() && extra.is_none(), || {
        let word =
            |change: Option<&Change>| change.map_or("nothing".into(), |it| format!("{it:?}"));
        fail(id).fact("missing", word(missing)).fact("extra", word(extra))
    })
}
